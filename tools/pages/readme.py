"""The parts of README.md that come from elsewhere, each between two marks."""

from __future__ import annotations

import re
from pathlib import Path

from firstlight.journal import read
from firstlight.report import timeline
from pages import benchmark

_ROOT = Path(__file__).resolve().parent.parent.parent
# A journal that `make try` once left, without its facts; `tools/record.sh` makes a new one.
_RECORDED = _ROOT / "docs/recorded"
_NOT_YET = "Nothing was measured yet: `make bench` on a machine with a GPU leaves its table here.\n"


def pages() -> dict[str, str]:
    """The README with its parts renewed."""
    text = _replaced((_ROOT / "README.md").read_text(), "benchmark", _benchmark())
    return {"README.md": _replaced(text, "picture", _picture())}


def _picture() -> str:
    """The timeline of the recorded boot, as the command shows it."""
    spans = read.timeline(read.read(str(_RECORDED), None).events)
    return f"```text\n{timeline.timeline(spans)}\n```\n"


def _benchmark() -> str:
    """The table of figures, without the machine, which the page in the docs describes."""
    text = benchmark.results().get("gpu")
    if text is None:
        return _NOT_YET
    rows = re.search(r"^\| figure \|.*\n(?:\|.*\n)+", text, re.MULTILINE)
    return (rows[0] if rows else _NOT_YET) + "\nThe machine and every sample: [benchmark](docs/reference/benchmark.md).\n"


def _replaced(text: str, mark: str, part: str) -> str:
    begin, end = f"<!-- {mark}: made by `make docs` -->\n", f"<!-- /{mark} -->\n"
    head, found_begin, rest = text.partition(begin)
    _old, found_end, tail = rest.partition(end)
    if not (found_begin and found_end):
        raise ValueError(f"cannot renew the README: the marks of {mark!r} are missing")
    return head + begin + part + end + tail
