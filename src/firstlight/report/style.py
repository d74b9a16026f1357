"""How text looks on a stream: colours, marks and width, chosen once and then plain data."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass

WIDTH = 100

# Stands for a blank inside a command while lines are broken. `printable` escapes it, so no text brings one along.
_GLUE = "\x00"

_COLOURS = {"red": "31", "green": "32", "yellow": "33", "bold": "1", "dim": "2"}
_MARKS = {"good": "✓", "bad": "✗", "ill": "!", "unknown": "?", "next": "→", "line": "─"}
_ASCII_MARKS = {"good": "+", "bad": "x", "ill": "!", "unknown": "?", "next": "->", "line": "-"}


@dataclass(frozen=True)
class Style:
    """What a stream can show."""

    colour: bool = False
    unicode: bool = True

    def mark(self, name: str) -> str:
        """The sign for good, bad, ill, unknown, next or line."""
        return (_MARKS if self.unicode else _ASCII_MARKS)[name]

    def paint(self, text: str, *colours: str) -> str:
        """The text in colours, if there are any."""
        if not self.colour or not colours:
            return text
        codes = ";".join(_COLOURS[colour] for colour in colours)
        return f"\x1b[{codes}m{text}\x1b[0m"


PLAIN = Style()


def choose(environment: Mapping[str, str], *, terminal: bool, encoding: str | None) -> Style:
    """The style of a stream: NO_COLOR before FORCE_COLOR before TERM=dumb before whether it is a terminal."""
    return Style(colour=_wants_colour(environment, terminal=terminal), unicode=_carries_marks(encoding))


def _wants_colour(environment: Mapping[str, str], *, terminal: bool) -> bool:
    if environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR"):
        return environment["FORCE_COLOR"] != "0"
    return terminal and environment.get("TERM") not in (None, "", "dumb")


def _carries_marks(encoding: str | None) -> bool:
    try:
        "".join(_MARKS.values()).encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def printable(text: str) -> str:
    """The text with everything escaped that a terminal could obey: facts are foreign text, a driver's or a stranger's."""
    return "".join(character if character.isprintable() else _escape(character) for character in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def fit(text: str, style: Style) -> str:
    """The text without characters that the stream cannot carry."""
    return text if style.unicode else text.encode("ascii", "backslashreplace").decode("ascii")


def wrap(text: str, indent: str = "", first: str | None = None) -> list[str]:
    """The text as lines of at most WIDTH columns; words, paths and `commands` stay whole, so that they can be copied."""
    lead = indent if first is None else first
    glued = "`".join(part.replace(" ", _GLUE) if place % 2 else part for place, part in enumerate(text.split("`")))
    lines = textwrap.wrap(glued, WIDTH, initial_indent=lead, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return [line.replace(_GLUE, " ") for line in lines] or [lead.rstrip()]
