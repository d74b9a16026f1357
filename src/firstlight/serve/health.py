"""What probes are told: is it alive, is it ready, has it started. In the form that Kubernetes' own servers use."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from firstlight.journal.event import Condition
from firstlight.serve.view import View


@dataclass(frozen=True)
class Line:
    """One check. `why` says why it failed; empty when it did not."""

    name: str
    why: str = ""


def alive(view: View | None) -> list[Line]:
    """The core itself: it ends this process when it ends. And the app, where it has a check for being alive."""
    lines = [Line("core")]
    if view is not None and view.status.app_pid is not None:
        lines += [
            Line(check.check, (check.words or "failed") if check.ok is False else "")
            for check in view.status.checks
            if check.level == "alive"
        ]
    return lines


def ready(view: View | None) -> list[Line]:
    """Whether the app can be used. What is not alive is not ready."""
    if view is None:
        return [Line("core"), Line("app", "the boot has just begun")]
    lines = alive(view)
    lines.append(Line("gpu", view.detail or "no GPU is usable" if view.status.condition is Condition.FAILED else ""))
    lines += [
        Line(check.check, "" if check.ok else check.words or "has not passed yet") for check in view.status.checks if check.level == "ready"
    ]
    lines.append(Line("app", "" if view.status.ready else _not_ready(view)))
    return lines


def started(view: View | None) -> list[Line]:
    """Whether the app has been ready once: what a startup probe waits for."""
    if view is not None and view.started:
        return [Line("started")]
    return [Line("started", view.headline if view is not None else "the boot has just begun")]


def _not_ready(view: View) -> str:
    return f"{view.headline}: {view.detail}" if view.detail else view.headline


def text(lines: Sequence[Line], *, name: str, exclude: Collection[str] = (), verbose: bool) -> tuple[int, str]:
    """Status code and body. Whoever may not know more gets one word."""
    asked = [line for line in lines if line.name not in exclude]
    well = not any(line.why for line in asked)
    if not verbose:
        return (200, "ok\n") if well else (503, "not ok\n")
    rows = [f"[-]{_one_line(line.name)} failed: {_one_line(line.why)}" if line.why else f"[+]{_one_line(line.name)} ok" for line in asked]
    rows += [f"[+]{_one_line(line.name)} excluded: ok" for line in lines if line.name in exclude]
    rows.append(f"{name} check {'passed' if well else 'failed'}")
    return 200 if well else 503, "\n".join(rows) + "\n"


def _one_line(text: str) -> str:
    return " ".join(text.split())
