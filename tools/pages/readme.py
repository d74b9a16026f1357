"""The parts of README.md that come from elsewhere, each between two marks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from firstlight.journal import read, timeline as journal_timeline
from firstlight.report import timeline
from pages import benchmark

_ROOT = Path(__file__).resolve().parent.parent.parent
# A journal that `make try` once left, without its facts; `tools/record.sh` makes a new one.
_RECORDED = _ROOT / "docs/recorded"
# The columns beside us, as the figures name them.
_OTHERS = {"firstlight": "firstlight run", "tini": "tini", "dumb-init": "dumb-init", "s6": "s6", "supervisord": "supervisord"}
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
    """Beside the usual script, beside other supervisors, and every target that was missed; the page in the docs has all figures, and the machines."""
    figures = {word: _figures(text) for word, text in benchmark.results().items()}
    parts = [_beside_the_script(figures.get("gpu", {})), _beside_others(figures.get("local", {})), _missed(figures)]
    text = "\n".join(part for part in parts if part)
    return f"{text}\nThe machines and every figure: [benchmark](docs/reference/benchmark.md).\n" if text else _NOT_YET


def _figures(page: str) -> dict[str, tuple[str, str]]:
    """What was measured, and the target, by the name of the figure."""
    rows = [row.split(" | ") for row in re.findall(r"^\| (.*) \|$", page, re.MULTILINE)]
    return {row[0]: (row[1], row[2]) for row in rows if len(row) == 4 and row[0] not in ("figure", "---")}


def _beside_the_script(figures: Mapping[str, tuple[str, str]]) -> str:
    rows = []
    for start, name in (("a healthy GPU", "healthy"), ("its device node comes 2 s late", "GPU node late by 2 s")):
        cells = [_median(figures, f"{name}, to the app's start: {who}") for who in ("firstlight", "the usual script")]
        if set(cells) != {"-"}:
            rows.append(f"| {start} | {' | '.join(cells)} |")
    return _table("| to the app's start, on a real GPU | firstlight | the usual script |", rows)


def _beside_others(figures: Mapping[str, tuple[str, str]]) -> str:
    rows = []
    for what, pattern in (
        ("memory, all its processes (Pss)", "{}, idle: its .*, Pss together"),
        ("from its start to the app's first statement", "from the start of the supervisor to the app's first statement: {}"),
        ("SIGUSR1 to it, to the app's handler", "SIGUSR1 to the supervisor, to the app's handler: {}"),
        ("SIGTERM to it, to the app's handler", "SIGTERM to the supervisor, to the app's handler: {}"),
    ):
        found = [[name for name in figures if re.fullmatch(pattern.format(re.escape(who)), name)] for who in _OTHERS.values()]
        if any(found):
            rows.append(f"| {what} | {' | '.join(_median(figures, *names) for names in found)} |")
    return _table(f"| beside other supervisors | {' | '.join(_OTHERS)} |", rows)


def _missed(figures: Mapping[str, Mapping[str, tuple[str, str]]]) -> str:
    rows = [
        f"| {name} | {measured} | {target} |"
        for word, rows in figures.items()
        for name, (measured, target) in rows.items()
        if _is_missed(measured, target)
        # What needs no GPU is judged by the run that was made for it.
        and not (word == "gpu" and name in figures.get("local", {}))
    ]
    return _table("| missed | measured | target |", rows)


def _is_missed(measured: str, target: str) -> bool:
    limit = re.match(r"([≤≥]) ([0-9.]+)", target)
    value = re.match(r"[0-9.]+", measured)
    if limit is None or value is None:
        return False
    over = float(value[0]) - float(limit[2])
    return over > 0 if limit[1] == "≤" else over < 0


def _median(figures: Mapping[str, tuple[str, str]], name: str = "") -> str:
    return figures[name][0].split(" (")[0] if name in figures else "-"


def _table(head: str, rows: Sequence[str]) -> str:
    return "\n".join((head, "| --- " * (head.count("|") - 1) + "|", *rows, "")) if rows else ""


def _replaced(text: str, mark: str, part: str) -> str:
    begin, end = f"<!-- {mark}: made by `make docs` -->\n", f"<!-- /{mark} -->\n"
    head, found_begin, rest = text.partition(begin)
    _old, found_end, tail = rest.partition(end)
    if not (found_begin and found_end):
        raise ValueError(f"cannot renew the README: the marks of {mark!r} are missing")
    return head + begin + part + end + tail
