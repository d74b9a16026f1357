"""From settings to the app: its recipe, with what that sets, its checks and its companions."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace

from firstlight.apps import parse, recipes
from firstlight.apps.app import PROGRAM, App, Check, Kind, Level
from firstlight.errors import SettingsError
from firstlight.settings import Settings, masking
from firstlight.supervise import companions
from firstlight.supervise.companions import Companion
from firstlight.system.loop import program
from firstlight.system.process import verb

# In the command of a check: stands for our control socket, which is there no earlier than the run.
CONTROL = "{control}"


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """What is known of the app before it is started."""

    settings: Settings  # with the recipe's defaults
    recipe: App | None
    command: tuple[str, ...]
    port: int  # where the app of the recipe will listen; 0 without one
    checks: tuple[Check, ...]
    companions: tuple[Companion, ...]


def choose(settings: Settings, command: Sequence[str]) -> Chosen:
    """The recipe that the settings name, the checks of the recipe, of the settings and of the file, and the companions.

    Raises:
        UsageError, SettingsError: there is no such recipe, or a check or a companion makes no sense; of the kind of where it was told.
    """
    odd = recipes.misfit(settings.app, node=settings.node, model=settings.model, accept=settings.accept)
    if odd is not None:
        raise settings.wrong(odd[0], f"{masking.quoted(getattr(settings, odd[0]))}: {odd[1]}")
    recipe = recipes.recipe(settings.app) if settings.app else None
    if recipe is not None:
        settings = settings.with_recipe(recipe.name, recipe.defaults)
    port = 0 if recipe is None else recipe.port_for(command, settings.port)
    found = [] if recipe is None else [_runnable(check) for check in recipe.checks_for(command, port, settings.node, settings.model)]
    if settings.accept:
        found.append(_acceptance(settings, port))
    for level, texts in ((Level.ALIVE, settings.alive), (Level.READY, settings.ready)):
        for number, text in enumerate(texts, 1):
            try:
                found.append(parse.spec(text, level, f"{level.value}-{number}"))
            except ValueError as error:
                raise settings.wrong(level.value, f"{masking.quoted(text)}: {masking.masked(str(error))}") from None
    for name, table in settings.checks.items():
        try:
            found.append(parse.table(name, table))
        except ValueError as error:
            raise SettingsError(f"cannot take {settings.config}: [checks.{name}]: {masking.masked(str(error))}") from None
    # The last one of a name counts: a table changes a check of the recipe.
    return Chosen(
        settings=settings,
        recipe=recipe,
        command=tuple(command),
        port=port,
        checks=tuple({check.name: check for check in found}.values()),
        companions=_companions(settings),
    )


def _acceptance(settings: Settings, port: int) -> Check:
    """The last readiness check: what `firstlight accept` says, once it has said yes."""
    workflow, *options = shlex.split(settings.accept)
    ours = (f"--url=http://127.0.0.1:{port}", "--wait=1h", "--format=line", f"--control={CONTROL}")
    return Check(
        name="accept",
        level=Level.READY,
        kind=Kind.EXEC,
        command=tuple(verb("accept", *ours, f"--workflow={workflow}", *options)),
        tells=True,
        once=True,
        last=True,  # a prompt that loads a model for minutes would hold up every other one
        # Each try is several generations: the first one counts, and after a no there is another one in a while.
        threshold=1,
        start_period=0.0,
        period=600.0,
        timeout=7200.0,
    )


def with_control(check: Check, path: str) -> Check:
    """The check with the control socket at `path`; empty where there is none."""
    return replace(check, command=tuple(word.replace(CONTROL, path) for word in check.command)) if check.tells else check


def _runnable(check: Check) -> Check:
    """A check of the kind exec that names a program of ours, with its command line."""
    return replace(check, command=tuple(program(*check.command[1:]))) if check.command[:1] == (PROGRAM,) else check


def _companions(settings: Settings) -> tuple[Companion, ...]:
    try:
        found = companions.from_commands(settings.with_)
    except ValueError as error:
        raise settings.wrong("with", str(error)) from None
    try:
        found += companions.from_tables(settings.companions)
    except ValueError as error:
        raise SettingsError(f"cannot take {settings.config}: {error}") from None
    names = [companion.name for companion in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise settings.wrong("with", f"{twice}: a companion of that name is in {settings.config} too")
    return tuple(found)
