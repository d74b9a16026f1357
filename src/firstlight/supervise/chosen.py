"""From settings to the app: its recipe, with what that sets, and every check of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from firstlight.apps import parse, recipes
from firstlight.apps.app import App, Check, Level
from firstlight.errors import SettingsError
from firstlight.settings import Settings, masking


@dataclass(frozen=True)
class Chosen:
    """What is known of the app before it is started."""

    settings: Settings  # with the recipe's defaults
    recipe: App | None
    checks: tuple[Check, ...]


def choose(settings: Settings, command: Sequence[str]) -> Chosen:
    """The recipe that the settings name, and the checks of the recipe, of the settings and of the file.

    Raises:
        UsageError, SettingsError: there is no such recipe, or a check makes no sense; of the kind of where it was told.
    """
    recipe = None
    if settings.app:
        try:
            recipe = recipes.recipe(settings.app)
        except ValueError as error:
            raise settings.wrong("app", f"{settings.app!r}: {error}") from None
        settings = settings.with_recipe(recipe.name, recipe.defaults)
    found = [] if recipe is None else list(recipe.checks_for(command, recipe.port_for(command, settings.port or None)))
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
    return Chosen(settings, recipe, tuple({check.name: check for check in found}.values()))
