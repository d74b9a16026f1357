"""Pieces of Markdown that several pages need."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence
from types import ModuleType


def notice(source: str) -> str:
    """The line that keeps people from editing a generated page."""
    return f"<!-- Made from {source} by `make docs`. Do not edit. -->\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; cells may hold anything that fits one line."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |\n" for line in lines)


def trailing_comments(module: ModuleType) -> dict[str, dict[str, str]]:
    """The comment behind each `name = value` and `name: type` of each class of a module, by class and name."""
    found: dict[str, dict[str, str]] = {}
    current: dict[str, str] = {}
    for line in inspect.getsource(module).splitlines():
        if match := re.match(r"class (\w+)", line):
            current = found.setdefault(match[1], {})
        elif match := re.match(r"    (\w+)(?:: [^#]*?)?(?: = [^#]*?)?  # (.+)$", line):
            current[match[1]] = match[2]
    return found


def summary(docstring: str | None) -> str:
    """A docstring's text, its lines joined into paragraphs; sections such as "Attributes:" are left out."""
    text = inspect.cleandoc(docstring or "")
    text = re.split(r"\n(?:Attributes|Raises|Returns|Args):\n", text)[0]
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n")).strip()
