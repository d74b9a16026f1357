"""A boot's events → the legs of the way to its first verified generation."""

from __future__ import annotations

from typing import Any

import pytest

from firstlight.journal import legs, timeline
from firstlight.journal.event import Condition, Event, Stage
from firstlight.journal.legs import Leg
from firstlight.journal.status import status


def events(*told: tuple[float, str, dict[str, Any]]) -> list[Event]:
    return [
        Event(boot="b", number=number, kind=kind, stage=Stage.APP, at="2026-11-24T05:00:00.000Z", since_start=at, data=data)
        for number, (at, kind, data) in enumerate(told)
    ]


BOOT = (0.0, "boot", {})
PROVEN = (0.4, "diagnosis", {"usable": 1, "expected": 1})
STARTED = (0.5, "app-started", {"life": 1, "pid": 7})
WHOLE = [
    BOOT,
    PROVEN,
    STARTED,
    (5.5, "leg", {"name": "device"}),
    (9.5, "leg", {"name": "port"}),
    (9.6, "leg", {"name": "nodes"}),
    (10.0, "leg", {"name": "worker"}),
    (10.1, "leg", {"name": "prompt"}),
    (40.1, "leg", {"name": "executed"}),
    (42.1, "accepted", {"ok": True, "cold": True, "seconds": 32.0, "gates": [{"gate": "rate", "ok": True}], "words": "5 gates passed"}),
    (42.2, "ready", {"words": ""}),
]


def named(*told: tuple[float, str, dict[str, Any]]) -> list[tuple[str, float]]:
    return [(leg.name, leg.seconds) for leg in legs.legs(events(*told))]


def test_each_leg_lasts_from_the_end_of_the_one_before() -> None:
    assert named(*WHOLE) == [
        ("cuda", 0.4), ("process", 0.1), ("device", 5.0), ("port", 4.0), ("nodes", 0.1), ("worker", 0.4), ("prompt", 0.1),
        ("executed", 30.0), ("verified", 2.0), ("ready", 0.1),
    ]  # fmt: skip


def test_a_life_that_was_in_vain_is_a_part_of_the_leg_to_the_next_process() -> None:
    again = [BOOT, PROVEN, STARTED, (5.5, "leg", {"name": "device"}), (20.5, "app-started", {"life": 2}), (25.5, "leg", {"name": "device"})]

    assert named(*again) == [("cuda", 0.4), ("process", 20.1), ("device", 5.0)]


def test_what_comes_after_the_first_readiness_changes_no_leg() -> None:
    later = [
        *WHOLE,
        (90.0, "app-started", {"life": 2}),
        (95.0, "leg", {"name": "device"}),
        (99.0, "accepted", {"ok": True}),
        (100.0, "ready", {}),
    ]

    assert named(*later) == named(*WHOLE)
    found = legs.verified(events(*later))
    assert found is not None
    assert (found.after, found.cold) == (42.1, True)


def test_what_was_answered_first_counts_for_all_that_it_implies() -> None:
    """The checks of a moment are answered in any order, and what an acceptance tells takes another way than its verdict."""
    turned = [
        BOOT,
        STARTED,
        (2.0, "leg", {"name": "nodes"}),
        (2.1, "leg", {"name": "port"}),
        (2.2, "leg", {"name": "device"}),
        (3.0, "leg", {"name": "prompt"}),
        (5.0, "accepted", {"ok": True}),
        (5.1, "leg", {"name": "executed"}),
        (5.2, "ready", {}),
    ]

    assert [(leg.name, leg.at) for leg in legs.legs(events(*turned))] == [
        ("process", 0.5), ("device", 2.0), ("port", 2.0), ("nodes", 2.0), ("prompt", 3.0), ("executed", 5.0), ("verified", 5.0), ("ready", 5.2),
    ]  # fmt: skip


def test_an_acceptance_by_hand_comes_after_readiness() -> None:
    by_hand = [
        BOOT,
        STARTED,
        (3.0, "ready", {}),
        (60.0, "leg", {"name": "prompt"}),
        (70.0, "accepted", {"ok": False}),
        (80.0, "accepted", {"ok": True}),
    ]

    assert named(*by_hand) == [("process", 0.5), ("ready", 2.5), ("prompt", 57.0), ("verified", 20.0)]


@pytest.mark.parametrize(
    ("told", "now", "expected"),
    [
        (WHOLE, 1000.0, ("executed", 30.0)),
        ([BOOT], 7.0, ("start", 7.0)),
        ([BOOT, PROVEN, STARTED], 300.5, ("after process", 300.0)),
        ([BOOT, (200.0, "diagnosis", {"usable": 1}), (200.1, "app-started", {})], 300.0, ("cuda", 200.0)),
        ([BOOT, (200.0, "diagnosis", {"usable": 0})], 300.0, ("start", 300.0)),
    ],
)
def test_the_slowest_leg_may_be_the_one_that_is_under_way(told: list[Any], now: float, expected: tuple[str, float]) -> None:
    assert legs.slowest(events(*told), now) == expected


def test_a_journal_that_was_damaged_is_read_all_the_same() -> None:
    damaged = [
        BOOT,
        (1.0, "leg", {"name": 7}),
        (2.0, "leg", {}),
        (2.5, "leg", {"name": "sideways"}),
        (3.0, "accepted", {"gates": 3, "seconds": "x"}),
    ]

    assert legs.legs(events(*damaged)) == ()
    found = legs.accepted(events(*damaged))
    assert found is not None
    assert (found.ok, found.cold, found.seconds, found.gates) == (False, None, 0.0, ())


def test_the_status_has_them_and_a_boot_over_its_budget_is_degraded() -> None:
    well = status(events(*WHOLE))
    assert (well.condition, well.verified_after, well.verified_cold, well.late) == (Condition.HEALTHY, 42.1, True, None)
    assert well.legs[0] == Leg(name="cuda", at=0.4, seconds=0.4)
    assert well.accepted is not None
    assert (well.accepted.cold, well.accepted.gates) == (True, (("rate", True),))

    late = status(events(*WHOLE, (42.3, "over-budget", {"leg": "executed", "words": "the slowest leg is 'executed'"})))
    assert (late.condition, late.late) == (Condition.DEGRADED, "the slowest leg is 'executed'")


def test_the_timeline_tells_of_them() -> None:
    words = [word for span in timeline.timeline(events(*WHOLE)) for word in span.words]

    assert "device after 5.5 s" in words
    assert "verified after 42.1 s, cold" in words
