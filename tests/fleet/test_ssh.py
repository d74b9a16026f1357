"""SSH through the user's own OpenSSH, against real sshds: what reaches the pod, and to whom nothing is said."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given, settings, strategies
from sshd import Sshd, environment, free_port, make_key, serving

from firstlight import errors
from firstlight.fleet import host_keys, ssh as openssh
from firstlight.fleet.ssh import Pin, Ssh, SshError, Trouble
from firstlight.providers.runpod.shapes import Endpoint
from firstlight.system.asking import Finished

HOSTILE = [
    "",
    " ",
    "a b",
    "it's",
    '"',
    "\\",
    "\\'",
    "$HOME",
    "$(touch {marker})",
    "`touch {marker}`",
    "; touch {marker} #",
    "&& touch {marker}",
    "| touch {marker}",
    "> {marker}",
    "\ntouch {marker}\n",
    "-oProxyCommand=touch {marker}",
    "--",
    "~root",
    "*",
    "?[a-z]{a,b}",
    "A=b",
    "if",
    "!!",
    "#no comment",
    "%h %p %%",
    "\x01\x7f\t\r",
    "wörd \U0001f600",
    "\udcff\udc80 bytes that are no text",
]
SHOW = (sys.executable, "-I", "-S", "-c", "import json, os, sys; print(json.dumps([os.fsencode(word).hex() for word in sys.argv[1:]]))")


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_key(tmp_path_factory.mktemp("key") / "id")


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory, key: Path) -> Iterator[Sshd]:
    with serving(tmp_path_factory.mktemp("pod"), key) as sshd:
        yield sshd


@pytest.fixture
def ssh(tmp_path: Path, key: Path) -> Ssh:
    return Ssh(known_hosts=str(tmp_path / "state" / "known hosts"), identity=str(key))


def at(sshd: Sshd) -> Endpoint:
    return Endpoint("127.0.0.1", sshd.port, "root")


def pin(ssh: Ssh, where: Endpoint, reported: tuple[str, ...], *, pod: str = "p1", start: str = "2026-11-24T05:00:00Z") -> Pin:
    return anyio.run(lambda: host_keys.pin(ssh, where, pod=pod, start=start, reported=reported))


def run(ssh: Ssh, where: Endpoint, pinned: Pin, *words: str, timeout: float = 60) -> Finished:
    return anyio.run(lambda: openssh.run(ssh, where, pinned, words, timeout=timeout))


def refused(do: Callable[[], Any]) -> SshError:
    with pytest.raises(SshError) as caught:
        do()
    assert str(caught.value).startswith("cannot ")
    return caught.value


# The command line


def test_the_command_line_is_words_and_says_all_that_matters() -> None:
    argv = openssh.argv(
        Ssh(known_hosts="/k", identity="/keys/my key%1"),
        Endpoint("203.0.113.9", 10022, "root"),
        Pin("/k/p 1@s", "firstlight-p1", False),
        ["id", "-u"],
    )

    assert argv[:3] == ["ssh", "-F", "none"]
    assert argv[-5:] == ["-l", "root", "--", "203.0.113.9", "'id' '-u'"]
    options = [argv[place + 1] for place, word in enumerate(argv) if word == "-o"]
    assert {
        "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        'UserKnownHostsFile="/k/p 1@s"',
        "GlobalKnownHostsFile=none",
        "HostKeyAlias=firstlight-p1",
        "PasswordAuthentication=no",
        "KbdInteractiveAuthentication=no",
        "ControlMaster=no",
        "ControlPath=none",
        "ClearAllForwardings=yes",
        "ForwardAgent=no",
        "IdentitiesOnly=yes",
        'IdentityFile="/keys/my key%%1"',
        "LogLevel=ERROR",
    } <= set(options)
    assert not any("ProxyCommand" in word for word in argv)


def test_openssh_itself_reads_the_options_as_they_are_meant(tmp_path: Path) -> None:
    words = openssh.argv(
        Ssh(known_hosts="k", identity=str(tmp_path / "my key%d")),
        Endpoint("pod", 10022, "root"),
        Pin(str(tmp_path / "a b"), "alias", False),
        ["id"],
    )
    told = subprocess.check_output([words[0], "-G", *words[1:]], text=True).splitlines()

    for line in (
        "user root",
        "hostname pod",
        "port 10022",
        "batchmode yes",
        "passwordauthentication no",
        "forwardagent no",
        "stricthostkeychecking true",
        "hostkeyalias alias",
        "updatehostkeys false",
        "connecttimeout 10",
        "identitiesonly yes",
        f"userknownhostsfile {tmp_path}/a b",
        "globalknownhostsfile none",
    ):
        assert line in told or line.replace(f"{tmp_path}/a b", f'"{tmp_path}/a b"') in told, (line, told)
    assert [line for line in told if line.startswith("identityfile")] == [f"identityfile {tmp_path}/my key%%d"]


def test_without_a_key_of_its_own_the_agent_is_asked() -> None:
    argv = openssh.argv(Ssh(known_hosts="/k"), Endpoint("h", 1, "root"), Pin("/k/f", "a", False), ["true"])

    assert not any("Identit" in word for word in argv)


@pytest.mark.parametrize("path", ['/a"b', "/a\nb", "/${HOME}/k", "/a\\b"])
def test_a_path_that_ssh_would_read_otherwise_is_refused(path: str) -> None:
    with pytest.raises(errors.UsageError, match="cannot tell ssh"):
        openssh.argv(Ssh(known_hosts="/k", identity=path), Endpoint("h", 1, "root"), Pin("/k/f", "a", False), ["true"])


# Words on their way through a shell

SHELLS = [shell for shell in ("sh", "bash", "dash", "zsh", "busybox") if shutil.which(shell)]


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_reads_the_words_back(shell: str, tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    words = [word.replace("{marker}", str(marker)) for word in HOSTILE]
    argv = [shell, *(["sh"] if shell == "busybox" else []), "-c", openssh.quote([*SHOW, *words])]

    assert json.loads(subprocess.check_output(argv)) == [os.fsencode(word).hex() for word in words]
    assert not marker.exists()


words_of_any_bytes = strategies.binary(max_size=30).map(lambda raw: os.fsdecode(raw.replace(b"\0", b"")))


@settings(max_examples=60, deadline=None)
@given(strategies.lists(words_of_any_bytes, min_size=1, max_size=20))
def test_any_words_survive(words: list[str]) -> None:
    for shell in ("bash", "dash"):
        told = subprocess.check_output([shell, "-c", "printf '%s\\0' " + openssh.quote(words)])
        assert told == b"".join(os.fsencode(word) + b"\0" for word in words)


@pytest.mark.parametrize("words", [[], ["a\0b"]])
def test_what_no_command_line_can_hold_is_refused(words: list[str]) -> None:
    with pytest.raises(ValueError, match="cannot quote"):
        openssh.quote(words)


def test_a_word_that_a_shell_would_take_for_its_own_is_a_command_like_another() -> None:
    done = subprocess.run(["bash", "-c", openssh.quote(["A=b", "x"])], capture_output=True, text=True, check=False)

    assert done.returncode == 127


@pytest.mark.root
@pytest.mark.parametrize("shell", [shutil.which(shell) for shell in ("bash", "dash", "zsh") if shutil.which(shell)])
def test_hostile_words_reach_a_real_session_as_they_are(shell: str, tmp_path: Path, key: Path, ssh: Ssh) -> None:
    marker = tmp_path / "executed"
    words = [word.replace("{marker}", str(marker)) for word in HOSTILE]
    passwd = tmp_path / "passwd"
    passwd.write_text(f"root:x:0:0:root:{tmp_path}:{shell}\nsshd:x:105:65534::/run/sshd:/usr/sbin/nologin\n")
    with serving(
        tmp_path / "pod", key, wrap=("unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/passwd && exec "$@"', str(passwd))
    ) as sshd:
        pinned = pin(ssh, at(sshd), sshd.fingerprints)
        done = run(ssh, at(sshd), pinned, *SHOW, *words)
        who = run(ssh, at(sshd), pinned, "sh", "-c", "readlink /proc/$PPID/exe")

    assert json.loads(done.out) == [os.fsencode(word).hex() for word in words]
    assert not marker.exists()
    assert Path(shell).resolve() == Path(who.out.decode().strip()) or b"sshd" in who.out  # a shell may exec its last command


def test_a_commands_end_is_told_as_it_was(sshd: Sshd, ssh: Ssh) -> None:
    pinned = pin(ssh, at(sshd), sshd.fingerprints)

    done = run(ssh, at(sshd), pinned, "sh", "-c", "echo out; echo err >&2; exit 3")
    assert done == Finished(3, b"out\n", b"err\n")
    assert run(ssh, at(sshd), pinned, "no-such-command").code == 127


def test_what_is_sent_in_comes_out(sshd: Sshd, ssh: Ssh) -> None:
    pinned = pin(ssh, at(sshd), sshd.fingerprints)
    data = bytes(range(256)) * 1000

    assert anyio.run(lambda: openssh.run(ssh, at(sshd), pinned, ["cat"], timeout=60, input=data)).out == data


# Whose key it is


def test_what_the_pod_tells_of_is_pinned(sshd: Sshd, ssh: Ssh) -> None:
    pinned = pin(ssh, at(sshd), sshd.fingerprints[:1])

    assert pinned.compared
    assert len(Path(pinned.file).read_text().splitlines()) == 1  # the key that it does not tell of is not taken
    assert stat.S_IMODE(os.stat(pinned.file).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(ssh.known_hosts).st_mode) == 0o700
    assert run(ssh, at(sshd), pinned, "echo", "in").out == b"in\n"


def test_another_machine_at_that_address_is_told_nothing(tmp_path: Path, key: Path, ssh: Ssh, sshd: Sshd) -> None:
    """As where the old port of a pod has become somebody else's, who takes the same key."""
    with serving(tmp_path / "other", key) as other:
        error = refused(lambda: pin(ssh, at(other), sshd.fingerprints))
        log = other.log.read_text()

    assert error.trouble is Trouble.HOST_KEY
    for word in (*sshd.fingerprints, *other.fingerprints, "another machine answers there"):
        assert word in str(error)
    assert "Accepted" not in log
    assert not Path(ssh.known_hosts).exists()


def test_within_a_start_the_pinned_key_alone_is_taken(tmp_path: Path, key: Path, ssh: Ssh, sshd: Sshd) -> None:
    pinned = pin(ssh, at(sshd), ())
    assert not pinned.compared
    with serving(tmp_path / "other", key) as other:
        assert pin(ssh, at(other), ()) == pinned  # pinned is pinned: nobody is asked again
        error = refused(lambda: run(ssh, at(other), pinned, "true"))
        assert "Accepted" not in other.log.read_text()

    assert error.trouble is Trouble.HOST_KEY
    assert "another host key" in str(error)


def test_a_new_start_shows_a_new_key_and_the_old_one_is_forgotten(tmp_path: Path, key: Path, ssh: Ssh) -> None:
    with serving(tmp_path / "first", key) as first:
        old = pin(ssh, at(first), first.fingerprints, start="1")
        pin(ssh, at(first), first.fingerprints, pod="p11", start="1")
    with serving(tmp_path / "second", key, port=first.port) as second:
        assert refused(lambda: run(ssh, at(second), old, "true")).trouble is Trouble.HOST_KEY
        new = pin(ssh, at(second), second.fingerprints, start="2")
        assert run(ssh, at(second), new, "true").code == 0

    assert sorted(os.listdir(ssh.known_hosts)) == ["p11@1", "p1@2"]


def test_the_pod_itself_knows_better_than_an_earlier_contact(tmp_path: Path, key: Path, ssh: Ssh) -> None:
    """Its container was started anew in place: RunPod says nothing of that, and its keys are others."""
    with serving(tmp_path / "first", key) as first:
        pin(ssh, at(first), ())
    with serving(tmp_path / "second", key, port=first.port) as second:
        pinned = pin(ssh, at(second), second.fingerprints)
        assert (pinned.compared, run(ssh, at(second), pinned, "true").code) == (True, 0)


def test_where_nothing_tells_starts_apart_nothing_pinned_is_trusted(tmp_path: Path, key: Path, ssh: Ssh) -> None:
    with serving(tmp_path / "first", key) as first:
        pin(ssh, at(first), (), start="")
    with serving(tmp_path / "second", key, port=first.port) as second:
        assert run(ssh, at(second), pin(ssh, at(second), (), start=""), "true").code == 0


def test_what_was_pinned_by_mistake_can_be_forgotten(sshd: Sshd, ssh: Ssh) -> None:
    pinned = pin(ssh, at(sshd), ())
    host_keys.forget(pinned)
    host_keys.forget(pinned)

    assert os.listdir(ssh.known_hosts) == []


def test_names_of_pods_and_starts_stay_in_the_folder(sshd: Sshd, ssh: Ssh) -> None:
    pinned = pin(ssh, at(sshd), (), pod="../../etc/x y", start="../2026 T")

    assert os.path.dirname(pinned.file) == ssh.known_hosts
    assert run(ssh, at(sshd), pinned, "true").code == 0


def test_a_folder_that_cannot_be_written_is_said(sshd: Sshd, key: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(errors.UsageError, match="cannot keep host keys"):
        pin(Ssh(known_hosts=str(tmp_path / "file" / "x"), identity=str(key)), at(sshd), ())


# Whose configuration counts


def test_nothing_of_the_users_configuration_reaches_a_pod(sshd: Sshd, key: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    marker = home / "executed"
    (home / ".ssh" / "config").write_text(
        f"Host *\n ProxyCommand touch {marker}\n LocalCommand touch {marker}\n PermitLocalCommand yes\n RemoteCommand false\n SendEnv SECRET\n"
        " SetEnv LC_A=1\n RemoteForward 12345 localhost:1\n"
    )
    code = f"""
import anyio
from firstlight.fleet import host_keys, ssh
from firstlight.providers.runpod.shapes import Endpoint
own = ssh.Ssh(known_hosts={str(home / "k")!r}, identity={str(key)!r})
where = Endpoint("127.0.0.1", {sshd.port}, "root")
async def main():
    pin = await host_keys.pin(own, where, pod="p", start="1", reported={sshd.fingerprints!r})
    print((await ssh.run(own, where, pin, ["env"], timeout=60)).out.decode())
anyio.run(main)
"""
    # OpenSSH takes the home that the user database names, not that of the environment.
    passwd = tmp_path / "passwd"
    passwd.write_text(f"root:x:0:0:root:{home}:/bin/sh\n")
    told = subprocess.check_output(
        ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/passwd && exec "$@"', passwd, sys.executable, "-c", code],
        env=environment(SECRET="s", LC_B="1"),
        text=True,
    )

    assert "USER=root" in told
    assert not marker.exists()
    assert "SECRET" not in told
    assert "LC_" not in told


# What goes wrong


def test_troubles_are_told_apart(sshd: Sshd, ssh: Ssh, tmp_path: Path) -> None:
    pinned = pin(ssh, at(sshd), sshd.fingerprints)
    stranger = Ssh(known_hosts=ssh.known_hosts, identity=str(make_key(tmp_path / "stranger")))
    nowhere = Endpoint("127.0.0.1", free_port(), "root")
    no_name = Endpoint("no-such-name.invalid", 22, "root")

    assert refused(lambda: run(stranger, at(sshd), pinned, "true")).trouble is Trouble.AUTH
    assert refused(lambda: run(ssh, nowhere, pinned, "true")).trouble is Trouble.REFUSED
    assert refused(lambda: pin(ssh, nowhere, (), pod="p2")).trouble is Trouble.REFUSED
    assert refused(lambda: run(ssh, no_name, pinned, "true")).trouble is Trouble.UNREACHABLE
    assert refused(lambda: pin(ssh, no_name, (), pod="p2")).trouble is Trouble.UNREACHABLE
    late = refused(lambda: run(ssh, at(sshd), pinned, "sleep", "1000", timeout=1))
    assert (late.trouble, late.exit_code) == (Trouble.TIMEOUT, errors.ExitCode.CLOUD)
    assert "did not end within 1 s" in str(late)


@pytest.mark.parametrize(
    ("code", "words", "trouble"),
    [
        (0, "", None),
        (1, "Permission denied", None),
        (None, "", Trouble.TIMEOUT),
        (255, "ssh: connect to host 1.2.3.4 port 1: Connection timed out", Trouble.TIMEOUT),
        (255, "Connection timed out during banner exchange", Trouble.TIMEOUT),
        (255, "Timeout, server 1.2.3.4 not responding.", Trouble.TIMEOUT),
        (255, "ssh: connect to host 1.2.3.4 port 1: No route to host", Trouble.UNREACHABLE),
        (255, "kex_exchange_identification: read: Connection reset by peer", Trouble.UNREACHABLE),
        (255, "Connection closed by 1.2.3.4 port 22", Trouble.UNREACHABLE),
        (255, "Received disconnect from 1.2.3.4 port 22:2: Too many authentication failures", Trouble.AUTH),
        (
            255,
            "No ED25519 host key is known for firstlight-p and you have requested strict checking.\nHost key verification failed.",
            Trouble.HOST_KEY,
        ),
        (255, "a program's own words", Trouble.OTHER),
    ],
)
def test_an_end_is_classified(code: int | None, words: str, trouble: Trouble | None) -> None:
    assert openssh.classify(Finished(code, b"", words.encode())) is trouble


def test_without_openssh_it_is_said_in_a_line(ssh: Ssh) -> None:
    bare = Ssh(known_hosts=ssh.known_hosts, program="/no/ssh", keyscan="/no/ssh-keyscan")

    with pytest.raises(errors.UsageError, match=r"cannot start /no/ssh-keyscan: .*needs the OpenSSH client"):
        pin(bare, Endpoint("127.0.0.1", 1, "root"), ())
    with pytest.raises(errors.UsageError, match="cannot start /no/ssh: "):
        run(bare, Endpoint("127.0.0.1", 1, "root"), Pin("/f", "a", False), "true")


def test_pinned_keys_lie_in_the_users_state_directory() -> None:
    assert openssh.default_folder({"XDG_STATE_HOME": "/s"}) == "/s/firstlight/known-hosts"
    assert openssh.default_folder({"XDG_STATE_HOME": "relative"}) == os.path.expanduser("~/.local/state/firstlight/known-hosts")


def test_what_nobody_asked_for_in_a_month_goes(sshd: Sshd, ssh: Ssh) -> None:
    pin(ssh, at(sshd), (), pod="long-gone")
    pin(ssh, at(sshd), (), pod="of-late")
    now = os.stat(os.path.join(ssh.known_hosts, os.listdir(ssh.known_hosts)[0])).st_mtime
    for name in os.listdir(ssh.known_hosts):
        age = (31 if name.startswith("long-gone") else 29) * 86400
        os.utime(os.path.join(ssh.known_hosts, name), (now - age, now - age))
    pin(ssh, at(sshd), (), pod="today")

    assert sorted(name.partition("@")[0] for name in os.listdir(ssh.known_hosts)) == ["of-late", "today"]
