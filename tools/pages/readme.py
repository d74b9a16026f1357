"""The parts of README.md that come from elsewhere, each between two marks."""

from __future__ import annotations

import re
from pathlib import Path

from firstlight.journal import read, timeline as journal_timeline
from firstlight.report import timeline
from pages import benchmark

_ROOT = Path(__file__).resolve().parent.parent.parent
# A journal that `make try` once left, without its facts; `tools/record.sh` makes a new one.
_RECORDED = _ROOT / "docs/recorded"
# What is quoted although it has no target: it stands beside the same of others.
_COMPARES = (
    "ratio",
    "to the app's start",
    ", Pss together",
    "of the supervisor to the app's first statement",
    "SIGTERM to the supervisor",
    "firstlight against the pipe",
)
_NOT_YET = "Nothing was measured yet: `make bench` on a machine with a GPU leaves its table here.\n"


def pages() -> dict[str, str]:
    """The README with its parts renewed."""
    text = _replaced((_ROOT / "README.md").read_text(), "benchmark", _benchmark())
    return {"README.md": _replaced(text, "picture", _picture())}


def _picture() -> str:
    """The timeline of the recorded boot, as the command shows it."""
    spans = journal_timeline.timeline(read.read(str(_RECORDED), None).events)
    return f"```text\n{timeline.timeline(spans)}\n```\n"


def _benchmark() -> str:
    """The figures that have a target or compare us with something; the page in the docs has them all, and the machines."""
    rows = [
        row
        for word, text in benchmark.results().items()
        for row in re.findall(r"^\| .* \|$", text, re.MULTILINE)
        if _is_telling(row.split(" | "), word)
    ]
    if not rows:
        return _NOT_YET
    table = "\n".join(("| figure | measured | target | samples |", "| --- | --- | --- | --- |", *rows))
    return f"{table}\n\nThe machines and every figure: [benchmark](docs/reference/benchmark.md).\n"


def _is_telling(cells: list[str], word: str) -> bool:
    if len(cells) != 4 or cells[0] in ("| figure", "| ---"):
        return False
    if "C program" in cells[0] or "cuInit" in cells[0]:
        return False  # needs the words of bench/README.md beside it
    # What needs no GPU is quoted from the other run alone where that has a figure of its own.
    compares = any(words in cells[0] for words in _COMPARES)
    return (cells[2] != "-" and (word == "gpu" or "volume" in cells[0] or "no GPU" in cells[0])) or compares


def _replaced(text: str, mark: str, part: str) -> str:
    begin, end = f"<!-- {mark}: made by `make docs` -->\n", f"<!-- /{mark} -->\n"
    head, found_begin, rest = text.partition(begin)
    _old, found_end, tail = rest.partition(end)
    if not (found_begin and found_end):
        raise ValueError(f"cannot renew the README: the marks of {mark!r} are missing")
    return head + begin + part + end + tail
