"""The completion scripts that `firstlight completion` prints, made by shtab from the parsers of the verbs."""

from __future__ import annotations

import shtab

from firstlight.cli import main
from pages import command_line

SHELLS = ("bash", "zsh")


def pages() -> dict[str, str]:
    """One script for each shell."""
    parser = main.overview()
    parser.usage = None
    choices = parser.add_subparsers()
    for verb, words in main.VERBS:
        choices.add_parser(verb, help=words, parents=[command_line.verbs()[verb]], add_help=False, allow_abbrev=False)
    return {f"src/firstlight/cli/completions/firstlight.{shell}": shtab.complete(parser, shell) for shell in SHELLS}
