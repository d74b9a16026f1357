"""What the facts mean: every fault for which there is evidence, causes first. Pure."""

from __future__ import annotations

from firstlight.faults import granted
from firstlight.faults.catalogue import EXPLAINS, OF_THE_APP, OF_THE_MACHINE
from firstlight.faults.fault import Diagnosis, Evidence, Finding, Layer
from firstlight.faults.start import Start
from firstlight.probe.facts import Facts, Unknown

_UNEXPLAINED = "cuda-error-unexplained"


def diagnose(facts: Facts) -> Diagnosis:
    """All findings, in the order of the catalogue. The same facts always give the same diagnosis.

    A proof outweighs every sign of a fault: where each expected GPU computed rightly, only what is wrong all the same
    (`Evidence.stops` is False), or what keeps the app's framework from it, is a finding.
    """
    proven = granted.proof_is_whole(facts)
    findings: list[Finding] = []
    undecided: list[tuple[str, Unknown]] = []
    for fault in OF_THE_MACHINE:
        verdict = fault.evidence(facts)
        if isinstance(verdict, Unknown):
            undecided.append((fault.id, verdict))
        elif verdict is not None and not (proven and _refuted(verdict, fault.layer)):
            findings.append(Finding(fault, verdict))
    explained = _explained(findings)
    return Diagnosis(
        findings=tuple(finding for finding in findings if finding.fault.id not in explained),
        usable=granted.usable(facts),
        expected=granted.expected(facts),
        promised=granted.promised(facts),
        together=granted.together(facts),
        undecided=() if proven else tuple((name, reason) for name, reason in undecided if name not in explained),
    )


def of_app(start: Start) -> tuple[Finding, ...]:
    """What is wrong with an app, of whose start this was seen until now; in the order of the catalogue. What cannot be told is left out."""
    verdicts = [(fault, fault.evidence(start)) for fault in OF_THE_APP]
    findings = [Finding(fault, verdict) for fault, verdict in verdicts if isinstance(verdict, Evidence)]
    explained = _explained(findings)
    return tuple(finding for finding in findings if finding.fault.id not in explained)


def _refuted(evidence: Evidence, layer: Layer) -> bool:
    """Whether a whole proof shows that this does not stop CUDA. It says nothing of what a framework asks for."""
    return evidence.stops and layer is not Layer.FRAMEWORK


def _explained(findings: list[Finding]) -> set[str]:
    """The ids of faults whose cause is among the findings."""
    explained: set[str] = set()
    for finding in findings:
        explained |= EXPLAINS.get(finding.fault.id, frozenset())
        if finding.evidence.stops and finding.fault.id != _UNEXPLAINED:
            explained.add(_UNEXPLAINED)
    return explained
