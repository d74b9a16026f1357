"""What a test may cost, and what it has cost."""

import math

import pytest
from hypothesis import given, strategies as st

from firstlight.fleet import cost
from firstlight.providers.runpod import shapes


def pod(**told):
    return shapes.pod({"id": "a", "gpu": {"id": "NVIDIA L4", "count": 2}, **told})


@pytest.mark.parametrize(
    ("told", "price", "expected"),
    [
        ({"cost": 0.78}, None, 0.78),
        ({"cost": 0.78}, shapes.Price(secure=9.0, community=9.0), 0.78),
        ({"cost": 0.0}, shapes.Price(secure=0.39, community=0.2), 0.78),
        ({"cost": 0.0, "cloud": "COMMUNITY"}, shapes.Price(secure=0.39, community=0.2), 0.4),
        ({"cost": 0.0, "cloud": "COMMUNITY"}, shapes.Price(secure=0.39, community=None), None),
        ({"cost": 0.0}, shapes.Price(secure=0.0, community=None), None),
        ({"cost": 0.0}, None, None),
    ],
)
def test_the_rate_is_the_pods_own_or_the_catalogues(told, price, expected):
    found = cost.rate(pod(**told), price)
    assert found == expected


def test_the_estimate_is_a_sum_that_can_be_checked_in_the_head():
    found = cost.estimate([2.0, 1.0], 20, 6)
    assert math.isclose(found.usd, 6.0)
    assert found.words == "20 cycles of 2 pods, about 6 min each, at 3.00 USD an hour in all: about 6.00 USD, storage not included"


def test_a_pod_is_paid_from_begin_to_end():
    meter = cost.Meter(cap=5, before=1.0)
    meter.begin("a", 3.6, 100)
    meter.begin("b", 7.2, 200)
    assert math.isclose(meter.spent(300), 1.0 + 0.2 + 0.2)
    meter.end("a", 300)
    assert math.isclose(meter.spent(400), 1.0 + 0.2 + 0.4)
    meter.end("a", 500)
    meter.end("b", 400)
    assert math.isclose(meter.spent(9999), 1.6)


def test_a_start_that_was_refused_costs_nothing():
    meter = cost.Meter(cap=5)
    meter.begin("a", 3.6, 100)
    meter.forget("a")
    assert meter.spent(9999) == 0.0


def test_each_dollar_is_taken_once():
    meter = cost.Meter(cap=5)
    meter.begin("a", 3.6, 100)
    assert math.isclose(meter.take("a", 200), 0.1)
    meter.end("a", 250)
    meter.begin("a", 36.0, 300)
    assert math.isclose(meter.take("a", 400), 0.05 + 1.0)
    meter.end("a", 400)
    assert meter.take("a", 9999) == 0.0
    assert meter.take("b", 9999) == 0.0


def test_nothing_that_runs_costs_nothing():
    meter = cost.Meter(cap=5)
    assert meter.left(1e9) == math.inf


actions = st.lists(st.tuples(st.sampled_from("abcd"), st.floats(0.1, 50), st.floats(0, 2000)), min_size=1, max_size=30)


@given(actions, st.floats(0.5, 20))
def test_whoever_heeds_it_never_passes_the_cap(steps, cap):
    """A run that begins only what is allowed, lets time pass no further than `left`, and then takes its time to stop all."""
    meter, now, ending = cost.Meter(cap=cap), 0.0, False
    for name, hourly, pause in steps:
        if name not in meter._open and meter.allows(hourly, now):
            meter.begin(name, hourly, now)
        left = meter.left(now)
        now += min(pause, left)
        ending = pause >= left
        if ending:
            break
        if pause < 500:
            meter.end(name, now)
    now += cost.STOPPING
    for name in "abcd":
        meter.end(name, now)
    assert meter.spent(now) <= cap * (1 + 1e-9)
