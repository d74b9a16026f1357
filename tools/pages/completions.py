"""The completion scripts that `firstlight completion` prints, made by shtab from the parsers of the verbs."""

from __future__ import annotations

import argparse

import shtab

from firstlight.cli import main
from pages import command_line

SHELLS = ("bash", "zsh")

# What a pod may be called is asked of firstlight itself, by the word that is being completed: it may be a path to it.
_PODS_PREAMBLE = {
    "bash": """
_firstlight_pods() {
  local word
  for word in $("${COMP_WORDS[0]}" pod list --names 2>/dev/null); do
    case $word in "$1"*) printf '%s\\n' "$word" ;; esac
  done
}
""",
    "zsh": """
_firstlight_pods() {
  local -a names
  names=(${(f)"$(firstlight pod list --names 2>/dev/null)"})
  compadd -a names
}
""",
}
_PODS = {"bash": "_firstlight_pods", "zsh": "_firstlight_pods", "preamble": _PODS_PREAMBLE}

_VALUES = {"FILE": shtab.FILE, "PYTHON": shtab.FILE, "DIR": shtab.DIRECTORY, "POD": _PODS}


def pages() -> dict[str, str]:
    """One script for each shell."""
    parser = main.overview()
    parser.usage = None
    choices = parser.add_subparsers()
    verbs = command_line.verbs()
    for verb, words in main.VERBS:
        if verb in main.GROUPS:
            inner = choices.add_parser(verb, help=words, allow_abbrev=False).add_subparsers()
            for name, told in command_line.members(verb):
                _add(inner, name, told, verbs[f"{verb} {name}"])
        else:
            _add(choices, verb, words, verbs[verb])
    return {f"src/firstlight/cli/completions/firstlight.{shell}": shtab.complete(parser, shell) for shell in SHELLS}


def _add(choices: argparse._SubParsersAction, verb: str, words: str, parser: argparse.ArgumentParser) -> None:
    for action in parser._actions:
        _complete(action)
    choices.add_parser(verb, help=words, parents=[parser], add_help=False, allow_abbrev=False)


def _complete(action: argparse.Action) -> None:
    """Tell shtab what a value may be. The parsers leave that to the settings, whose errors say more than argparse's."""
    metavar = str(action.metavar)
    if metavar in _VALUES:
        action.complete = _VALUES[metavar]
    elif "|" in metavar and not action.choices:
        action.choices = [word for word in metavar.split("|") if word.islower()]
