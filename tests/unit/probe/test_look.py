"""From the lines of a look, whole or cut off, to facts; and what looks are held against."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import machines
import pytest
from machines import change, driver, healthy, process, watched, xid

from firstlight.probe import look
from firstlight.probe.facts import Cause, Facts, KernelGpu, Nvml, Unknown, Worked
from firstlight.system import files

VERSION = {"step": "driver", "errno": 0, "text": "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  590.48.01  Release Build\n"}
OPENED = [{"step": word, "path": path, "errno": 0} for path in ("/dev/nvidia0", "/dev/nvidiactl") for word in ("opening", "opened")]
INIT = {"step": "init", "code": 0, "driver_version": "590.48.01"}
GPU = {
    "step": "gpu", "index": 0, "error": 0, "uuid": machines.uuid(0), "minor": 0, "bus_id": "00000000:40:00.0", "memory_total": 80, "memory_used": 9,
    "fabric": {"state": 3, "status": 0}, "recovery_action": 0, "ecc_uncorrected": {"error": 3}, "remapped_rows": [0, 0, 0, 1], "processes": 2,
    "users": [{"pid": 7, "memory": 5, "here": True}, {"pid": 8, "memory": None, "here": False}],
}  # fmt: skip
XID = {"step": "xid", "number": 79, "bus_id": "0000:40:00", "text": "NVRM: Xid (PCI:0000:40:00): 79, gone"}


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine in a folder, with two plain files for nodes."""
    (tmp_path / "dev").mkdir()
    for name in ("nvidia0", "nvidiactl"):
        (tmp_path / "dev" / name).touch()
    monkeypatch.setattr(files, "ROOT", str(tmp_path))
    return tmp_path


def before(**changes: Any) -> Facts:
    """What was known before a look: nothing of NVML yet."""
    return dataclasses.replace(watched(), worked=Worked(nodes=("/dev/nvidia0",)), **changes)


def read(*steps: dict[str, Any], earlier: Facts | None = None, status: int | None = 0, log: int | Unknown = 3) -> Facts:
    return look.read(earlier or before(), process(*steps, status=status), 20.0, log)


def test_a_whole_look_renews_what_it_asks_and_keeps_the_rest() -> None:
    facts = read({"step": "log", "errno": 0}, VERSION, *OPENED, INIT, {"step": "asking", "index": 0}, GPU, {"step": "done"})
    assert isinstance(facts.nvml, Nvml)
    assert isinstance(facts.nvml.gpus, tuple)
    (gpu,) = facts.nvml.gpus
    assert (gpu.memory_used, gpu.fabric_state, gpu.remap_failed, gpu.processes) == (9, 3, True, 2)
    assert isinstance(gpu.users, tuple)
    assert [(user.pid, user.here, isinstance(user.memory, Unknown)) for user in gpu.users] == [(7, True, False), (8, False, True)]
    assert isinstance(gpu.name, Unknown)
    assert gpu.name.cause is Cause.NOT_ASKED
    assert facts.driver.version == "590.48.01"
    assert facts.libraries is before().libraries or facts.libraries == before().libraries
    assert {node.path: node.opened for node in facts.devices.nodes if not isinstance(node.opened, Unknown)} == {  # type: ignore[union-attr]
        "/dev/nvidia0": 0,
        "/dev/nvidiactl": 0,
    }


def test_what_nvml_said_at_its_first_answer_is_kept() -> None:
    first = read(VERSION, INIT, GPU, {"step": "done"})
    later = read(VERSION, {"step": "init", "code": 999}, earlier=first)
    assert isinstance(first.worked, Worked)
    assert first.worked.nvml == first.nvml
    assert later.worked == first.worked
    assert isinstance(later.nvml, Nvml)
    assert later.nvml.init == 999


def test_a_refusal_of_nvml_is_no_first_answer() -> None:
    facts = read(VERSION, {"step": "init", "code": 999})
    assert isinstance(facts.worked, Worked)
    assert isinstance(facts.worked.nvml, Unknown)


def test_a_look_that_hangs_at_a_node_blames_the_node_alone() -> None:
    facts = read(VERSION, *OPENED[:1], status=None)
    assert isinstance(facts.devices.nodes, tuple)
    hung = next(node for node in facts.devices.nodes if node.path == "/dev/nvidia0")
    assert isinstance(hung.opened, Unknown)
    assert hung.opened.cause is Cause.HUNG
    assert isinstance(facts.nvml, Unknown)
    assert facts.nvml.cause is Cause.NOT_ASKED


def test_a_look_that_hangs_in_nvml_blames_nvml() -> None:
    facts = read(VERSION, *OPENED, status=None)
    assert isinstance(facts.nvml, Unknown)
    assert facts.nvml.cause is Cause.HUNG


def test_a_look_that_cannot_be_started_tells_nothing_and_keeps_the_version() -> None:
    facts = read(status=71)
    assert isinstance(facts.nvml, Unknown)
    assert facts.nvml.cause is Cause.CRASHED
    assert facts.driver.version == before().driver.version


def test_an_unloaded_driver_is_absent() -> None:
    facts = read({"step": "driver", "errno": 2})
    assert isinstance(facts.driver.version, Unknown)
    assert facts.driver.version.cause is Cause.ABSENT


def test_xids_are_kept_and_grow_old() -> None:
    first = read(XID, earlier=before(xids=(xid(31),)))
    assert isinstance(first.xids, tuple)
    assert [(item.number, item.new) for item in first.xids] == [(31, False), (79, True)]
    later = read(earlier=first)
    assert isinstance(later.xids, tuple)
    assert [(item.number, item.new) for item in later.xids] == [(31, False), (79, False)]


def test_a_gpu_that_goes_on_reporting_fills_no_memory() -> None:
    facts = before()
    for _ in range(3):
        facts = read(*[XID] * 50, earlier=facts)
    assert isinstance(facts.xids, tuple)
    assert len(facts.xids) == 64


def test_a_log_that_cannot_be_read_is_no_silence() -> None:
    assert read(XID, log=machines.DENIED).xids == machines.DENIED


# Which nodes a look opens: those that CUDA worked through.
SHARED = ("/dev/nvidia-uvm", "/dev/nvidiactl")
PROVEN: dict[str, tuple[tuple[str, ...], Facts]] = {
    "one GPU": (("/dev/nvidia0",), healthy()),
    "one GPU of another minor, of which procfs says nothing": (
        ("/dev/nvidia4",),
        dataclasses.replace(change(healthy(), "devices", nodes=machines.nodes(4)), driver=machines.bare().driver),
    ),
    "two GPUs": (("/dev/nvidia0", "/dev/nvidia1"), healthy(2)),
    "one proven GPU of two": (("/dev/nvidia0",), machines.cuda_gpu_changed(healthy(2), 1, proven=False)),
    "the host's nodes, of which one GPU is ours": (("/dev/nvidia0",), machines.shows(healthy(8), 1)),
    "the host's nodes, and nothing tells which is ours": ((), driver(machines.shows(healthy(8), 1), ())),
    "a UUID that the driver had not yet told": (
        (),
        driver(machines.shows(healthy(2), 1), (KernelGpu(bus_id=machines.bus(0), minor=0, uuid=machines.GONE, model="H100"),)),
    ),
}


@pytest.mark.parametrize("case", PROVEN)
def test_a_look_opens_the_nodes_that_cuda_worked_through(case: str) -> None:
    expected, facts = PROVEN[case]
    worked = look.before_the_first(facts).worked
    assert isinstance(worked, Worked)
    assert sorted(worked.nodes) == sorted((*SHARED, *expected))


def test_before_the_first_look_nothing_of_cuda_is_taken_for_granted() -> None:
    facts = look.before_the_first(healthy())
    assert all(isinstance(part, Unknown) and part.cause is Cause.NOT_ASKED for part in (facts.cuda, facts.nvml, facts.torch))
