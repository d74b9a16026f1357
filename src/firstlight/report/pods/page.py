"""What came of a test of pods, as one page that asks for nothing: to be kept, sent and printed. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from firstlight.fleet.cycle import Cycle, Outcome
from firstlight.fleet.record import Mode
from firstlight.fleet.results import Results, Tally
from firstlight.markup import family
from firstlight.markup.tags import Child, Html, tag
from firstlight.report import words
from firstlight.report.pods import plots, tables
from firstlight.report.pods.trial import OUTCOME, headline, percent

_STYLE = family.STYLE + family.asset(__package__ or "", "page.css")

# Nothing is fetched and nothing runs, whatever a pod has told of itself.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


def render(results: Results) -> str:
    """The whole page."""
    kind = "well" if results.well else "bad" if results.finished or not results.total.proven else "ill"
    shown = _shown(results.cycles)
    page = tag(
        "html",
        tag(
            "head",
            tag("meta", charset="utf-8"),
            tag("title", f"{headline(results)} · firstlight"),
            tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("meta", name="color-scheme", content="light dark"),
            tag("link", rel="icon", href=family.icon(kind)),
            tag("style", Html(_STYLE)),
        ),
        tag(
            "body",
            tag("div", tag("span", "firstlight", class_="mark"), tag("span", "cold-start test", class_="app"), class_="top"),
            tag(
                "main",
                _headline(results, kind),
                _cards(results.total, results.plan.cap),
                _starts(results, shown),
                _staircase(results.total, results.cycles),
                tables.legs(results.total),
                tables.pods(results),
                tables.hosts(results.total),
                tables.cycles(results, shown),
                _how(results),
            ),
            tag("footer", tag("p", f"firstlight {results.plan.made_by}"), tag("p", f"made {tables.moment(results.made_at)}")),
        ),
        lang="en",
    )
    return f"<!DOCTYPE html>\n{page}\n"


def _shown(cycles: Sequence[Cycle]) -> tuple[Cycle, ...]:
    worst = sorted(cycles, key=lambda cycle: cycle.outcome is Outcome.PROVEN)[: tables.SHOWN]
    return tuple(sorted(worst, key=lambda cycle: (cycle.pod, cycle.number)))


def _headline(results: Results, kind: str) -> Html:
    total = results.total
    if not total.cycles:
        detail: Child = "Nothing can be said of this pod yet."
    else:
        detail = (
            f"The true rate lies between {percent(total.interval.low)} and {percent(total.interval.high)}, "
            f"as far as {words.count(total.cycles, 'cold start')} can tell (Wilson, 95 %)."
        )
    return tag(
        "header",
        tag("h1", tag("span", class_="dot", aria_hidden="true"), tag("span", headline(results)), class_="headline", style="margin:0"),
        tag("p", detail, class_="detail"),
        tag("p", f"It ended early: {results.ended}.", class_="since") if results.ended else None,
        (plots.gauge(total.interval, total.proven / total.cycles), tag("p", tag("span", "0 %"), tag("span", "100 %"), class_="ends"))
        if total.cycles
        else None,
        class_=f"now {kind}",
    )


def _cards(total: Tally, cap: float) -> Html:
    found = total.to_ready
    known = [
        ("ready after, p50", words.duration(found.p50)) if found else None,
        ("ready after, p90", words.duration(found.p90)) if found and found.count >= 10 else None,
        ("slowest", words.duration(found.highest)) if found else None,
        *((OUTCOME[outcome], str(number)) for outcome, number in total.outcomes.items() if outcome is not Outcome.PROVEN),
        ("hosts seen", str(len(total.hosts))),
        ("times the host changed", str(total.host_changes)) if total.host_changes else None,
        (f"of at most {cap:.2f} USD", f"{total.cost:.2f} USD"),
    ]
    return tag(
        "ul", (tag("li", tag("span", one[1], class_="value"), tag("span", one[0], class_="small")) for one in known if one), class_="cards"
    )


def _starts(results: Results, shown: Sequence[Cycle]) -> Html | None:
    if not shown:
        return None
    whole = plots.scale(shown)
    names = {subject.id: subject.name or subject.id for subject, _ in results.pods}
    many = len(names) > 1
    used = {leg.name for cycle in shown for leg in cycle.legs}
    legend = tag(
        "ul",
        (
            tag("li", tag("i", class_=f"leg-{name}{' thin' if name in plots.BESIDE else ''}"), tag("b", name), plots.MEANING[name])
            for name in (*plots.MAIN, *plots.BESIDE)
            if name in used
        ),
        tag("li", tag("i", class_="leg-failed"), tag("b", "failed"))
        if any(cycle.outcome is not Outcome.PROVEN for cycle in shown)
        else None,
        class_="legend",
    )
    rows = tag("ol", (_row(cycle, whole, names[cycle.pod] if many else "") for cycle in shown), class_=f"starts{' many' if many else ''}")
    left = len(results.cycles) - len(shown)
    note = f"{len(shown)} of {len(results.cycles)}: all others came up" if left else "seconds from the order to start"
    return tables.section("Each cold start", legend, rows, plots.axis(whole), note=note, kind=f"long{' many' if many else ''}")


def _row(cycle: Cycle, whole: float, name: str) -> Html:
    ready = cycle.to_ready
    length = words.duration(ready) if ready is not None else OUTCOME[cycle.outcome]
    cause = None
    if cycle.outcome is not Outcome.PROVEN:
        fault = f" {cycle.fault}" if cycle.fault else ""
        cause = tag("p", tag("b", f"{OUTCOME[cycle.outcome]}{fault}"), f": {cycle.words}" if cycle.words else None, class_="cause")
        length = "✗"
    changed = tag("p", "another host than before", class_="cause") if cycle.host_changed else None
    return tag(
        "li",
        # The number stays whole where the name is too long.
        tag("span", tag("span", name) if name else None, tag("span", str(cycle.number)), class_="name", title=name or None),
        plots.bar(cycle, whole),
        tag("span", length, class_="length"),
        cause,
        changed,
    )


def _staircase(total: Tally, cycles: Sequence[Cycle]) -> Html | None:
    values = [cycle.to_ready for cycle in cycles if cycle.to_ready is not None]
    if total.to_ready is None or len(values) < 2:
        return None
    whole = max(values) * 1.05
    percents = tag(
        "div", (tag("span", f"{at} %", style=f"top:{100 - at}%") for at in (0, 50, 90, 100)), class_="percents", aria_hidden="true"
    )
    note = total.to_ready.caution or f"of {total.to_ready.count}"
    plot = tag("div", percents, plots.staircase(values, whole), plots.axis(whole), class_="stairs-plot")
    return tables.section("How many were ready after how long", plot, note=note)


def _how(results: Results) -> Html:
    plan = results.plan
    if plan.mode is Mode.STOP_START:
        does = "Each pod was stopped until RunPod showed it as stopped, and started again. A stopped pod comes back to its own host, so this tests one host for each pod."
    else:
        does = "For each cycle a pod like the one that is tested was created, proven and terminated. This samples the hosts that RunPod has; the pod itself was not touched."
    asked = f" A host had to be able to CUDA {plan.min_cuda}." if plan.min_cuda else ""
    proof = (
        "A cold start is proven when RunPod shows the pod as running, its agent answers, a kernel has run on each of its GPUs, "
        f"{'CUDA works in an SSH session too, ' if plan.ssh else ''}the app is ready, and it answers through RunPod's proxy. "
        "Its time counts from the order to start until the app was ready."
    )
    figures = (
        "The interval is Wilson's, at 95 %. Percentiles are by nearest rank: each is a time that was measured. "
        f"The cost is that of the GPUs, from the start that was accepted to the stop that was confirmed; {plan.expected:.2f} USD were expected. Storage is not counted."
    )
    left = tag(
        "p",
        "Afterwards: ",
        "; ".join(f"{pod} {one.words}" for pod, one in list(results.returned.items())[:10]),
        "." if results.returned else "",
    )
    return tables.section(
        "How it was done",
        tag("div", tag("p", does, asked), tag("p", proof), tag("p", figures), left if results.returned else None, class_="how"),
    )
