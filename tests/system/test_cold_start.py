"""What `run` promises of a cold start beyond each fault: the retry policy, --gpus, --allow, --dry-run, the holder; on simulated machines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .conftest import FIRSTLIGHT, Starter


class Rehearsal:
    """A rehearsed cold start that has ended, and the machine that it has left."""

    def __init__(
        self, scenario: str, machine: Path, *options: str, command: tuple[str, ...] = ("echo", "started"), **variables: str
    ) -> None:
        words = [FIRSTLIGHT, "rehearse", scenario, "--keep", str(machine), *options, "--", *command]
        environment = {**os.environ, **variables}
        done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
        self.code, self.output, self.said = done.returncode, done.stdout, done.stderr
        self.machine = machine

    def events(self, kind: str) -> list[dict[str, Any]]:
        """The journal's lines of one kind."""
        (boot,) = (self.machine / "journal" / "boots").iterdir()
        events = [json.loads(line) for line in boot.read_text().splitlines()]
        return [event for event in events if event["kind"] == kind]

    def attempts(self) -> list[int]:
        """The number of each probe's attempt."""
        return [event["attempt"] for event in self.events("stage")]


def test_a_bounded_fault_gets_the_attempts_of_the_policy(tmp_path: Path) -> None:
    boot = Rehearsal("gpu-busy", tmp_path / "machine", "--attempts", "3", "--delay", "10ms")
    assert (boot.code, boot.output) == (75, "")
    assert boot.attempts() == [1, 2, 3]
    assert [event["seconds"] for event in boot.events("wait")] == [0.01, 0.01]


def test_a_wake_up_by_an_event_costs_no_attempt(tmp_path: Path) -> None:
    boot = Rehearsal("uvm-node-late", tmp_path / "machine", "--attempts", "2", "--delay", "1h", "--deadline", "2h")
    assert boot.code == 0
    assert set(boot.attempts()) == {1}


def test_a_treatment_costs_no_attempt(tmp_path: Path) -> None:
    boot = Rehearsal("uvm-node-missing", tmp_path / "machine", "--attempts", "1")
    assert boot.code == 0
    assert boot.attempts() == [1, 1]


def test_a_remedy_that_does_not_fit_costs_no_probe(tmp_path: Path) -> None:
    boot = Rehearsal("uvm-node-missing-for-good", tmp_path / "machine", "--attempts", "1")
    assert [event["outcome"] for event in boot.events("remedy")] == ["refused"]
    assert boot.attempts() == [1]


def test_the_deadline_ends_even_a_wait_for_what_will_pass(tmp_path: Path) -> None:
    boot = Rehearsal("fabric-in-progress", tmp_path / "machine", "--deadline", "1ms")
    assert (boot.code, boot.output) == (75, "")
    assert "the deadline of 0.001 s has passed" in boot.said


# Four GPUs, of which one computes wrongly.
GPUS = {"any": 0, "1": 0, "3": 0, "4": 75, "all": 75}


@pytest.mark.parametrize(("gpus", "code"), GPUS.items())
def test_gpus_says_how_many_good_ones_are_enough(gpus: str, code: int, tmp_path: Path) -> None:
    script = 'echo "$CUDA_VISIBLE_DEVICES" | tr , "\\n" | grep -c .'
    boot = Rehearsal("one-bad-gpu-of-four", tmp_path / "machine", "--gpus", gpus, "--attempts", "1", command=("sh", "-c", script))
    assert boot.code == code, boot.said
    assert boot.output == ("3\n" if code == 0 else "")


ORDERS = {"": "PCI_BUS_ID", "FASTEST_FIRST": "FASTEST_FIRST"}


@pytest.mark.parametrize(("chosen", "wanted"), ORDERS.items())
def test_the_order_of_the_gpus_is_the_users_or_that_of_the_bus(start_plainly: Starter, chosen: str, wanted: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "CUDA_DEVICE_ORDER"}
    if chosen:
        environment["CUDA_DEVICE_ORDER"] = chosen
    app = start_plainly("sh", "-c", 'echo "$CUDA_DEVICE_ORDER"', env=environment)
    assert app.finish()[:2] == (0, f"{wanted}\n".encode())


# Each kind of step that can be prescribed, with the words that announce it.
DRY_RUNS = {
    "start": ("healthy", 0, "would start echo"),
    "treat": ("uvm-node-missing", 0, "would create-device-nodes: mknod -m 666 /dev/nvidia-uvm c "),
    "wait": ("fabric-in-progress", 0, "would wait for fabric-in-progress to pass, up to 300 s"),
    "wait, since the remedy does not fit": ("uvm-node-missing-for-good", 0, "would wait for uvm-node-missing to pass, up to 2 attempts"),
    "give up": ("gpu-not-granted", 69, "so the command was not started"),
}


@pytest.mark.parametrize(("scenario", "code", "words"), DRY_RUNS.values(), ids=DRY_RUNS.keys())
def test_a_dry_run_says_what_it_would_do_and_does_nothing(scenario: str, code: int, words: str, tmp_path: Path) -> None:
    boot = Rehearsal(scenario, tmp_path / "machine", "--dry-run", "--attempts", "2")
    assert (boot.code, boot.output) == (code, "")
    assert words in boot.said
    assert not (tmp_path / "machine" / "journal").exists()
    assert (scenario != "uvm-node-missing") or not (tmp_path / "machine" / "dev" / "nvidia-uvm").exists()


@pytest.mark.parametrize("allowed", [True, False], ids=["allowed", "not allowed"])
def test_a_preload_is_dropped_only_when_that_is_allowed(allowed: bool, tmp_path: Path) -> None:
    options = ("--allow", "drop-preload") if allowed else ()
    boot = Rehearsal("cuda-error-unexplained", tmp_path / "machine", "--dry-run", *options)
    assert ("dry run: would drop-preload: unset LD_PRELOAD" in boot.said) == allowed


def test_the_holder_lets_go_when_its_time_is_over(tmp_path: Path) -> None:
    journal = tmp_path / "machine" / "journal"
    script = f"until grep -rqs '\"released\":\"time\"' '{journal}'; do sleep 0.05; done"
    boot = Rehearsal("healthy", tmp_path / "machine", "--holder", "100ms", command=("sh", "-c", script))
    assert boot.code == 0
    assert [event["released"] for event in boot.events("holder")] == ["time"]


def test_without_a_holder_there_is_none(tmp_path: Path) -> None:
    boot = Rehearsal("healthy", tmp_path / "machine", "--holder", "0", command=(sys.executable, "-c", "pass"))
    assert boot.code == 0
    assert boot.events("holder") == []
