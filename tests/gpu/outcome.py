"""What came of one start, read from its journal, its screen and the app's record; and whether that was right."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cases import Case

# What libcuda did by itself while it was probed, written down as a remedy that happened.
DRIVERS_OWN = "driver-created-node"

# One screen line and when it was printed (CLOCK_MONOTONIC).
Line = tuple[float, str]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of one start. Times are seconds since the command was executed; None where it never happened.

    `causes` are the root causes of each diagnosis in the order of the boot; `named` is when the first of them was on the
    screen. `waited` is from the appearance of the last late node to the app's first statement.
    """

    exit: int | None
    overdue: bool = False
    causes: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    remedies: tuple[str, ...] = ()
    named: float | None = None
    app_started: float | None = None
    app_error: str | None = None
    proven: int = 0
    appeared: float | None = None
    waited: float | None = None
    ended: float | None = None
    screen: tuple[str, ...] = ()


def read(report: Mapping[str, Any], lines: Sequence[Line], state: Path, record: Path) -> Outcome:
    """The outcome of the start that left these traces."""
    events = list(_events(state))
    started = float(report["started"])
    app = _object(record)
    causes = tuple(dict.fromkeys(_causes(events)))
    appeared = max(report["appeared"].values(), default=None)
    app_at = app.get("started")
    first_naming = next((at for at, text in lines if causes and causes[0] in text), None)
    return Outcome(
        exit=report["exit"],
        overdue=bool(report.get("overdue")),
        causes=causes,
        findings=tuple(dict.fromkeys(_findings(events))),
        remedies=tuple(dict.fromkeys(_remedies(events))),
        named=_since(first_naming, started),
        app_started=_since(app_at, started),
        app_error=app.get("error"),
        proven=int(app.get("proven", 0)),
        appeared=_since(appeared, started),
        waited=_since(app_at, appeared) if appeared is not None else None,
        ended=_since(report["ended"], started),
        screen=tuple(text for _, text in lines),
    )


def complaints(case: Case, outcome: Outcome) -> list[str]:
    """What was not as the case expects; empty when all was. No time is ever judged, only the order of things."""
    wrong = []
    if outcome.overdue:
        wrong.append(f"did not end within {case.limit:.0f} s")
    if outcome.exit not in case.exits:
        wrong.append(f"exit {outcome.exit}, not {' or '.join(map(str, case.exits))}")
    if case.cuda and not outcome.proven:
        wrong.append(f"the app has no CUDA: {outcome.app_error or 'it never ran'}")
    elif case.cuda and case.gpus is not None and outcome.proven != case.gpus:
        wrong.append(f"the app computed on {outcome.proven} GPUs, not on {case.gpus}")
    if not case.cuda and outcome.app_started is not None:
        wrong.append("the app was started")
    first = outcome.causes[0] if outcome.causes else None
    if first != case.cause and not (case.cause is None and first in case.may_name):
        wrong.append(f"names {first or 'no cause'}, not {case.cause or 'none'}")
    elif first is not None and outcome.named is None:
        wrong.append(f"{first} is in the journal but never on the screen")
    allowed = {DRIVERS_OWN, case.remedy, *case.may_apply}
    if case.remedy and case.remedy not in outcome.remedies:
        wrong.append(f"{case.remedy} was not applied")
    if unasked := set(outcome.remedies) - allowed:
        wrong.append(f"applied {', '.join(sorted(unasked))}")
    if case.late and _named_after_the_wait(outcome):
        wrong.append("the cause was named only after the wait")
    return wrong


def doctors_complaints(case: Case, doctor: Mapping[str, Any]) -> list[str]:
    """Whether `doctor`, asked about the same machine with nothing done to it, says the same."""
    right = (2,) if case.partly else (1,) if case.cause is not None else (0, 2) if case.may_name else (0,)
    wrong = [] if doctor["exit"] in right else [f"doctor exits {doctor['exit']}, not {' or '.join(map(str, right))}"]
    findings = doctor.get("answer", {}).get("findings", [])
    first = findings[0].get("fault") if findings else None
    if first != case.cause and first not in case.may_name:
        wrong.append(f"doctor names {first or 'no cause'}, not {case.cause or 'none'}")
    return wrong


def _named_after_the_wait(outcome: Outcome) -> bool:
    """Whether the cause came to the screen after the missing node had come: only told of waits long enough to leave no doubt."""
    long_wait = outcome.appeared is not None and outcome.appeared > 10
    return long_wait and outcome.named is not None and outcome.appeared is not None and outcome.named > outcome.appeared


def slowest(outcomes: Sequence[Outcome]) -> Outcome:
    """The outcome that speaks for many copies: the one whose app started last, or one that never did."""
    return max(outcomes, key=lambda outcome: float("inf") if outcome.app_started is None else outcome.app_started)


def to_json(outcome: Outcome) -> dict[str, Any]:
    """The outcome as JSON-ready data."""
    return dataclasses.asdict(outcome)


def _events(state: Path) -> Iterable[dict[str, Any]]:
    """The journal's events, in order; a torn line is left out."""
    for journal in sorted(state.glob("boots/*.jsonl")):
        for line in journal.read_text(errors="replace").splitlines():
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, dict):
                yield event


def _findings(events: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    """The faults found, in the order of the journal."""
    return (event["fault"] for event in events if event.get("kind") == "finding" and isinstance(event.get("fault"), str))


def _causes(events: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    """The root cause of each diagnosis: the first of the findings that were written before it."""
    found: list[str] = []
    for event in events:
        if event.get("kind") == "finding":
            found.append(str(event.get("fault")))
        elif event.get("kind") == "diagnosis":
            yield from found[:1]
            found = []


def _remedies(events: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    """The remedies that were applied, in order."""
    for event in events:
        if event.get("kind") == "remedy" and event.get("outcome") == "applied" and isinstance(event.get("remedy"), str):
            yield event["remedy"]


def _object(place: Path) -> dict[str, Any]:
    try:
        data = json.loads(place.read_text())
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def _since(at: float | None, origin: float | None) -> float | None:
    return None if at is None or origin is None else round(at - origin, 3)
