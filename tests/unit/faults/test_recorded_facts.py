"""Facts recorded on a real H200, and on two H100s, while a real fault was in force (tests/gpu), diagnosed offline."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from firstlight.faults import diagnose
from firstlight.probe.facts import decode, encode

RECORDED = Path(__file__).parents[2] / "data/facts"

# What was done to the machine: the root cause that is named (None: nothing is wrong), GPUs usable.
CASES = {
    "h200-healthy": (None, 1),
    "h200-healthy-other-user": (None, 1),
    "h200-visible-devices-uuid-prefix": (None, 1),
    "h200-visible-devices-good-first": ("visible-devices-invalid", 1),
    "h200-visible-devices-bad-first": ("visible-devices-invalid", 0),
    "h200-visible-devices-duplicate": ("visible-devices-invalid", 0),
    "h200-visible-devices-empty": ("visible-devices-invalid", 0),
    "h200-visible-devices-uuid-without-prefix": ("visible-devices-invalid", 0),
    "h200-nvidiactl-missing": ("nvidiactl-missing", 0),
    "h200-gpu-missing": ("gpu-node-missing", 0),
    "h200-nvidia-uvm-missing": ("uvm-node-missing", 0),
    "h200-nvidiactl-mode-000": ("device-mode-forbids", 0),
    "h200-gpu-mode-000": ("device-mode-forbids", 0),
    "h200-nvidia-uvm-mode-000": ("device-mode-forbids", 0),
    "h200-gpu-wrong-minor": ("gpu-node-wrong", 0),
    "h200-gpu-plain-file": ("gpu-node-wrong", 0),
    "h200-uvm-stale-major": ("uvm-major-stale", 0),
    "h200-cgroup-denies": ("device-cgroup-denies", 0),
    "h200-nothing-granted": ("gpu-not-granted", 0),
    "h200-stub-first": ("stub-libcuda", 0),
    "h200-empty-first": ("empty-library", 0),
    "h200-compat-first": ("compat-library-active", 0),
    "h200-address-space-hard": ("address-space-limit", 0),
    "h200-descriptors-hard": ("descriptor-limit", 0),
    "h200-memory-full": ("gpu-memory-full", 0),
    "h100x2-healthy": (None, 2),
    "h100x2-visible-devices-swapped": (None, 2),
    "h100x2-visible-devices-of-host": ("visible-devices-invalid", 0),
    "h100x2-second-missing": ("gpu-node-missing", 1),
    "h100x2-first-full": ("gpu-memory-full", 1),
}


@pytest.mark.parametrize(("name", "cause", "usable"), [(name, *expected) for name, expected in CASES.items()], ids=CASES.keys())
def test_a_recorded_machine_gets_its_cause(name: str, cause: str | None, usable: int) -> None:
    found = diagnose.diagnose(decode(json.loads((RECORDED / f"{name}.json").read_text())))
    named = None if found.root_cause is None else found.root_cause.fault.id
    assert (named, found.usable) == (cause, usable), found


def test_every_recording_has_its_case() -> None:
    assert {path.stem for path in RECORDED.glob("*.json")} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_recorded_facts_survive_the_trip_through_json(name: str) -> None:
    facts = decode(json.loads((RECORDED / f"{name}.json").read_text()))
    assert decode(json.loads(json.dumps(encode(facts)))) == facts
