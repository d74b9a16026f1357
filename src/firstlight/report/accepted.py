"""What came of an acceptance: for people, and as JSON."""

from __future__ import annotations

from typing import Any

from firstlight.acceptance.accept import Attempt, Verdict
from firstlight.acceptance.gates import Outcome
from firstlight.report import style


def render(verdict: Verdict) -> str:
    """The gates of each seed, and the verdict as the last line: that is what a check of `run` quotes."""
    lines = [line for number, attempt in enumerate(verdict.attempts, 1) for line in _attempt(number, attempt)]
    return "\n".join(map(style.printable, [*lines, sentence(verdict)]))


def sentence(verdict: Verdict) -> str:
    """The verdict in one line."""
    last = verdict.attempts[-1]
    tried = f"{len(verdict.attempts)} seed{'s' * (len(verdict.attempts) > 1)}"
    took = f"{verdict.seconds:.1f} s, {'cold' if verdict.cold else 'cached'}, {tried}"
    if not verdict.ok:
        failed = "; ".join(f"{one.gate}: {one.words}" for one in last.findings if one.outcome is Outcome.FAILED)
        return f"not accepted ({took}): {failed}"
    unchecked = [one.gate for one in last.findings if one.outcome is Outcome.UNCHECKED]
    passed = sum(one.outcome is Outcome.PASSED for one in last.findings)
    return f"accepted ({took}): {passed} gates passed" + (f", not checked: {', '.join(unchecked)}" if unchecked else "")


def encode(verdict: Verdict) -> dict[str, Any]:
    """All of it."""
    return {
        "version": 1,
        "ok": verdict.ok,
        "words": sentence(verdict),
        "workflow": verdict.workflow,
        "makes": verdict.kind.value.lower(),
        "text": verdict.text,
        "cold": verdict.cold,
        "seconds": round(verdict.seconds, 3),
        "attempts": [
            {
                "seed": attempt.seed,
                "ok": attempt.ok,
                "seconds": round(attempt.seconds, 3),
                "file": attempt.file,
                "kept": attempt.kept,
                "gates": [{"gate": one.gate, "outcome": one.outcome.value, "words": one.words} for one in attempt.findings],
            }
            for attempt in verdict.attempts
        ],
    }


def brief(verdict: Verdict) -> dict[str, Any]:
    """The verdict alone, as the journal keeps it."""
    said = {Outcome.PASSED: True, Outcome.FAILED: False}  # None: it was not checked, or is advice
    gates = [{"gate": one.gate, "ok": said.get(one.outcome)} for one in verdict.attempts[-1].findings]
    return {"ok": verdict.ok, "cold": verdict.cold, "seconds": round(verdict.seconds, 3), "gates": gates, "words": sentence(verdict)}


def _attempt(number: int, attempt: Attempt) -> list[str]:
    kept = attempt.kept or f"{attempt.file} of ComfyUI"
    lines = [f"{number}. seed {attempt.seed}, made in {attempt.seconds:.1f} s, kept as {kept}"]
    return lines + [f"   {one.outcome.value:11}  {one.gate:9}  {one.words}" for one in attempt.findings]
