"""Bring CUDA up, prove it, then start a command and look after it.

Read before the first probe starts: it imports nothing that is not needed for that.
"""

from __future__ import annotations

import os

from firstlight import entrypoint, errors, settings

TYPE_CHECKING = False  # `typing` has the same name, and costs two milliseconds before the first probe
if TYPE_CHECKING:
    import argparse

TAKES_COMMAND = True
TAKES_SIGNALS = True


def configure(parser: argparse.ArgumentParser) -> None:
    """One flag for each setting; each can also be given as a variable, and in firstlight.toml."""
    for group, options in settings.GROUPS.items():
        arguments = parser.add_argument_group(group)
        for option in options:
            default = f" (default {option.default})" if option.default and option.metavar else ""
            repeated = "; can be repeated" if option.many else ""
            add(arguments, option, f"{option.words}{repeated}{default} [{option.variable}]")


def add(arguments: argparse._ActionsContainer, option: settings.Option, words: str) -> None:
    """The flag of one setting."""
    if option.kind.switch:
        arguments.add_argument(f"--{option.name}", dest=option.field, action="store_const", const="true", help=words)
    else:
        action = "append" if option.many else "store"
        arguments.add_argument(f"--{option.name}", dest=option.field, metavar=option.metavar, action=action, help=words)


def load(arguments: argparse.Namespace) -> settings.Settings:
    """The settings out of the flags and of everything below them."""
    return settings.load(vars(arguments), os.environ)


def run(arguments: argparse.Namespace) -> int:
    """Check everything that can be checked, then hand over to the entry point."""
    chosen = load(arguments)
    if not arguments.command:
        raise errors.UsageError('cannot run without a command: give it after "--", as in: firstlight run -- python main.py')
    return entrypoint.run(chosen, arguments.command, os.environ, arguments.inherited_mask)
