"""What to do next. Pure: a diagnosis, what was tried and what the user wants go in; one step comes out."""

from __future__ import annotations

from dataclasses import dataclass

from firstlight.errors import ExitCode
from firstlight.faults import granted
from firstlight.faults.fault import Diagnosis, Finding, Persistence, Remedy
from firstlight.probe.facts import Unknown


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What the user wants."""

    gpus: str  # "all", "any", "none" or a number
    attempts: int
    delay: float  # seconds
    deadline: float  # seconds since the boot began
    allowed: frozenset[Remedy]  # remedies that may be done


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What was tried until now."""

    attempts: int  # probes made by the clock; those that a change in /dev woke are free
    elapsed: float  # seconds since the boot began
    tried: frozenset[tuple[str, Remedy]] = frozenset()  # (sentence of the evidence, remedy)


@dataclass(frozen=True)
class Proceed:
    """Start the app. `only_proven`: some GPU is bad or missing, so show the app the proven ones alone."""

    only_proven: bool


@dataclass(frozen=True)
class Treat:
    """Try a remedy against a finding, then probe again."""

    finding: Finding
    remedy: Remedy


@dataclass(frozen=True)
class Wait:
    """Wait for something to change, `seconds` at most, then probe again. `finding` is what time may cure."""

    finding: Finding | None
    seconds: float


@dataclass(frozen=True)
class GiveUp:
    """End the boot with this exit code. `finding` is the root cause, if there is one."""

    finding: Finding | None
    code: ExitCode
    reason: str


Step = Proceed | Treat | Wait | GiveUp


def prescribe(diagnosis: Diagnosis, progress: Progress, policy: Policy) -> Step:
    """The next step."""
    if enough(diagnosis, policy.gpus):
        return Proceed(only_proven=not diagnosis.together or _short_of_grant(diagnosis))
    remedy = _untried(diagnosis, progress, policy)
    if remedy is not None:
        return remedy
    stopping = _stopping(diagnosis)
    hopeless = next((finding for finding in stopping if not _may_pass(finding, diagnosis)), None)
    if hopeless is not None:
        return _give_up(diagnosis, f"waiting cannot cure {hopeless.fault.id}")
    if not stopping and not diagnosis.promised:
        return _give_up(diagnosis, "nothing says that this container has a GPU to wait for")
    if not stopping and diagnosis.usable and not _short_of_grant(diagnosis):
        # Whatever else was found stops nothing: no fault of this machine is the cause.
        return GiveUp(None, ExitCode.NO_GPU, f"all GPUs granted to this container work, and --gpus {policy.gpus} asks for more")
    left = policy.deadline - progress.elapsed
    if left <= 0:
        return _give_up(diagnosis, f"the deadline of {policy.deadline:g} s has passed")
    awaited = stopping[0] if stopping else None
    patient = awaited is not None and awaited.persistence is Persistence.TRANSIENT
    if progress.attempts >= policy.attempts and not patient:
        return _give_up(diagnosis, "it did not pass, and no attempt is left")
    return Wait(awaited, min(policy.delay, left))


def enough(diagnosis: Diagnosis, gpus: str) -> bool:
    """Whether as many GPUs are proven as `gpus` asks for."""
    if gpus == "none":
        return True
    if gpus == "any":
        return diagnosis.usable >= 1
    if gpus == "all":
        return diagnosis.together and diagnosis.usable >= (1 if isinstance(diagnosis.expected, Unknown) else max(diagnosis.expected, 1))
    return diagnosis.usable >= int(gpus)


def elsewhere(end: GiveUp) -> bool:
    """Whether another host may have what this one lacks: it is at fault, or RunPod has started the pod without its GPU.

    The latter is no other container's matter: who starts one without `--gpus all` gets none on any host.
    """
    if end.code is ExitCode.OTHER_HOST:
        return True
    return end.finding is not None and (granted.COUNT, "0") in end.finding.evidence.quotes


def _untried(diagnosis: Diagnosis, progress: Progress, policy: Policy) -> Treat | None:
    """The first remedy, root cause first, that may be done and was not tried against this very evidence."""
    for finding in _stopping(diagnosis) or diagnosis.findings:
        for remedy in finding.fault.remedies:
            if remedy in policy.allowed and (finding.evidence.sentence, remedy) not in progress.tried:
                return Treat(finding, remedy)
    return None


def _stopping(diagnosis: Diagnosis) -> tuple[Finding, ...]:
    """The findings that keep CUDA from working."""
    return tuple(finding for finding in diagnosis.findings if finding.evidence.stops)


def _may_pass(finding: Finding, diagnosis: Diagnosis) -> bool:
    """Whether time may cure it: a bounded fault is worth a wait only where a GPU was promised."""
    if finding.persistence is Persistence.BOUNDED:
        return diagnosis.promised
    return finding.persistence is Persistence.TRANSIENT


def _short_of_grant(diagnosis: Diagnosis) -> bool:
    return not isinstance(diagnosis.expected, Unknown) and diagnosis.usable < diagnosis.expected


def _give_up(diagnosis: Diagnosis, reason: str) -> GiveUp:
    cause = diagnosis.root_cause
    at_host = cause is not None and cause.fault.host_fault
    return GiveUp(cause, ExitCode.OTHER_HOST if at_host else ExitCode.NO_GPU, reason)
