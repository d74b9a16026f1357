"""The one screen that is left when the boot gives up: cause, evidence, who must act, what was tried, what to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from firstlight.errors import ExitCode
from firstlight.faults.fault import Diagnosis, Finding
from firstlight.report import words
from firstlight.report.style import PLAIN, WIDTH, Style, fit, printable, wrap

_LABEL = 12
# What a screen holds: quotes and treatments beyond this are in the journal.
_QUOTES = 4
_TREATMENTS = 4
_OTHERS = 3

_CODES = {
    ExitCode.NO_GPU: "no usable GPU in this container; another start of it will not help",
    ExitCode.OTHER_HOST: "the host is at fault: try another one",
}


class Ending(Protocol):
    """Why the boot ends."""

    @property
    def code(self) -> ExitCode:
        """The exit code of `run`."""

    @property
    def reason(self) -> str:
        """Why no more is tried, one clause."""


def render(diagnosis: Diagnosis, ending: Ending, *, treatments: Sequence[str], attempts: int, elapsed: float, style: Style = PLAIN) -> str:
    """The report as text that ends with a newline. `treatments` are sentences of what was done, `elapsed` is in seconds."""
    cause = diagnosis.root_cause
    lines = [_title(diagnosis, style), *_labelled("Cause", [_cause(diagnosis, cause)], style)]
    if cause is not None:
        quotes = [f"{printable(name)}: {printable(value)}" for name, value in cause.evidence.quotes]
        lines += _labelled("Evidence", _first(quotes, _QUOTES), style)
        lines += _labelled("Also found", _others(diagnosis, cause), style)
        lines += _labelled("Who acts", [f"{words.ACTOR[cause.fault.actor]}; {words.TIME[cause.persistence]}"], style)
    tried = [f"{words.count(attempts, 'attempt')} in {words.duration(elapsed)}; given up: {printable(ending.reason)}"]
    lines += _labelled("Tried", [*_first([printable(treatment) for treatment in treatments], _TREATMENTS), *tried], style)
    lines += _labelled("Do next", [_advice(cause)], style)
    more = f"firstlight explain {cause.fault.id}" if cause is not None else "firstlight facts"
    lines += _labelled("Read on", [f"`{more}`, `firstlight doctor`, `firstlight timeline`"], style)
    lines += _labelled("Exit code", [f"{int(ending.code)}: {_CODES.get(ending.code, 'see docs/reference/exit-codes.md')}"], style)
    lines.append(style.mark("line") * WIDTH)
    return fit("\n".join(lines) + "\n", style)


def encode(diagnosis: Diagnosis, ending: Ending, *, treatments: Sequence[str], attempts: int, elapsed: float) -> dict[str, Any]:
    """The report as JSON-ready data; its `message` is what a person reads first."""
    cause = diagnosis.root_cause
    return {
        "message": f"the command was not started: {_cause(diagnosis, cause)}",
        "code": int(ending.code),
        "reason": ending.reason,
        "fault": cause.fault.id if cause is not None else None,
        "quotes": dict(cause.evidence.quotes) if cause is not None else {},
        "others": [finding.fault.id for finding in diagnosis.findings if finding is not cause],
        "actor": cause.fault.actor.value if cause is not None else None,
        "persistence": cause.persistence.value if cause is not None else None,
        "treatments": list(treatments),
        "attempts": attempts,
        "seconds": round(elapsed, 3),
        "advice": _advice(cause),
    }


def _advice(cause: Finding | None) -> str:
    return cause.fault.advice if cause is not None else "Run `firstlight doctor` here, and start the container on another host."


def _title(diagnosis: Diagnosis, style: Style) -> str:
    works = f"is {words.usable(diagnosis.usable, diagnosis.expected)} only" if diagnosis.usable else "does not work here"
    title = f" firstlight: CUDA {works}, so the command was not started "
    line = style.mark("line")
    return style.paint(f"{line * 2}{title}{line * (WIDTH - len(title) - 2)}", "red", "bold")


def _cause(diagnosis: Diagnosis, cause: Finding | None) -> str:
    if cause is not None:
        return f"{cause.fault.id}: {printable(cause.evidence.sentence)}"
    return f"no fault was found, and yet CUDA is {words.usable(diagnosis.usable, diagnosis.expected)}"


def _others(diagnosis: Diagnosis, cause: Finding) -> list[str]:
    others = [finding for finding in diagnosis.findings if finding is not cause]
    return _first([f"{finding.fault.id}: {printable(finding.evidence.sentence)}" for finding in others], _OTHERS)


def _first(items: Sequence[str], limit: int) -> list[str]:
    """The first items, and how many more there are."""
    left = len(items) - limit
    return [*items[:limit], *([f"and {left} more"] if left > 0 else [])]


def _labelled(label: str, items: Sequence[str], style: Style) -> list[str]:
    """The items as lines behind one label."""
    indent = " " * _LABEL
    lines = [line for item in items for line in wrap(item, indent)]
    if lines:
        lines[0] = style.paint(label, "bold") + indent[len(label) :] + lines[0].lstrip()
    return lines
