"""docs/reference/cli.md, from the parsers of the verbs."""

from __future__ import annotations

import argparse
import importlib

from firstlight.cli import main
from pages import markdown

_TEXT = """# Command line

{overview}

What is asked for goes to standard output. Everything that firstlight has to say of itself goes to standard error, in lines
that begin with `firstlight:`. The [exit codes](exit-codes.md) are the same for all verbs.

{table}
"""


def verbs() -> dict[str, main.Parser]:
    """The parser of every verb, and of those that belong to another one, such as `pod list`."""
    found = {}
    for verb, _ in main.VERBS:
        if verb not in main.GROUPS:
            found[verb] = main.build(verb, importlib.import_module(f"firstlight.cli.{verb}"))
            continue
        for inner, _ in members(verb):
            found[f"{verb} {inner}"] = main.build(f"{verb} {inner}", importlib.import_module(f"{main.GROUPS[verb]}.{inner}"))
    return found


def members(group: str) -> tuple[tuple[str, str], ...]:
    """The verbs of a verb, and what they do."""
    verbs: tuple[tuple[str, str], ...] = importlib.import_module(main.GROUPS[group]).VERBS
    return verbs


def pages() -> dict[str, str]:
    """The page."""
    listed = [pair for verb, words in main.VERBS for pair in _listed(verb, words)]
    rows = [[f"[`{verb}`](#firstlight-{verb.replace(' ', '-')})", words] for verb, words in listed]
    text = _TEXT.format(overview=str(main.overview().description), table=markdown.table(["verb", "what it does"], rows))
    for verb, parser in verbs().items():
        text += f"\n## firstlight {verb}\n\n{parser.description}\n\n```text\n{_usage(verb, parser)}\n```\n\n"
        shown = [action for action in parser._actions if not isinstance(action, argparse._HelpAction) and action.help != argparse.SUPPRESS]
        rows = [[_names(action), _words(action)] for action in shown]
        text += markdown.table(["argument", "meaning"], rows) if rows else ""
    return {"docs/reference/cli.md": markdown.notice("the parsers under src/firstlight/cli") + text}


def _listed(verb: str, words: str) -> list[tuple[str, str]]:
    return [(f"{verb} {inner}", told) for inner, told in members(verb)] if verb in main.GROUPS else [(verb, words)]


def _usage(verb: str, parser: argparse.ArgumentParser) -> str:
    """The usage line, in our own form: argparse's differs from one Python to the next."""
    if parser.usage:
        return parser.usage
    positional = [_placeholder(action) for action in parser._actions if not action.option_strings]
    return " ".join([f"firstlight {verb}", "[options]", *positional])


def _placeholder(action: argparse.Action) -> str:
    name = "|".join(map(str, action.choices)) if action.choices else str(action.metavar or action.dest).upper()
    if action.nargs in ("*", "...", argparse.REMAINDER):
        return f"[{name} ...]"
    if action.nargs == "+":
        return f"{name} [{name} ...]"
    return f"[{name}]" if action.nargs == "?" else name


def _names(action: argparse.Action) -> str:
    if not action.option_strings:
        return f"`{_placeholder(action)}`"
    value = (
        ""
        if action.nargs == 0
        else " " + ("|".join(map(str, action.choices)) if action.choices else str(action.metavar or action.dest.upper()))
    )
    return ", ".join(f"`{option}{value}`" for option in action.option_strings)


def _words(action: argparse.Action) -> str:
    return (action.help or "").replace("%%", "%")
