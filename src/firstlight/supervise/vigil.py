"""What the looks at running GPUs amount to: which findings hold, and what a policy wants done about them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum, IntEnum

from firstlight.faults.fault import Diagnosis, Finding, Layer, Persistence

# Consecutive looks after which a finding holds, and after which one that is seen no more is over.
CONFIRMED_AFTER = 2
CLEARED_AFTER = 2

# What one look is enough for: the kernel refused by rule, the driver gave the GPU up, or it was reported once and will not be again.
_UNMISTAKABLE = frozenset({"device-cgroup-denies", "gpu-lost", "xid-reported"})

# A running app keeps the variables, limits and libraries that it was started with, and what its framework needs was judged then.
_FIXED_LAYERS = frozenset({Layer.ENVIRONMENT, Layer.FRAMEWORK})

# Where the GPU itself is gone or silent, what runs on it ends. All other faults stop what opens the GPU anew.
_STOPS_WHAT_RUNS = frozenset({"gpu-lost", "probe-hung", "xid-reported"})


class Harm(IntEnum):
    """What a finding does to an app that runs, in order."""

    ILL = 1  # nothing that was seen stops it
    NEW = 2  # it goes on, and a new process gets no CUDA: a worker that it starts, or itself after a restart
    RUNNING = 3  # it is stopped, or soon will be


class Policy(Enum):
    """What is to be done about a GPU that fails under a running app: the setting `on-gpu-fault`."""

    NOTE = "note"
    RESTART = "restart"
    HOLD = "hold"
    EXIT = "exit"
    RELOCATE = "relocate"


Act = Policy  # what is done is one of the same words


@dataclass(frozen=True)
class Streak:
    """One fault over the last looks. `seen` and `missed` count in a row; the other is 0."""

    finding: Finding
    seen: int = 1
    missed: int = 0
    holds: bool = False


@dataclass(frozen=True)
class Vigil:
    """What is known after some looks. `known` are findings as they were before the first one: CUDA worked in spite of them."""

    known: frozenset[tuple[str, str]] = frozenset()
    streaks: tuple[Streak, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What holds now, in the order of the catalogue."""
        return tuple(streak.finding for streak in self.streaks if streak.holds)


def begin(before: Diagnosis) -> Vigil:
    """A vigil over an app that was started on a machine of this diagnosis, made without CUDA's own word."""
    return Vigil(known=frozenset(map(_name, before.findings)))


def after(vigil: Vigil, diagnosis: Diagnosis) -> Vigil:
    """The vigil after one more look.

    A finding holds once it was seen in two looks running, or at once where it cannot be mistaken; it is over after two looks
    without it. A look that cannot tell counts as neither.
    """
    seen = {finding.fault.id: finding for finding in diagnosis.findings if _matters(vigil, finding)}
    untold = {name for name, _ in diagnosis.undecided}
    before = {streak.finding.fault.id: streak for streak in vigil.streaks}
    order = [finding.fault.id for finding in diagnosis.findings]
    names = [name for name in order if name in seen] + [name for name in before if name not in seen]
    streaks = [_next(before.get(name), seen.get(name), told=name not in untold) for name in names]
    return replace(vigil, streaks=tuple(streak for streak in streaks if streak is not None))


def _matters(vigil: Vigil, finding: Finding) -> bool:
    return finding.fault.layer not in _FIXED_LAYERS and _name(finding) not in vigil.known


def _name(finding: Finding) -> tuple[str, str]:
    return finding.fault.id, finding.evidence.sentence


def _next(before: Streak | None, finding: Finding | None, *, told: bool) -> Streak | None:
    """A fault's streak after a look that found it, did not find it, or cannot tell; None where nothing of it is left."""
    if finding is not None:
        seen = before.seen + 1 if before else 1
        holds = (before is not None and before.holds) or seen >= CONFIRMED_AFTER or finding.fault.id in _UNMISTAKABLE
        return Streak(finding, seen=seen, holds=holds)
    if before is None or not told:
        return before
    missed = before.missed + 1
    return replace(before, seen=0, missed=missed) if before.holds and missed < CLEARED_AFTER else None


def changed(before: Vigil, now: Vigil) -> bool:
    """Whether what holds is another thing than before."""
    return list(map(_name, before.findings)) != list(map(_name, now.findings))


def new(before: Vigil, now: Vigil) -> tuple[Finding, ...]:
    """What holds now and did not before."""
    names = set(map(_name, before.findings))
    return tuple(finding for finding in now.findings if _name(finding) not in names)


def harm(finding: Finding) -> Harm:
    """What a finding does to the app that runs."""
    if not finding.evidence.stops:
        return Harm.ILL
    return Harm.RUNNING if finding.fault.id in _STOPS_WHAT_RUNS else Harm.NEW


def worst(findings: Iterable[Finding]) -> Finding | None:
    """The finding that does most harm, the first of several; None where there is none."""
    return max(findings, key=harm, default=None)


def act(policy: Policy, finding: Finding) -> Act:
    """What to do about a finding. Never more than the policy asks for, and nothing that would end an app which goes on for no gain.

    - What is ill but works is noted.
    - Where new processes alone fail, a restart or a hold would end the one process that still works. To leave is right where time does
      not cure it and another host does.
    - Where what runs is stopped, the policy has its way.
    """
    does = harm(finding)
    if does is Harm.RUNNING:
        return policy
    doomed = does is Harm.NEW and finding.persistence is Persistence.PERMANENT and finding.fault.host_fault
    return policy if doomed and policy in (Policy.EXIT, Policy.RELOCATE) else Policy.NOTE
