"""Builds every part once, in order. Read this first.

The order is that of the clock: the proving child is started with as few imports as can be, and everything else is
imported and read while it brings CUDA up.
"""

from __future__ import annotations

import os
import signal
import sys

from firstlight.boot.parts import Parts
from firstlight.errors import Error, ExitCode, Stopped
from firstlight.probe import children, fingerprint
from firstlight.supervise import command as app_command
from firstlight.system import clock, files, standard_error
from firstlight.system.loop import Loop

TYPE_CHECKING = False  # `typing` has the same name, and costs two milliseconds before the first probe
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from firstlight.boot.conduct import Abandoned, Boot
    from firstlight.faults.fault import Remedy
    from firstlight.journal.journal import Journal
    from firstlight.settings import Settings
    from firstlight.supervise.chosen import Chosen
    from firstlight.supervise.crew import Crew
    from firstlight.supervise.restart import End
    from firstlight.system.process import Process

# Where Kubernetes has put a file for it, and as much as it takes.
_TERMINATION_LOG = "/dev/termination-log"
_TERMINATION_LIMIT = 4096


def run(settings: Settings, command: Sequence[str], variables: Mapping[str, str], inherited_mask: Iterable[int]) -> int:
    """`firstlight run`: the whole course, from the first probe to the app's last end. Give the exit code.

    Raises:
        CommandError: the command does not exist (127) or may not be executed (126). Nothing was started then.
        SettingsError, UsageError: a check or a companion makes no sense. Nothing was started then.
    """
    started = clock.now()
    if settings.log_format == "json":
        standard_error.speak_json()
    app_command.find(command[0], variables)
    chosen = _chosen(settings, command)
    if chosen is not None:
        settings = chosen.settings
    environment = app_environment(variables)
    loop = Loop(inherited_mask)
    seen = fingerprint.take()
    prover = None
    if settings.gpus != "none":
        prover = children.prover(loop, environment, hold=_hold(settings))

    # CUDA is coming up: from here on an import costs nothing.
    from firstlight.journal import journal as boot_journal
    from firstlight.journal.event import Stage
    from firstlight.supervise import app, crew as app_crew

    directory = None if settings.dry_run else settings.state_dir or boot_journal.default_directory(variables)
    journal = boot_journal.Journal(loop, directory, environment, started=started)
    if settings.log_format == "json":
        standard_error.speak_json(boot=journal.boot)
    tell = _say_nothing if settings.quiet else standard_error.say
    parts = Parts(settings=settings, environment=environment, loop=loop, journal=journal, tell=tell, started=started, seen=seen)
    loop.guard.failed = lambda who, how: _go_on(parts, who, how)
    crew = app_crew.build(loop, journal, settings, variables, tell, chosen, started)
    journal.write("boot", Stage.START, command=list(command), pid=os.getpid(), settings=settings.shown())
    code, reason = int(ExitCode.INTERNAL), "a fault of firstlight itself"
    try:
        app.adopt_orphans(parts.tell)
        crew.begin()
        end = _course(parts, crew, command, prover)
        code, reason = end.code, end.reason
    except Stopped as stopped:
        code, reason = 128 + stopped.signal, f"stopped by signal {stopped.signal} while no app was running"
        parts.tell(reason)
    except Error as error:
        code, reason = int(error.exit_code), str(error)
        raise
    finally:
        crew.close()
        _end_children(loop, journal)
        journal.write("end", Stage.END, code=code, reason=reason)
        journal.close()
        _leave(reason)
    return code


def cured_environment(
    variables: Mapping[str, str], inherited_mask: Iterable[int], *, quiet: bool, wait: bool
) -> tuple[int, dict[str, str | None]]:
    """`firstlight env`: cure what the environment alone can cure. Give run's exit code and what changed.

    To `wait` is to go through all that `run` does before it starts an app, as long as the settings say; else nothing is waited for.
    """
    from firstlight import settings as run_settings
    from firstlight.boot import conduct
    from firstlight.faults.fault import Remedy
    from firstlight.journal import journal as boot_journal

    settings = run_settings.load({}, variables).changed(holder=0.0, dry_run=False)
    allowed = {Remedy.REWRITE_VISIBLE_DEVICES, Remedy.FIX_LIBRARY_PATH}
    if wait:
        allowed.add(Remedy.CREATE_DEVICE_NODES)
    else:
        settings = settings.changed(attempts=1, deadline=0.0)
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
            boot = _boot(parts, started, parts.seen, frozenset(allowed))
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


def _chosen(settings: Settings, command: Sequence[str]) -> Chosen | None:
    """What the settings say of the app beyond its command; None where they say nothing, so that nothing is imported for it."""
    of_app = (settings.app, settings.node, settings.model, settings.accept, settings.alive, settings.ready)
    if not any((*of_app, settings.checks, settings.with_, settings.companions)):
        return None
    from firstlight.supervise import chosen

    return chosen.choose(settings, command)


def _course(parts: Parts, crew: Crew, command: Sequence[str], prover: Process | None) -> End:
    """From the first probe to the app's last end."""
    from firstlight.boot import lives

    def bring_up(started: float, seen: tuple[object, ...]) -> Boot:
        from firstlight.boot import conduct

        return _boot(parts, started, seen, conduct.allowed_remedies(parts.settings.allow))

    course = lives.Course(parts=parts, crew=crew, command=command, bring_up=bring_up, report=_report)
    return lives.run(course, prover)


def _hold(settings: Settings) -> float:
    """How long a prover is to hold the driver open, in seconds: a dry run starts no app that could gain by it."""
    return 0.0 if settings.dry_run else settings.holder


def _boot(parts: Parts, started: float, seen: tuple[object, ...], allowed: frozenset[Remedy]) -> Boot:
    from firstlight.boot import conduct, prescribe

    settings = parts.settings
    return conduct.Boot(
        loop=parts.loop,
        journal=parts.journal,
        policy=prescribe.Policy(
            gpus=settings.gpus, attempts=settings.attempts, delay=settings.delay, deadline=settings.deadline, allowed=allowed
        ),
        environment=parts.environment,
        started=started,
        probe_timeout=settings.probe_timeout,
        hold=_hold(settings),
        torch=settings.torch,
        tell=parts.tell,
        seen=seen,
        dry_run=settings.dry_run,
    )


def _report(boot: Boot, outcome: Abandoned) -> None:
    """Say on one screen why no GPU can be had."""
    from firstlight.report import give_up
    from firstlight.report.style import choose

    style = choose(os.environ, terminal=os.isatty(2), encoding=sys.stderr.encoding)
    tried: Any = {"treatments": boot.treatments, "attempts": boot.attempts, "elapsed": boot.elapsed}
    report = give_up.render(outcome.diagnosis, outcome.step, style=style, **tried)
    standard_error.write(report, **give_up.encode(outcome.diagnosis, outcome.step, **tried))


def _go_on(parts: Parts, who: str, how: str) -> None:
    """Something beside the app has failed, by a fault of ours: it is left out, and the app never the wiser."""
    words = f"cannot go on with {who}: {how}; this is a fault of firstlight itself, and the app goes on without"
    parts.journal.note("failure", who=who, words=words)
    parts.tell(words)


def _end_children(loop: Loop, journal: Journal) -> None:
    """End every child that is left, except the one that writes the last lines.

    Nobody waits for them: the driver takes a while to clear up after a holder, and whoever started us needs not.
    """
    for process in list(loop.children.running.values()):
        if process is not journal.writer:
            loop.children.send(process, signal.SIGKILL)


def _leave(reason: str) -> None:
    """Leave the reason of the end where Kubernetes looks for it."""
    try:
        files.overwrite(_TERMINATION_LOG, reason.encode("utf-8", "backslashreplace")[:_TERMINATION_LIMIT])
    except OSError:
        pass  # nobody wants to know


def _say_nothing(line: str) -> None:
    """What `--quiet` puts in place of `standard_error.say`."""
