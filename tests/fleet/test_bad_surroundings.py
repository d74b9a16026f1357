"""What the verbs of `pod` do where their own machine is not as it should be: one line, the right code, and nothing half done."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cloud.hosts import Host
from cloud.pods import RUNNING

FIRSTLIGHT = str(Path(sys.executable).parent / "firstlight")
NETWORK = {"persistent": {"size": 20, "path": "/workspace"}}


@pytest.fixture
def asked(cloud, tmp_path):
    """Runs `firstlight pod …`: exit code, standard output and standard error."""
    environment = {**cloud.environment, "XDG_STATE_HOME": str(tmp_path / "state"), "SSL_CERT_FILE": "", "SSL_CERT_DIR": ""}

    def ask(*words, before=(), stdout=subprocess.PIPE, **more):
        argv = [*before, FIRSTLIGHT, "pod", *words]
        done = subprocess.run(
            argv, env={**environment, **more}, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False, cwd=tmp_path
        )
        return done.returncode, done.stdout, done.stderr

    return ask


@pytest.fixture
def file(tmp_path):
    """Stands where a folder should."""
    (tmp_path / "file").touch()
    return str(tmp_path / "file")


def orders(cloud):
    return [call for call in cloud.service.calls if call.method != "GET"]


# Folders that cannot be written


VERBS = {
    "test": ("test", "pod", "--cycles", "1", "--to", "out"),
    "relocate": ("relocate", "pod", "--even-if-container-disk-is-lost"),
    "watch": ("watch", "pod", "--on-host-fault", "relocate"),
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_folder_that_takes_no_lease_is_found_before_anything_is_begun(cloud, asked, file, tmp_path, verb):
    cloud.pod(mounts=NETWORK if verb == "test" else {})
    code, out, err = asked(*VERBS[verb], "--no-ssh", "--lease-dir", f"{file}/leases")
    assert (code, out) == (64, "")
    assert err.splitlines()[-1] == f"firstlight: cannot take a lease in {file}/leases: Not a directory (--lease-dir names another folder)"
    assert orders(cloud) == []
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("verb", [*VERBS, "verify"])
def test_a_folder_that_takes_no_host_keys_is_found_before_anything_is_begun(cloud, asked, file, tmp_path, verb):
    cloud.pod(mounts=NETWORK if verb == "test" else {})
    words = VERBS.get(verb, ("verify", "pod"))
    leases = () if verb == "verify" else ("--lease-dir", str(tmp_path / "leases"))
    code, out, err = asked(*words, *leases, XDG_STATE_HOME=f"{file}/state")
    assert (code, out) == (64, "")
    assert err.splitlines()[-1] == f"firstlight: cannot keep host keys in {file}/state/firstlight/known-hosts: Not a directory"
    assert orders(cloud) == []
    assert not (tmp_path / "out").exists()


def test_a_folder_of_leases_that_cannot_be_listed_is_told(asked, file):
    code, _, err = asked("sweep", "--lease-dir", file)
    assert (code, err) == (64, f"firstlight: cannot list the leases in {file}: Not a directory\n")


@pytest.mark.root
def test_where_nothing_names_a_folder_none_is_made_up(cloud, asked, tmp_path):
    """A user without an entry, in a container that was started with a bare environment: `~` is no folder."""
    code, _, err = asked(
        "sweep",
        before=(
            "setpriv",
            "--reuid=54321",
            "--clear-groups",
            "--inh-caps=+dac_override",
            "--ambient-caps=+dac_override",
            "env",
            "-u",
            "HOME",
        ),
        XDG_STATE_HOME="",
    )
    assert (code, err) == (64, "firstlight: cannot tell where to keep leases: neither XDG_STATE_HOME nor HOME names a folder\n")
    assert not (tmp_path / "~").exists()


def test_a_disk_that_is_full_in_the_middle_of_a_test_ends_it_in_order(cloud, asked, tmp_path):
    """The plan still fits, and so does a lease; what came of the first cycle does not."""
    pod = cloud.pod(mounts=NETWORK)
    limited = ("prlimit", "--fsize=1000")
    code, out, err = asked("test", "pod", "--cycles", "1", "--no-ssh", "--to", "out", before=limited)
    assert code == 74
    assert "0 cold starts" not in out
    assert "No cold start was made" in out
    assert err.splitlines()[-1] == "firstlight: cannot write out/cycles.jsonl: File too large"
    assert "goes on running, as before" in err
    assert "`firstlight pod test --resume out` does the rest" in err
    assert (pod.status, pod.starts) == (RUNNING, 2)
    assert list((tmp_path / "state/firstlight/leases").iterdir()) == []
    code, out, err = asked("test", "--resume", "out")
    assert code == 0, err
    assert "1 of 1 cold start proven" in out


# Standard output


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("list",), 74),
        (("stop", "pod"), 74),
        (("configure", "pod", "--apply"), 74),
        (("verify", "pod", "--no-ssh"), 74),
        (("watch", "pod"), 74),
        (("sweep",), 74),
    ],
)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_an_output_that_takes_nothing_is_told_in_one_line(cloud, asked, words, code, unbuffered):
    cloud.pod(mounts=NETWORK)
    with open("/dev/full", "w") as full:
        done, _, err = asked(*words, stdout=full, PYTHONUNBUFFERED=unbuffered)
    assert done == code
    assert err.splitlines()[-1] == "firstlight: cannot print: No space left on device"
    assert "Traceback" not in err


@pytest.mark.parametrize("words", [("watch", "pod"), ("verify", "pod", "--no-ssh"), ("list",)])
def test_a_reader_that_is_gone_ends_it_quietly(cloud, asked, words):
    cloud.pod(mounts=NETWORK)
    reader, writer = os.pipe()
    os.close(reader)
    done, _, err = asked(*words, stdout=writer)
    os.close(writer)
    assert (done, err) == (141, "")


def test_a_move_that_cannot_be_told_is_undone(cloud, asked, tmp_path):
    cloud.world.hosts["good"] = Host(name="good")
    pod = cloud.pod()
    with open("/dev/full", "w") as full:
        words = ("relocate", "pod", "--no-ssh", "--even-if-container-disk-is-lost")
        code, _, err = asked(*words, stdout=full)
    assert (code, err) == (74, "firstlight: cannot print: No space left on device\n")
    assert list(cloud.world.pods) == [pod.id]
    assert list((tmp_path / "state/firstlight/leases").iterdir()) == []


def test_a_name_that_the_output_cannot_carry_is_escaped(cloud, asked):
    pod = cloud.pod("Flügel", mounts=NETWORK)
    code, out, _ = asked("stop", pod.id, PYTHONIOENCODING="ascii")
    assert (code, out) == (0, f"{pod.id} (Fl\\xfcgel) is stopping\n")


# Certificates and proxies


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"SSL_CERT_FILE": "/nowhere"}, "cannot take certificates from SSL_CERT_FILE: /nowhere: No such file or directory"),
        ({"SSL_CERT_FILE": "/etc/passwd"}, "cannot take certificates from SSL_CERT_FILE: /etc/passwd holds none"),
        ({"SSL_CERT_FILE": "/etc"}, "cannot take certificates from SSL_CERT_FILE: /etc: Is a directory"),
        ({"SSL_CERT_DIR": "/nowhere:/etc/passwd"}, "cannot take certificates from SSL_CERT_DIR: /nowhere:/etc/passwd is no folder"),
        (
            {"ALL_PROXY": "socks5://me:secret@host:1"},
            "cannot use the proxy that HTTP_PROXY, HTTPS_PROXY or ALL_PROXY names: it speaks SOCKS",
        ),
        ({"HTTPS_PROXY": "http://me:secret@host:port"}, "ALL_PROXY names: it is no http:// or https:// address"),
        ({"ALL_PROXY": "ftp://me:secret@host"}, "ALL_PROXY names: it is no http:// or https:// address"),
    ],
)
@pytest.mark.parametrize("verb", ["list", "watch"])
def test_certificates_and_proxies_that_are_none_are_one_line(cloud, asked, environment, words, verb):
    code, out, err = asked(verb, *(("--all",) if verb == "watch" else ()), **environment)
    assert (code, out) == (64, "")
    assert words in err
    assert err.count("\n") == 1
    assert "secret" not in err
    assert cloud.service.calls == []
