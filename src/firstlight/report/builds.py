"""Which build of PyTorch fits, for people and for programs."""

from __future__ import annotations

from typing import Any

from firstlight.probe.facts import Unknown, encode
from firstlight.pytorch.builds import Advice, Answer, Fit, Machine, dotted
from firstlight.report.style import Style, printable, wrap

_MARKS = {Answer.YES: "good", Answer.NO: "bad", Answer.UNKNOWN: "unknown"}


def render(advice: Advice, style: Style) -> str:
    """For people: the machine, the installed one, every known build, and what to do."""
    lines = wrap(printable(_machine(advice.machine)), indent="  ", first="")
    name = f"torch {advice.installed}" if advice.installed else "the torch that is there"
    lines += _line(name, advice.fit, style, "", "  ")
    lines += ["", *(line for build, fit in advice.builds for line in _line(build.name, fit, style, "  ", "           "))]
    return "\n".join([*lines, "", *wrap(printable(f"{style.mark('next')} {_next(advice)}"), indent="  ", first="")])


def _machine(machine: Machine) -> str:
    driver = f"driver {machine.driver}" if not isinstance(machine.driver, Unknown) else f"no driver is known: {machine.driver.reason}"
    speaks = f", CUDA {dotted(machine.speaks)}" if not isinstance(machine.speaks, Unknown) else ""
    if isinstance(machine.gpus, Unknown):
        return f"{driver}{speaks}; {machine.gpus.reason}"
    names = dict.fromkeys(f"{gpu.name} (compute capability {gpu.capability[0]}.{gpu.capability[1]})" for gpu in machine.gpus)
    return f"{driver}{speaks}; {', '.join(names)}"


def _line(name: str, fit: Fit, style: Style, first: str, indent: str) -> list[str]:
    words = {Answer.YES: "fits", Answer.NO: "does not fit", Answer.UNKNOWN: "may fit or not"}[fit.answer]
    return wrap(printable(f"{style.mark(_MARKS[fit.answer])} {name} {words}: {fit.reason}"), indent=indent, first=first)


def _next(advice: Advice) -> str:
    if advice.exit_code == 0:
        return "nothing has to be done"
    if not advice.recommended:
        return "no known build is sure to fit this machine"
    if not advice.installed and advice.fit.answer is Answer.UNKNOWN:
        return f"{advice.recommended} is the one to take here"
    better = "works without compiling" if advice.fit.answer is Answer.YES else "fits"
    return f"{advice.recommended} {better}: `firstlight torch upgrade --venv PATH --build {advice.recommended}`"


def encode_advice(advice: Advice) -> dict[str, Any]:
    """For programs."""
    machine = advice.machine
    return {
        "version": 1,
        "installed": {"version": advice.installed or None, **_fit(advice.fit)},
        "recommended": advice.recommended or None,
        "machine": encode(machine),
        "builds": [{"build": build.name, "cuda": f"{build.cuda[0]}.{build.cuda[1]}", **_fit(fit)} for build, fit in advice.builds],
    }


def _fit(fit: Fit) -> dict[str, Any]:
    answers = {Answer.YES: True, Answer.NO: False, Answer.UNKNOWN: None}
    return {"fits": answers[fit.answer], "native": fit.native if fit.answer is Answer.YES else None, "reason": fit.reason}
