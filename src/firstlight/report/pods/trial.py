"""What came of a test of pods: as text for people, and as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from firstlight.fleet.cycle import Cycle, Outcome
from firstlight.fleet.record import VERSION
from firstlight.fleet.results import Results, Tally
from firstlight.fleet.statistics import Interval, Spread
from firstlight.report import words
from firstlight.report.style import PLAIN, Style, fit, printable, wrap

OUTCOME = {
    Outcome.PROVEN: "proven",
    Outcome.REFUSED: "start refused",
    Outcome.ZERO_GPU: "started without a GPU",
    Outcome.NEVER_UP: "never came up",
    Outcome.CUDA_ILL: "CUDA ill",
    Outcome.SSH_ILL: "SSH or CUDA in it ill",
    Outcome.NOT_READY: "app not ready",
    Outcome.NO_PROXY: "not reached through the proxy",
    Outcome.NOT_STOPPED: "did not stop",
    Outcome.UNANSWERED: "RunPod did not answer",
}

# So many pods and so many failures are told on a screen; the report has all of them.
_PODS, _FAILURES = 40, 20

_LABEL = 13


def rate(interval: Interval, proven: int, cycles: int) -> str:
    """Such as: 90 %, and in truth between 70 % and 97 % (Wilson, 95 %)."""
    return f"{percent(proven / cycles)}, and in truth between {percent(interval.low)} and {percent(interval.high)} (Wilson, 95 %)"


def percent(part: float) -> str:
    """Such as: 97 %. It is 100 % only where all is."""
    return f"{min(round(part * 100), 99 if part < 1 else 100)} %" if part >= 0.005 or part == 0 else "1 %"


def headline(results: Results) -> str:
    """The answer in one line."""
    total = results.total
    if not total.cycles:
        return "No cold start was made"
    some = f"{total.proven} of {words.count(total.cycles, 'cold start')} proven"
    return some if results.finished else f"{some}, of {total.planned} that were planned"


def render(results: Results, style: Style = PLAIN) -> str:
    """The answer, what it rests on, and where to look further."""
    total = results.total
    mark = style.paint(style.mark("good"), "green") if results.well else style.paint(style.mark("bad"), "red")
    lines = [f"{mark} {style.paint(headline(results), 'bold')}"]
    if results.ended:
        lines += _row("ended early", printable(results.ended))
    if total.cycles:
        lines += _row("rate", rate(total.interval, total.proven, total.cycles))
        if total.given not in (0, total.cycles):
            lines += _row("with a GPU", f"{total.proven} of {total.given}: {rate(total.given_interval, total.proven, total.given)}")
        lines += _row("outcomes", ", ".join(f"{number} {OUTCOME[outcome]}" for outcome, number in total.outcomes.items()))
    if total.faults:
        lines += _row("faults", ", ".join(f"{number} {printable(fault)}" for fault, number in total.faults.items()))
    if total.to_ready:
        lines += _row("ready after", _spread(total.to_ready))
    lines += _row("hosts", _hosts(total))
    lines += _row("cost", f"{total.cost:.2f} USD of at most {results.plan.cap:.2f}; storage is not counted")
    blocks = ["\n".join(lines)]
    if total.legs:
        blocks.append("\n".join(_legs(total, style)))
    if len(results.pods) > 1:
        blocks.append("\n".join(_pods(results, style)))
    failures = [cycle for cycle in results.cycles if cycle.outcome is not Outcome.PROVEN]
    if failures:
        blocks.append("\n".join(_failures(failures, style)))
    bad = [one for one in results.returned.values() if not one.ok]
    if bad:
        blocks.append("\n".join(f"{style.mark('ill')} {one.pod} is not as it was: {printable(one.words)}" for one in bad))
    return fit("\n\n".join(blocks), style)


def _row(label: str, text: str) -> list[str]:
    indent = " " * (_LABEL + 2)
    return wrap(text, indent, f"  {label:<{_LABEL}}")


def _spread(found: Spread) -> str:
    caution = f" ({found.caution})" if found.caution else ""
    return (
        f"p50 {words.duration(found.p50)}, p90 {words.duration(found.p90)}, p99 {words.duration(found.p99)}, "
        f"slowest {words.duration(found.highest)}{caution}"
    )


def _hosts(total: Tally) -> str:
    seen = f"{words.count(len(total.hosts), 'host')} seen, by GPU and driver" if total.hosts else "none seen: no pod told of its GPU"
    return f"{seen}; changed {words.count(total.host_changes, 'time')}"


def _legs(total: Tally, style: Style) -> Iterable[str]:
    yield style.paint(f"  {'leg':<{_LABEL}}{'p50':>12}{'p90':>12}{'p99':>12}{'slowest':>12}{'times':>8}", "bold")
    for name, found in total.legs.items():
        times = (found.p50, found.p90, found.p99, found.highest)
        yield f"  {name:<{_LABEL}}{''.join(f'{words.duration(value):>12}' for value in times)}{found.count:>8}"


def _pods(results: Results, style: Style) -> Iterable[str]:
    width = min(max(len(_name(subject.name or subject.id)) for subject, _ in results.pods), 30)
    yield style.paint(f"  {'pod':<{width}}  {'proven':>9}  {'rate, 95 %':>13}{'p50':>12}{'slowest':>12}{'hosts':>7}{'USD':>8}", "bold")
    # Those that went worst first: they are why somebody looks.
    worst = sorted(results.pods, key=lambda pair: pair[1].interval.low)
    for subject, tally in worst[:_PODS]:
        found = tally.to_ready
        bounds = f"{percent(tally.interval.low)} - {percent(tally.interval.high)}" if tally.cycles else ""
        times = f"{words.duration(found.p50):>12}{words.duration(found.highest):>12}" if found else " " * 24
        name = _name(subject.name or subject.id)
        yield f"  {name:<{width}}  {f'{tally.proven}/{tally.cycles}':>9}  {bounds:>13}{times}{len(tally.hosts):>7}{tally.cost:>8.2f}"
    if len(worst) > _PODS:
        yield f"  and {len(worst) - _PODS} more; report.json has them all"


def _name(name: str) -> str:
    shown = printable(name)
    return shown if len(shown) <= 30 else f"{shown[:27]}..."


def _failures(failures: Sequence[Cycle], style: Style) -> Iterable[str]:
    for cycle in failures[:_FAILURES]:
        fault = f" ({printable(cycle.fault)})" if cycle.fault else ""
        text = f"{printable(cycle.pod)} cycle {cycle.number}: {OUTCOME[cycle.outcome]}{fault}{': ' if cycle.words else ''}{printable(cycle.words)}"
        yield from wrap(text, "    ", f"  {style.mark('bad')} ")
    if len(failures) > _FAILURES:
        yield f"    and {len(failures) - _FAILURES} more; report.json has them all"


def plain(results: Results) -> dict[str, Any]:
    """For programs; docs/reference/pod-test.md says what each field is."""
    return {
        "version": VERSION,
        "made_at": results.made_at,
        "finished": results.finished,
        "well": results.well,
        "ended": results.ended,
        "plan": {**asdict(results.plan), "mode": results.plan.mode.value},
        "total": _tally(results.total),
        "pods": [{"id": subject.id, "name": subject.name, **_tally(tally)} for subject, tally in results.pods],
        "cycles": [{**asdict(cycle), "outcome": cycle.outcome.value, "to_ready": cycle.to_ready} for cycle in results.cycles],
        "returned": [asdict(one) for one in results.returned.values()],
    }


def _tally(tally: Tally) -> dict[str, Any]:
    return {
        "planned": tally.planned,
        "cycles": tally.cycles,
        "proven": tally.proven,
        "outcomes": {outcome.value: number for outcome, number in tally.outcomes.items()},
        "interval": asdict(tally.interval),
        "given": tally.given,
        "given_interval": asdict(tally.given_interval),
        "to_ready": asdict(tally.to_ready) if tally.to_ready else None,
        "legs": {name: asdict(found) for name, found in tally.legs.items()},
        "faults": dict(tally.faults),
        "host_changes": tally.host_changes,
        "hosts": [asdict(host) for host in tally.hosts],
        "cost": round(tally.cost, 6),
    }
