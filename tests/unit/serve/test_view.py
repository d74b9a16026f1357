"""What people and probes are told of a boot, event by event."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, strategies

from firstlight.journal.event import Event, Stage
from firstlight.serve import health, page
from firstlight.serve.sentence import seconds_in_words
from firstlight.serve.view import View, look

AT = "2026-11-24T05:00:00.000Z"
CHECKS = [{"check": "http", "level": "ready"}, {"check": "tcp", "level": "alive"}]
FAULT = {"fault": "uvm-node-missing", "sentence": "it is not there", "quotes": {"a": "b"}, "persistence": "bounded", "actor": "provider"}
LOST = {"fault": "gpu-lost", "sentence": "it fell off the bus", "quotes": {}, "persistence": "permanent", "actor": "provider"}


def events(*told: tuple[Any, ...]) -> list[Event]:
    """Events out of (kind, stage, data)."""
    return [
        Event(boot="b", number=number, kind=kind, stage=Stage(stage), at=AT, since_start=float(number), data=data)
        for number, (kind, stage, data) in enumerate(told)
    ]


START = ("boot", "start", {"command": ["python3", "main.py"]})
PROBE = ("stage", "probe", {"attempt": 1})
WELL = ("diagnosis", "diagnose", {"usable": 1, "expected": 1})
NONE = ("diagnosis", "diagnose", {"usable": 0, "expected": 1})
SOME = ("diagnosis", "diagnose", {"usable": 1, "expected": 2})
FOUND = ("finding", "diagnose", FAULT)
APP = ("app-started", "app", {"pid": 7, "life": 1, "checks": CHECKS})
PASSES = ("check", "app", {"check": "http", "level": "ready", "ok": True, "words": "200"})
READY = ("ready", "ready", {"words": "http"})
FAILS = ("check", "ready", {"check": "http", "level": "ready", "ok": False, "words": "refused"})
UNREADY = ("unready", "app", {"reason": "http: refused"})
EXITED = ("app-exited", "stop", {"code": 3})
AGAIN = ("restart", "backoff", {"reason": "it exited with code 3", "cause": "app", "delay": 4.0, "count": 1, "to": "app"})
ILL = ("condition", "ready", {"condition": "degraded", "faults": [LOST], "action": "note"})
DEAD = ("condition", "ready", {"condition": "failed", "faults": [LOST], "action": "note"})
HOLD = ("hold", "hold", {"reason": "10 attempts were made", "asks": "relocate"})
SIGNAL = ("signal", "stop", {"number": 15})
END = ("end", "end", {"code": 3})

STORY = [
    ([START], "Starting", False, "busy"),
    ([START, PROBE], "Bringing CUDA up", False, "busy"),
    ([START, PROBE, FOUND, NONE], "Finding out what is wrong", False, "busy"),
    ([START, PROBE, FOUND, NONE, ("wait", "wait", {"fault": "uvm-node-missing", "seconds": 3})], "Waiting for a GPU", False, "busy"),
    ([START, PROBE, FOUND, NONE, ("remedy", "treat", {"remedy": "x", "outcome": "applied"})], "Curing: x", False, "busy"),
    ([START, PROBE, WELL, APP], "The app runs and is not ready yet", False, "busy"),
    ([START, PROBE, WELL, APP, PASSES, READY], "Ready", True, "well"),
    ([START, PROBE, SOME, APP, PASSES, READY], "Ready, degraded", True, "ill"),
    ([START, PROBE, WELL, APP, PASSES, READY, ILL], "Ready, degraded", True, "ill"),
    ([START, PROBE, WELL, APP, PASSES, READY, DEAD], "Ready, but the GPUs have failed", True, "bad"),
    ([START, PROBE, WELL, APP, PASSES, READY, FAILS, UNREADY], "Not ready any more", False, "busy"),
    ([START, PROBE, WELL, APP, PASSES, READY, EXITED, AGAIN], "Not ready: the app starts again in 4.00 s", False, "busy"),
    ([START, PROBE, WELL, APP, PASSES, READY, EXITED, AGAIN, APP], "The app runs and is not ready yet", False, "busy"),
    ([START, PROBE, FOUND, NONE, HOLD], "On hold: the app was not started", False, "bad"),
    ([START, PROBE, FOUND, NONE, HOLD, ("retry", "probe", {})], "Bringing CUDA up", False, "busy"),
    ([START, PROBE, WELL, APP, PASSES, READY, SIGNAL], "Stopping", False, "over"),
    ([START, PROBE, WELL, APP, PASSES, READY, EXITED, END], "Ended with exit code 3", False, "bad"),
]


@pytest.mark.parametrize(("told", "headline", "ready", "tone"), STORY)
def test_one_honest_sentence(told: Sequence[Any], headline: str, ready: bool, tone: str) -> None:
    from firstlight.serve import sections

    view = look(events(*told))

    assert (view.headline, view.status.ready, sections.tone(view)) == (headline, ready, tone)
    assert health.text(health.ready(view), name="readyz", verbose=False)[0] == (200 if ready and tone != "bad" else 503)
    assert health.text(health.alive(view), name="livez", verbose=False)[0] == 200


def test_what_is_not_alive_is_not_ready() -> None:
    view = look(
        events(
            START, PROBE, WELL, APP, PASSES, READY, ("check", "ready", {"check": "tcp", "level": "alive", "ok": False, "words": "refused"})
        )
    )

    assert health.text(health.alive(view), name="livez", verbose=True) == (503, "[+]core ok\n[-]tcp failed: refused\nlivez check failed\n")
    assert health.text(health.ready(view), name="readyz", verbose=False)[0] == 503
    assert health.text(health.ready(view), name="readyz", exclude=["tcp"], verbose=False)[0] == 200


def test_a_startup_probe_is_told_of_the_first_readiness_for_good() -> None:
    told = [START, PROBE, WELL, APP]
    assert health.text(health.started(look(events(*told))), name="startupz", verbose=False)[0] == 503
    assert health.text(health.started(look(events(*told, PASSES, READY, FAILS, UNREADY))), name="startupz", verbose=False)[0] == 200


def test_the_gpus_are_those_of_nvml_with_what_cuda_proved() -> None:
    facts = {
        "facts": {
            "nvml": {
                "gpus": [
                    {"index": 0, "uuid": "GPU-a", "name": "H100", "memory_total": 8},
                    {"index": 1, "uuid": "GPU-b", "error": 15, "name": {"unknown": "x"}},
                ]
            }
        }
    }
    proof = {"gpu": {"ordinal": 0, "uuid": "GPU-a", "name": "H100", "proven": True}, "seconds": {"kernel": 0.5}}
    view = look(events(START, PROBE, ("facts", "probe", facts), SOME, ("proof", "prove", proof)))

    assert [(gpu.name, gpu.proven, gpu.kernel, gpu.words) for gpu in view.gpus] == [
        ("H100", True, 0.5, ""),
        ("GPU 1", None, None, "NVML cannot reach it: error 15."),
    ]


def test_a_fault_is_shown_with_its_page() -> None:
    found = look(events(START, PROBE, FOUND, NONE)).findings[0]

    assert found.title == "The container has no /dev/nvidia-uvm."
    assert "Create the node" in found.cure
    assert (found.actor, found.time) == ("whoever runs this host", "waiting may cure it")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 ms"),
        (0.0004, "0.4 ms"),
        (0.031, "31 ms"),
        (0.414, "0.41 s"),
        (31.2, "31 s"),
        (125, "2 min 5 s"),
        (3000, "50 min"),
        (12000, "3 h 20 min"),
        (187300, "2 d 4 h"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert seconds_in_words(seconds) == words


plain = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.integers() | strategies.floats() | strategies.text(max_size=20),
    lambda inner: strategies.lists(inner, max_size=3) | strategies.dictionaries(strategies.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
names = "accepted cold gates leg command fault sentence quotes gpu seconds gpus facts nvml words check level ok checks reason delay code condition faults name pid usable expected remedy outcome asks attempt cause orphans_reaped".split()
kinds = "accepted app-fault app-look leg over-budget boot stage facts finding diagnosis proof remedy wait app-started check ready unready restart app-exited condition companion-started companion-exited hold retry give-up log end signal".split()
anything = strategies.lists(
    strategies.tuples(
        strategies.sampled_from(kinds),
        strategies.sampled_from([stage.value for stage in Stage]),
        strategies.dictionaries(strategies.sampled_from(names), plain, max_size=6),
    ),
    min_size=1,
    max_size=12,
)


def shown(view: View) -> str:
    return page.render(view, version="1", app="x", now=1795496460.0, log=["a"], past=[])


@given(anything)
def test_no_events_break_the_page_the_probes_or_the_metrics(told: list[tuple[Any, ...]]) -> None:
    from firstlight.serve import metrics

    view = look(events(*told))

    shown(view)
    metrics.render(view, "1")
    health.text(health.ready(view), name="readyz", verbose=True)


@given(strategies.text(max_size=60))
def test_what_the_app_is_called_and_says_stays_text(text: str) -> None:
    marked = f"<script>{text}</script>"
    finding = ("finding", "diagnose", {"fault": marked, "sentence": marked, "quotes": {marked: marked}})
    check = ("check", "app", {"check": marked, "level": marked, "ok": False, "words": marked})
    view = look(
        events(
            ("boot", "start", {"command": [marked]}),
            PROBE,
            finding,
            NONE,
            APP,
            check,
            ("companion-started", "app", {"name": marked, "pid": 1}),
        )
    )

    html = page.render(view, version=marked, app=marked, now=0.0, log=[marked], past=None)

    assert html.count("<script") == 1


def moves(step: str, words: str) -> Any:
    return ("relocation", "hold", {"step": step, "words": words, "pod": None})


@pytest.mark.parametrize(
    ("told", "moving", "detail"),
    [
        ([HOLD], False, "10 attempts were made"),
        ([HOLD, moves("ordered", "a pod")], True, "10 attempts were made; a pod"),
        ([HOLD, moves("ordered", "a pod"), moves("cannot", "cannot create a pod")], False, "10 attempts were made; cannot create a pod"),
        ([HOLD, moves("cannot", "cannot"), ("retry", "probe", {}), HOLD], False, "10 attempts were made"),
    ],
)
def test_a_hold_says_how_far_its_move_has_come(told: Sequence[Any], moving: bool, detail: str) -> None:
    from firstlight.serve import health

    view = look(events(START, PROBE, FOUND, NONE, *told))

    assert view.status.moving is moving
    assert view.detail == detail
    code, text = health.text(health.ready(view), name="readyz", verbose=True)
    assert (code, detail in text) == (503, True)
