"""Builds every part once, in order. Read this first.

The order is that of the clock: the proving child is started with as few imports as can be, and everything else is
imported and read while it brings CUDA up.
"""

from __future__ import annotations

import os
import signal
import sys

from firstlight.errors import ExitCode, Stopped
from firstlight.probe import children, fingerprint
from firstlight.supervise import command as app_command
from firstlight.system import clock, standard_error
from firstlight.system.happening import Exited
from firstlight.system.loop import Loop

TYPE_CHECKING = False  # `typing` has the same name, and costs two milliseconds before the first probe
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from firstlight.boot.conduct import Abandoned, Boot, Ready
    from firstlight.faults.fault import Remedy
    from firstlight.journal.journal import Journal
    from firstlight.settings import Settings
    from firstlight.system.loop import Happening
    from firstlight.system.process import Process


class Parts:
    """What a boot is made of.

    Attributes:
        environment: the app's; remedies change it on the way.
        started: when the boot began, in monotonic seconds.
        seen: the fingerprint of the devices from before the first probe.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        environment: dict[str, str],
        loop: Loop,
        journal: Journal,
        tell: Callable[[str], None],
        started: float,
        seen: tuple[object, ...],
    ) -> None:
        self.settings = settings
        self.environment = environment
        self.loop = loop
        self.journal = journal
        self.tell = tell
        self.started = started
        self.seen = seen


def run(settings: Settings, command: Sequence[str], variables: Mapping[str, str], inherited_mask: Iterable[int]) -> int:
    """`firstlight run`: a whole boot, and the app's life. Give the exit code.

    Raises:
        CommandError: the command does not exist (127) or may not be executed (126). Nothing was started then.
    """
    started = clock.now()
    app_command.find(command[0], variables)
    environment = app_environment(variables)
    loop = Loop(inherited_mask)
    seen = fingerprint.take()
    prover = None
    if settings.gpus != "none":
        prover = children.prover(loop, environment, hold=_hold(settings))

    # CUDA is coming up: from here on an import costs nothing.
    from firstlight.journal import journal as boot_journal
    from firstlight.journal.event import Stage

    directory = None if settings.dry_run else settings.state_dir or boot_journal.default_directory(variables)
    journal = boot_journal.Journal(loop, directory, environment, started=started)
    tell = _say_nothing if settings.quiet else standard_error.say
    parts = Parts(settings=settings, environment=environment, loop=loop, journal=journal, tell=tell, started=started, seen=seen)
    journal.write("boot", Stage.START, command=list(command), pid=os.getpid(), settings=vars(settings))
    code = int(ExitCode.INTERNAL)
    try:
        code = _boot(parts, command, prover)
    except Stopped as stopped:
        parts.tell(f"stopped by signal {stopped.signal} before the app was started")
        code = 128 + stopped.signal
    finally:
        _end_children(loop, journal)
        journal.write("end", Stage.END, code=code)
        journal.close()
    return code


def cured_environment(variables: Mapping[str, str], inherited_mask: Iterable[int], *, quiet: bool) -> tuple[int, dict[str, str | None]]:
    """`firstlight env`: cure what the environment alone can cure, wait for nothing. Give run's exit code and what changed."""
    from firstlight import settings as run_settings
    from firstlight.boot import conduct
    from firstlight.faults.fault import Remedy
    from firstlight.journal import journal as boot_journal

    settings = run_settings.load({}, variables).changed(attempts=1, deadline=0.0, holder=0.0, dry_run=False)
    loop = Loop(inherited_mask)
    environment = app_environment(variables)
    started = clock.now()
    parts = Parts(
        settings=settings,
        environment=environment,
        loop=loop,
        journal=boot_journal.Journal(loop, None, environment, started=started),
        tell=_say_nothing if quiet else standard_error.say,
        started=started,
        seen=fingerprint.take(),
    )
    code = ExitCode.OK
    try:
        if settings.gpus != "none":
            boot = _build(parts, frozenset({Remedy.REWRITE_VISIBLE_DEVICES, Remedy.FIX_LIBRARY_PATH}))
            outcome = conduct.conduct(boot, children.prover(loop, environment, hold=0))
            code = outcome.step.code if isinstance(outcome, conduct.Abandoned) else ExitCode.OK
    finally:
        _end_children(loop, parts.journal)
        loop.close()
    changed = {name: environment.get(name) for name in sorted({*environment, *variables}) if environment.get(name) != variables.get(name)}
    return int(code), changed


def app_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """The app's environment before any remedy. Every probe is asked in the same one."""
    # An entry without a name, or with a second "=" in front, can be inherited and cannot be passed on.
    environment = {name: value for name, value in variables.items() if name and "=" not in name}
    # With this order CUDA numbers the GPUs as nvidia-smi does; its own default puts the fastest first.
    environment.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    return environment


def _hold(settings: Settings) -> float:
    """How long a prover is to hold the driver open, in seconds: a dry run starts no app that could gain by it."""
    return 0.0 if settings.dry_run else settings.holder


def _build(parts: Parts, allowed: frozenset[Remedy]) -> Boot:
    from firstlight.boot import conduct, prescribe

    settings = parts.settings
    return conduct.Boot(
        loop=parts.loop,
        journal=parts.journal,
        policy=prescribe.Policy(
            gpus=settings.gpus, attempts=settings.attempts, delay=settings.delay, deadline=settings.deadline, allowed=allowed
        ),
        environment=parts.environment,
        started=parts.started,
        probe_timeout=settings.probe_timeout,
        hold=_hold(settings),
        torch=settings.torch,
        tell=parts.tell,
        seen=parts.seen,
        dry_run=settings.dry_run,
    )


def _boot(parts: Parts, command: Sequence[str], prover: Process | None) -> int:
    """From the first probe to the app's end."""
    if prover is None:
        return _start(parts, command, None)
    from firstlight.boot import conduct

    boot = _build(parts, conduct.allowed_remedies(parts.settings.allow))
    outcome = conduct.conduct(boot, prover)
    if isinstance(outcome, conduct.Abandoned):
        return _give_up(parts, boot, outcome)
    if isinstance(outcome, conduct.Rehearsed):
        parts.tell(f"dry run: would {outcome.would}")
        return int(ExitCode.OK)
    parts.tell(_readiness(boot, outcome))
    # A prover that was told to hold for no time is about to end, and is no holder.
    return _start(parts, command, outcome.holder if parts.settings.holder else None)


def _start(parts: Parts, command: Sequence[str], holder: Process | None) -> int:
    """Start the app and look after it until it ends."""
    if parts.settings.dry_run:
        parts.tell(f"dry run: would start {command[0]}")
        return int(ExitCode.OK)
    from firstlight.journal.event import Stage
    from firstlight.probe import answers
    from firstlight.supervise import app

    def started(process: Process) -> None:
        if holder is not None and not holder.ended:
            # So that the holder can see the app's own context come up, and let go.
            parts.loop.write(holder, f"app {process.pid}\n".encode())

    def note_release(held: Process) -> None:
        why = next((step["why"] for step in answers.steps(held) if step["step"] == "released"), "it died")
        parts.journal.write("holder", Stage.APP, released=why)

    def note(happening: Happening) -> None:
        if holder is not None and isinstance(happening, Exited) and happening.process is holder:
            note_release(holder)

    if holder is not None and holder.ended:
        note_release(holder)
    parts.loop.listeners.append(note)
    try:
        return app.run(
            parts.loop,
            command,
            parts.environment,
            grace=parts.settings.grace,
            journal=parts.journal,
            on_start=started,
            tell=parts.tell,
        )
    finally:
        # From here on we end the holder ourselves, and the journal is about to be closed.
        parts.loop.listeners.remove(note)


def _give_up(parts: Parts, boot: Boot, outcome: Abandoned) -> int:
    """Say why, on one screen; then end, or stay up for a person."""
    from firstlight.journal.event import Stage
    from firstlight.report import give_up
    from firstlight.report.style import choose

    style = choose(os.environ, terminal=os.isatty(2), encoding=sys.stderr.encoding)
    holds = parts.settings.on_failure == "hold" and not parts.settings.dry_run
    report = give_up.render(
        outcome.diagnosis, outcome.step, treatments=boot.treatments, attempts=boot.attempts, elapsed=boot.elapsed, style=style
    )
    standard_error.write(report)
    stage = Stage.HOLD if holds else Stage.END
    parts.journal.write("give-up", stage, code=int(outcome.step.code), reason=outcome.step.reason)
    if holds:
        parts.tell("holding: the container stays up so that you can log in; `firstlight doctor` says what is wrong now")
        parts.loop.wait_for(lambda: False, None)
    return int(outcome.step.code)


def _readiness(boot: Boot, ready: Ready) -> str:
    """One line: how many GPUs are proven, which, and how long it took."""
    from firstlight.probe.facts import Unknown

    gpus = () if isinstance(ready.facts.cuda, Unknown) else ready.facts.cuda.gpus
    names = ", ".join(sorted({str(gpu.name) for gpu in gpus if gpu.proven is True}))
    count = ready.diagnosis.usable
    return f"CUDA proven on {count} GPU{'s' if count != 1 else ''} ({names}) after {boot.elapsed:.2f} s"


def _end_children(loop: Loop, journal: Journal) -> None:
    """End every child that is left, except the one that writes the last lines.

    Nobody waits for them: the driver takes a while to clear up after a holder, and whoever started us needs not.
    """
    for process in list(loop.children.running.values()):
        if process is not journal.writer:
            loop.children.send(process, signal.SIGKILL)


def _say_nothing(line: str) -> None:
    """What `--quiet` puts in place of `standard_error.say`."""
