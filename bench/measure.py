"""Figures: samples, their medians, targets beside them, and the table. Nothing here judges."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured thing. Without samples, `missing` says why."""

    name: str
    samples: tuple[float, ...] = ()
    unit: str = "s"
    target: str = ""
    missing: str = ""

    @property
    def median(self) -> float | None:
        """The median; None without samples."""
        return statistics.median(self.samples) if self.samples else None

    def to_json(self) -> dict[str, Any]:
        """The figure as JSON-ready data."""
        return {
            "name": self.name,
            "unit": self.unit,
            "median": self.median,
            "samples": list(self.samples),
            "target": self.target,
            "missing": self.missing,
        }


def ratio(name: str, above: Figure, below: Figure, target: str = "") -> Figure:
    """The ratio of two medians that were taken side by side."""
    if above.median is None or not below.median:
        return Figure(name=name, unit="x", target=target, missing=above.missing or below.missing or "one side has no samples")
    return Figure(name=name, samples=(above.median / below.median,), unit="x", target=target)


def interleave(rounds: int, ways: Mapping[str, Callable[[], float]]) -> tuple[dict[str, tuple[float, ...]], dict[str, str]]:
    """A B A B …: every way once a round, so that whatever changes with time changes for all. A way that fails is left out from then on.

    Returns:
        the samples by name, and by name why a way was left out ("" when it was not).
    """
    samples: dict[str, list[float]] = {name: [] for name in ways}
    failed = dict.fromkeys(ways, "")
    for _ in range(rounds):
        for name, way in ways.items():
            if failed[name]:
                continue
            try:
                samples[name].append(way())
            except NotMeasured as reason:
                failed[name] = str(reason)
    return {name: tuple(values) for name, values in samples.items()}, failed


class NotMeasured(Exception):  # noqa: N818 - no error: this machine has no means for it
    """A figure that cannot be taken here; the message says why."""


def write(out: Path, word: str, machine: Mapping[str, str], figures: Sequence[Figure]) -> None:
    """Write what there is so far as JSON and as a table."""
    out.mkdir(parents=True, exist_ok=True)
    data = {"machine": dict(machine), "figures": [figure.to_json() for figure in figures]}
    _replace(out / f"{word}.json", json.dumps(data, indent=1) + "\n")
    _replace(out / f"{word}.md", table(word, machine, figures))


def table(word: str, machine: Mapping[str, str], figures: Sequence[Figure]) -> str:
    """The Markdown page."""
    lines = [f"# Measured by `bench/run.py {word}`", "", "Generated; do not edit. Medians, in brackets the least and the greatest.", ""]
    lines += ["| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in machine.items()), ""]
    lines += ["| figure | measured | target | samples |", "| --- | --- | --- | --- |"]
    lines += [f"| {figure.name} | {_measured(figure)} | {figure.target or '-'} | {len(figure.samples) or '-'} |" for figure in figures]
    return "\n".join(lines) + "\n"


def line(figure: Figure) -> str:
    """One figure on the screen."""
    return f"{figure.name}: {_measured(figure)}" + (f"   (target {figure.target})" if figure.target else "")


def _measured(figure: Figure) -> str:
    if figure.median is None:
        return f"not measured: {figure.missing}"
    text = _number(figure.median, figure.unit)
    if len(figure.samples) > 1:
        text += f" ({_number(min(figure.samples), figure.unit)} to {_number(max(figure.samples), figure.unit)})"
    return f"{text}; stopped early: {figure.missing}" if figure.missing else text


def _number(value: float, unit: str) -> str:
    digits = {"s": 3, "ms": 1, "µs": 0, "MB": 1, "MB/s": 0, "%": 3, "x": 2, "/s": 2, "times": 2}[unit]
    return f"{value:.{digits}f} {unit}".replace(" /s", "/s")


def _replace(place: Path, text: str) -> None:
    draft = place.with_name(f"{place.name}.draft")
    draft.write_text(text)
    draft.replace(place)
