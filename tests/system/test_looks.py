"""The watch on simulated machines that fall sick while an app runs: the program of one look, and the actor over a real loop."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from firstlight.rehearse import scenario, stage
from firstlight.rehearse.machine import Machine
from firstlight.rehearse.scenario import Event
from firstlight.system.loop import Loop, program

ROOT = Path(__file__).resolve().parents[2]
NODES = ("/dev/nvidia-uvm", "/dev/nvidia0", "/dev/nvidiactl")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the simulated machine needs Linux")


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.close()


@contextlib.contextmanager
def machine(loop: Loop, name: str) -> Iterator[Machine]:
    """The simulated machine of a scenario; its triggers are pulled by `pull`."""
    with stage.set_up(loop, scenario.load(name), os.environ, None) as built:
        yield built


def pull(built: Machine, trigger: str) -> None:
    for event in built.scenario.events:
        if event.trigger == trigger:
            built.perform(event)


# One look


def look(built: Machine, *paths: str) -> list[dict[str, Any]]:
    """What one look prints on a machine."""
    command = program("watch_gpu", "-", *(paths or NODES), confined=True)
    done = subprocess.run(command, env=built.process_environment(os.environ), capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def step(steps: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(item for item in steps if item["step"] == name)


def test_a_look_at_a_healthy_machine_opens_every_node_and_hears_nvml_out(loop: Loop) -> None:
    with machine(loop, "healthy") as built:
        steps = look(built)
    assert [(item["path"], item["errno"]) for item in steps if item["step"] == "opened"] == [(path, 0) for path in NODES]
    assert "580.159.04" in step(steps, "driver")["text"]
    gpu = step(steps, "gpu")
    assert {name: gpu[name] for name in ("error", "minor", "bus_id", "memory_total", "memory_used", "users")} == {
        "error": 0,
        "minor": 0,
        "bus_id": "00000000:19:00.0",
        "memory_total": 85520809984,
        "memory_used": 0,
        "users": [],
    }
    assert (gpu["fabric"], gpu["recovery_action"], gpu["ecc_uncorrected"], gpu["remapped_rows"]) == (
        {"state": 0, "status": 0}, 0, 0, [0, 0, 0, 0],
    )  # fmt: skip
    assert steps[-1] == {"step": "done"}


def test_both_ways_of_asking_nvml_give_the_same_answers(loop: Loop) -> None:
    with machine(loop, "memory-held-by-strangers") as built:
        pull(built, "sick")
        ours = step(look(built), "gpu")
        done = subprocess.run(program("nvml_facts"), env=built.process_environment(os.environ), capture_output=True, text=True, check=True)
    theirs = step([json.loads(line) for line in done.stdout.splitlines()], "gpu")
    assert {name: theirs[name] for name in ours if name in theirs} == {name: answer for name, answer in ours.items() if name in theirs}
    assert ours["users"] == [{"pid": 999999, "memory": 40 << 30, "here": False}]


# What befalls the machine, and what a look then says: the step, and the part of it that tells.
SICK: dict[str, tuple[Event, str, dict[str, Any]]] = {
    "device rules": (Event(set={"cgroup.deny": "195:*"}), "init", {"code": 999}),
    "no node": (Event(remove="/dev/nvidiactl"), "init", {"code": 9}),
    "a lost GPU": (Event(set={"gpu.0.lost": True}), "gpu", {"error": 15}),
    "a GPU that must be reset": (Event(set={"gpu.0.reset-required": True}), "gpu", {"error": 16}),
    "a recovery action": (Event(set={"gpu.0.recovery-action": 2}), "gpu", {"recovery_action": 2}),
    "a failed fabric": (Event(set={"gpu.0.fabric-state": 3, "gpu.0.fabric-status": 999}), "gpu", {"fabric": {"state": 3, "status": 999}}),
    "memory errors": (Event(set={"gpu.0.ecc-uncorrected": 4, "gpu.0.remap-failed": 1}), "gpu", {"ecc_uncorrected": 4, "remapped_rows": [0, 0, 0, 1]}),
    "NVML refuses": (Event(set={"call.nvmlInit": 17}), "init", {"code": 17}),
}  # fmt: skip


@pytest.mark.parametrize("name", SICK)
def test_a_look_at_a_sick_machine_tells(name: str, loop: Loop) -> None:
    event, where, expected = SICK[name]
    with machine(loop, "healthy") as built:
        built.perform(event)
        said = step(look(built), where)
    assert {key: said[key] for key in expected} == expected


def test_a_look_without_the_library_says_so(loop: Loop, tmp_path: Path) -> None:
    file = tmp_path / "bare.toml"
    file.write_text('description = "no NVML"\n[[libraries]]\nkind = "driver"\ndirectory = "/usr/lib/x86_64-linux-gnu"\n')
    with machine(loop, str(file)) as built:
        assert step(look(built), "init")["code"] == 12


# The actor


class Watching:
    """testing/watch_alone.py on a machine."""

    def __init__(self, built: Machine, *, period: str = "0.05", deadline: str = "60", policy: str = "note") -> None:
        self.heard: list[dict[str, Any]] = []
        command = [sys.executable, str(ROOT / "testing/watch_alone.py"), period, deadline, policy]
        self.popen = subprocess.Popen(
            command, env=built.process_environment(os.environ), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def line(self, key: str) -> dict[str, Any]:
        """The next line that has this key."""
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            self.heard.append(json.loads(line))
            if key in self.heard[-1]:
                return self.heard[-1]
        raise AssertionError(f"it ended without saying {key!r}")

    def condition(self) -> tuple[str, str]:
        """The next change: the condition and the faults."""
        event = self.line("condition")
        assert event["kind"] == "condition"
        return event["condition"], " ".join(fault["fault"] for fault in event["faults"])

    def looks(self, count: int) -> None:
        """Wait for as many looks."""
        for _ in range(count):
            self.line("look")


@contextlib.contextmanager
def watching(built: Machine, **options: str) -> Iterator[Watching]:
    started = Watching(built, **options)
    try:
        assert started.line("proven")["proven"] == len(built.scenario.gpus)
        yield started
    finally:
        started.popen.communicate()
        assert started.popen.returncode == 0


CONDITIONS = {
    "cgroup-lost-later": ("degraded", "device-cgroup-denies"),
    "gpu-lost-later": ("failed", "gpu-lost"),
    "gpu-asks-for-reset-later": ("failed", "gpu-lost"),
    "fabric-failed-later": ("degraded", "fabric-failed"),
    "nvml-failed": ("degraded", "nvml-failed"),
    "xid-reported": ("failed", "xid-reported"),
    "uvm-node-gone-later": ("degraded", "uvm-node-missing"),
}


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_machine_that_falls_sick_is_noticed(name: str, loop: Loop) -> None:
    with machine(loop, name) as built, watching(built) as watched:
        watched.looks(2)
        pull(built, "sick")
        assert watched.condition() == CONDITIONS[name]
        watched.looks(2)
        assert not any("requested" in said for said in watched.heard)  # the policy is to note it


def test_healthy_looks_say_nothing(loop: Loop) -> None:
    with machine(loop, "healthy-4-gpus") as built, watching(built) as watched:
        watched.looks(4)
        assert [set(said) - {"pid"} for said in watched.heard] == [{"proven"}, *[{"look"}] * 4]


def test_what_passes_by_itself_is_told_as_well(loop: Loop) -> None:
    with machine(loop, "uvm-node-gone-later") as built, watching(built) as watched:
        pull(built, "sick")
        assert watched.condition() == ("degraded", "uvm-node-missing")
        pull(built, "well")
        event = watched.line("condition")
        assert (event["condition"], event["faults"], event["said"]) == ("healthy", [], ["the GPUs are well again"])


def test_a_look_that_hangs_is_killed_and_two_of_them_are_a_fault(loop: Loop) -> None:
    with machine(loop, "nvml-hung-later") as built, watching(built, deadline="1") as watched:
        watched.looks(1)
        pull(built, "sick")
        assert watched.condition() == ("failed", "probe-hung")
        children = Path(f"/proc/{watched.popen.pid}/task/{watched.popen.pid}/children").read_text().split()
        assert len(children) <= 1  # never two at once, and none is left


def test_an_open_that_hangs_names_the_node(loop: Loop) -> None:
    with machine(loop, "healthy") as built, watching(built, deadline="1") as watched:
        watched.looks(1)
        built.perform(Event(set={"gpu.0.open-hangs": True}))
        event = watched.line("condition")
        assert [fault["fault"] for fault in event["faults"]] == ["probe-hung"]
        assert "/dev/nvidia0" in event["faults"][0]["sentence"]


@pytest.mark.parametrize(
    ("name", "policy", "asked"),
    [("gpu-lost-later", "restart", "restart"), ("cgroup-lost-later", "relocate", "relocate"), ("gpu-lost-later", "exit", "exit")],
)
def test_the_policy_is_asked_for(name: str, policy: str, asked: str, loop: Loop) -> None:
    with machine(loop, name) as built, watching(built, policy=policy) as watched:
        pull(built, "sick")
        event = watched.line("condition")
        assert event["action"] == asked
        said = watched.line("requested")
        assert (said["requested"], said["cause"]) == (asked, "watch")
        assert said["words"].startswith(event["faults"][0]["fault"] + ": ")


def test_strangers_memory_is_told_once_a_process_of_ours_is_there(loop: Loop) -> None:
    with machine(loop, "memory-held-by-strangers") as built, watching(built) as watched:
        pull(built, "sick")
        watched.looks(3)
        (built.folder / "state" / f"context.0.{os.getpid()}").write_text(f"{1 << 29}\n")  # as the simulated driver notes a context
        assert watched.condition() == ("degraded", "memory-held-by-strangers")
