"""The tables of the page on a test of pods, each in a section of its own. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from firstlight.fleet.cycle import Cycle, Outcome
from firstlight.fleet.results import Results, Tally
from firstlight.fleet.statistics import Spread
from firstlight.markup.tags import Child, Html, tag
from firstlight.report import words
from firstlight.report.pods.trial import OUTCOME, percent

# So many cycles are drawn and listed; those that failed are among them first.
SHOWN = 300


def section(title: str, *children: Child, note: str = "", kind: str = "") -> Html:
    """A part of the page under its title."""
    return tag("section", tag("h2", title, tag("span", note, class_="note") if note else None), *children, class_=kind or None)


def legs(total: Tally) -> Html | None:
    """What each leg took; None where none has ended."""
    if not total.legs:
        return None
    rows: list[tuple[str, Spread]] = [("ready, from the order", total.to_ready)] if total.to_ready else []
    rows += list(total.legs.items())
    return section(
        "What each leg took",
        _table(
            ("leg", "=p50", "=p90", "=p99", "=slowest", "=times"),
            ((name, *(words.duration(value) for value in (one.p50, one.p90, one.p99, one.highest)), str(one.count)) for name, one in rows),
            "What each leg took",
        ),
        note=(total.to_ready.caution or "") if total.to_ready else "",
    )


def pods(results: Results) -> Html | None:
    """Each pod, the worst first; None where there is one alone."""
    if len(results.pods) < 2:
        return None
    return section(
        "Pods",
        _table(
            ("pod", "=proven", "=rate, 95 %", "=p50", "=slowest", "=hosts", "=USD"),
            (
                (
                    tag("td", subject.name or subject.id, tag("span", subject.id, class_="small")),
                    f"{tally.proven} of {tally.cycles}",
                    f"{percent(tally.interval.low)} - {percent(tally.interval.high)}" if tally.cycles else "",
                    words.duration(tally.to_ready.p50) if tally.to_ready else "",
                    words.duration(tally.to_ready.highest) if tally.to_ready else "",
                    str(len(tally.hosts)),
                    f"{tally.cost:.2f}",
                )
                for subject, tally in sorted(results.pods, key=lambda pair: pair[1].interval.low)[:SHOWN]
            ),
            "Pods",
        ),
        note="the worst first",
        kind="long",
    )


def hosts(total: Tally) -> Html | None:
    """The hosts that were met; None where no pod told of any."""
    if not total.hosts:
        return None
    return section(
        "Hosts",
        _table(
            ("GPUs", "driver", "data centre", "CUDA", "=proven"),
            (
                (
                    tag("td", (tag("code", gpu, " ") for gpu in host.gpus), class_="wide"),
                    host.driver or "",
                    host.data_center or "",
                    host.cuda_version or "",
                    f"{host.proven} of {host.cycles}",
                )
                for host in total.hosts[:SHOWN]
            ),
            "Hosts",
        ),
        note="told apart by GPU and driver: RunPod names no host",
    )


def cycles(results: Results, shown: Sequence[Cycle]) -> Html | None:
    """Each cycle that is shown; None where there is none."""
    if not shown:
        return None
    kinds = {Outcome.PROVEN: "well", Outcome.REFUSED: "ill", Outcome.UNANSWERED: "over"}
    names = {subject.id: subject.name or subject.id for subject, _ in results.pods}
    many = len(names) > 1
    return section(
        "Cycles",
        _table(
            (*(("pod",) if many else ()), "=#", "outcome", "=ready after", "evidence", "GPUs and driver", "=USD"),
            (
                (
                    *((names[cycle.pod],) if many else ()),
                    str(cycle.number),
                    tag("td", tag("span", OUTCOME[cycle.outcome], class_=f"badge {kinds.get(cycle.outcome, 'bad')}"), class_="tight"),
                    words.duration(cycle.to_ready) if cycle.to_ready is not None else "",
                    tag(
                        "td",
                        cycle.words,
                        tag(
                            "span",
                            moment(cycle.began_at),
                            f", as pod {cycle.instance}" if cycle.instance != cycle.pod else None,
                            class_="small",
                        ),
                        class_="wide",
                    ),
                    tag(
                        "td",
                        (tag("code", gpu, " ") for gpu in cycle.gpus),
                        tag("span", f"driver {cycle.driver}", class_="small") if cycle.driver else None,
                        tag("span", "another host than before", class_="small") if cycle.host_changed else None,
                    ),
                    f"{cycle.cost:.3f}",
                )
                for cycle in shown
            ),
            "Cycles",
        ),
        note=f"{len(shown)} of {len(results.cycles)}; cycles.jsonl has them all" if len(shown) < len(results.cycles) else "",
        kind="long",
    )


def _table(names: Sequence[str], rows: Iterable[Sequence[str | Html]], label: str) -> Html:
    """Columns whose names begin with = hold figures."""
    figures = [name.startswith("=") for name in names]
    head = tag(
        "tr",
        (
            tag("th", name.lstrip("="), scope="col", class_="figure" if figure else None)
            for name, figure in zip(names, figures, strict=True)
        ),
    )
    body = (
        tag(
            "tr",
            (
                cell if isinstance(cell, Html) else tag("td", cell, class_="figure" if figure else None)
                for cell, figure in zip(row, figures, strict=True)
            ),
        )
        for row in rows
    )
    table = tag("table", tag("thead", head), tag("tbody", body))
    # What is wider than the screen is scrolled, by the keyboard too.
    return tag("div", table, class_="scroll", tabindex="0", role="region", aria_label=label)


def moment(at: str) -> str:
    """2026-11-24T08:00:01.000Z as 2026-11-24 08:00:01 UTC."""
    return f"{at[:10]} {at[11:19]} UTC" if len(at) >= 19 else at
