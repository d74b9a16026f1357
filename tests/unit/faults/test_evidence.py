"""What the evidence says, word for word where it matters."""

from __future__ import annotations

import dataclasses
import errno

import pytest
from machines import (
    GIB,
    GONE,
    GPU0,
    OLD,
    SICK,
    SICK_UVM,
    STUB,
    UNTRIED,
    UVM,
    VERSION,
    bare,
    change,
    context_fails,
    healthy,
    init_fails,
    lib,
    library,
    nvml_gpu_changed,
    shallow,
    shows,
    variables,
    with_compat,
    with_node,
    without_node,
)

from firstlight.faults.diagnose import diagnose
from firstlight.probe.facts import (
    Facts,
    Limit,
)


def test_a_stale_major_is_told_in_words_that_help() -> None:
    root = diagnose(with_node(SICK_UVM, UVM, major=510, opened=errno.ENXIO)).root_cause
    assert root is not None
    assert root.evidence.sentence == (
        "/dev/nvidia-uvm has major 510, but the kernel's nvidia-uvm driver now has major 234: the node is from before the module was loaded again."
    )


def test_the_mode_names_the_user_it_keeps_out() -> None:
    user = change(
        with_node(SICK, GPU0, mode=0o660, gid=44, opened=errno.EACCES), "confinement", uid=1000, gid=1000, groups=(1000,), capabilities=()
    )
    root = diagnose(user).root_cause
    assert root is not None
    assert "user 1000 (group 1000) may not read and write it" in root.evidence.sentence


def test_a_refused_system_call_points_to_the_filter() -> None:
    root = diagnose(context_fails(healthy(), 304)).root_cause
    assert root is not None
    assert ("seccomp", "filter") in root.evidence.quotes
    assert diagnose(SICK_UVM).findings[0].evidence.quotes == ()


def test_a_preloaded_library_is_quoted_where_nothing_else_explains_the_failure() -> None:
    root = diagnose(variables(SICK_UVM, LD_PRELOAD="/opt/shim.so")).root_cause
    assert root is not None
    assert ("LD_PRELOAD", "/opt/shim.so") in root.evidence.quotes


NOT_ROOT = {"uid": 1000, "gid": 1000, "groups": (1000,), "capabilities": ()}
OFF_BRANCH = with_compat(healthy(), "545.23.06", 12030)


@pytest.mark.parametrize(
    ("words", "facts"),
    [
        # The mode, a mount option and a security module refuse in the same way, and are told apart.
        ("/dev is mounted nodev", change(with_node(SICK, GPU0, opened=errno.EACCES), "devices", dev_options=("rw", "nodev"))),
        ("user 1000 (group 1000) may not", change(with_node(SICK, GPU0, mode=0o600, opened=errno.EACCES), "confinement", **NOT_ROOT)),
        ("a security module does", change(with_node(SICK, GPU0, opened=errno.EACCES), "confinement", **NOT_ROOT)),
        (
            "(our label: container_t)",
            change(with_node(SICK, GPU0, opened=errno.EACCES), "confinement", security_label="container_t", **NOT_ROOT),
        ),
        # The GPU that CUDA speaks of is found among NVML's by UUID or bus id, whatever the order.
        ("GPU 0 is in exclusive mode", nvml_gpu_changed(context_fails(healthy(2), 46, 0), 0, compute_mode=3, uuid=GONE)),
        ("GPU 1 is in exclusive mode", nvml_gpu_changed(context_fails(healthy(2), 46, 1), 1, compute_mode=3, bus_id=GONE)),
        ("takes no further process", nvml_gpu_changed(context_fails(healthy(2), 46, 1), 0, compute_mode=3)),
        # The rule for compat libraries needs no word of CUDA.
        ("it supports the driver branches 535 and 550", dataclasses.replace(OFF_BRANCH, cuda=UNTRIED)),
        ("it speaks CUDA 12.8, and the driver speaks 13.0", dataclasses.replace(with_compat(healthy(), VERSION, 13000), cuda=UNTRIED)),
        ("is no newer than the kernel driver", dataclasses.replace(with_compat(healthy(), VERSION, 13000), cuda=UNTRIED, nvml=GONE)),
        # The right file is named where there is one.
        ("the right one is /usr/lib/x86_64-linux-gnu/libcuda.so.580", lib(init_fails(healthy(), 803), OLD, library())),
        ("no libcuda of that version is here", lib(init_fails(healthy(), 803), OLD)),
        ("there is no real one", lib(init_fails(healthy(), 34), STUB)),
        ("has 1 of their nodes: /dev/nvidia0", variables(without_node(shows(healthy(2), 1), "/dev/nvidia1"), RUNPOD_GPU_COUNT="2")),
    ],
)
def test_the_evidence_tells_causes_of_one_symptom_apart(words: str, facts: Facts) -> None:
    root = diagnose(facts).root_cause
    assert root is not None
    assert words in root.evidence.sentence


@pytest.mark.parametrize(
    ("quote", "facts"),
    [
        (("ulimit -n", "32, hard 1024"), change(context_fails(healthy(), 304), "limits", descriptors=Limit(soft=32, hard=1024))),
        (("ulimit -n", "32, hard unlimited"), change(context_fails(healthy(), 304), "limits", descriptors=Limit(soft=32, hard=None))),
        (
            ("ulimit -v", "1,048,576 KiB, hard unlimited"),
            change(init_fails(healthy(), 2), "limits", address_space=Limit(soft=GIB, hard=None)),
        ),
        (("compute mode", "3"), nvml_gpu_changed(context_fails(healthy(), 46), 0, compute_mode=3)),
        (("compute mode", "unknown"), shallow(context_fails(healthy(), 46))),
        (("/dev/nvidiaN", "none"), without_node(SICK, GPU0)),
        (("kernel driver", "absent"), bare()),
        (
            ("memory, GPU 0", "81,820 of 81,920 MiB are taken"),
            nvml_gpu_changed(context_fails(healthy(), 2), 0, memory_used=80 * GIB - (100 << 20)),
        ),
    ],
)
def test_the_evidence_quotes_its_facts(quote: tuple[str, str], facts: Facts) -> None:
    root = diagnose(facts).root_cause
    assert root is not None
    assert quote in root.evidence.quotes
