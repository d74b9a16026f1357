"""Orders of a person or a control plane, given with `firstlight ctl`, in each phase of a run."""

from __future__ import annotations

import shlex
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import FIRSTLIGHT, OBEDIENT, Running, Starter, eventually
from .test_boot import journal
from .test_lives import in_life, of

NO_GPU = ("--gpus", "none")


def ctl(order: str, folder: Path) -> None:
    """Give an order, once the control socket is there."""
    eventually(lambda: list(folder.glob("*/control.sock")))
    subprocess.run([FIRSTLIGHT, "ctl", order, "--run-dir", str(folder)], check=True, capture_output=True)


@pytest.fixture
def holding(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A boot of the obedient app on a machine that lacks a node until a trigger is pulled; it holds."""
    scenario = tmp_path / "late.toml"
    scenario.write_text(
        """
description = "A node that somebody brings after a while."
[nodes]
"/dev/nvidia-uvm" = "absent"
[container]
capabilities = "KILL SETGID SETUID"
[[events]]
trigger = "well"
node = "/dev/nvidia-uvm"
[expect]
exit = 0
"""
    )
    words = ["--keep", str(tmp_path / "machine"), "--state-dir", str(tmp_path / "state"), "--run-dir", str(tmp_path / "run")]
    options = ["--attempts", "1", "--on-failure", "hold", "--serve", "off"]
    command = [FIRSTLIGHT, "rehearse", str(scenario), *words, *options, "--", *OBEDIENT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as boot:
        try:
            says(boot, "holding: ")
            yield boot
        finally:
            boot.terminate()


def says(boot: subprocess.Popen[str], words: str) -> None:
    for line in boot.stderr:
        if words in line:
            return
    raise AssertionError(f"it ended without saying {words!r}")


def test_retry_brings_a_hold_back_to_the_gpu(holding: subprocess.Popen[str], tmp_path: Path) -> None:
    ctl("retry", tmp_path / "run")
    says(holding, "holding: ")  # nothing has changed, and that is seen
    (tmp_path / "machine/triggers/well").touch()
    ctl("retry", tmp_path / "run")
    assert holding.stdout.readline().startswith("ready (pid: ")
    holding.send_signal(signal.SIGTERM)
    assert holding.wait() == 7
    events = journal(tmp_path / "state")
    told = [event["kind"] for event in events if event["kind"] in ("stage", "give-up", "hold", "retry", "proof", "app-started")]
    assert told == [*("stage", "give-up", "hold", "retry") * 2, "stage", "proof", "app-started"]
    assert [event["order"] for event in of(events, "order")] == ["retry", "retry"]


def test_a_stop_ends_a_hold_at_once(holding: subprocess.Popen[str], tmp_path: Path) -> None:
    ctl("stop", tmp_path / "run")
    output, _ = holding.communicate()
    assert (holding.returncode, output) == (143, "")


def test_an_agent_that_nobody_asked_for_says_nothing(start: Starter, tmp_path: Path) -> None:
    # It has to be there for orders all the same.
    app = start(*OBEDIENT, options=[*NO_GPU, "--run-dir", str(tmp_path / "run")])
    app.line()
    eventually(lambda: of(app.events(), "agent"))
    ctl("stop", tmp_path / "run")
    assert app.finish() == (7, b"got 15\n", b"")


def ordered(start: Starter, tmp_path: Path, *app: str, options: tuple[str, ...] = ()) -> Running:
    return start(*app, options=[*NO_GPU, "--serve", "off", "--run-dir", str(tmp_path / "run"), *options])


def restarted(events: list[dict[str, Any]]) -> list[tuple[str, str, float]]:
    return [(event["cause"], event["to"], event["delay"]) for event in of(events, "restart")]


def test_a_restart_is_done_at_once_whatever_the_policy(start: Starter, tmp_path: Path) -> None:
    app = ordered(start, tmp_path, *OBEDIENT, options=("--restart", "never"))
    app.line()
    ctl("restart", tmp_path / "run")
    assert app.line() == "got 15"
    assert app.line().startswith("ready (pid: ")
    app.send(signal.SIGTERM)
    assert app.finish()[:2] == (7, b"got 15\n")
    assert restarted(app.events()) == [("order", "app", 0.0)]


def test_a_restart_ends_the_pause_before_a_restart(start: Starter, tmp_path: Path) -> None:
    pause = ("--restart", "on-failure", "--restart-delay", "1h", "--restart-delay-max", "1h")
    app = ordered(start, tmp_path, *in_life("exec " + shlex.join(OBEDIENT), life_1="sleep 0.4; exit 1"), options=pause)
    app.says("starting the app again")
    ctl("restart", tmp_path / "run")
    assert app.line().startswith("ready (pid: ")
    app.send(signal.SIGTERM)
    assert app.code() == 7
    assert len(of(app.events(), "app-started")) == 2


def test_a_retry_after_the_restart_limit_begins_with_a_count_of_its_own(start: Starter, tmp_path: Path) -> None:
    options = ("--restart", "on-failure", "--restart-delay", "1ms", "--restart-limit", "1", "--on-failure", "hold")
    app = ordered(start, tmp_path, *in_life(life_1="exit 1", life_2="exit 1", life_3="exit 1"), options=options)
    app.says("holding: ")
    ctl("retry", tmp_path / "run")
    assert app.code() == 0
    assert [event["life"] for event in of(app.events(), "app-exited")] == [1, 2, 3, 4]


def test_a_stop_that_is_ordered_is_one_by_signal(start: Starter, tmp_path: Path) -> None:
    app = ordered(start, tmp_path, *OBEDIENT, options=("--restart", "always"))
    app.line()
    ctl("stop", tmp_path / "run")
    assert app.finish()[:2] == (7, b"got 15\n")
    (stopping,) = of(app.events(), "stopping")
    assert (stopping["reason"].startswith("stop, ordered by "), stopping["for_good"]) == (True, True)
