"""From a program's JSON lines to facts: the parts that every program's reader shares."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from firstlight.probe.facts import Cause, Unknown

if TYPE_CHECKING:
    from firstlight.system.process import Process

Step = dict[str, Any]


def steps(process: Process) -> list[Step]:
    """The steps that a program has printed so far; a line that is no JSON object is passed over."""
    found = []
    for line in process.lines():
        try:
            step = json.loads(line)
        except ValueError:
            continue
        if isinstance(step, dict) and "step" in step:
            found.append(step)
    return found


def silence(process: Process, doing: str, waited: float) -> Unknown:
    """Why a program said nothing of `doing`: it still runs (a hang), or it died."""
    if not process.ended:
        return Unknown(f"{doing} gave no answer within {waited:.0f} s", Cause.HUNG)
    if process.status:
        how = f"was killed by signal {-process.status}" if process.status < 0 else f"ended with code {process.status}"
        last = bytes(process.errors).decode("utf-8", "replace").strip().splitlines()
        detail = f": {last[-1][:200]}" if last else ""
        return Unknown(f"the process asking for {doing} {how}{detail}", Cause.CRASHED)
    return Unknown(f"{doing} was not reached", Cause.NOT_ASKED)


def opened(process: Process, waited: float) -> dict[str, int | Unknown]:
    """Errnos of opens by path; a path that was begun and not finished says why."""
    found: dict[str, int | Unknown] = {}
    for step in steps(process):
        if step["step"] in ("opening", "opened"):
            path = step["path"]
            found[path] = step["errno"] if step["step"] == "opened" else silence(process, f"opening {path}", waited)
    return found
