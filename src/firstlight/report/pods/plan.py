"""What is to become of a pod or a template, as a difference. Of variables the names alone are shown, and no secret of a command."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Sequence

from firstlight.fleet import cuda
from firstlight.fleet.plan import Plan
from firstlight.providers.runpod import shapes
from firstlight.report.style import PLAIN, Style, fit, printable, wrap
from firstlight.settings import masking


def render(plan: Plan, style: Style = PLAIN) -> str:
    """One line for each word of the command, each port and each variable that comes, goes or changes."""
    body = plan.body
    lines = [style.paint(printable(plan.title[0].upper() + plan.title[1:]), "bold")]
    if not body:
        lines.append("  is as it should be")
        return fit("\n".join(lines), style)
    if "args" in body:
        lines += ["  start command", *_command(plan, style)]
    if "ports" in body:
        lines += ["  ports", *_difference(plan.before.ports, plan.ports, style)]
    if "env" in body:
        lines += ["  variables", *_variables(plan, style)]
    for words in plan.warnings:
        lines += _wrapped(f"{style.mark('ill')} {printable(words)}", style)
    return fit("\n".join(lines), style)


def plain(plan: Plan, *, applied: bool) -> dict[str, object]:
    """The same for JSON."""
    body = plan.body
    env = dict(zip(("added", "changed", "removed"), _names(plan), strict=True))
    return {
        "kind": plan.kind,
        "id": plan.before.id,
        "name": plan.before.name,
        "differs": bool(body),
        "applied": applied,
        "command": {"before": _parts(plan.before.args), "after": _parts(plan.args)} if "args" in body else None,
        "ports": {"before": list(plan.before.ports), "after": list(plan.ports)} if "ports" in body else None,
        "env": env if "env" in body else None,
        "warnings": list(plan.warnings),
        "cuda": cuda.minimum(plan.before.image),
    }


def _command(plan: Plan, style: Style) -> list[str]:
    before, after = _words(plan.before.args), _words(plan.args)
    return _difference(before or ["(the image's own)"], after or ["(the image's own)"], style)


def _words(args: str) -> list[str]:
    """As one would write them for a shell, each told apart from the next."""
    parts = _parts(args)
    return [f"{part}: {shlex.quote(word)}" for part, words in parts.items() for word in words]


def _parts(args: str) -> dict[str, list[str]]:
    command = shapes.command(args)
    return {"entrypoint": _masked(command.entrypoint), "cmd": _masked(command.cmd)}


def _masked(words: Sequence[str]) -> list[str]:
    """The words without secrets: neither in a word, nor in the one behind a flag that is called after a secret."""
    shown = []
    for previous, word in zip(("", *words), words, strict=False):
        behind = previous.startswith("--") and "=" not in previous and masking.masked(f"{previous} x") != f"{previous} x"
        shown.append(masking.MASK if behind else str(masking.masked(word)))
    return shown


def _difference(before: Sequence[str], after: Sequence[str], style: Style) -> list[str]:
    lines = []
    for _, first, last, first_after, last_after in difflib.SequenceMatcher(a=before, b=after, autojunk=False).get_opcodes():
        gone, come = before[first:last], after[first_after:last_after]
        if gone == come:
            lines += [f"    {printable(text)}" for text in gone]
        else:
            lines += ["  " + style.paint(f"- {printable(text)}", "red") for text in gone]
            lines += ["  " + style.paint(f"+ {printable(text)}", "green") for text in come]
    return lines


def _variables(plan: Plan, style: Style) -> list[str]:
    added, changed, removed = _names(plan)
    lines = [(name, "+", "green", "") for name in added]
    lines += [(name, "~", "yellow", " (changed)") for name in changed]
    lines += [(name, "-", "red", "") for name in removed]
    return ["  " + style.paint(f"{sign} {printable(name)}{words}", colour) for name, sign, colour, words in sorted(lines)]


def _names(plan: Plan) -> tuple[list[str], list[str], list[str]]:
    """Variables that come, that get another value, and that go."""
    before, after = plan.before.env, plan.env
    added = sorted(after.keys() - before.keys())
    changed = sorted(name for name in after.keys() & before.keys() if after[name] != before[name])
    return added, changed, sorted(before.keys() - after.keys())


def _wrapped(words: str, style: Style) -> list[str]:
    first, *rest = wrap(words, "    ", "  ")
    return [style.paint(first, "yellow"), *(style.paint(line, "yellow") for line in rest)]
