"""What a number of cycles says."""

import math

import pytest
from hypothesis import given, strategies as st

from firstlight.fleet import statistics


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        # Newcombe, Two-sided confidence intervals for the single proportion, Statistics in Medicine 17 (1998), table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (29, 29, 0.8830, 1.0000),
    ],
)
def test_the_interval_is_the_published_one(successes, trials, low, high):
    found = statistics.wilson(successes, trials)
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


def test_no_trial_says_nothing():
    assert statistics.wilson(0, 0) == statistics.Interval(0.0, 1.0)


def test_more_successes_than_trials_are_a_mistake():
    with pytest.raises(ValueError, match="3 of 2"):
        statistics.wilson(3, 2)


trials = st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(trials)
def test_the_interval_holds_the_rate_and_mirrors_that_of_the_failures(pair):
    successes, number = pair
    found = statistics.wilson(successes, number)
    failures = statistics.wilson(number - successes, number)
    assert 0.0 <= found.low <= successes / number <= found.high <= 1.0
    assert math.isclose(found.low, 1 - failures.high, abs_tol=1e-12)
    assert math.isclose(found.high, 1 - failures.low, abs_tol=1e-12)


@given(trials)
def test_at_each_end_the_rate_lies_1_96_of_its_own_deviations_away(pair):
    """What defines Wilson's interval: its ends are the rates whose own normal approximation just reaches what was seen."""
    successes, number = pair
    found = statistics.wilson(successes, number)
    for end in (found.low, found.high):
        if 0 < end < 1:
            deviation = math.sqrt(end * (1 - end) / number)
            assert math.isclose(abs(successes / number - end) / deviation, 1.959963984540054, rel_tol=1e-6)


@given(trials)
def test_ten_times_the_trials_say_more(pair):
    successes, number = pair
    few, many = statistics.wilson(successes, number), statistics.wilson(10 * successes, 10 * number)
    assert many.high - many.low < few.high - few.low


@pytest.mark.parametrize(("percent", "expected"), [(5, 15), (30, 20), (40, 20), (50, 35), (100, 50)])
def test_a_percentile_is_by_nearest_rank(percent, expected):
    # The worked example that most pages on the method have.
    assert statistics.percentile([35, 20, 15, 50, 40], percent) == expected


@given(st.lists(st.floats(0, 1e6), min_size=1), st.integers(1, 100))
def test_a_percentile_was_measured_and_so_many_do_not_exceed_it(values, percent):
    found = statistics.percentile(values, percent)
    assert found in values
    assert sum(value <= found for value in values) * 100 >= percent * len(values)
    assert sum(value < found for value in values) * 100 < percent * len(values)


def test_a_percentile_of_nothing_is_a_mistake():
    with pytest.raises(ValueError, match="of 0 values"):
        statistics.percentile([], 50)


def test_a_spread_of_nothing_is_none():
    assert statistics.spread([]) is None


@pytest.mark.parametrize(
    ("count", "caution"),
    [(3, "of 3 alone, p90 and p99 are the slowest one"), (50, "of 50 alone, p99 is the slowest one"), (100, None)],
)
def test_a_spread_says_where_its_percentiles_are_one_value(count, caution):
    found = statistics.spread(map(float, range(count)))
    assert found is not None
    assert found.caution == caution
    assert found.highest == count - 1
    assert (found.p99 == found.highest) == (count < 100)
    assert (found.p90 == found.highest) == (count < 10)
