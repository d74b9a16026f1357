"""PID 1 where the world around it is meagre or odd: behind other inits, without rights, without a place to write, without /proc."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import NAMESPACE, OBEDIENT, Starter, namespaces_refused
from .test_lives import of

NO_GPU = ("--gpus", "none")
REFUSE = (sys.executable, str(Path(__file__).parents[2] / "testing" / "refuse_calls.py"))


@pytest.fixture
def contained(tmp_path: Path) -> Iterator[Starter]:
    """Starts the installed command in a PID namespace, with mounts of its own."""
    if reason := namespaces_refused():
        pytest.skip(f"no PID namespace: {reason}")
    starter = Starter(NAMESPACE, tmp_path / "state")
    yield starter
    starter.end()


def after(script: str) -> tuple[str, ...]:
    """Change the surroundings by a script, and then become firstlight, in the same process."""
    return ("sh", "-ec", f'{script}\nexec "$@"', "sh")


def whole_course(starter: Starter, *, said: bytes = b"", **extra: object) -> None:
    """What every PID 1 must do, on any ground: forward, stop, reap, tell the exit code, and pass the output on."""
    app = starter(*OBEDIENT, **extra)
    assert app.line().startswith("ready (pid: ")
    app.send(signal.SIGUSR1)
    assert app.line() == "got 10"
    app.send(signal.SIGTERM)
    assert app.finish() == (7, b"got 15\n", said)
    assert starter("sh", "-c", "exit 42", **extra).code() == 42
    assert starter("no-such-command", **extra).code() == 127


# Behind other inits

INITS = {"tini": ("tini", "-g", "--"), "tini alone": ("tini", "--"), "dumb-init": ("dumb-init", "--")}


@pytest.mark.parametrize("init", INITS.values(), ids=INITS.keys())
def test_it_works_behind_another_init(contained: Starter, init: tuple[str, ...]) -> None:
    if shutil.which(init[0]) is None:
        pytest.skip(f"{init[0]} is not installed here")
    whole_course(contained, before=init)


@pytest.mark.parametrize("init", INITS.values(), ids=INITS.keys())
def test_behind_another_init_the_orphans_are_ours(contained: Starter, init: tuple[str, ...]) -> None:
    if shutil.which(init[0]) is None:
        pytest.skip(f"{init[0]} is not installed here")
    app = contained("sh", "-c", "for i in 1 2 3; do (true &); done", before=init)
    assert app.code() == 0
    assert of(app.events(), "app-exited")[0]["orphans_reaped"] == 3


# Without rights


def test_it_works_without_any_capability(start: Starter) -> None:
    if os.geteuid() != 0:
        pytest.skip("we are not root, and have none anyway")
    whole_course(start, before=("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"))


def test_it_works_as_a_user_who_is_not_root(tmp_path: Path) -> None:
    # Files of ours are this user's in a user namespace of its own, so that it can reach them wherever they lie.
    prefix = ("unshare", "--user", "--map-user=1000", "--map-group=1000", *NAMESPACE[1:])
    if (outcome := subprocess.run([*prefix, "true"], capture_output=True, text=True, check=False)).returncode:
        pytest.skip(f"no user namespace: {outcome.stderr.strip()}")
    starter = Starter(prefix, tmp_path / "state")
    try:
        app = starter("sh", "-c", "id -u; grep ^CapEff /proc/self/status")
        assert app.finish() == (0, b"1000\nCapEff:\t0000000000000000\n", b"")
        whole_course(starter)
    finally:
        starter.end()


@pytest.mark.parametrize("calls", [("pidfd_open", "pidfd_send_signal"), ("inotify_init1",)], ids=["pidfd", "inotify"])
def test_a_call_that_seccomp_refuses_is_not_needed(start: Starter, calls: tuple[str, ...]) -> None:
    whole_course(start, before=(*REFUSE, *calls, "--"))


def test_who_may_neither_be_pid_1_nor_adopt_orphans_says_so(start: Starter) -> None:
    app = start("true", before=(*REFUSE, "prctl", "--"))
    code, _, error = app.finish()
    warning = (
        b"firstlight: cannot adopt orphans, and this is not PID 1: what the app leaves behind may stay as zombies (cannot call prctl: "
    )
    assert (code, error.startswith(warning)) == (0, not app.is_pid1)


# Without a place to write

READ_ONLY = """
while read -r _ place _; do
    case $place in /proc*|/sys*|/dev|/dev/pts) ;; *) mount -o remount,bind,ro "$place" ;; esac
done </proc/self/mounts
! touch /tmp/anything /run/anything /dev/shm/anything 2>/dev/null
"""


def test_it_works_where_nothing_can_be_written(contained: Starter) -> None:
    said = f"firstlight: cannot write the journal to {contained.state}: Read-only file system; events are kept in memory\n"
    whole_course(contained, before=after(READ_ONLY), said=said.encode())


def test_it_works_without_dev_null(contained: Starter) -> None:
    whole_course(
        contained, before=after("mount -t tmpfs none /dev; test ! -e /dev/null"), options=[*NO_GPU, "--run-dir", str(contained.state)]
    )


ENDS = {
    "the app's code": (("sh", "-c", "exit 5"), (), 5, "the app ended with exit code 5"),
    "a success": (("true",), (), 0, "the app ended with exit code 0"),
    "a signal": (("sh", "-c", "kill -9 $$"), (), 137, "the app was killed by signal 9"),
    "the limit": (
        ("sh", "-c", "exit 5"),
        ("--restart", "on-failure", "--restart-limit", "1", "--restart-delay", "1ms"),
        79,
        "the app was restarted 1 times within 600 s, the last time because the app ended with exit code 5",
    ),
    "no GPU": (("true",), ("--gpus", "all", "--attempts", "1"), 69, "no GPU can be had: "),
}


@pytest.mark.parametrize(("command", "options", "code", "reason"), ENDS.values(), ids=ENDS.keys())
def test_the_reason_is_left_where_kubernetes_looks_for_it(
    contained: Starter, tmp_path: Path, command: tuple[str, ...], options: tuple[str, ...], code: int, reason: str
) -> None:
    left = tmp_path / "left"
    left.write_text("what was there before " * 100)
    put = f"mount -t tmpfs none /dev; touch /dev/termination-log; mount --bind {left} /dev/termination-log"
    run = contained(*command, options=[*NO_GPU, *options], before=after(put), env={**os.environ, "RUNPOD_GPU_COUNT": "1"})
    assert run.code() == code
    assert left.read_text().startswith(reason)
    assert of(run.events(), "end")[0]["reason"] == left.read_text()


# Odd streams


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("capture", ["on", "off"])
def test_closed_streams_change_nothing_else(start: Starter, tmp_path: Path, closed: str, capture: str) -> None:
    # The app's own files must not land where a stream was closed, and ours must not land in the app's.
    kept = tmp_path / "kept"
    script = f"echo out; echo err >&2; echo well >{kept}; exit 6"
    before = ("sh", "-c", f'exec "$@" {closed}', "sh")
    app = start("sh", "-c", script, before=before, options=[*NO_GPU, "--capture", capture, "--quiet"])
    code, output, error = app.finish()
    assert code == 6
    assert kept.read_text() == "well\n"
    assert output == (b"" if ">&-" in closed.split() else b"out\n")
    assert error.count(b"err\n") == ("2>&-" not in closed.split())


# /proc that is another's, or none

OTHERS_PROC = ("unshare", "--pid", "--fork", "--kill-child")


def test_a_proc_of_another_namespace_misleads_nobody(contained: Starter, tmp_path: Path) -> None:
    starter = Starter(OTHERS_PROC, tmp_path / "other")
    try:
        app = starter("sh", "-c", 'test "$(readlink /proc/self)" != $$', options=[*NO_GPU, "--grace", "1h"])
        assert app.finish() == (0, b"", b"")
        whole_course(starter, options=[*NO_GPU, "--grace", "1h"])
    finally:
        starter.end()


@pytest.mark.parametrize("odd", ["mount -t tmpfs none /proc", "mount -o remount,hidepid=2 /proc"], ids=["none", "hidden"])
def test_it_works_without_proc(contained: Starter, odd: str) -> None:
    whole_course(contained, before=after(odd), options=[*NO_GPU, "--grace", "1h"])


def test_it_works_without_cgroups(contained: Starter) -> None:
    hide = "umount --recursive --lazy /sys 2>/dev/null || mount -t tmpfs none /sys; test ! -e /sys/fs/cgroup"
    whole_course(contained, before=after(hide))
