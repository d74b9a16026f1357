"""The boot as bars."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies

from firstlight.journal.event import Stage
from firstlight.journal.timeline import Span
from firstlight.serve.waterfall import lay_out


def spans(*lengths: tuple[Stage, float], unfinished: bool = True) -> list[Span]:
    found, start = [], 0.0
    for place, (stage, seconds) in enumerate(lengths):
        found.append(Span(stage=stage, start=start, seconds=seconds, words=(), unfinished=unfinished and place == len(lengths) - 1))
        start += seconds
    return found


def test_what_stays_for_long_is_cut_and_keeps_its_true_length() -> None:
    bars = lay_out(spans((Stage.PROBE, 2.0), (Stage.APP, 2.0), (Stage.READY, 0.0)), now=7 * 86400.0)

    assert [bar.cut for bar in bars] == [False, False, True]
    assert bars[2].seconds == pytest.approx(7 * 86400 - 4)
    assert bars[0].width == pytest.approx(40)


def test_a_wait_grows_with_the_clock() -> None:
    told = spans((Stage.PROBE, 1.0), (Stage.WAIT, 0.0))
    first, later = lay_out(told, now=2.0), lay_out(told, now=4.0)

    assert (first[1].seconds, later[1].seconds) == (1.0, 3.0)
    assert (first[1].width, later[1].width) == (50.0, 75.0)


lengths = strategies.lists(strategies.tuples(strategies.sampled_from(Stage), strategies.floats(0, 1e7)), max_size=30)


@given(lengths, strategies.floats(0, 1e9))
def test_every_bar_lies_within_its_track(told: list[tuple[Stage, float]], now: float) -> None:
    for bar in lay_out(spans(*told), now):
        assert 0 <= bar.start <= 100
        assert 0 < bar.width <= 100.01
        assert bar.start + bar.width <= 100.02
