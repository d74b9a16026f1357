"""The whole course of a run: bring CUDA up, let the app live, and again as the policy says, until somebody or something ends it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from firstlight.errors import CommandError, ExitCode
from firstlight.journal.event import Stage
from firstlight.probe import children, fingerprint
from firstlight.supervise import app as supervised, restart
from firstlight.system import chance, clock
from firstlight.system.loop import Requested

if TYPE_CHECKING:
    from firstlight.boot.conduct import Abandoned, Boot, Ready
    from firstlight.boot.parts import Parts
    from firstlight.probe.facts import Facts
    from firstlight.supervise.crew import Crew
    from firstlight.system.loop import Happening, Process

# What brings a run out of a hold, and a back-off to its end.
_AGAIN = frozenset({"retry", "restart", "rediagnose"})


@dataclass(kw_only=True)
class Course:
    """A run under way."""

    parts: Parts
    crew: Crew
    command: Sequence[str]
    bring_up: Callable[[float, tuple[object, ...]], Boot]  # from when it began, and the devices' fingerprint from before its first probe
    report: Callable[[Boot, Abandoned], None]  # shows why one was given up
    lives: int = 0
    facts: Facts | None = None  # of the last proof
    causes: dict[str, int] = field(default_factory=dict)  # of the restarts until now, how many each
    history: restart.History = field(default_factory=restart.History)


def run(course: Course, prover: Process | None) -> restart.End:
    """Give the exit code, and why. `prover` is the first proving child, already started; None where no GPU is wanted.

    Raises:
        CommandError: the app cannot be started (126 or 127).
        Stopped: a stop signal came while no app was running.
    """
    parts = course.parts
    started, seen = parts.started, parts.seen
    while True:
        proven = None
        if prover is not None:
            outcome = _bring_up(course, course.bring_up(started, seen), prover)
            if isinstance(outcome, restart.End):
                return outcome
            if outcome is None:
                started, seen = clock.now(), fingerprint.take()
                prover = _new_prover(parts)
                continue
            proven = outcome
        if parts.settings.dry_run:
            would = f"dry run: would start {course.command[0]}"
            parts.tell(would)
            return restart.End(int(ExitCode.OK), would)
        step = _live(course, proven)
        if isinstance(step, restart.End):
            return step
        started, seen = clock.now(), fingerprint.take()
        prover = _new_prover(parts) if step.to is restart.To.GPU and parts.settings.gpus != "none" else None


def _bring_up(course: Course, boot: Boot, prover: Process) -> Ready | restart.End | None:
    """Bring CUDA up. Where that is given up: our end, or None after a hold, for once more."""
    from firstlight.boot import conduct, prescribe

    parts = course.parts
    outcome = conduct.conduct(boot, prover)
    if isinstance(outcome, conduct.Rehearsed):
        would = f"dry run: would {outcome.would}"
        parts.tell(would)
        return restart.End(int(ExitCode.OK), would)
    if isinstance(outcome, conduct.Ready):
        parts.tell(conduct.readiness(boot, outcome))
        return outcome
    course.report(boot, outcome)
    parts.journal.write("give-up", Stage.END, code=int(outcome.step.code), reason=outcome.step.reason)
    if parts.settings.on_failure == "exit" or parts.settings.dry_run:
        cause = outcome.diagnosis.root_cause
        words = "" if cause is None else f"{cause.fault.id}: {cause.evidence.sentence}; "
        return restart.End(int(outcome.step.code), f"no GPU can be had: {words}{outcome.step.reason}")
    reason, asks = outcome.step.reason, None
    if parts.settings.on_failure == "relocate":
        if prescribe.elsewhere(outcome.step):
            asks = "relocate"
        else:  # a fault of the image or of the settings would go along, and each try is paid for
            reason += "; nothing says that the host is at fault, so no other one is asked for"
    _hold(parts, reason, asks)
    return None


def _live(course: Course, proven: Ready | None) -> restart.Restart | restart.End:
    """One life of the app, and what follows on it, once that may follow."""
    parts = course.parts
    course.lives += 1
    if proven is not None:
        course.facts = proven.facts
    held = None
    if proven is not None and parts.settings.holder:  # a prover that was told to hold for no time is about to end, and is no holder
        from firstlight.supervise.holder import Holder  # late: it knows of facts, and a start without a GPU of none

        held = Holder(parts.loop, parts.journal, proven.holder)
    try:
        reason = course.crew.before_life(course.lives, parts.environment)
        if reason:
            parts.tell(f"the app is not started now: {reason}")
            return _follow(course, restart.Ended(status=1, good=0.0, at=clock.now(), cause=restart.Cause.APP, words=reason))
        app = supervised.App(
            parts.loop,
            course.command,
            course.crew.environment(parts.environment),
            parts.settings,
            parts.journal,
            parts.tell,
            life=course.lives,
            output=course.crew.app_output(course.lives),
            before_stop=course.crew.stop,
        )
        parts.journal.write(
            "app-started",
            Stage.APP,
            pid=app.process.pid,
            command=list(course.command),
            life=course.lives,
            checks=course.crew.checks,
        )
        if held is not None:
            held.watch(app.process)
        course.crew.begin_life(course.lives, parts.environment, course.facts)
        app.watch(lambda requested: _ends_life(course, requested))
        good = course.crew.good
        ended = app.exit_code if app.process.status is None else app.process.status
        cause, words = course.crew.end_life(ended, stopped=app.stopped_by is not None)
        # Another life must not meet what this one left. Where none can follow and we are not PID 1, a daemon may outlive its command.
        again = app.asked is not None or policy(parts).when is not restart.When.NEVER
        app.end_leftovers(escaped=again or os.getpid() == 1)
        status = app.process.status
        parts.journal.write(
            "app-exited",
            Stage.STOP,
            code=app.exit_code,
            status=status,
            life=course.lives,
            orphans_reaped=parts.loop.children.orphans_reaped,
        )
    except CommandError as error:
        if course.lives == 1:
            raise  # it was never there; later the volume that it lies on may be away for a moment
        lost = restart.Ended(status=int(error.exit_code), good=0.0, at=clock.now(), cause=restart.Cause.APP, words=str(error))
        return _follow(course, lost)
    finally:
        if held is not None:
            held.end()
    return _next(course, app, good, cause, words)


def _next(course: Course, app: supervised.App, good: float, cause: restart.Cause, words: str) -> restart.Restart | restart.End:
    """What follows on a life; after a hold, or the pause before a restart."""
    parts = course.parts
    asked = app.asked
    if asked is not None and asked.action in ("hold", "relocate", "exit") and app.stopped_by is None:
        if asked.action == "exit":
            return restart.End(int(ExitCode.OTHER_HOST), asked.words)
        _hold(parts, asked.words, "relocate" if asked.action == "relocate" else None)
        return _restarted(course, restart.again(asked.words, course.history))
    if asked is not None:
        cause, words = restart.Cause(asked.cause), asked.words
    lost = app.process.status is None  # it does not go, and keeps what it has: another one beside it would not do better
    ended = restart.Ended(
        status=-9 if app.process.status is None else app.process.status,
        good=good,
        at=clock.now(),
        cause=cause,
        words=app.stopped_by or words,
        stopping=app.stopped_by is not None or lost,
    )
    return _follow(course, ended)


def _follow(course: Course, ended: restart.Ended) -> restart.Restart | restart.End:
    """What the policy makes of the end of a life."""
    parts = course.parts
    step = restart.after(ended, course.history, policy(parts), chance=chance.fraction())
    if isinstance(step, restart.End):
        if step.code == ExitCode.RESTART_LIMIT:
            parts.tell(f"giving up the app: {step.reason}")
            if parts.settings.on_failure != "exit":
                _hold(parts, step.reason, None)
                return _restarted(course, restart.again(step.reason, restart.History(restarts=course.history.restarts)))
        return step
    return _restarted(course, step)


def _restarted(course: Course, step: restart.Restart) -> restart.Restart:
    """Wait as long as the step says, and tell of it."""
    parts = course.parts
    course.history = step.history
    course.causes[step.cause.value] = course.causes.get(step.cause.value, 0) + 1
    parts.journal.write(
        "restart",
        Stage.BACKOFF,
        reason=step.reason,
        cause=step.cause.value,
        delay=round(step.delay, 3),
        count=step.history.restarts,
        causes=dict(course.causes),
        to=step.to.value,
    )
    first = "after a look at the GPU" if step.to is restart.To.GPU else f"in {step.delay:.1f} s"
    parts.tell(f"starting the app again {first}: {step.reason}")
    _await_order(parts, clock.now() + step.delay)
    return step


def _ends_life(course: Course, requested: Requested) -> bool:
    """Whether what somebody asks for ends this life of the app."""
    if requested.action == "rediagnose":
        course.crew.look()
        return False
    if requested.action == "restart":
        return restart.ends_life(restart.Cause(requested.cause), policy(course.parts))
    return requested.action in ("hold", "relocate", "exit")


def _hold(parts: Parts, reason: str, asks: str | None) -> None:
    """Stay up for a person, or for a control plane, until one of them says: again."""
    parts.journal.write("hold", Stage.HOLD, reason=reason, asks=asks)
    wish = " and asks to be moved to another host" if asks else ""
    parts.tell(f"holding: the container stays up{wish}; `firstlight doctor` says what is wrong now, `firstlight ctl retry` tries again")
    move = None
    if asks == "relocate":
        from firstlight.supervise.relocation import Relocation  # late: most runs never hold

        move = Relocation(parts.loop, parts.journal, parts.environment, parts.tell)
        parts.loop.guard.call(move.begin)
    try:
        order = _await_order(parts, None)
    finally:
        if move is not None:
            parts.loop.guard.call(move.end)
    parts.journal.write("retry", Stage.PROBE, reason=order.words if order is not None else "")


def _await_order(parts: Parts, until: float | None) -> Requested | None:
    """Wait until somebody wants it to go on, or until the monotonic time `until`.

    Raises:
        Stopped: somebody wants it to end.
    """
    orders: list[Requested] = []

    def note(happening: Happening) -> None:
        # What a check or the watch wanted was said of the life that is over.
        if isinstance(happening, Requested) and happening.action in _AGAIN and happening.cause == restart.Cause.ORDER.value:
            orders.append(happening)

    parts.loop.wait_for(lambda: bool(orders), until, note)
    return orders[0] if orders else None


def _new_prover(parts: Parts) -> Process:
    return children.prover(parts.loop, parts.environment, hold=0.0 if parts.settings.dry_run else parts.settings.holder)


def policy(parts: Parts) -> restart.Policy:
    """The user's restart policy."""
    settings = parts.settings
    return restart.Policy(
        when=restart.When(settings.restart),
        delay=settings.restart_delay,
        delay_max=settings.restart_delay_max,
        reset=settings.restart_reset,
        limit=settings.restart_limit,
        window=settings.restart_window,
        success=frozenset(settings.success_exit),
    )
