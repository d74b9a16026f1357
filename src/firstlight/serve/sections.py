"""The parts of the status page, each from a `View`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

from firstlight.journal.event import Condition, Stage
from firstlight.journal.status import CheckState, Companion
from firstlight.markup.tags import Child, Html, prose, tag
from firstlight.serve.background import PastBoot
from firstlight.serve.proofs import Gpu
from firstlight.serve.sentence import seconds_in_words
from firstlight.serve.view import Done, Found, View
from firstlight.serve.waterfall import Bar, lay_out

# What was done over and over in a long life would fill the page.
_REMEDIES = 6

# As many GPUs fill a row of the page.
_NARROW = 3

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
    if view.status.stage is Stage.HOLD or (view.status.condition is Condition.FAILED and view.status.ready):
        return "bad"
    if view.status.stage in (Stage.END, Stage.STOP):
        return "over" if not view.status.code else "bad"
    if view.status.ready:
        return "ill" if view.status.condition is Condition.DEGRADED else "well"
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
            moment(view.status.since),
            ", for ",
            seconds_in_words(max(0.0, since_start(view, now) - view.stage_at)),
            f". Ready {seconds_in_words(view.ready_after)} after the start." if view.ready_after is not None else ".",
            class_="since",
        ),
        id="now",
        class_=f"now {tone(view)}",
    )


def hold(view: View) -> Html | None:
    """What a boot that holds asks of a person."""
    if view.status.stage is not Stage.HOLD:
        return None
    return _section(
        "hold",
        "What to do",
        tag("p", "The container stays up so that somebody can look. The app was not started."),
        tag("p", f"It asks for: {view.status.asks}.") if view.status.asks else None,
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
    more = f"{view.spans_left_out} earlier stretches are in `firstlight timeline`; " if view.spans_left_out else ""
    return _section("boot", "Boot", tag("ol", *rows, class_="waterfall"), note=f"{more}started {clock(view.status.started_at)}")


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
        tag("span", "; ".join(dict.fromkeys(bar.words)), class_="words") if bar.words else None,
    )


def legs(view: View) -> Html | None:
    """The way to a ready app, and with an acceptance to the first verified generation; and how long each leg of it took."""
    stands = view.status
    if not stands.legs:
        return None
    rows = [
        tag("li", badge("well", leg.name), tag("span", f"{seconds_in_words(leg.seconds)}, {seconds_in_words(leg.at)} after the start"))
        for leg in stands.legs
    ]
    if stands.accepted is not None:
        kind, state = ("well", "accepted") if stands.accepted.ok else ("bad", "not accepted")
        gates = ", ".join(f"{name} {_PASSED[ok]}" for name, ok in stands.accepted.gates)
        rows.append(tag("li", badge(kind, state), tag("span", " · ".join(filter(None, (stands.accepted.words, gates))))))
    late = tag("p", stands.late, class_="small") if stands.late is not None else None
    generates = stands.accepted is not None or any(leg.name == "prompt" for leg in stands.legs)
    note = "none verified yet" if generates else ""
    if stands.verified_after is not None:
        note = f"verified after {seconds_in_words(stands.verified_after)}{_MODELS[stands.verified_cold]}"
    title = "First generation" if generates else "Legs of the start"
    return _section("legs", title, tag("ul", *rows, class_="plain"), late, note=note)


_MODELS = {None: "", True: ", cold", False: ", cached"}
_PASSED = {None: "not checked", True: "passed", False: "failed"}


def gpus(view: View) -> Html | None:
    """Each GPU and the proof of it."""
    if not view.gpus:
        if view.status.usable is None:
            return None
        return _section("gpus", "GPUs", tag("p", "No GPU is proven yet.", class_="small"), note=_usable(view), narrow=True)
    cards = tag("ul", *[_gpu(gpu, place) for place, gpu in enumerate(view.gpus)], class_="cards")
    return _section("gpus", "GPUs", cards, note=_usable(view), narrow=len(view.gpus) < _NARROW)


def _usable(view: View) -> str:
    of = f" of {view.status.expected}" if view.status.expected is not None else ""
    return f"proven on {view.status.usable or 0}{of}"


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
    remedies = [_remedy(done) for done in view.remedies[-_REMEDIES:]]
    return _section(
        "faults",
        "Faults" if view.findings else "Cured",
        *[_fault(found) for found in view.findings],
        tag("h3", "What was done") if view.findings and remedies else None,
        tag("ul", *remedies, class_="plain") if remedies else None,
    )


def _remedy(done: Done) -> Html:
    kind = "well" if done.outcome == "applied" else "ill"
    return tag("li", badge(kind, done.outcome), tag("span", tag("b", done.remedy), " ", tag("code", done.words)))


def _fault(found: Found) -> Html:
    quotes: list[Child] = [(tag("dt", name), tag("dd", value)) for name, value in found.quotes.items()]
    acts = "; ".join(part for part in (found.actor, found.time) if part)
    return tag(
        "article",
        tag("h3", tag("code", found.fault), " ", tag("span", found.title, class_="title") if found.title else None),
        tag("p", found.sentence),
        tag("dl", *quotes, class_="quotes") if quotes else None,
        tag("p", tag("b", "Cure: "), prose(found.cure)) if found.cure else None,
        tag("p", tag("b", "Who must act: "), acts, ".") if acts else None,
        class_="fault",
    )


def app(view: View) -> Html:
    """The app's process, how it answers, and what runs beside it."""
    pid = view.status.app_pid
    before = "ended with exit code " + str(view.status.app_code) if view.status.app_code is not None else "not started"
    rows = [_entry("well", "runs", "app", f"pid {pid}") if pid is not None else _entry("over", "not running", "app", before)]
    if view.restarts:
        causes = ", ".join(f"{cause} {count}" for cause, count in sorted(view.restarts.items()))
        count = sum(view.restarts.values())
        words = f"by cause: {causes}; last: {view.status.restart_reason or 'no reason given'}"
        rows.append(_entry("ill", "restarted", "once" if count == 1 else f"{count} times", words))
    rows += [_check(check) for check in view.status.checks]
    rows += [_companion(one) for one in view.status.companions]
    command = tag("p", tag("code", " ".join(view.command)), class_="small argv") if view.command else None
    return _section("app", "App", command, tag("ul", *rows, class_="plain"), narrow=len(view.gpus) < _NARROW)


def _check(check: CheckState) -> Html:
    if check.ok is None:
        return _entry("over", "not asked yet", check.check, check.level)
    return _entry(
        "well" if check.ok else "bad", "passes" if check.ok else "fails", check.check, " · ".join(filter(None, (check.level, check.words)))
    )


def _companion(one: Companion) -> Html:
    if one.pid is not None:
        words = f"beside the app, pid {one.pid}" + (f", started {one.starts} times" if one.starts > 1 else "")
        return _entry("well", "runs", one.name, words)
    return _entry("ill", "ended", one.name, f"beside the app, exit code {one.code}")


def _entry(kind: str, state: str, name: str, words: str) -> Html:
    return tag("li", badge(kind, state), tag("span", tag("b", name), " ", tag("span", words, class_="small")))


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
    updated = _parsed(view.status.updated_at)
    return view.status.seconds + (max(0.0, now - updated.timestamp()) if updated and view.status.stage is not Stage.END else 0.0)


def _parsed(at: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(at.replace("Z", "+00:00"))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)


def gib(size: int) -> str:
    """Such as: 79.6 GiB."""
    return f"{size / (1 << 30):.1f} GiB"


def _section(name: str, title: str, *children: Child, note: str = "", narrow: bool = False) -> Html:
    heading = tag("h2", title, tag("span", note, class_="note") if note else None, id=f"{name}-title")
    return tag("section", heading, *children, id=name, class_="half" if narrow else None, aria_labelledby=f"{name}-title")
