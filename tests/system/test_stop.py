"""Signals on their way to the app, and the stop: whom it reaches, in which order, and that it comes in every phase of a run."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import FIRSTLIGHT, OBEDIENT, Running, Starter, eventually
from .test_lives import in_life, of

NO_GPU = ("--gpus", "none")
STUBBORN = (*OBEDIENT, "--stubborn")


def group_of(*members: str) -> tuple[str, ...]:
    """An app that runs these commands in its own group, and then becomes the last one."""
    *others, last = members
    return ("sh", "-c", " & ".join([*others, f"exec {last}"]))


# Forwarding


def test_the_app_alone_gets_the_signal_where_that_is_asked_for(start: Starter) -> None:
    app = start("sh", "-c", f"trap 'echo sh' USR1; {shlex.join(OBEDIENT)} & wait; wait; wait", options=[*NO_GPU, "--forward", "child"])
    app.line()
    app.send(signal.SIGUSR1)
    assert app.line() == "sh"
    app.send(signal.SIGUSR1)
    assert app.line() == "sh"  # and the other one of the group has said nothing in between
    app.send(signal.SIGTERM)
    # What the app leaves in its group is ended all the same.
    assert app.finish()[:2] == (128 + signal.SIGTERM, b"got 15\n")


@pytest.mark.parametrize(
    ("rewrite", "sent", "got"),
    [
        (["TERM:INT"], [signal.SIGTERM], [2]),
        (["HUP:0", "USR1:none"], [signal.SIGHUP, signal.SIGUSR1, signal.SIGTERM], [15]),
        (["HUP:USR2,USR1:HUP"], [signal.SIGHUP, signal.SIGUSR1, signal.SIGINT], [12, 1, 2]),
        (["TERM:QUIT", "TERM:INT"], [signal.SIGTERM], [2]),
    ],
    ids=["one for another", "dropped", "each once", "the last pair counts"],
)
def test_a_signal_is_rewritten(start: Starter, rewrite: list[str], sent: list[int], got: list[int]) -> None:
    app = start(*OBEDIENT, options=[*NO_GPU, *(word for pair in rewrite for word in ("--rewrite", pair))])
    app.line()
    kept = iter(got)
    for number in sent:
        app.send(number)
        if number not in (signal.SIGTERM, signal.SIGINT) and len(got) == len(sent):
            assert app.line() == f"got {next(kept)}"
    assert app.finish()[:2] == (7, "".join(f"got {number}\n" for number in kept).encode())


def test_a_dropped_stop_signal_stops_nothing(start: Starter) -> None:
    app = start(*OBEDIENT, options=[*NO_GPU, "--rewrite", "TERM:0"])
    app.line()
    app.send(signal.SIGTERM)
    app.send(signal.SIGUSR1)
    assert app.line() == "got 10"
    app.send(signal.SIGINT)
    assert app.finish()[:2] == (7, b"got 2\n")


# From the softest word to the last


def test_a_softer_stop_signal_is_followed_by_term_and_by_kill(start: Starter) -> None:
    app = start(*STUBBORN, options=[*NO_GPU, "--stop-signal", "INT", "--grace", "2s"])
    app.line()
    app.send(signal.SIGTERM)
    assert app.finish()[:2] == (128 + signal.SIGKILL, b"got 2\ngot 15\n")


def test_who_is_left_by_an_app_that_heeds_the_softer_signal_gets_term(start: Starter) -> None:
    # What a shell starts with "&" ignores INT.
    app = start(
        *group_of("(trap '' INT; exec sleep 1000)", shlex.join(OBEDIENT)), options=[*NO_GPU, "--stop-signal", "INT", "--grace", "1h"]
    )
    app.line()
    app.send(signal.SIGTERM)
    assert app.finish()[:2] == (7, b"got 2\n")


def test_an_app_that_heeds_the_softer_signal_gets_no_other(start: Starter) -> None:
    app = start(*OBEDIENT, options=[*NO_GPU, "--stop-signal", "INT"])
    app.line()
    app.send(signal.SIGTERM)
    assert app.finish()[:2] == (7, b"got 2\n")


def test_the_whole_group_is_killed_in_the_end(start: Starter) -> None:
    app = start(*group_of(shlex.join(STUBBORN), shlex.join(STUBBORN)), options=[*NO_GPU, "--grace", "1h"])
    app.line()
    app.line()
    app.send(signal.SIGTERM)
    assert [app.line(), app.line()] == ["got 15", "got 15"]
    app.send(signal.SIGTERM)
    # The output ends when the last of them has ended. (One may find the time to tell of the second request.)
    code, output, _ = app.finish()
    assert (code, output.replace(b"got 15\n", b"")) == (128 + signal.SIGKILL, b"")


def test_what_has_left_the_group_is_asked_and_killed_too(start: Starter) -> None:
    options = (*NO_GPU, "--grace", "1h", "--restart", "on-failure", "--capture", "off")
    app = start(*group_of("setsid " + shlex.join(STUBBORN), shlex.join(OBEDIENT)), options=options)
    app.line()
    app.line()
    app.send(signal.SIGTERM)
    assert [app.line(), app.line()] == ["got 15", "got 15"]
    app.send(signal.SIGTERM)
    assert app.finish()[:2] == (7, b"")


def test_a_stopped_app_is_killed_all_the_same(start: Starter) -> None:
    app = start("sh", "-c", "echo ready; kill -STOP $$", options=[*NO_GPU, "--grace", "10ms"])
    app.line()
    app.send(signal.SIGTERM)
    assert app.code() == 128 + signal.SIGKILL


# Listens where a manager would, and says what a manager was told by the time the app itself is told to stop.
MANAGER = """
import os, signal, socket
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
inbox = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
inbox.bind(os.environ["INBOX"])
inbox.setblocking(False)
print("ready", flush=True)
signal.sigwait({signal.SIGTERM})
try:
    while True: print(repr(inbox.recv(4096).decode()))
except BlockingIOError: pass
"""


def test_readiness_is_withdrawn_before_the_app_is_told(start: Starter, tmp_path: Path) -> None:
    inbox = str(tmp_path / "inbox")
    app = start(sys.executable, "-c", MANAGER, options=[*NO_GPU, "--quiet"], env={**os.environ, "NOTIFY_SOCKET": inbox, "INBOX": inbox})
    app.line()
    app.send(signal.SIGTERM)
    assert app.finish()[:2] == (0, repr("STOPPING=1\nSTATUS=stopping").encode() + b"\n")
    kinds = [event["kind"] for event in app.events()]
    assert [kind for kind in kinds if kind in ("stopping", "unready", "signal", "app-exited")] == [
        "stopping",
        "unready",
        "signal",
        "app-exited",
    ]


# A stop comes in every phase. Those without an app: the wait for a GPU and the hold are in test_supervision.py, the pause in test_lives.py.


def rehearsed(scenario: str, tmp_path: Path, *options: str, app: tuple[str, ...]) -> subprocess.Popen[str]:
    words = [FIRSTLIGHT, "rehearse", scenario, "--state-dir", str(tmp_path / "state"), "--keep", str(tmp_path / "machine"), *options]
    return subprocess.Popen([*words, "--", *app], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def events_of(tmp_path: Path) -> str:
    return "".join(path.read_text() for path in tmp_path.glob("state/boots/*.jsonl"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP])
def test_a_stop_while_cuda_hangs_ends_the_boot(tmp_path: Path, number: int) -> None:
    boot = rehearsed("probe-hung", tmp_path, "--probe-timeout", "1h", app=("echo", "started"))
    eventually(lambda: '"kind":"stage"' in events_of(tmp_path))
    boot.send_signal(number)
    output, error = boot.communicate()
    assert (boot.returncode, output) == (128 + number, "")
    assert error == f"firstlight: stopped by signal {int(number)} while no app was running\n"


def test_a_stop_between_a_remedy_and_its_proof_ends_the_boot(tmp_path: Path) -> None:
    # The node is made at once; then cuInit takes its time.
    scenario = tmp_path / "treated.toml"
    scenario.write_text(
        'description = "A missing node, and a slow driver."\n[nodes]\n"/dev/nvidia-uvm" = "absent"\n[delays]\ncuInit = 100000\n[expect]\nexit = 0\n'
    )
    boot = rehearsed(str(scenario), tmp_path, "--probe-timeout", "1h", app=("echo", "started"))
    eventually(lambda: '"kind":"stage"' in events_of(tmp_path))
    boot.send_signal(signal.SIGTERM)
    output, _ = boot.communicate()
    assert (boot.returncode, output) == (143, "")


def test_a_stop_while_the_app_is_not_ready_yet_stops_it(start: Starter) -> None:
    app = start(*OBEDIENT, options=[*NO_GPU, "--ready", "log:never printed", "--ready-timeout", "1h"])
    app.line()
    app.send(signal.SIGTERM)
    assert app.finish() == (7, b"got 15\n", b"")


def test_a_stop_while_a_check_hangs_stops_the_app(start: Starter) -> None:
    app = start(*OBEDIENT, options=[*NO_GPU, "--alive", "exec:sleep 1000"])
    app.line()
    eventually(lambda: any("check_app" in command for command in app.children()))
    app.send(signal.SIGTERM)
    assert app.finish() == (7, b"got 15\n", b"")


def of_ours(app: Running, program: str) -> int:
    """The pid of one of our programs beside the app."""
    eventually(lambda: any(program in command for command in app.children()))
    return next(pid for command, pid in app.children().items() if program in command)


def test_a_hung_pump_keeps_no_stop_from_the_app(start: Starter, tmp_path: Path) -> None:
    got = tmp_path / "got"
    script = f"trap 'echo term >{got}; exit 7' TERM; echo ready; while :; do sleep 0.01; done"
    app = start("sh", "-c", script)
    app.line()
    pump = of_ours(app, "pump_output")
    os.kill(pump, signal.SIGSTOP)
    app.send(signal.SIGTERM)
    eventually(got.exists)
    # It has output to pass on, perhaps; whoever is in a hurry says so again.
    eventually(lambda: of(app.events(), "app-exited"))
    app.send(signal.SIGTERM)
    assert app.popen.wait() == 7


def test_a_stop_while_the_app_is_given_a_second_life(start: Starter) -> None:
    app = start(
        *in_life("exec " + shlex.join(OBEDIENT), life_1="exit 1"), options=[*NO_GPU, "--restart", "always", "--restart-delay", "1ms"]
    )
    app.line()
    app.send(signal.SIGTERM)
    assert app.finish()[:2] == (7, b"got 15\n")
    assert [event["life"] for event in of(app.events(), "app-exited")] == [1, 2]
