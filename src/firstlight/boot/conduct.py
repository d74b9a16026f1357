"""The cold start as a loop: probe, diagnose, prescribe, do; until the app can be started or nothing more can be done."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from firstlight.boot import prescribe
from firstlight.boot.prescribe import GiveUp, Policy, Proceed, Progress, Treat, Wait
from firstlight.errors import ExitCode
from firstlight.faults import diagnose
from firstlight.faults.fault import Diagnosis, Finding, Persistence, Remedy
from firstlight.journal.event import Stage
from firstlight.probe import children, collect, fingerprint
from firstlight.probe.facts import Facts, Unknown, encode
from firstlight.remedies import apply
from firstlight.remedies.plan import Applied, Failed, Refused, Risk
from firstlight.system import clock
from firstlight.system.loop import Changed, Requested

if TYPE_CHECKING:
    from firstlight.journal.journal import Journal
    from firstlight.system.loop import Happening, Loop
    from firstlight.system.process import Process

# How often a wait looks at /proc, which tells nobody when it changes, in seconds. /dev wakes us by itself.
_PROC_PERIOD = 0.5
# How often a long wait says that it still waits, in seconds.
_STILL_PERIOD = 10.0


@dataclass(kw_only=True)
class Boot:
    """One boot under way. `environment` is what the app will get; remedies change it."""

    loop: Loop
    journal: Journal
    policy: Policy
    environment: dict[str, str]
    started: float  # monotonic
    probe_timeout: float
    hold: float
    torch: str
    tell: Callable[[str], None]
    seen: tuple[object, ...]  # the devices' fingerprint from before the last probe
    dry_run: bool = False
    attempts: int = 1  # the first probe, and each that the clock woke; a treatment or a change in /dev costs none
    tried: set[tuple[str, Remedy]] = field(default_factory=set)
    treatments: list[str] = field(default_factory=list)  # what was done, for the report
    told: set[str] = field(default_factory=set)  # causes and waits that were said, each once
    told_at: float = 0.0  # when a wait was last spoken of

    @property
    def elapsed(self) -> float:
        """Seconds since the boot began."""
        return clock.now() - self.started


@dataclass(frozen=True, kw_only=True)
class Ready:
    """The app can be started. `holder` is the proving child, which keeps the driver open for it."""

    facts: Facts
    diagnosis: Diagnosis
    holder: Process


@dataclass(frozen=True, kw_only=True)
class Abandoned:
    """The boot gave up."""

    facts: Facts
    diagnosis: Diagnosis
    step: GiveUp


@dataclass(frozen=True, kw_only=True)
class Rehearsed:
    """A dry run came to a step that would change something, or wait."""

    diagnosis: Diagnosis
    would: str


def conduct(boot: Boot, prover: Process) -> Ready | Abandoned | Rehearsed:
    """Bring CUDA up. `prover` is the first proving child, already started."""
    boot.loop.watch("/dev")
    try:
        while True:
            facts, diagnosis = examine(boot, prover)
            _tell_cause(boot, diagnosis)
            step = _next_step(boot, facts, diagnosis)
            if isinstance(step, Proceed):
                return _ready(boot, facts, diagnosis, step, prover)
            boot.loop.end(prover)
            if isinstance(step, GiveUp):
                return Abandoned(facts=facts, diagnosis=diagnosis, step=step)
            if boot.dry_run:
                return Rehearsed(diagnosis=diagnosis, would=_intention(boot, facts, step))
            if isinstance(step, Treat):
                _treat(boot, facts, step)
            else:
                _wait(boot, step)
            boot.seen = fingerprint.take()
            prover = children.prover(boot.loop, boot.environment, hold=boot.hold)
    finally:
        boot.loop.unwatch("/dev")


def allowed_remedies(asked: Iterable[str]) -> frozenset[Remedy]:
    """The remedies that may be done: those that need no asking, and those asked for by name."""
    return frozenset(remedy for remedy in Remedy if apply.risk(remedy) is not Risk.ASKED_ONLY or remedy.value in asked)


def examine(boot: Boot, prover: Process) -> tuple[Facts, Diagnosis]:
    """Facts and their diagnosis: the proving child alone when it tells that all is well, every other probe when not."""
    boot.journal.write("stage", Stage.PROBE, attempt=boot.attempts)
    facts = collect.with_prover(boot.loop, boot.environment, prover, boot.probe_timeout, boot.tell)
    diagnosis = diagnose.diagnose(facts)
    if not prescribe.enough(diagnosis, boot.policy.gpus) or diagnosis.findings:
        facts = collect.complete(boot.loop, boot.environment, facts, boot.probe_timeout, boot.tell, interpreter=boot.torch)
        diagnosis = diagnose.diagnose(facts)
    _record(boot, facts, diagnosis)
    return facts, diagnosis


def readiness(boot: Boot, ready: Ready) -> str:
    """One line: how many GPUs are proven, which, and how long it took."""
    gpus = () if isinstance(ready.facts.cuda, Unknown) else ready.facts.cuda.gpus
    names = ", ".join(sorted({str(gpu.name) for gpu in gpus if gpu.proven is True}))
    count = ready.diagnosis.usable
    return f"CUDA proven on {count} GPU{'s' if count != 1 else ''} ({names}) after {boot.elapsed:.2f} s"


def _progress(boot: Boot) -> Progress:
    return Progress(attempts=boot.attempts, elapsed=boot.elapsed, tried=frozenset(boot.tried))


def _ready(boot: Boot, facts: Facts, diagnosis: Diagnosis, step: Proceed, prover: Process) -> Ready | Abandoned:
    """Show the app the proven GPUs alone where some are bad. Those that were proven one by one must also work together."""
    if step.only_proven and not isinstance(facts.cuda, Unknown):
        proven = [gpu.uuid for gpu in facts.cuda.gpus if gpu.proven is True and isinstance(gpu.uuid, str)]
        boot.environment["CUDA_VISIBLE_DEVICES"] = ",".join(proven)
        boot.tell(f"showing the app {'the one GPU that works' if len(proven) == 1 else f'the {len(proven)} GPUs that work'}, and no other")
    if diagnosis.together:
        return Ready(facts=facts, diagnosis=diagnosis, holder=prover)
    boot.loop.end(prover)
    prover = children.prover(boot.loop, boot.environment, hold=boot.hold)
    joint = diagnose.diagnose(collect.with_prover(boot.loop, boot.environment, prover, boot.probe_timeout, boot.tell))
    if joint.usable == diagnosis.usable:
        return Ready(facts=facts, diagnosis=diagnosis, holder=prover)
    end = GiveUp(diagnosis.root_cause, ExitCode.OTHER_HOST, "GPUs that work alone do not work together")
    return Abandoned(facts=facts, diagnosis=diagnosis, step=end)


def _tell_cause(boot: Boot, diagnosis: Diagnosis) -> None:
    """Say the cause as soon as it is seen, not after the wait."""
    if diagnosis.root_cause is not None:
        _tell_once(boot, _cause(diagnosis.root_cause))


def _next_step(boot: Boot, facts: Facts, diagnosis: Diagnosis) -> prescribe.Step:
    """What is prescribed, once the remedies that do not fit this machine are left out: they change nothing that a new probe could see."""
    while True:
        step = prescribe.prescribe(diagnosis, _progress(boot), boot.policy)
        if not isinstance(step, Treat) or not isinstance(apply.plan(step.remedy, facts, boot.environment), Refused):
            return step
        _treat(boot, facts, step)


def _tell_wait(boot: Boot, step: Wait) -> None:
    """Say what is waited for, and how long; later only that it is still there, now and then."""
    if _tell_once(boot, f"waiting for {_hope(boot, step)}; a change in /dev is seen at once"):
        boot.told_at = clock.now()
    elif clock.now() - boot.told_at >= _STILL_PERIOD:
        boot.told_at = clock.now()
        boot.tell(f"still waiting after {boot.elapsed:.0f} s, attempt {boot.attempts}, for {_hope(boot, step)}")


def _tell_once(boot: Boot, words: str) -> bool:
    """Say what was not said before; whether it was said now."""
    if words in boot.told:
        return False
    boot.told.add(words)
    boot.tell(words)
    return True


def _cause(finding: Finding) -> str:
    return f"{finding.fault.id}: {finding.evidence.sentence}"


def _hope(boot: Boot, step: Wait) -> str:
    """What is waited for, and for how long at the most."""
    if step.finding is None:
        what, patient = "more GPUs, though no fault is to be seen", False
    else:
        what, patient = f"{step.finding.fault.id} to pass", step.finding.persistence is Persistence.TRANSIENT
    policy = boot.policy
    return f"{what}, up to {f'{policy.deadline:g} s' if patient else f'{policy.attempts} attempts {policy.delay:g} s apart'}"


def _intention(boot: Boot, facts: Facts, step: Treat | Wait) -> str:
    if isinstance(step, Wait):
        return f"wait for {_hope(boot, step)}"
    return f"{step.remedy.value}: {apply.plan(step.remedy, facts, boot.environment)}"


def _treat(boot: Boot, facts: Facts, step: Treat) -> None:
    """Apply one remedy. Whether it helped is for the next probe to say."""
    _tell_once(boot, _cause(step.finding))
    boot.tried.add((step.finding.evidence.sentence, step.remedy))
    planned = apply.plan(step.remedy, facts, boot.environment)
    outcome = planned if isinstance(planned, Refused) else apply.perform(planned, boot.environment)
    if isinstance(outcome, Applied):
        for name, value in outcome.environment.items():
            if value is None:
                boot.environment.pop(name, None)
            else:
                boot.environment[name] = value
        words = "; ".join((*outcome.done, *outcome.failures))
        boot.tell(f"{step.remedy.value}: {words}")
    else:
        words = outcome.reason
        boot.tell(f"{step.remedy.value} is not to be had: {words}")
    boot.treatments.append(f"{step.remedy.value}: {words}")
    kind = {Applied: "applied", Refused: "refused", Failed: "failed"}[type(outcome)]
    risk = apply.risk(step.remedy).value
    boot.journal.write("remedy", Stage.TREAT, fault=step.finding.fault.id, remedy=step.remedy.value, outcome=kind, words=words, risk=risk)


def _wait(boot: Boot, step: Wait) -> None:
    """Wait until the devices change or the time is over. Only the latter counts as an attempt."""
    _tell_wait(boot, step)
    boot.journal.write("wait", Stage.WAIT, seconds=step.seconds, fault=step.finding.fault.id if step.finding else "")
    changes: list[Changed] = []
    orders: list[Requested] = []

    def note(happening: Happening) -> None:
        if isinstance(happening, Changed):
            changes.append(happening)
        elif isinstance(happening, Requested) and happening.cause == "order":
            orders.append(happening)

    until = clock.now() + step.seconds
    while clock.now() < until:
        boot.loop.wait_for(lambda: bool(changes or orders), min(clock.now() + _PROC_PERIOD, until), note)
        changes.clear()
        if orders:
            return  # somebody wants to know now
        if fingerprint.take() != boot.seen:
            boot.journal.write("note", Stage.WAIT, words="the devices changed")
            return
    boot.attempts += 1


def _record(boot: Boot, facts: Facts, diagnosis: Diagnosis) -> None:
    """Write facts and diagnosis into the journal; whole facts only when something is wrong."""
    if diagnosis.findings or not diagnosis.usable:
        boot.journal.write("facts", Stage.PROBE, facts=encode(facts))
    for finding in diagnosis.findings:
        boot.journal.write(
            "finding",
            Stage.DIAGNOSE,
            fault=finding.fault.id,
            sentence=finding.evidence.sentence,
            quotes=dict(finding.evidence.quotes),
            persistence=finding.persistence.value,
            actor=finding.fault.actor.value,
            stops=finding.evidence.stops,
        )
    expected = None if isinstance(diagnosis.expected, Unknown) else diagnosis.expected
    driver = None if isinstance(facts.driver, Unknown) or isinstance(facts.driver.version, Unknown) else facts.driver.version
    boot.journal.write("diagnosis", Stage.DIAGNOSE, usable=diagnosis.usable, expected=expected, promised=diagnosis.promised, driver=driver)
    if isinstance(facts.cuda, Unknown):
        return
    for node in facts.cuda.nodes_created:
        boot.journal.write("remedy", Stage.PROBE, remedy="driver-created-node", outcome="applied", words=f"libcuda itself made {node}")
        boot.tell(f"libcuda itself made {node} while it was probed")
    for gpu in facts.cuda.gpus:
        boot.journal.write("proof", Stage.PROVE, gpu=encode(gpu), seconds=dict(facts.cuda.seconds))
