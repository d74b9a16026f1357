"""docs/reference/benchmark.md, from the results that `make bench` leaves in bench/results."""

from __future__ import annotations

from pathlib import Path

from pages import markdown

_RESULTS = Path(__file__).resolve().parent.parent.parent / "bench/results"


def results() -> dict[str, str]:
    """The tables that were measured, by word ("gpu", "local")."""
    return {path.stem: path.read_text() for path in sorted(_RESULTS.glob("*.md"))}


def pages() -> dict[str, str]:
    """The page, where there are results."""
    found = results()
    if not found:
        return {}
    text = "# Benchmark\n\nMeasured by `make bench`; [bench/](../../bench/README.md) says what each figure means.\n"
    for table in found.values():
        text += "\n" + table.replace("\n# ", "\n## ").replace("# ", "## ", 1) if table.startswith("# ") else "\n" + table
    return {"docs/reference/benchmark.md": markdown.notice("bench/results") + text}
