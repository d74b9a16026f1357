"""What a container's PID 1 must do, through the installed command: start, forward, reap, stop, and tell the truth about the end."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import OBEDIENT, Starter, eventually

STOPPING = {signal.SIGTERM, signal.SIGINT}
CATCHABLE = sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD})

# Starts one command after the other under one loop, as `run` does, and prints what came of each that is not as it should be.
EVERY_EXIT = """
import os, sys
from firstlight import settings
from firstlight.journal.journal import Journal
from firstlight.supervise.app import App
from firstlight.system.loop import Loop
loop = Loop()
journal = Journal(loop, None, {}, started=0.0)
chosen = settings.load({}, {})
def end(script):
    app = App(loop, ["sh", "-c", script], os.environ, chosen, journal, print, before_stop=print)
    app.watch(lambda requested: False)
    app.end_leftovers()
    return app.exit_code
for code in range(256):
    if end(f"exit {code}") != code: print("exit", code)
for number in (1, 2, 3, 6, 9, 11, 13, 15, 34, 64):
    if end(f"kill -{number} $$") != 128 + number: print("signal", number)
"""


def test_every_exit_code_is_the_apps() -> None:
    outcome = subprocess.run([sys.executable, "-c", EVERY_EXIT], capture_output=True, text=True, check=True)
    assert outcome.stdout == ""


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 42", 42), ("kill -9 $$", 137), ("kill -15 $$", 143)])
def test_the_exit_code_is_that_of_the_app(start: Starter, script: str, code: int) -> None:
    assert start("sh", "-c", script).finish() == (code, b"", b"")


def test_the_exit_code_is_true_when_sigchld_came_ignored(start: Starter) -> None:
    ignoring = ("env", "--ignore-signal=CHLD")
    assert start("sh", "-c", "exit 42", before=ignoring).code() == 42


def test_every_signal_is_forwarded_once(start: Starter) -> None:
    app = start(*OBEDIENT)
    assert app.line().startswith("ready (pid: ")
    numbers = [number for number in CATCHABLE if number not in STOPPING]
    for number in numbers:
        app.send(number)
        assert app.line() == f"got {int(number)}"
    app.send(signal.SIGTERM)
    assert app.finish() == (7, b"got 15\n", b"")
    assert [event["number"] for event in app.events() if event["kind"] == "signal"] == [*numbers, signal.SIGTERM]


@pytest.mark.parametrize("number", sorted(STOPPING))
def test_a_stop_signal_stops_the_app(start: Starter, number: int) -> None:
    app = start(*OBEDIENT)
    app.line()
    app.send(number)
    assert app.finish() == (7, f"got {int(number)}\n".encode(), b"")


def test_ignored_signals_are_not_forwarded(start: Starter) -> None:
    app = start(*OBEDIENT, before=("env", "--ignore-signal=HUP"))
    app.line()
    app.send(signal.SIGHUP)
    app.send(signal.SIGUSR1)
    assert app.line() == "got 10"
    app.send(signal.SIGTERM)
    assert app.finish() == (7, b"got 15\n", b"")


def test_an_app_without_a_handler_is_stopped(start: Starter) -> None:
    app = start("sh", "-c", "echo ready; exec sleep 1000")
    app.line()
    app.send(signal.SIGTERM)
    assert app.code() == 128 + signal.SIGTERM


def test_the_whole_group_gets_the_signal(start: Starter) -> None:
    app = start("sh", "-c", f"trap '' TERM; {shlex.join(OBEDIENT)}; echo $?")
    app.line()
    app.send(signal.SIGTERM)
    assert app.finish()[:2] == (0, b"got 15\n7\n")


def test_a_stubborn_app_is_killed_after_the_grace(start: Starter) -> None:
    app = start(*OBEDIENT, "--stubborn", options=["--gpus", "none", "--grace", "10ms"])
    app.line()
    app.send(signal.SIGTERM)
    assert app.finish() == (128 + signal.SIGKILL, b"got 15\n", b"firstlight: the app has not stopped in time: killing it\n")


@pytest.mark.parametrize("second", sorted(STOPPING))
def test_a_second_stop_signal_ends_the_grace(start: Starter, second: int) -> None:
    app = start(*OBEDIENT, "--stubborn", options=["--gpus", "none", "--grace", "1h"])
    app.line()
    app.send(signal.SIGTERM)
    assert app.line() == "got 15"
    app.send(second)
    assert app.code() == 128 + signal.SIGKILL


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--gpus", "all", "--delay", "1h", "--deadline", "2h"], "to pass, up to"),
        (["--gpus", "all", "--attempts", "1", "--on-failure", "hold"], "holding"),
    ],
    ids=["while it waits", "while it holds"],
)
def test_a_stop_before_the_app_ends_the_boot(start: Starter, options: list[str], words: str) -> None:
    boot = start("echo", "started", options=options, env={**os.environ, "RUNPOD_GPU_COUNT": "1"})
    boot.says(words)
    boot.send(signal.SIGTERM)
    assert boot.finish()[:2] == (128 + signal.SIGTERM, b"")


def test_a_hundred_orphans_are_reaped(start: Starter) -> None:
    # Each is left behind by a subshell that ends at once.
    app = start("sh", "-c", "for i in $(seq 100); do (true & ) ; done; echo done")
    assert app.code() == 0
    exited = next(event for event in app.events() if event["kind"] == "app-exited")
    assert exited["orphans_reaped"] == 100


def test_the_exit_code_is_true_while_others_are_reaped(start: Starter) -> None:
    assert start("sh", "-c", "for i in $(seq 50); do (exit 3 & ) ; done; exit 42").code() == 42


def test_a_signal_is_kept_from_the_first_statement_on(start: Starter) -> None:
    # Long before anything listens to it: as soon as it is blocked, that is before the first import.
    run = start("sleep", "1000")

    def blocked() -> bool:
        with contextlib.suppress(OSError, IndexError):
            status = dict(line.split(":\t", 1) for line in Path(f"/proc/{run.pid}/status").read_text().splitlines())
            return status["Name"] == "firstlight" and bool(int(status["SigBlk"], 16) & 1 << (signal.SIGTERM - 1))
        return False

    while not blocked():
        pass
    run.send(signal.SIGTERM)
    assert run.code() == 128 + signal.SIGTERM
    assert not any(event["kind"] == "app-started" for event in run.events())


# Leaves an orphan behind, then looks at the children of its own parent until none of them is dead.
MAKE_AN_ORPHAN = """
import os, subprocess, time
subprocess.run(["sh", "-c", "true &"])
def dead(pid):
    try:
        return open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False
def children():
    return open(f"/proc/{os.getppid()}/task/{os.getppid()}/children").read().split()
while any(dead(pid) for pid in children()): time.sleep(0.01)
print("clean", flush=True)
time.sleep(1000)
"""


def test_orphans_are_reaped_while_the_app_runs(start: Starter) -> None:
    app = start(sys.executable, "-c", MAKE_AN_ORPHAN)
    assert app.line() == "clean"
    app.send(signal.SIGTERM)
    app.code()
    exited = next(event for event in app.events() if event["kind"] == "app-exited")
    assert exited["orphans_reaped"] == 1


def test_what_the_app_leaves_in_its_group_is_ended(start: Starter) -> None:
    app = start("sh", "-c", f"{shlex.join(OBEDIENT)} & read line; exit 3", stdin=subprocess.PIPE)
    app.line()
    app.popen.stdin.write(b"\n")
    assert app.finish()[:2] == (3, b"got 15\n")


def test_as_pid_1_it_ends_what_has_left_the_group(start: Starter) -> None:
    # A daemon that outlives us must be able to go on printing, which it could not through a pipe of ours.
    options = ("--gpus", "none", "--capture", "off")
    app = start("sh", "-c", f"setsid {shlex.join(OBEDIENT)} & read line; exit 3", stdin=subprocess.PIPE, options=options)
    escaped = app.line()
    app.popen.stdin.write(b"\n")
    if app.is_pid1:
        assert app.finish()[:2] == (3, b"got 15\n")
        return
    # Elsewhere a daemon may outlive the command that started it.
    app.popen.stdin.flush()
    assert app.popen.wait() == 3
    os.kill(int(escaped.removeprefix("ready (pid: ").removesuffix(")")), signal.SIGTERM)
    assert app.line() == "got 15"


def test_the_app_has_the_mask_and_dispositions_that_we_got(start: Starter) -> None:
    # env(1) blocks and ignores in its own process, and then becomes firstlight.
    before = ("env", "--default-signal", "--block-signal=HUP", "--ignore-signal=USR1")
    code, output, _ = start("grep", "-E", "^Sig(Blk|Ign):", "/proc/self/status", before=before).finish()
    assert code == 0
    masks = {line.split(":")[0]: int(line.split()[1], 16) for line in output.decode().splitlines()}
    assert masks["SigBlk"] == 1 << (signal.SIGHUP - 1)
    glibc_owns = 0b11 << 31  # 32 and 33, which no program can set
    assert masks["SigIgn"] & ~glibc_owns == 1 << (signal.SIGUSR1 - 1)


def test_output_that_is_no_utf8_passes_untouched(start: Starter) -> None:
    every_byte = bytes(range(1, 256))
    code, output, error = start("printf", "%s", every_byte).finish()
    assert (code, output, error) == (0, every_byte, b"")


def test_the_environment_passes_untouched(start: Starter) -> None:
    value = b"%d $(true) \xff\n`x`"
    code, output, _ = start("printenv", "ODD", env={**os.environb, b"ODD": value}).finish()
    assert (code, output) == (0, value + b"\n")


def test_a_script_without_an_interpreter_line_is_run_by_sh(start_plainly: Starter, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text('echo "$1"; exit 5\n')
    script.chmod(0o755)
    assert start_plainly(str(script), "a b").finish() == (5, b"a b\n", b"")


def test_a_missing_interpreter_is_named(start_plainly: Starter, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    code, _, error = start_plainly(str(script)).finish()
    assert code == 126
    assert error.decode() == f"firstlight: cannot start {script}: it is there, but the interpreter or the loader that it names is not\n"


def test_closed_standard_streams_do_no_harm(start: Starter) -> None:
    script = "[ ! -e /proc/self/fd/0 ] && [ ! -e /proc/self/fd/2 ] && echo closed"
    assert start("sh", "-c", script, before=("sh", "-c", 'exec "$@" <&- 2>&-', "sh")).finish()[:2] == (0, b"closed\n")


@pytest.mark.parametrize("reader_is", ["gone", "stuck"])
def test_messages_that_nobody_takes_hold_nobody_up(start: Starter, reader_is: str) -> None:
    reader, writer = os.pipe()
    if reader_is == "gone":
        os.close(reader)
    else:
        fill(writer)
    nowhere = Path("/proc/nowhere")  # no journal can be kept there, and that is said
    assert start("sh", "-c", "exit 7", state=nowhere, stderr=writer).code() == 7


def fill(pipe: int) -> None:
    """Write to a pipe until it takes no more."""
    os.set_blocking(pipe, False)
    with contextlib.suppress(BlockingIOError):
        while os.write(pipe, bytes(65536)):
            pass
    os.set_blocking(pipe, True)


def test_it_works_without_root_and_home(start_plainly: Starter) -> None:
    if os.getuid() != 0:
        pytest.skip("we are not root: every other test shows it")
    outcome = subprocess.run(["setpriv", "--reuid=65534", "test", "-x", sys.executable], check=False)
    if outcome.returncode:
        pytest.skip("another user cannot reach this checkout")
    before = ("setpriv", "--reuid=65534", "--clear-groups", "env", "-u", "HOME")
    assert start_plainly("sh", "-c", "exit 9", before=before).code() == 9


def test_an_idle_app_costs_no_wake_up(start: Starter) -> None:
    app = start(*OBEDIENT)
    app.line()
    eventually(lambda: any(event["kind"] == "app-started" for event in app.events()))

    def wake_ups() -> str:
        status = Path(f"/proc/{app.pid}/status").read_text()
        return next(line for line in status.splitlines() if line.startswith("voluntary_ctxt_switches"))

    seen = [wake_ups()]

    def two_looks_agree() -> bool:
        seen.append(wake_ups())
        return len(seen) > 100 and len(set(seen[-100:])) == 1

    eventually(two_looks_agree)
    app.send(signal.SIGTERM)
    assert app.code() == 7


def test_the_core_stays_small(start: Starter) -> None:
    app = start(*OBEDIENT)
    app.line()
    status = Path(f"/proc/{app.pid}/status").read_text()
    resident = int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])
    app.send(signal.SIGTERM)
    assert app.code() == 7
    assert resident <= 18 * 1024
