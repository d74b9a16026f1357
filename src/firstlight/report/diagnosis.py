"""A diagnosis, as `firstlight doctor` prints it: what is wrong, what works, what could not be told."""

from __future__ import annotations

from typing import Any

from firstlight.faults import reading
from firstlight.faults.fault import Diagnosis, Finding
from firstlight.probe.facts import Cause, CudaGpu, Facts, Unknown, encode as encode_facts
from firstlight.report import words
from firstlight.report.style import PLAIN, Style, fit, printable, wrap

# The shape of `encode`. Raise it when a field changes its meaning or goes away.
VERSION = 1


def verdict(found: Diagnosis) -> str:
    """well, usable-but-ill or ill."""
    if not found.usable:
        return "ill"
    return "usable-but-ill" if found.findings else "well"


def render(found: Diagnosis, facts: Facts, style: Style = PLAIN) -> str:
    """The diagnosis as text, without a newline at its end."""
    blocks = [
        [_headline(found, style)],
        *(_finding(finding, style) for finding in found.findings),
        [line for gpu in _gpus(facts) for line in _gpu(gpu, style)],
        _undecided(found, style),
    ]
    return fit("\n\n".join("\n".join(block) for block in blocks if block), style)


def encode(found: Diagnosis, facts: Facts) -> dict[str, Any]:
    """The diagnosis as JSON-ready data."""
    return {
        "version": VERSION,
        "verdict": verdict(found),
        "root_cause": found.root_cause.fault.id if found.root_cause else None,
        "usable": found.usable,
        "expected": encode_facts(found.expected),
        "promised": found.promised,
        "findings": [_encode_finding(finding) for finding in found.findings],
        "undecided": [{"fault": name, **encode_facts(reason)} for name, reason in found.undecided],
        "gpus": encode_facts(_gpus(facts)),
        "taken_at": facts.taken_at,
    }


def _encode_finding(finding: Finding) -> dict[str, Any]:
    fault = finding.fault
    return {
        "fault": fault.id,
        "layer": fault.layer.value,
        "stops_cuda": finding.evidence.stops,
        "sentence": finding.evidence.sentence,
        "quotes": [{"name": name, "value": value} for name, value in finding.evidence.quotes],
        "persistence": finding.persistence.value,
        "actor": fault.actor.value,
        "host_fault": fault.host_fault,
        "remedies": [remedy.value for remedy in fault.remedies],
        "advice": fault.advice,
    }


def _gpus(facts: Facts) -> tuple[CudaGpu, ...]:
    cuda = reading.asked_cuda(facts)
    return cuda.gpus if cuda else ()


def _headline(found: Diagnosis, style: Style) -> str:
    cause = found.root_cause
    works = words.usable(found.usable, found.expected)
    if verdict(found) == "well":
        return style.paint(f"CUDA works: {works}.", "green", "bold")
    if found.usable and cause is not None:
        return style.paint(f"CUDA can be used, {works}, but not all is well: {cause.fault.id}.", "yellow", "bold")
    why = f"the cause is {cause.fault.id}" if cause else "it was not proven on any GPU, and no fault was found"
    return style.paint(f"CUDA does not work: {why}.", "red", "bold")


def _finding(finding: Finding, style: Style) -> list[str]:
    fault, evidence = finding.fault, finding.evidence
    mark, colour = ("bad", "red") if evidence.stops else ("ill", "yellow")
    lines = [style.paint(f"{style.mark(mark)} {fault.id}", colour, "bold"), *wrap(printable(evidence.sentence), "  ")]
    for name, value in evidence.quotes:
        lines += [style.paint(line, "dim") for line in wrap(f"{printable(name)}: {printable(value)}", "      ", "    ")]
    lines += wrap(f"Who must act: {words.ACTOR[fault.actor]}; {words.TIME[finding.persistence]}.", "  ")
    return lines + wrap(fault.advice, "    ", f"  {style.mark('next')} ")


def _gpu(gpu: CudaGpu, style: Style) -> list[str]:
    name = printable(reading.known(gpu.name) or "a GPU without a name")
    place = printable(reading.known(gpu.uuid) or reading.known(gpu.bus_id) or "")
    title = " ".join(part for part in (f"GPU {gpu.ordinal}", name, place) if part)
    if reading.known(gpu.proven) is True:
        return wrap(f"{title}: its kernel computed rightly", "  ", f"{style.paint(style.mark('good'), 'green')} ")
    if isinstance(gpu.proven, Unknown) and not (reading.known(gpu.context) or reading.known(gpu.kernel)):
        return wrap(f"{title}: not proven ({printable(gpu.proven.reason)})", "  ", f"{style.mark('unknown')} ")
    return wrap(f"{title}: {_failure(gpu)}", "  ", f"{style.paint(style.mark('bad'), 'red')} ")


def _failure(gpu: CudaGpu) -> str:
    if reading.known(gpu.context):
        return f"the context gives {gpu.context}"
    return f"the kernel gives {gpu.kernel}" if reading.known(gpu.kernel) else "its kernel computed wrongly"


def _undecided(found: Diagnosis, style: Style) -> list[str]:
    """One line a reason: the faults that it leaves open. What nobody asked for is not worth a line."""
    by_reason: dict[str, list[str]] = {}
    for name, unknown in found.undecided:
        if unknown.cause is not Cause.NOT_ASKED:
            by_reason.setdefault(unknown.reason, []).append(name)
    lines: list[str] = []
    for reason, names in by_reason.items():
        lines += wrap(f"cannot tell whether it is {_either(names)}: {printable(reason)}", "  ", f"{style.mark('unknown')} ")
    return lines


def _either(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
