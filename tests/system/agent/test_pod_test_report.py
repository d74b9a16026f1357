"""The page that `pod test` leaves, as Chromium lays it out. It is here for the browser's sake: the agent has no part in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from firstlight.fleet import results
from firstlight.fleet.cycle import Cycle, Outcome, Subject
from firstlight.fleet.record import Mode, Plan
from firstlight.fleet.verify import Leg
from firstlight.report.pods import page as report

from .chromium import Browser

AT = "2026-11-24T08:00:00.000Z"


@pytest.fixture
def page(tmp_path: Path) -> str:
    """Two pods, one of them with a name that has no room."""
    subjects = tuple(Subject(id=name, name=name, gpu="L4", gpu_count=1, hourly=1.0, was_running=True) for name in ("short", "long" * 20))
    plan = Plan(
        id="a",
        made_at=AT,
        made_by="0",
        mode=Mode.STOP_START,
        cycles=1,
        cap=5.0,
        expected=1.0,
        ssh=True,
        keep_running=False,
        min_cuda=None,
        subjects=subjects,
    )
    legs = (Leg(name="start", began=0.0, seconds=1.0, ok=True, words=""), Leg(name="ready", began=1.0, seconds=9.0, ok=True, words=""))
    lines = [
        Cycle(pod=one.id, number=1, instance=one.id, began_at=AT, outcome=Outcome.PROVEN, words="", legs=legs, gpus=("G",), driver="1")
        for one in subjects
    ]
    file = tmp_path / "report.html"
    file.write_text(report.render(results.count(plan, lines, made_at=AT, ended=None)))
    return file.as_uri()


@pytest.mark.parametrize("width", [390, 1200])
def test_the_axis_stands_below_the_bars_and_every_row_says_its_number(browser: Browser, page: str, width: int) -> None:
    browser.look(width=width, phone=width < 800)
    browser.open(page)
    edges = "(what) => { const box = document.querySelector(what).getBoundingClientRect(); return [box.left, box.right].map(Math.round) }"

    assert browser.evaluate(f"({edges})('.starts + .axis')") == browser.evaluate(f"({edges})('.starts .bar')")
    within = "(one) => one.lastChild.getBoundingClientRect().right <= one.getBoundingClientRect().right + 1"
    assert browser.evaluate(f"[...document.querySelectorAll('.starts .name')].every({within})")
    assert browser.evaluate("[...document.querySelectorAll('.starts .name')].map((one) => one.lastChild.textContent)") == ["1", "1"]
    assert browser.evaluate("document.documentElement.scrollWidth") == width
