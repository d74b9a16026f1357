"""HTML from Python: text is escaped because there is no way to put it in unescaped."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

# Characters that show nothing and change how others are read.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_VOID = frozenset(("input", "link", "meta"))


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


Child = str | Iterable["Child"] | None


def escape(text: str) -> Html:
    """Plain text as HTML."""
    return Html(html.escape(_UNSEEN.sub("\N{REPLACEMENT CHARACTER}", text)))


def join(children: Iterable[Child]) -> Html:
    """One after the other. None is nothing."""
    pieces: list[str] = []
    for child in children:
        if isinstance(child, Html):
            pieces.append(child)
        elif isinstance(child, str):
            pieces.append(escape(child))
        elif child is not None:
            pieces.append(join(child))
    return Html("".join(pieces))


def prose(text: str) -> Html:
    """Text in which what stands between backticks is code."""
    pieces = text.split("`")
    return join(tag("code", piece) if place % 2 and place < len(pieces) - 1 else piece for place, piece in enumerate(pieces))


def tag(name: str, /, *children: Child, **attributes: str | bool | None) -> Html:
    """An element. `class_` is class, `aria_label` is aria-label; True is an attribute without a value, None and False none."""
    words = [name]
    for key, value in attributes.items():
        attribute = key.rstrip("_").replace("_", "-")
        if value is True:
            words.append(attribute)
        elif value is not None and value is not False:
            words.append(f'{attribute}="{escape(value)}"')
    opening = f"<{' '.join(words)}>"
    return Html(opening if name in _VOID else f"{opening}{join(children)}</{name}>")
