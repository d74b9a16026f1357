"""What a container was promised, how many GPUs it should have, and what time can cure."""

from __future__ import annotations

import dataclasses
import errno

import pytest
from machines import (
    CTL,
    GONE,
    GPU0,
    SICK,
    SICK_UVM,
    UVM,
    bare,
    change,
    context_fails,
    driver,
    healthy,
    init_fails,
    masked,
    nodes,
    nvml_gpu_changed,
    shows,
    variables,
    with_node,
    without_major,
    without_node,
)

from firstlight.faults.diagnose import diagnose
from firstlight.faults.fault import Persistence
from firstlight.probe.facts import (
    Facts,
    Unknown,
)


@pytest.mark.parametrize(
    ("expected", "facts"),
    [
        (Persistence.PERMANENT, bare()),
        (Persistence.PERMANENT, variables(bare(), NVIDIA_VISIBLE_DEVICES="all")),
        (Persistence.BOUNDED, variables(bare(), RUNPOD_GPU_COUNT="1")),
        (Persistence.PERMANENT, variables(bare(), RUNPOD_GPU_COUNT="0")),
        (Persistence.BOUNDED, without_node(SICK, GPU0)),
        (Persistence.BOUNDED, without_node(SICK_UVM, UVM)),
        (Persistence.BOUNDED, without_major(SICK_UVM, "nvidia-uvm")),
        (Persistence.PERMANENT, with_node(SICK_UVM, UVM, major=510, opened=errno.ENXIO)),
        (Persistence.PERMANENT, with_node(SICK, CTL, opened=errno.EPERM)),
        (Persistence.TRANSIENT, nvml_gpu_changed(init_fails(healthy(), 802), 0, fabric_state=2)),
        (Persistence.BOUNDED, dataclasses.replace(init_fails(healthy(), 802), nvml=GONE)),
        (Persistence.PERMANENT, nvml_gpu_changed(init_fails(healthy(), 802), 0, fabric_status=999)),
        (Persistence.BOUNDED, nvml_gpu_changed(init_fails(healthy(), 802), 0, fabric_state=0, fabric_status=GONE)),
        (Persistence.PERMANENT, nvml_gpu_changed(context_fails(healthy(), 46), 0, compute_mode=2)),
        (Persistence.BOUNDED, nvml_gpu_changed(context_fails(healthy(), 46), 0, compute_mode=3)),
        (Persistence.PERMANENT, masked("8")),
    ],
)
def test_time_cures_what_time_can_cure(expected: Persistence, facts: Facts) -> None:
    root = diagnose(facts).root_cause
    assert root is not None
    assert root.persistence is expected


@pytest.mark.parametrize(
    ("promised", "facts"),
    [
        (True, healthy()),
        (False, bare()),
        (True, variables(bare(), RUNPOD_GPU_COUNT="1")),
        (True, variables(bare(), NVIDIA_VISIBLE_DEVICES="0,1")),
        (True, change(bare(), "environment", pid1={"RUNPOD_GPU_COUNT": "2"})),
        (False, variables(bare(), NVIDIA_VISIBLE_DEVICES="all")),
        (False, variables(without_node(SICK, GPU0), RUNPOD_GPU_COUNT="0")),
        (True, variables(healthy(), NVIDIA_VISIBLE_DEVICES="void")),
        (False, variables(bare(), RUNPOD_GPU_COUNT="many")),
        (False, driver(healthy(), ())),
    ],
)
def test_a_gpu_is_promised_by_the_driver_or_the_environment(promised: bool, facts: Facts) -> None:
    assert diagnose(facts).promised is promised


@pytest.mark.parametrize(
    ("expected", "facts"),
    [
        (1, healthy()),
        (8, healthy(8)),
        (2, variables(healthy(8), RUNPOD_GPU_COUNT="2")),
        (3, variables(healthy(8), NVIDIA_VISIBLE_DEVICES="0,4,7")),
        (8, variables(healthy(8), NVIDIA_VISIBLE_DEVICES="all")),
        (2, variables(change(bare(), "environment", pid1={"RUNPOD_GPU_COUNT": "2"}))),
        (2, masked("1,0", 4, count=2)),
        (4, masked("0,9", 4, count=1)),
        (1, change(shows(healthy(8), 1), "devices", nodes=nodes(4))),
        (8, without_node(init_fails(healthy(8), 100), *(f"/dev/nvidia{n}" for n in range(8)))),
    ],
)
def test_the_expected_number_is_what_was_granted_less_what_is_hidden_on_purpose(expected: int, facts: Facts) -> None:
    assert diagnose(facts).expected == expected


def test_nothing_tells_how_many_gpus_a_bare_machine_should_have() -> None:
    assert isinstance(diagnose(bare()).expected, Unknown)
