"""The parts of the status page, each from a `View`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

from firstlight.journal.event import Condition, Stage
from firstlight.serve.background import PastBoot
from firstlight.serve.markup import Child, Html, tag
from firstlight.serve.proofs import Gpu
from firstlight.serve.sentence import seconds_in_words
from firstlight.serve.view import Companion, Found, View
from firstlight.serve.waterfall import Bar, lay_out

_STAGES = {
    Stage.START: "start",
    Stage.PROBE: "probe",
    Stage.DIAGNOSE: "diagnose",
    Stage.TREAT: "cure",
    Stage.WAIT: "wait",
    Stage.PROVE: "prove",
    Stage.APP: "app",
    Stage.READY: "ready",
    Stage.BACKOFF: "back-off",
    Stage.STOP: "stop",
    Stage.END: "end",
    Stage.HOLD: "hold",
}


def tone(view: View | None) -> str:
    """How it looks at a glance: well, ill, bad, busy, over."""
    if view is None:
        return "busy"
    if view.stage is Stage.HOLD or (view.condition is Condition.FAILED and view.ready):
        return "bad"
    if view.stage in (Stage.END, Stage.STOP):
        return "over" if not view.code else "bad"
    if view.ready:
        return "ill" if view.condition is Condition.DEGRADED else "well"
    return "busy"


def headline(view: View, now: float) -> Html:
    """The one sentence, since when, and what holds it up."""
    return tag(
        "header",
        tag(
            "p",
            tag("span", class_="dot", aria_hidden="true"),
            tag("span", view.headline, id="headline", role="status", aria_live="polite"),
            class_="headline",
        ),
        tag("p", view.detail, class_="detail") if view.detail else None,
        tag(
            "p",
            "Since ",
            moment(view.since),
            ", for ",
            seconds_in_words(max(0.0, since_start(view, now) - view.since_start)),
            f". Ready {seconds_in_words(view.ready_after)} after the start." if view.ready_after is not None else ".",
            class_="since",
        ),
        id="now",
        class_=f"now {tone(view)}",
    )


def hold(view: View) -> Html | None:
    """What a boot that holds asks of a person."""
    if view.hold is None:
        return None
    return _section(
        "hold",
        "What to do",
        tag("p", "The container stays up so that somebody can look. The app was not started."),
        tag("p", f"It asks for: {view.hold.asks}.") if view.hold.asks else None,
        tag("p", "Once the cause is gone, try again from inside the container:"),
        tag("pre", tag("code", "firstlight ctl retry"), class_="command"),
        tag(
            "p",
            tag("code", "firstlight doctor"),
            " says what is wrong now; ",
            tag("code", "firstlight ctl stop"),
            " ends the container.",
            class_="small",
        ),
    )


def waterfall(view: View, now: float) -> Html:
    """Where the time went, a bar for each stretch."""
    rows = [_row(bar) for bar in lay_out(view.spans, since_start(view, now))]
    return _section("boot", "Boot", tag("ol", *rows, class_="waterfall"), note=f"started {clock(view.started_at)}")


def _row(bar: Bar) -> Html:
    name = _STAGES.get(bar.stage, bar.stage.value)
    length = f"{seconds_in_words(bar.seconds)}{' so far' if bar.unfinished else ''}"
    classes = f"bar stage-{bar.stage.value}{' growing' if bar.unfinished else ''}{' cut' if bar.cut else ''}"
    rect = tag("rect", x=f"{bar.start}%", width=f"{bar.width}%", y="0", height="100%", rx="3")
    gap = tag("rect", class_="gap", x=f"{round(bar.start + bar.width * 0.8, 2)}%", width="0.6%", y="0", height="100%") if bar.cut else None
    return tag(
        "li",
        tag("span", name, class_="stage"),
        tag(
            "svg",
            tag("rect", class_="track", x="0", y="0", width="100%", height="100%", rx="3"),
            rect,
            gap,
            class_=classes,
            aria_hidden="true",
        ),
        tag("span", length, class_="length"),
        tag("span", "; ".join(bar.words), class_="words") if bar.words else None,
    )


def gpus(view: View) -> Html | None:
    """Each GPU and the proof of it."""
    if not view.gpus:
        if view.usable is None:
            return None
        return _section("gpus", "GPUs", tag("p", "No GPU answers.", class_="small"), note=_usable(view))
    return _section(
        "gpus", "GPUs", tag("ul", *[_gpu(gpu, place) for place, gpu in enumerate(view.gpus)], class_="cards"), note=_usable(view)
    )


def _usable(view: View) -> str:
    of = f" of {view.expected}" if view.expected is not None else ""
    return f"proven on {view.usable or 0}{of}"


def _gpu(gpu: Gpu, place: int) -> Html:
    if gpu.proven is True:
        proof = badge("well", "proven")
        words = f"A kernel ran and its result was right{f' ({seconds_in_words(gpu.kernel)})' if gpu.kernel is not None else ''}."
    else:
        proof = badge("bad", "not proven")
        words = gpu.words or "No kernel was run on it yet."
    memory = gib(gpu.memory) if gpu.memory is not None else ""
    if gpu.used is not None and memory:
        memory = f"{memory}, {gib(gpu.used)} in use"
    return tag(
        "li",
        tag("h3", tag("span", str(place), class_="number", aria_label=f"GPU {place}:"), " ", gpu.name),
        tag("p", proof, tag("span", memory, class_="memory") if memory else None, class_="line"),
        tag("p", words, class_="small"),
        tag("p", gpu.uuid, class_="uuid") if gpu.uuid else None,
    )


def faults(view: View) -> Html | None:
    """What is wrong, why we believe it, and who must do what."""
    if not view.findings and not view.remedies:
        return None
    remedies = [
        tag(
            "li", badge("well" if outcome == "applied" else "ill", outcome), " ", tag("b", name), " ", tag("code", words) if words else None
        )
        for name, outcome, words in view.remedies
    ]
    return _section(
        "faults",
        "Faults" if view.findings else "Cured",
        *[_fault(found) for found in view.findings],
        tag("h3", "What was done") if view.findings and remedies else None,
        tag("ul", *remedies, class_="plain") if remedies else None,
    )


def _fault(found: Found) -> Html:
    quotes: list[Child] = [(tag("dt", name), tag("dd", value)) for name, value in found.quotes]
    acts = "; ".join(part for part in (found.actor, found.time) if part)
    cure = found.cure or found.advice
    return tag(
        "article",
        tag("h3", tag("code", found.fault), " ", tag("span", found.title, class_="title") if found.title else None),
        tag("p", found.sentence),
        tag("dl", *quotes, class_="quotes") if quotes else None,
        tag("p", tag("b", "Cure: "), cure) if cure else None,
        tag("p", tag("b", "Who must act: "), acts, ".") if acts else None,
        class_="fault",
    )


def checks(view: View) -> Html | None:
    """How the app answers, and what runs beside it."""
    rows = [
        tag(
            "li",
            badge("well" if check.ok else "bad", "passes" if check.ok else "fails"),
            " ",
            tag("b", check.name),
            tag("span", f" {check.words}" if check.words else "", class_="small"),
        )
        for check in view.checks
    ]
    restarts = ", ".join(f"{count} for {cause}" for cause, count in sorted(view.restarts.items()))
    app = [
        tag(
            "li",
            badge("well", "runs") if view.app_running else badge("over", "not running"),
            " ",
            tag("b", "app"),
            tag("span", f" pid {view.app_pid}" if view.app_pid else "", class_="small"),
        ),
        tag(
            "li",
            badge("ill", "restarted"),
            " ",
            restarts,
            tag("span", f" last: {view.last_restart}" if view.last_restart else "", class_="small"),
        )
        if restarts
        else None,
    ]
    command = tag("p", tag("code", " ".join(view.command)), class_="small argv") if view.command else None
    return _section("app", "App", command, tag("ul", *app, *rows, *[_companion(one) for one in view.companions], class_="plain"))


def _companion(one: Companion) -> Html:
    state = badge("well", "runs") if one.running else badge("ill", "ended")
    words = "; ".join(part for part in (one.words, f"ended {one.ended} times" if one.ended else "") if part)
    return tag("li", state, " ", tag("b", one.name), tag("span", f" beside the app{'; ' if words else ''}{words}", class_="small"))


def output(lines: Sequence[str] | None) -> Html | None:
    """The app's last lines."""
    if lines is None:
        return _section("log", "Output", tag("p", "The file does not answer.", class_="small"))
    if not lines:
        return None
    return _section(
        "log",
        "Output",
        tag("pre", "\n".join(lines), tabindex="0", class_="log", role="region", aria_label="The last lines of the app"),
        note="the last lines",
    )


def past(boots: Sequence[PastBoot] | None, *, late: bool) -> Html | None:
    """Earlier boots in short."""
    if not boots:
        return _section("past", "Earlier boots", tag("p", "The volume does not answer.", class_="small")) if late else None
    head = tag("tr", *[tag("th", name, scope="col") for name in ("Started", "App after", "GPUs", "Lasted", "Code")])
    rows = [
        tag(
            "tr",
            tag("td", moment(boot.started_at)),
            tag("td", seconds_in_words(boot.ready_after) if boot.ready_after is not None else "never"),
            tag("td", " ".join(part for part in (boot.condition, boot.cause) if part) or "not asked"),
            tag("td", seconds_in_words(boot.seconds)),
            tag("td", "" if boot.code is None else str(boot.code)),
        )
        for boot in boots
    ]
    table = tag("table", tag("thead", head), tag("tbody", *rows))
    return _section("past", "Earlier boots", tag("div", table, class_="scroll", tabindex="0", role="region", aria_label="Earlier boots"))


def badge(kind: str, words: str) -> Html:
    """A word in a colour."""
    return tag("span", words, class_=f"badge {kind}")


def moment(at: str) -> Html:
    """A moment of the wall clock."""
    return tag("time", clock(at), datetime=at)


def clock(at: str) -> str:
    """Such as: 24 Nov 05:40:02 UTC."""
    found = _parsed(at)
    return f"{found.day} {found:%b %H:%M:%S} UTC" if found else at


def since_start(view: View, now: float) -> float:
    """Seconds since the boot began. `now` is the wall clock, which may have been set since."""
    updated = _parsed(view.updated_at)
    return view.seconds + (max(0.0, now - updated.timestamp()) if updated and view.stage is not Stage.END else 0.0)


def _parsed(at: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(at.replace("Z", "+00:00"))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)


def gib(size: int) -> str:
    """Such as: 79.6 GiB."""
    return f"{size / (1 << 30):.1f} GiB"


def _section(name: str, title: str, *children: Child, note: str = "") -> Html:
    heading = tag("h2", title, tag("span", note, class_="note") if note else None, id=f"{name}-title")
    return tag("section", heading, *children, id=name, aria_labelledby=f"{name}-title")
