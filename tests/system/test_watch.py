"""`firstlight run` over an app on a simulated machine that falls sick under it, by the installed command: what is noticed, said and done."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from firstlight.rehearse import scenario

from .conftest import FIRSTLIGHT, eventually

COMPUTING = (sys.executable, str(Path(__file__).parents[1] / "gpu" / "computing_app.py"))
WAITING = ("sh", "-c", 'echo "waits $$"; exec sleep 600')

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the simulated machine needs Linux")

# The scenarios that fall sick, and the condition that follows.
CONDITIONS = {
    "cgroup-lost-later": "degraded",
    "fabric-failed-later": "degraded",
    "gpu-asks-for-reset-later": "failed",
    "gpu-lost-later": "failed",
    "memory-held-by-strangers": "degraded",
    "nvml-failed": "degraded",
    "nvml-hung-later": "failed",
    "uvm-node-gone-later": "degraded",
    "xid-reported": "failed",
}
# Those under which an app goes on computing, as far as the simulated driver plays it.
COMPUTES_ON = ("cgroup-lost-later", "memory-held-by-strangers", "nvml-failed", "uvm-node-gone-later")


class Rehearsal:
    """`firstlight rehearse SCENARIO -- app` under way, watched often."""

    def __init__(self, name: str, machine: Path, options: tuple[str, ...], app: tuple[str, ...]) -> None:
        self.machine = machine
        given = (
            *scenario.load(name).expect.options,
            "--watch",
            "200ms",
            "--grace",
            "1s",
            "--run-dir",
            str(machine.parent / "run"),
            *options,
        )
        command = [FIRSTLIGHT, "rehearse", name, "--keep", str(machine), *given, "--", *app]
        self.popen = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.line()

    def line(self) -> str:
        """The app's next line."""
        assert self.popen.stdout is not None
        line = self.popen.stdout.readline()
        assert line, self.finish()
        return line.removesuffix("\n")

    def pull(self, trigger: str) -> None:
        (self.machine / "triggers" / trigger).touch()

    def is_looked_at(self, times: int = 1) -> None:
        """Wait until the GPUs were looked at so often. Nothing may have been pulled yet."""
        settings, aside = self.machine / "machine.conf", self.machine / "state" / "counting"
        # The simulated driver counts the calls for which it is given several codes.
        aside.write_text(settings.read_text() + "call.nvmlInit 0 0\n")
        aside.replace(settings)
        count = self.machine / "state" / "nvmlInit.count"
        # A look has come to its end once the next one has come so far.
        eventually(lambda: count.exists() and int(count.read_text().strip() or 0) > times)

    def events(self, kind: str) -> list[dict[str, Any]]:
        """The journal's events of a kind so far; the last line may not be whole yet."""
        found = []
        for file in self.machine.glob("journal/boots/*.jsonl"):
            for line in file.read_text().splitlines():
                with contextlib.suppress(ValueError):
                    found.append(json.loads(line))
        return [event for event in found if event["kind"] == kind]

    def condition(self, count: int = 1) -> dict[str, Any]:
        """The condition that was written as the `count`-th."""
        eventually(lambda: len(self.events("condition")) >= count or self.popen.poll() is not None)
        assert len(self.events("condition")) >= count, self.finish()
        return self.events("condition")[count - 1]

    def finish(self) -> tuple[int, str]:
        """Wait for the end: the exit code, and what was said."""
        _, said = self.popen.communicate()
        return self.popen.returncode, said


@contextlib.contextmanager
def rehearsing(name: str, folder: Path, *options: str, app: tuple[str, ...] = WAITING) -> Iterator[Rehearsal]:
    started = Rehearsal(name, folder / "machine", options, app)
    try:
        yield started
    finally:
        if started.popen.poll() is None:
            started.popen.terminate()
        started.popen.communicate()


def faults(event: dict[str, Any]) -> tuple[str, ...]:
    return tuple(fault["fault"] for fault in event["faults"])


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_gpu_that_falls_sick_under_the_app_is_noticed_and_the_app_left_alone(name: str, tmp_path: Path) -> None:
    app = COMPUTING if name in COMPUTES_ON else WAITING
    with rehearsing(name, tmp_path, app=app) as run:
        run.is_looked_at()
        run.pull("sick")
        event = run.condition()
        assert (event["condition"], faults(event), event["action"]) == (CONDITIONS[name], scenario.load(name).expect.watched, "note")
        if app is COMPUTING:
            assert [run.line().split()[0] for _ in range(3)] == ["computed"] * 3
        assert run.popen.poll() is None
        run.popen.terminate()
        _, said = run.finish()
    assert f"{faults(event)[0]}: {event['faults'][0]['sentence']}" in said
    assert run.events("app-exited")[0]["status"] in (0, -15)  # by our own end, and by nothing before


def test_every_scenario_that_falls_sick_is_tried() -> None:
    assert {name for name in scenario.names() if scenario.load(name).expect.watched} == set(CONDITIONS)


def test_what_passes_is_said_as_well(tmp_path: Path) -> None:
    with rehearsing("uvm-node-gone-later", tmp_path) as run:
        run.pull("sick")
        assert run.condition()["condition"] == "degraded"
        run.pull("well")
        event = run.condition(2)
        assert (event["condition"], event["faults"]) == ("healthy", [])
        run.popen.terminate()
        assert "the GPUs are well again" in run.finish()[1]


def test_a_healthy_machine_is_looked_at_and_nothing_is_said(tmp_path: Path) -> None:
    with rehearsing("healthy", tmp_path, "--gpus", "all", app=COMPUTING) as run:
        run.is_looked_at(3)
        assert run.events("condition") == []


def test_without_a_watch_nobody_looks(tmp_path: Path) -> None:
    with rehearsing("cgroup-lost-later", tmp_path, "--watch", "0", app=COMPUTING) as run:
        run.pull("sick")
        for _ in range(3):
            run.line()
        assert run.events("condition") == []


@pytest.mark.parametrize("name", ["gpu-lost-later", "cgroup-lost-later"])
def test_a_policy_to_leave_leaves_with_75(name: str, tmp_path: Path) -> None:
    with rehearsing(name, tmp_path, "--on-gpu-fault", "exit") as run:
        run.pull("sick")
        code, said = run.finish()
        assert (code, run.condition()["action"]) == (75, "exit"), said


def test_a_restart_goes_back_to_the_gpu_stage_which_finds_the_gpu_lost(tmp_path: Path) -> None:
    with rehearsing("gpu-lost-later", tmp_path, "--on-gpu-fault", "restart") as run:
        run.pull("sick")
        code, said = run.finish()
        assert code == 75, said
        (restart,) = run.events("restart")
        assert (restart["cause"], restart["to"]) == ("watch", "gpu")


def test_a_restart_cures_nothing_while_the_app_goes_on(tmp_path: Path) -> None:
    with rehearsing("cgroup-lost-later", tmp_path, "--on-gpu-fault", "restart", app=COMPUTING) as run:
        run.pull("sick")
        assert run.condition()["action"] == "note"
        run.line()
        assert run.events("restart") == []


@pytest.mark.parametrize(("name", "policy", "asks"), [("gpu-lost-later", "hold", None), ("cgroup-lost-later", "relocate", "relocate")])
def test_a_policy_to_stay_keeps_the_container_up_without_the_app(name: str, policy: str, asks: str | None, tmp_path: Path) -> None:
    with rehearsing(name, tmp_path, "--on-gpu-fault", policy) as run:
        run.pull("sick")
        eventually(lambda: run.events("hold") or run.popen.poll() is not None)
        assert run.events("hold"), run.finish()
        (held,) = run.events("hold")
        assert (held["asks"], held["reason"].partition(":")[0]) == (asks, *scenario.load(name).expect.watched)
        assert run.events("app-exited")
        assert run.popen.poll() is None
