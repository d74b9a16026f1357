"""What looks amount to, and what a policy makes of it: tables of looks, and of findings."""

from __future__ import annotations

import dataclasses

import pytest
from machines import healthy, nvml_gpu_changed, watched

from firstlight.faults.catalogue import CATALOGUE
from firstlight.faults.diagnose import diagnose
from firstlight.faults.fault import Diagnosis, Evidence, Finding, Persistence
from firstlight.probe.facts import Cause, Unknown
from firstlight.supervise import vigil
from firstlight.supervise.vigil import Harm, Policy, Vigil

FAULTS = {fault.id: fault for fault in CATALOGUE}
UNTOLD = Unknown("the look hung", Cause.HUNG)


def finding(fault: str, sentence: str = "it is so.", *, stops: bool = True, persistence: Persistence | None = None) -> Finding:
    return Finding(FAULTS[fault], Evidence(sentence, persistence=persistence, stops=stops))


def seen(*found: Finding | str, untold: str = "") -> Diagnosis:
    """A look's diagnosis: findings, or faults by name; `untold` names those that it could not tell."""
    findings = tuple(finding(item) if isinstance(item, str) else item for item in found)
    undecided = tuple((name, UNTOLD) for name in untold.split())
    return Diagnosis(findings=findings, usable=0, expected=1, promised=True, undecided=undecided)


def holds(now: Vigil) -> str:
    return " ".join(item.fault.id for item in now.findings)


UVM = seen("uvm-node-missing")
WELL = seen()

# Looks one after the other, and what holds after each.
SERIES: dict[str, list[tuple[Diagnosis, str]]] = {
    "nothing is found": [(WELL, ""), (WELL, "")],
    "once is no finding": [(UVM, ""), (WELL, ""), (UVM, ""), (WELL, "")],
    "twice running is one": [(UVM, ""), (UVM, "uvm-node-missing")],
    "it is over after two looks without it": [
        (UVM, ""), (UVM, "uvm-node-missing"), (WELL, "uvm-node-missing"), (WELL, "")],
    "one look without it does not end it": [
        (UVM, ""), (UVM, "uvm-node-missing"), (WELL, "uvm-node-missing"), (UVM, "uvm-node-missing"), (WELL, "uvm-node-missing")],
    "what cannot be mistaken holds at once": [(seen("device-cgroup-denies"), "device-cgroup-denies")],
    "a lost GPU holds at once": [(seen("gpu-lost"), "gpu-lost")],
    "an Xid holds at once": [(seen("xid-reported"), "xid-reported")],
    "a look that hung once is none": [(seen("probe-hung"), ""), (WELL, "")],
    "two looks that hung are one": [(seen("probe-hung"), ""), (seen("probe-hung"), "probe-hung")],
    "a look that cannot tell does not end it": [
        (seen("gpu-lost"), "gpu-lost"), *[(seen(untold="gpu-lost"), "gpu-lost")] * 3, (WELL, "gpu-lost"), (WELL, "")],
    "a look that cannot tell does not confirm it": [(UVM, ""), (seen(untold="uvm-node-missing"), ""), (UVM, "uvm-node-missing")],
    "two faults at once": [(seen("gpu-lost", "uvm-node-missing"), "gpu-lost"), (seen("gpu-lost", "uvm-node-missing"), "gpu-lost uvm-node-missing")],
    "what the app was started with cannot change": [(seen("visible-devices-invalid", "driver-too-old"), "")] * 3,
}  # fmt: skip


@pytest.mark.parametrize("name", SERIES)
def test_a_finding_holds(name: str) -> None:
    now = Vigil()
    for look, expected in SERIES[name]:
        now = vigil.after(now, look)
        assert holds(now) == expected


def test_what_was_so_when_cuda_was_proven_is_no_finding_later() -> None:
    old = finding("compat-library-active", "the compat library is first.")
    now = vigil.begin(seen(old))
    for _ in range(3):
        now = vigil.after(now, seen(old, finding("gpu-lost")))
    assert holds(now) == "gpu-lost"


def test_the_same_fault_with_other_evidence_is_another_finding() -> None:
    now = vigil.begin(seen(finding("gpu-lost", "GPU 1 is lost.")))
    assert holds(vigil.after(now, seen(finding("gpu-lost", "GPU 0 is lost.")))) == "gpu-lost"


def test_other_figures_are_no_change() -> None:
    one = Finding(FAULTS["gpu-lost"], Evidence("lost.", (("memory", "1"),)))
    other = Finding(FAULTS["gpu-lost"], Evidence("lost.", (("memory", "2"),)))
    before = vigil.after(Vigil(), seen(one))
    now = vigil.after(before, seen(other))
    assert not vigil.changed(before, now)
    assert vigil.new(before, now) == ()
    assert now.findings == (other,)


def test_a_second_fault_is_a_change_and_alone_is_new() -> None:
    before = vigil.after(Vigil(), seen("gpu-lost"))
    now = vigil.after(before, seen("gpu-lost", "xid-reported"))
    assert vigil.changed(before, now)
    assert [item.fault.id for item in vigil.new(before, now)] == ["xid-reported"]


# What it does to a running app: nothing (ILL), new processes fail (NEW), it is stopped (RUNNING).
HARM = {
    "gpu-lost": Harm.RUNNING, "xid-reported": Harm.RUNNING, "probe-hung": Harm.RUNNING,
    "device-cgroup-denies": Harm.NEW, "gpu-node-missing": Harm.NEW, "uvm-node-missing": Harm.NEW, "nvidiactl-missing": Harm.NEW,
    "uvm-module-absent": Harm.NEW, "driver-library-mismatch": Harm.NEW, "fabric-in-progress": Harm.NEW,
}  # fmt: skip


@pytest.mark.parametrize("fault", HARM)
def test_a_finding_does_harm(fault: str) -> None:
    assert vigil.harm(finding(fault)) is HARM[fault]
    assert vigil.harm(finding(fault, stops=False)) is Harm.ILL


# For each policy in the order note, restart, hold, exit, relocate.
ACTS: dict[str, tuple[Finding, str]] = {
    "the GPU is lost": (finding("gpu-lost"), "note restart hold exit relocate"),
    "the driver hangs": (finding("probe-hung"), "note restart hold exit relocate"),
    "a fatal Xid": (finding("xid-reported"), "note restart hold exit relocate"),
    "an Xid of a process": (finding("xid-reported", stops=False), "note note note note note"),
    "the rights are lost: the app goes on": (finding("device-cgroup-denies"), "note note note exit relocate"),
    "nvidia-uvm is broken for new processes": (finding("uvm-open-fails"), "note note note exit relocate"),
    "a node that may come again": (finding("uvm-node-missing"), "note note note note note"),
    "the image's fault, not the host's": (finding("driver-library-mismatch"), "note note note note note"),
    "the fabric forms anew": (finding("fabric-in-progress"), "note note note note note"),
    "strangers hold memory": (finding("memory-held-by-strangers", stops=False), "note note note note note"),
    "NVML answers no more": (finding("nvml-failed", stops=False), "note note note note note"),
}


@pytest.mark.parametrize("case", ACTS)
def test_a_policy_makes_of_a_finding(case: str) -> None:
    found, expected = ACTS[case]
    assert " ".join(vigil.act(policy, found).value for policy in Policy) == expected


def test_the_worst_finding_decides() -> None:
    found = [finding("nvml-failed", stops=False), finding("uvm-node-missing"), finding("gpu-lost"), finding("xid-reported")]
    worst = vigil.worst(found)
    assert worst is not None
    assert worst.fault.id == "gpu-lost"
    assert vigil.worst([]) is None


def test_a_healthy_machine_under_watch_has_nothing_to_begin_with() -> None:
    assert vigil.begin(diagnose(dataclasses.replace(healthy(), cuda=watched().cuda))) == Vigil()
    assert holds(vigil.after(Vigil(), diagnose(nvml_gpu_changed(watched(), 0, error=15)))) == "gpu-lost"
