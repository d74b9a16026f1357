"""The app lives more than once: what ends a life, what follows on it and when, and what the journal says of it."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from .conftest import OBEDIENT, Starter, eventually
from .test_boot import journal, rehearse

STICKY = "RuntimeError: CUDA error: an illegal memory access was encountered"
UNSTICKY = "RuntimeError: CUDA error: unknown error"
NO_GPU = ("--gpus", "none")
AGAIN = ("--restart", "on-failure", "--restart-delay", "1ms")


def in_life(rest: str = "exit 0", **scripts: str) -> tuple[str, ...]:
    """An app that does something else in each life: life_1, life_2 and so on, and `rest` in those that follow."""
    cases = " ".join(f"*/{name.removeprefix('life_')}) {script};;" for name, script in scripts.items())
    return ("sh", "-c", f"case $FIRSTLIGHT_LIFE in {cases} *) {rest};; esac")


def of(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """The events of a kind."""
    return [event for event in events if event["kind"] == kind]


def restarts(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Cause and destination of each restart."""
    return [(event["cause"], event["to"]) for event in of(events, "restart")]


# What follows on an end


@pytest.mark.parametrize(
    ("options", "scripts", "code", "lives"),
    [
        (("--restart", "never"), {"life_1": "exit 5"}, 5, 1),
        (("--restart", "on-failure"), {"life_1": "exit 0", "rest": "exit 5"}, 0, 1),
        (("--restart", "on-failure"), {"life_1": "exit 5", "life_2": "kill -9 $$"}, 0, 3),
        (("--restart", "on-failure", "--success-exit", "143"), {"life_1": "kill -15 $$"}, 0, 1),
        (("--restart", "always", "--restart-limit", "2"), {}, 79, 3),
        (("--restart", "on-failure", "--restart-limit", "1"), {"rest": "exit 5"}, 79, 2),
    ],
    ids=["never", "a success under on-failure", "failures under on-failure", "a code of success", "always", "the limit"],
)
def test_what_follows_on_an_end(start: Starter, options: tuple[str, ...], scripts: dict[str, str], code: int, lives: int) -> None:
    app = start(*in_life(**scripts), options=[*NO_GPU, "--restart-delay", "1ms", *options])
    assert app.code() == code
    assert len(of(app.events(), "app-started")) == lives
    assert restarts(app.events()) == [("app", "app")] * (lives - 1)


def test_an_app_that_is_away_for_a_while_has_failed_a_life_and_no_more(start: Starter, tmp_path: Path) -> None:
    app_file = tmp_path / "app"
    app_file.write_text(
        f'#!/bin/sh\necho "$FIRSTLIGHT_LIFE"\n[ "$FIRSTLIGHT_LIFE" != "${{FIRSTLIGHT_LIFE%/1}}/1" ] && exit 0\nmv {app_file} {app_file}.away\nexit 5\n'
    )
    app_file.chmod(0o755)
    app = start(str(app_file), options=[*NO_GPU, *AGAIN, "--restart-delay", "50ms"])
    app.line()
    app.says("no such command")
    (tmp_path / "app.away").rename(app_file)
    assert app.code() == 0
    reasons = [event["reason"] for event in of(app.events(), "restart")]
    assert reasons[0] == "the app ended with exit code 5"
    assert set(reasons[1:]) == {f"cannot start {str(app_file)!r}: no such command"}


def test_each_pause_is_twice_the_one_before_up_to_the_longest(start_plainly: Starter) -> None:
    options = (*NO_GPU, "--restart", "on-failure", "--restart-delay", "10ms", "--restart-delay-max", "40ms")
    app = start_plainly(*in_life(life_1="exit 1", life_2="exit 1", life_3="kill -9 $$", life_4="exit 1"), options=options)
    assert app.code() == 0
    events = of(app.events(), "restart")
    for event, delay in zip(events, (0.01, 0.02, 0.04, 0.04), strict=True):
        assert delay <= event["delay"] <= delay * 1.1
    assert [event["count"] for event in events] == [1, 2, 3, 4]
    assert events[0]["reason"] == "the app ended with exit code 1"
    assert events[2]["reason"] == "the app was killed by signal 9"


def test_a_stop_ends_a_pause_at_once(start: Starter) -> None:
    app = start("sh", "-c", "exit 1", options=[*NO_GPU, "--restart", "on-failure", "--restart-delay", "1h", "--restart-delay-max", "1h"])
    app.says("starting the app again")
    app.send(signal.SIGTERM)
    assert app.code() == 128 + signal.SIGTERM
    assert len(of(app.events(), "app-started")) == 1


def test_what_was_wanted_of_a_life_that_is_over_ends_no_pause(start: Starter) -> None:
    # That it is poisoned is found as it ends, and asks for a restart of what runs no more.
    options = [*NO_GPU, "--restart", "on-failure", "--restart-delay", "1h", "--restart-delay-max", "1h"]
    app = start("sh", "-c", f"echo '{STICKY}'; exit 1", options=options)
    app.says("starting the app again")
    app.send(signal.SIGTERM)
    assert app.code() == 128 + signal.SIGTERM
    assert restarts(app.events()) == [("poisoned", "gpu")]
    assert len(of(app.events(), "app-started")) == 1


def test_a_stopped_app_is_not_started_again(start: Starter) -> None:
    app = start(*OBEDIENT, options=[*NO_GPU, "--restart", "always", "--restart-delay", "1ms"])
    app.line()
    app.send(signal.SIGTERM)
    assert app.finish() == (7, b"got 15\n", b"")
    assert not restarts(app.events())


# Looks whether its parent has a dead child, until it has none; the journal's writer and others of ours live on.
CLEAN = """
import os, time
def dead(pid):
    try:
        return open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False
def children():
    return open(f"/proc/{os.getppid()}/task/{os.getppid()}/children").read().split()
while any(dead(pid) for pid in children()): time.sleep(0.01)
print("clean", flush=True)
"""


def test_fifty_restarts_leave_no_zombie(start: Starter) -> None:
    # Each life leaves an orphan behind; the last one looks for what is dead.
    script = '(true &); case $FIRSTLIGHT_LIFE in */51) exec "$0" -ISc "$1";; *) exit 1;; esac'
    app = start(
        *("sh", "-c", script, sys.executable, CLEAN),
        options=[*NO_GPU, *AGAIN, "--restart-delay-max", "1ms", "--restart-limit", "0", "--quiet"],
    )
    assert app.finish()[:2] == (0, b"clean\n")
    assert [event["life"] for event in of(app.events(), "app-exited")] == list(range(1, 52))


def test_a_restart_ends_what_its_life_left_and_nothing_else(start: Starter, tmp_path: Path) -> None:
    # Both have left their group and their parent: the companion's daemon, and the app's.
    ours, theirs = tmp_path / "app", tmp_path / "companion"
    companion = f"""sh -c 'setsid sh -c "echo \\$\\$ >{theirs}; exec sleep 1000" & until test -s {theirs}; do sleep 0.01; done'"""
    leave = f"setsid sh -c 'echo $$ >{ours}; exec sleep 1000' & until test -s {ours} && test -s {theirs}; do sleep 0.01; done; exit 1"
    look = f"kill -0 $(cat {ours}) && echo mine; kill -0 $(cat {theirs}) && echo theirs; kill -9 $(cat {theirs}); true"
    app = start(*in_life(life_1=leave, rest=look), options=[*NO_GPU, *AGAIN, "--with", companion])
    assert app.finish()[:2] == (0, b"theirs\n")


# Deaths of CUDA, and apps that live on without it


@pytest.mark.parametrize(("line", "cause"), [(STICKY, "poisoned"), (UNSTICKY, "cuda")])
def test_a_death_of_cuda_leads_back_to_the_gpu(tmp_path: Path, line: str, cause: str) -> None:
    done = rehearse("healthy", tmp_path, *AGAIN, app=in_life(life_1=f"echo '{line}' >&2; exit 1"))
    events = journal(tmp_path)
    assert done.returncode == 0, done.stderr
    assert restarts(events) == [(cause, "gpu")]
    assert line in of(events, "restart")[0]["reason"]
    assert len(of(events, "proof")) == 2


def test_a_death_of_cuda_does_not_count_as_the_apps_own(tmp_path: Path) -> None:
    # With a limit of one restart a second death of one kind would be the end.
    app = in_life(life_1=f"echo '{UNSTICKY}'; exit 1", life_2="exit 1")
    done = rehearse("healthy", tmp_path, *AGAIN, "--restart-limit", "1", app=app)
    assert done.returncode == 0, done.stderr
    assert restarts(journal(tmp_path)) == [("cuda", "gpu"), ("app", "app")]


def test_deaths_of_cuda_on_a_gpu_that_is_well_come_to_an_end(tmp_path: Path) -> None:
    done = rehearse("healthy", tmp_path, *AGAIN, "--restart-limit", "1", app=in_life(f"echo '{UNSTICKY}'; exit 1"))
    assert done.returncode == 79
    assert "giving up the app: the app was restarted 1 times within 600 s" in done.stderr


def test_without_a_restart_the_code_of_a_death_of_cuda_is_the_apps(tmp_path: Path) -> None:
    done = rehearse("healthy", tmp_path, app=in_life(f"echo '{STICKY}'; exit 33"))
    assert done.returncode == 33
    assert not restarts(journal(tmp_path))


def test_a_poisoned_app_that_lives_on_is_restarted(tmp_path: Path) -> None:
    done = rehearse("healthy", tmp_path, *AGAIN, app=in_life(life_1=f"echo '{STICKY}'; exec sleep 1000"))
    events = journal(tmp_path)
    assert done.returncode == 0, done.stderr
    assert restarts(events) == [("poisoned", "gpu")]
    assert [event["code"] for event in of(events, "app-exited")] == [143, 0]
    # Nobody gives it work meanwhile.
    assert [event["kind"] for event in events if event["kind"] in ("ready", "unready")] == ["ready", "unready"] * 2


def test_an_app_whose_worker_is_dead_is_restarted(start_plainly: Starter) -> None:
    zombie = "echo 'Exception in thread Thread-3 (prompt_worker):' >&2; exec sleep 1000"
    app = start_plainly(*in_life(life_1=zombie), options=[*NO_GPU, "--app", "comfyui", "--restart-delay", "1ms"])
    assert app.code() == 0
    assert restarts(app.events()) == [("zombie", "app")]


def test_a_check_that_fails_restarts_the_app_once(start_plainly: Starter, tmp_path: Path) -> None:
    # The app ends in the moment in which its check asks for its restart: that is one restart, not two.
    mark = tmp_path / "mark"
    app = start_plainly(
        *in_life(life_1=f"until test -e {mark}; do sleep 0.01; done; exec sleep 1000"),
        options=[*NO_GPU, *AGAIN, "--config", str(_config(tmp_path, f'exec = ["sh", "-c", "touch {mark}; exit 1"]'))],
    )
    assert app.code() == 0
    assert restarts(app.events()) == [("check", "app")]
    assert len(of(app.events(), "app-started")) == 2


def _config(folder: Path, check: str) -> Path:
    path = folder / "firstlight.toml"
    path.write_text(f'[checks.one]\n{check}\nlevel = "alive"\nperiod = "50ms"\nstart-period = "0s"\nthreshold = 1\n')
    return path


@pytest.mark.parametrize(("restart", "code", "lives"), [("never", 80, 1), ("on-failure", 79, 2)])
def test_an_app_that_is_not_ready_in_time_has_failed(start: Starter, restart: str, code: int, lives: int) -> None:
    late = ("--ready", "log:never printed", "--ready-timeout", "10ms", "--restart-limit", "1", "--restart-delay", "1ms")
    app = start("sleep", "1000", options=[*NO_GPU, "--restart", restart, *late])
    assert app.code() == code
    events = app.events()
    assert len(of(events, "app-started")) == lives
    assert of(events, "stopping")[0]["reason"].startswith("it was not ready within 0.01 s: check ready-1: ")
    assert not of(events, "ready")


# Holds


def test_an_app_given_up_is_held_and_a_stop_ends_the_hold_at_once(start: Starter) -> None:
    app = start("sh", "-c", "exit 1", options=[*NO_GPU, *AGAIN, "--restart-limit", "1", "--on-failure", "hold"])
    app.says("holding: the container stays up")
    eventually(lambda: of(app.events(), "hold"))
    (hold,) = of(app.events(), "hold")
    assert (hold["stage"], hold["asks"]) == ("hold", None)
    assert hold["reason"] == "the app was restarted 1 times within 600 s, the last time because the app ended with exit code 1"
    app.send(signal.SIGTERM)
    assert app.code() == 128 + signal.SIGTERM
    assert len(of(app.events(), "app-started")) == 2
