"""What an SSH session has of the app's environment: a real sshd and real shells, in a container's place that has an /etc and a home of its own."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sshd import Sshd, environment, make_key

from .conftest import Running, Starter, eventually

DUMP = (sys.executable, "-I", "-S", "-c", "import json, os; print(json.dumps({k.hex(): v.hex() for k, v in os.environb.items()}))")
ETC = "passwd group profile bash.bashrc ld.so.cache nsswitch.conf".split()


@dataclass
class Container:
    """A folder in place of /etc, one in place of root's home, and who enters there."""

    folder: Path

    @property
    def etc(self) -> Path:
        return self.folder / "etc"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def file(self) -> Path:
        return self.etc / "firstlight/environment.sh"

    def wrap(self, *, read_only: bool = False) -> tuple[str, ...]:
        """What starts a program in there."""
        more = " && mount -o remount,bind,ro /etc" if read_only else ""
        return ("unshare", "--mount", "sh", "-c", f'mount --bind "$0" /etc{more} && exec "$@"', str(self.etc))


@dataclass
class Pod:
    """A container with an sshd in it."""

    container: Container
    sshd: Sshd
    key: Path

    def session(self, line: str, *more: str) -> subprocess.CompletedProcess[bytes]:
        """A command line, as somebody types it behind `ssh host`."""
        options = [
            "-F",
            "none",
            "-o",
            "BatchMode=yes",
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
            "-o",
            "LogLevel=ERROR",
        ]
        argv = ["ssh", *options, "-i", str(self.key), "-p", str(self.sshd.port), *more, "root@127.0.0.1", line]
        return subprocess.run(argv, capture_output=True, check=False, stdin=subprocess.DEVNULL, env=environment())


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[Pod]:
    refused = subprocess.run(["unshare", "--mount", "true"], capture_output=True, text=True, check=False)
    if refused.returncode:
        pytest.skip(f"no mount namespace: {refused.stderr.strip()}")
    container = Container(tmp_path)
    container.etc.mkdir()
    container.home.mkdir()
    for name in ETC:
        if Path("/etc", name).exists():
            shutil.copy(Path("/etc", name), container.etc / name)
    (container.etc / "profile.d").mkdir()
    (container.etc / "passwd").write_text(f"root:x:0:0:root:{container.home}:/bin/bash\nsshd:x:105:65534::/run/sshd:/usr/sbin/nologin\n")
    (container.etc / "shadow").write_text("root:*:19000:0:99999:7:::\n")  # an account without it counts as locked
    shutil.copy("/etc/skel/.bashrc", container.home / ".bashrc")  # Ubuntu's and Debian's: it leaves at once where nobody types
    assert "case $-" in (container.home / ".bashrc").read_text()
    key = make_key(tmp_path / "id")
    sshd = Sshd(tmp_path / "sshd", key, kinds=("ed25519",), wrap=container.wrap())
    yield Pod(container, sshd, key)
    sshd.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Any]:
    """Starts `firstlight run --publish-env` in the container, with these variables."""
    starters: list[Starter] = []

    def begin(container: Container, variables: dict[bytes, bytes], *, asked: bool = True, read_only: bool = False) -> Running:
        starter = Starter((), tmp_path / "state")
        starters.append(starter)
        given = {b"PATH": os.environb[b"PATH"], b"HOME": b"/elsewhere", **variables}
        return starter(
            "sh",
            "-c",
            "echo up; exec sleep 1000",
            options=("--gpus", "none", "--serve", "off", *(["--publish-env"] if asked else [])),
            env=given,
            before=container.wrap(read_only=read_only),
        )

    yield begin
    for starter in starters:
        starter.end()


def told(running: Running) -> dict[str, Any]:
    """What the journal says of it, once it does."""
    eventually(lambda: any(event["kind"] == "environment" for event in running.events()))
    return next(event for event in running.events() if event["kind"] == "environment")


def hostile(marker: Path) -> dict[bytes, bytes]:
    name = os.fsencode(marker)
    return {
        b"QUOTES": b'"; touch ' + name + b"; $(touch " + name + b") `touch " + name + b"`",
        b"SINGLE": b"it's '$(touch " + name + b")'",
        b"SEVERAL": b"first\nINJECTED=1\nexport INJECTED=2\n\n",
        b"BYTES": bytes(range(1, 256)),
        b"EMPTY": b"",
        b"lower_case": b"x y  z ",
        b"DOLLAR": b"$HOME ${HOME} $$ \\$HOME \\",
        b"UNTERMINATED": b'"',
        b"HF_TOKEN": b"hf_0123456789",
        # What must not get there.
        b"PWD": b"/nowhere",
        b"SHLVL": b"41",
        b"PPID": b"1",
        b"IFS": b"x",
        b"PROMPT_COMMAND": b"touch " + name,
        b"BASH_FUNC_ls%%": b"() { touch " + name + b"; }",
        b"no-name": b"1",
    }


LEFT_OUT = (b"PWD", b"SHLVL", b"PPID", b"IFS", b"PROMPT_COMMAND", b"BASH_FUNC_ls%%", b"no-name")

SESSIONS = {
    "a command": "{}",
    "a login shell": "bash -lc {!r}",
    "an interactive shell": "bash -ic {!r}",
    "an interactive login shell": "bash -lic {!r}",
    "another login shell": "dash -lc {!r}",
}


def run_in(pod: Pod, how: str) -> dict[bytes, bytes]:
    command = " ".join(f"'{word}'" if " " in word else word for word in DUMP)
    line = how.format(command) if how == "{}" else how.replace("{!r}", "'" + command.replace("'", "'\\''") + "'")
    done = pod.session(line)
    noise = [text for text in done.stderr.splitlines() if b"no job control" not in text and b"terminal process group" not in text]
    assert noise == [], done.stderr
    return {bytes.fromhex(name): bytes.fromhex(value) for name, value in json.loads(done.stdout).items()}


@pytest.mark.root
def test_hostile_values_reach_every_session_byte_for_byte_and_execute_nothing(pod: Pod, start: Any, tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    variables = hostile(marker)
    assert not {b"QUOTES", b"SEVERAL"} & run_in(pod, "{}").keys()  # without us a session has none of it
    running = start(pod.container, variables)
    event = told(running)

    assert (event["file"], event["troubles"]) == ("/etc/firstlight/environment.sh", [])
    assert event["hooks"] == [f"{pod.container.home}/.bashrc", "/etc/profile.d/firstlight.sh"]
    for name, how in SESSIONS.items():
        found = run_in(pod, how)
        for variable, value in variables.items():
            if variable not in LEFT_OUT:
                assert found.get(variable) == value, (name, variable)
            else:
                assert found.get(variable) != value, (name, variable)
        assert b"INJECTED" not in found
        assert found[b"HOME"] == os.fsencode(pod.container.home)
        assert found[b"PATH"] == os.environb[b"PATH"]
        assert b"SSH_CONNECTION" in found
    assert not marker.exists()


@pytest.mark.root
def test_the_form_in_which_the_image_writes_them_breaks_on_the_same_values(pod: Pod, tmp_path: Path) -> None:
    """RunPod's own: NAME="value" for what is in capitals, with nothing escaped, read by a line of ~/.bashrc."""
    marker = tmp_path / "executed"
    writer = r"""env | awk -F= '/^[A-Z_][A-Z0-9_]*=/ { name = $1; sub(/^[^=]*=/, ""); print "export " name "=\"" $0 "\"" }' > "$0" """
    file = pod.container.etc / "rp_environment"

    def read(variables: dict[bytes, bytes]) -> subprocess.CompletedProcess[bytes]:
        subprocess.run(["sh", "-c", writer, file], env={b"PATH": os.environb[b"PATH"], **variables}, check=True)
        script = f". /etc/rp_environment; {' '.join(DUMP[:-1])} '{DUMP[-1]}'"
        return pod.session(f"bash -c '{script.replace(chr(39), chr(39) + chr(92) + chr(39) + chr(39))}'")

    values = hostile(marker)
    lost = read({b"AAA": b"1", b"UNTERMINATED": values[b"UNTERMINATED"], b"ZZZ": b"2"})
    assert b"unexpected EOF" in lost.stderr
    assert not marker.exists()
    read({b"SINGLE": values[b"SINGLE"]})
    assert marker.exists()
    injected = json.loads(read({b"SEVERAL": values[b"SEVERAL"].replace(b"export ", b"")}).stdout)
    assert b"INJECTED".hex() in injected
    missing = json.loads(read({b"lower_case": b"x"}).stdout)
    assert b"lower_case".hex() not in missing


@pytest.mark.root
def test_nobody_else_can_read_the_file(pod: Pod, start: Any) -> None:
    told(start(pod.container, {b"HF_TOKEN": b"hf_0123456789"}))

    assert stat.S_IMODE(pod.container.file.stat().st_mode) == 0o600
    assert os.listdir(pod.container.file.parent) == ["environment.sh"]


@pytest.mark.root
def test_a_second_start_changes_no_more_than_the_values(pod: Pod, start: Any) -> None:
    bashrc = pod.container.home / ".bashrc"
    theirs = bashrc.read_text()
    first = start(pod.container, {b"VALUE": b"1", b"ONCE": b"1"})
    told(first)
    hooked, stamp = bashrc.read_text(), bashrc.stat().st_mtime_ns
    assert run_in(pod, "{}")[b"VALUE"] == b"1"
    first.popen.terminate()
    first.finish()
    shutil.rmtree(first.state)
    told(start(pod.container, {b"VALUE": b"2"}))

    assert (bashrc.read_text(), bashrc.stat().st_mtime_ns) == (hooked, stamp)
    assert theirs in hooked
    assert hooked.count("# firstlight") == 2
    found = run_in(pod, "{}")
    assert found[b"VALUE"] == b"2"
    assert b"ONCE" not in found


@pytest.mark.root
def test_what_the_image_adds_behind_does_not_bring_back_what_is_old(pod: Pod, start: Any) -> None:
    """RunPod's start.sh ends ~/.bashrc with a line of its own, for shells in which somebody types."""
    (pod.container.etc / "rp_environment").write_text('export VALUE="old"\n')
    with (pod.container.home / ".bashrc").open("a") as file:
        file.write("source /etc/rp_environment\n")
    told(start(pod.container, {b"VALUE": b"new"}))

    assert {name: run_in(pod, how)[b"VALUE"] for name, how in SESSIONS.items()} == dict.fromkeys(SESSIONS, b"new")


@pytest.mark.root
def test_what_is_ours_gets_to_no_session(pod: Pod, start: Any) -> None:
    told(
        start(
            pod.container,
            {b"FIRSTLIGHT_TOKEN": b"a-token-of-more-than-20-characters", b"FIRSTLIGHT_PREVIOUS": b"{}", b"NOTIFY_SOCKET": b"@x"},
        )
    )

    content = pod.container.file.read_text()
    assert "a-token" not in content
    for name in ("FIRSTLIGHT_TOKEN", "FIRSTLIGHT_PREVIOUS", "NOTIFY_SOCKET", "FIRSTLIGHT_LIFE"):
        assert f"export {name}" not in content


@pytest.mark.root
def test_a_read_only_root_is_told_and_delays_nothing(pod: Pod, start: Any) -> None:
    running = start(pod.container, {b"VALUE": b"1"}, read_only=True)

    assert running.line() == "up"
    event = told(running)
    assert (event["file"], event["hooks"]) == (None, [])
    assert event["troubles"] == ["cannot write /etc/firstlight/environment.sh: Read-only file system"]
    assert "SSH sessions have not all" in running.says("cannot write /etc/firstlight")
    running.popen.terminate()
    assert running.code() == 143


@pytest.mark.root
def test_a_home_that_takes_no_file_leaves_the_rest(pod: Pod, start: Any) -> None:
    shutil.rmtree(pod.container.home)
    event = told(start(pod.container, {b"VALUE": b"1"}))

    assert event["hooks"] == ["/etc/profile.d/firstlight.sh"]
    assert event["troubles"] == [f"cannot write {pod.container.home}/.bashrc: No such file or directory"]


@pytest.mark.root
def test_a_home_that_hangs_delays_nothing(pod: Pod, start: Any) -> None:
    bashrc = pod.container.home / ".bashrc"
    bashrc.unlink()
    os.mkfifo(bashrc)  # opening it waits for ever
    running = start(pod.container, {b"VALUE": b"1"})

    assert running.line() == "up"
    eventually(pod.container.file.exists)
    running.popen.terminate()
    assert running.code() == 143


@pytest.mark.root
def test_unless_asked_for_nothing_is_written(pod: Pod, start: Any) -> None:
    running = start(pod.container, {b"VALUE": b"1"}, asked=False)

    assert running.line() == "up"
    running.popen.terminate()
    running.finish()
    assert not pod.container.file.exists()
    assert not any(event["kind"] == "environment" for event in running.events())
