"""docs/reference/settings.md, from settings.OPTIONS."""

from __future__ import annotations

from firstlight import settings
from pages import markdown

_TEXT = """# Settings of `firstlight run`

A flag wins over its variable, a variable over the default. A wrong flag ends with [exit code](exit-codes.md) 64, a wrong
variable with 78; nothing is started then. A duration is a number with `ms`, `s`, `m` or `h`; a bare number means seconds.

{table}
"""


def pages() -> dict[str, str]:
    """The page."""
    rows = [
        [
            f"`--{option.name}{' ' + option.metavar if option.metavar else ''}`",
            f"`{option.variable}`",
            f"`{option.default}`" if option.default else "",
            option.words,
        ]
        for option in settings.OPTIONS
    ]
    text = _TEXT.format(table=markdown.table(["flag", "variable", "default", "meaning"], rows))
    return {"docs/reference/settings.md": markdown.notice("src/firstlight/settings.py") + text}
