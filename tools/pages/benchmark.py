"""docs/reference/benchmark.md, from the results that `make bench` leaves in bench/results."""

from __future__ import annotations

from pathlib import Path

from pages import markdown

_RESULTS = Path(__file__).resolve().parent.parent.parent / "bench/results"


def results() -> dict[str, str]:
    """The tables that were measured, by word ("gpu", "local")."""
    return {path.stem: path.read_text() for path in sorted(_RESULTS.glob("*.md"))}


def pages() -> dict[str, str]:
    """The page; where nothing was measured it says so."""
    text = "# Benchmark\n\nMeasured by `make bench`; [bench/](../../bench/README.md) says what each figure means.\n"
    for table in results().values():
        text += f"\n#{table}"  # its title goes one level down
    if not results():
        text += "\nNothing was measured yet.\n"
    return {"docs/reference/benchmark.md": markdown.notice("bench/results") + text}
