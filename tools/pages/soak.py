"""docs/reference/soak.md, from the kept result of a soak (tests/soak/soak.json)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pages import markdown

_RESULT = Path(__file__).resolve().parent.parent.parent / "tests/soak/soak.json"
_TEXT = """
`make soak` lets firstlight live through a hard hour as PID 1 of a namespace of its own (`SOAK=10m` makes it ten minutes). An app prints numbered
lines on both streams as fast as the machine goes, leaves orphans and says over HTTP how it is. Many times a second something befalls it, by
chance: the app or its companion is killed by one of several signals, PID 1 gets one to pass on, the volume with the journal and the logs hangs,
is full or read-only, the app says that it is not well; and in the first half the processes beside PID 1 are killed too. All the while somebody asks the agent
for everything it has. In the second half our own processes are left alone: their last two thirds show whether they grow.

What must hold: no zombie; not one line lost, doubled, torn or changed; not one event missing from the journal; never ready while the app is not;
memory and descriptors flat; at the end a stop within the grace time, with the app's exit code.
"""


def pages() -> dict[str, str]:
    """The page, where a soak was kept."""
    if not _RESULT.is_file():
        return {}
    return {"docs/reference/soak.md": markdown.notice("tests/soak/soak.json") + "# Soak\n" + _TEXT + _of(json.loads(_RESULT.read_text()))}


def _of(result: dict[str, Any]) -> str:
    machine = ", ".join(f"{name} {value}" for name, value in result["machine"].items())
    answers = sum(count for name, count in result["answers"].items() if name != "no answer")
    speed = ", ".join(f"{name} {value} ms" for name, value in result["answer_seconds"].items())
    rows = [
        ("date, machine", f"{result['date']}; {machine}"),
        ("time, seed", f"{result['seconds']:g} s, {result['seed']}"),
        ("lives of the app", f"{result['lives']}"),
        ("orphans reaped", f"{result['orphans']}"),
        ("processes at a time, at most", f"{result['processes']}"),
        ("printed", f"{sum(result['lines'])} lines, {sum(result['bytes']) / 1e6:.0f} MB"),
        ("events in the journal", f"{result['events']}"),
        ("answers of the agent", f"{answers}; {speed}"),
        ("stop", f"{result['stop']['seconds']} s, exit code {result['stop']['code']}"),
        ("did not hold", "; ".join(result["complaints"]) or "nothing"),
    ]
    growth = [
        (
            one["role"],
            f"{one['seconds']:.0f} s",
            f"{one['memory_kib']:.0f} KiB",
            f"{one['memory_growth_kib']:+.0f} KiB",
            f"{one['descriptors']:.0f}",
            f"{one['descriptors_growth']:+.1f}",
        )
        for one in result["growth"]
    ]
    head = ("process", "looked at for", "own memory", "by the end", "descriptors", "by the end")
    return (
        f"\n{markdown.table(('', ''), rows)}\n## Memory and descriptors\n\nBy the straight line through what was seen; the copier holds what waits for a volume that hangs.\n\n"
        f"{markdown.table(head, growth)}\n## What was done\n\n{markdown.table(('harm', 'times'), [(name, str(count)) for name, count in result['harm'].items()])}"
    )
