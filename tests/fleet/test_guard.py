"""The first words of a configured pod: a shell that becomes firstlight, or keeps the pod up where that cannot be.

Each runs as PID 1 of a container of its own: namespaces, and a root with nothing of this machine's but /usr.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from firstlight.fleet import configure as fleet, start
from firstlight.providers.runpod import shapes

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = "/workspace/firstlight/firstlight.pyz"
SCRIPT = "/workspace/firstlight/firstlight"

ENTER = """set -e
cd "$1"; shift
ip link set lo up
mount --rbind /usr usr; mount --rbind /dev dev; mount -t proc proc proc
exec chroot . "$@"
"""
NAMESPACE = ("unshare", "--mount", "--pid", "--net", "--fork", "--kill-child")

WORKS = """#!/bin/sh
if [ "$1" = --version ]; then echo firstlight 1; exit; fi
echo "$$"
for word; do printf '<%s>' "$word"; done
"""
FAILS = "#!/bin/sh\necho 'it does not run here' >&2\nexit 3\n"
IMAGE_START = "#!/bin/sh\necho image start $$\n"

pytestmark = pytest.mark.root


class Container:
    """A root to start a container in."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.running: list[subprocess.Popen[str]] = []
        for folder in ("usr", "proc", "dev", "tmp", "run", "workspace/firstlight"):
            (root / folder).mkdir(parents=True)
        for folder in ("bin", "lib", "lib64", "sbin"):
            if Path("/", folder).is_dir():
                (root / folder).symlink_to(f"usr/{folder}")

    def put(self, name: str, text: str, mode: int = 0o755) -> None:
        """A file in it."""
        place = self.root / name.lstrip("/")
        place.write_text(text)
        place.chmod(mode)

    def start(self, *argv: str, **environment: str) -> subprocess.Popen[str]:
        """Start it, with this as PID 1."""
        words = [*NAMESPACE, "sh", "-c", ENTER, "sh", str(self.root), *argv]
        given = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **environment}
        popen = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=given, start_new_session=True
        )
        self.running.append(popen)
        return popen

    def run(self, *argv: str, **environment: str) -> tuple[int, str, str]:
        """Start it and wait for its end: exit code, standard output, standard error."""
        popen = self.start(*argv, **environment)
        output, error = popen.communicate()
        return popen.returncode, output, error

    def end(self) -> None:
        """Kill what a failed test has left."""
        for popen in self.running:
            if popen.poll() is None:
                popen.kill()
            with contextlib.suppress(ValueError):
                popen.communicate()


@pytest.fixture
def container(tmp_path: Path) -> Iterator[Container]:
    outcome = subprocess.run([*NAMESPACE, "true"], capture_output=True, text=True, check=False)
    if outcome.returncode:
        pytest.skip(f"no namespaces: {outcome.stderr.strip()}")
    if shutil.which("ip") is None:
        pytest.skip("no ip (iproute2) to bring the namespace's loopback up")
    container = Container(tmp_path / "root")
    yield container
    container.end()


@pytest.fixture(params=["dash", "bash", "busybox"])
def shell(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """The words before -c, of each shell that is /bin/sh somewhere."""
    found = shutil.which(request.param, path="/usr/bin:/bin")
    if found is None:
        pytest.skip(f"no {request.param} here")
    return {"dash": ("/bin/dash",), "bash": ("/bin/bash", "--posix"), "busybox": ("/bin/busybox", "sh")}[request.param]


@pytest.fixture(scope="module")
def onefile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real one file, as it is copied to a volume."""
    target = tmp_path_factory.mktemp("built") / "firstlight.pyz"
    subprocess.run([sys.executable, str(ROOT / "tools" / "build_onefile.py"), str(target)], check=True, capture_output=True)
    return target


def test_it_becomes_the_program_and_hands_over_each_word(container: Container, shell: tuple[str, ...]) -> None:
    container.put(SCRIPT, WORKS)
    container.put("/start.sh", IMAGE_START)
    words = ("run", "--with", "/start.sh", "--", "bash", "-c", "echo \"$HOME\" '`id`'", "", "two\nlines", "ü")

    code, output, error = container.run(*shell, "-c", start.GUARD, SCRIPT, *words)

    assert (code, error) == (0, "")
    assert output == "1\n" + "".join(f"<{word}>" for word in words)


BROKEN: dict[str, tuple[dict[str, Any] | None, str]] = {
    "it is not there": (None, "there is no such file"),
    "it is not executable": ({"text": WORKS, "mode": 0o644}, "Permission denied"),
    "it does not run": ({"text": FAILS}, "it does not run here"),
    "it fails without a word": ({"text": "#!/bin/sh\nexit 1\n"}, "it ends with an error"),
    "its interpreter is not there": ({"text": "#!/nowhere/python3\n"}, "not found"),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_where_the_program_cannot_run_the_image_starts_as_it_always_has(container: Container, shell: tuple[str, ...], broken: str) -> None:
    content, words = BROKEN[broken]
    if content is not None:
        container.put(SCRIPT, **content)
    container.put("/start.sh", IMAGE_START)

    code, output, error = container.run(*shell, "-c", start.GUARD, SCRIPT, "run", "--", "true")

    assert (code, output) == (0, "image start 1\n")
    assert error.startswith(f"firstlight: cannot start {SCRIPT}: ")
    # A bash that is told of a bad interpreter says it in words of its own.
    assert words in error or (words == "not found" and "No such file" in error)


@pytest.mark.parametrize("mode", [None, 0o644])
def test_where_the_image_has_no_start_either_the_pod_stays_up(container: Container, shell: tuple[str, ...], mode: int | None) -> None:
    if mode is not None:
        container.put("/start.sh", IMAGE_START, mode)

    popen = container.start(*shell, "-c", start.GUARD, SCRIPT, "run", "--", "true")

    assert popen.stderr is not None
    assert "there is no such file" in popen.stderr.readline()
    while command_of(child(popen.pid))[-3:] != ["tail", "-f", "/dev/null"]:
        assert popen.poll() is None
        time.sleep(0.01)


def child(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def command_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_text().removesuffix("\0").split("\0")


TELL = """
import json, os
found = {}
for pid in filter(str.isdigit, os.listdir("/proc")):
    with open(f"/proc/{pid}/cmdline") as file:
        found[pid] = file.read().removesuffix("\\0").split("\\0")
print(json.dumps(found))
"""


@pytest.mark.parametrize("mode", [0o755, 0o644])
def test_the_real_file_becomes_pid_1_and_no_shell_is_left(container: Container, shell: tuple[str, ...], onefile: Path, mode: int) -> None:
    """Whatever its mode: a copy by scp, or a volume that keeps none, may have lost it."""
    shutil.copyfile(onefile, container.root / PROGRAM.lstrip("/"))
    os.chmod(container.root / PROGRAM.lstrip("/"), mode)
    container.put("/start.sh", IMAGE_START)
    options = ("--gpus", "none", "--serve", "off", "--quiet")

    code, output, error = container.run(*shell, "-c", start.GUARD, PROGRAM, "run", *options, "--", "python3", "-c", TELL)

    assert (code, error) == (0, "")
    processes = json.loads(output)
    assert processes["1"][1:5] == ["-IS", PROGRAM, "run", "--gpus"]
    assert not [words for words in processes.values() if start.GUARD in words]


# Asks as RunPod's proxy does, by the address that the pod is published at; prints what it is told with the token, and without.
ASK = """
import http.client, json, os, sys, time
while not os.path.exists("/tmp/image-started"):
    time.sleep(0.01)
def ask(headers):
    while True:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", 8421)
            connection.request("GET", "/status.json", headers={"Host": "abc-8421.proxy.runpod.net", "X-Forwarded-For": "192.0.2.1", **headers})
            answer = connection.getresponse()
            return json.loads(answer.read())
        except ConnectionRefusedError:
            time.sleep(0.01)
print(json.dumps([ask({"Authorization": "Bearer " + sys.argv[1]}), ask({})]), flush=True)
"""


def test_what_is_planned_starts_and_is_read_with_the_token_that_was_planned(container: Container, onefile: Path) -> None:
    """The whole of it: the stored command and the variables of a plan, in a container, with the real one file."""
    shutil.copyfile(onefile, container.root / PROGRAM.lstrip("/"))
    container.put("/start.sh", "#!/bin/sh\n: > /tmp/image-started\nexec tail -f /dev/null\n")
    token = "t0ken-" * 7
    told = {"id": "abc", "status": "EXITED", "mounts": {"persistent": {"size": 20, "path": "/workspace"}}, "env": {"MODE": "a b"}}
    wishes = fleet.Wishes(command=("python3", "-c", ASK, token), options={"gpus": ("none",)})
    plan = fleet.configure(shapes.pod(told), wishes, token=token)
    assert not plan.refusals
    command = shapes.command(plan.args)

    code, output, error = container.run(*command.entrypoint, *command.cmd, RUNPOD_POD_ID="abc", **plan.env)

    assert code == 0, error
    opened, closed = json.loads(output)
    assert opened["gpus"] == []
    assert "gpus" not in closed
    assert token not in error


def test_a_file_that_was_cut_off_while_it_was_copied_does_not_end_the_pod(container: Container, onefile: Path) -> None:
    whole = onefile.read_bytes()
    (container.root / PROGRAM.lstrip("/")).write_bytes(whole[: len(whole) // 2])
    container.put("/start.sh", IMAGE_START)

    code, output, error = container.run("/bin/sh", "-c", start.GUARD, PROGRAM, "run", "--", "true")

    assert (code, output) == (0, "image start 1\n")
    assert error.startswith(f"firstlight: cannot start {PROGRAM}: ")


def test_an_image_without_python_does_not_end_the_pod(container: Container, onefile: Path) -> None:
    shutil.copyfile(onefile, container.root / PROGRAM.lstrip("/"))
    container.put("/start.sh", IMAGE_START)

    code, output, error = container.run("/usr/bin/env", "PATH=/nowhere", "/bin/sh", "-c", start.GUARD, PROGRAM, "run", "--", "true")

    assert (code, output) == (0, "image start 1\n")
    assert "python3" in error
