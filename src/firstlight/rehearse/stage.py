"""Plays a scenario: starts a command on its machine, lets the timed events happen, and gives the command's exit code."""

from __future__ import annotations

import contextlib
import resource
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from firstlight import errors
from firstlight.rehearse import compile as driver
from firstlight.rehearse.machine import TRIGGERS, Machine
from firstlight.rehearse.scenario import Limits, Scenario
from firstlight.system import clock
from firstlight.system.loop import Loop, Signalled
from firstlight.system.process import Process

# How often triggers are looked for where nobody tells of new files, in seconds.
_TRIGGER_PERIOD = 0.1


@contextlib.contextmanager
def set_up(loop: Loop, scenario: Scenario, environment: Mapping[str, str], keep: str | None) -> Iterator[Machine]:
    """The machine of a scenario, in a temporary folder that is gone afterwards; or in the new folder `keep`, which stays.

    Raises:
        Error: the driver cannot be compiled, or the folder cannot be made.
    """
    products = driver.compiled(loop, environment)
    try:
        if keep is None:
            folder = Path(tempfile.mkdtemp(prefix="firstlight-rehearsal-"))
        else:
            folder = Path(keep).absolute()
            folder.mkdir(parents=True)
    except OSError as error:
        raise errors.UsageError(f"cannot make the machine's folder {keep or tempfile.gettempdir()}: {error.strerror}") from None
    try:
        yield Machine(folder, scenario, products)
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)


def play(loop: Loop, machine: Machine, argv: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run `argv` on the machine, with its output passed through; its exit code, 128 + n where a signal ended it.

    Raises:
        OSError: the command cannot be started.
        UsageError: the scenario has a limit or a variable that no process can have.
    """
    try:
        with _limited(machine.scenario.limits):
            started = clock.now()
            process = loop.children.spawn(argv, machine.process_environment(environment), name="rehearsed", group=False)
    except (ValueError, OverflowError) as error:
        raise errors.UsageError(f"cannot start a process on the machine of {machine.scenario.name}: {error}") from None
    try:
        _let_events_happen(loop, machine, process, started)
        _look_after(loop, process, None)
    finally:
        if not process.ended:  # an event that cannot happen, say: nothing may outlive its machine
            loop.end(process, grace=5)
    return process.exit_code or 0


def _let_events_happen(loop: Loop, machine: Machine, process: Process, started: float) -> None:
    """Perform each event when it is due, until none is left or the command has ended."""
    told = loop.watch(str(machine.folder / TRIGGERS))
    waiting = [event for event in machine.scenario.events if event.trigger]
    due = [(started + event.at, event) for event in machine.scenario.events if not event.trigger]
    while (waiting or due) and not process.ended:
        pulled = [event for event in waiting if machine.triggered(event)]
        waiting = [event for event in waiting if event not in pulled]
        due = sorted([*due, *((clock.now() + event.at, event) for event in pulled)], key=lambda item: item[0])
        if due and due[0][0] <= clock.now():
            machine.perform(due.pop(0)[1])
            continue
        moments = [due[0][0]] if due else []
        if waiting and not told:
            moments.append(clock.now() + _TRIGGER_PERIOD)
        _look_after(loop, process, min(moments, default=None), lambda: any(map(machine.triggered, waiting)))  # noqa: B023 - called at once


def _look_after(loop: Loop, process: Process, until: float | None, otherwise: Callable[[], bool] = lambda: False) -> None:
    """Forward signals to the command until it has ended, the time has come or something else is the case."""
    while not process.ended and (until is None or clock.now() < until) and not otherwise():
        for happening in loop.turn(until):
            # What a terminal sends, it sends to the whole group, and so to the command as well.
            if isinstance(happening, Signalled) and not happening.from_kernel:
                loop.children.send(process, happening.number)


@contextlib.contextmanager
def _limited(limits: Limits) -> Iterator[None]:
    """The scenario's soft limits, for the child that is started meanwhile."""
    wanted = {
        number: value
        for number, value in ((resource.RLIMIT_AS, limits.address_space * 1024), (resource.RLIMIT_NOFILE, limits.descriptors))
        if value
    }
    before = {number: resource.getrlimit(number) for number in wanted}
    for number, value in wanted.items():
        resource.setrlimit(number, (value, before[number][1]))
    try:
        yield
    finally:
        for number, limit in before.items():
            resource.setrlimit(number, limit)
