"""What is made again, and when."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies

from firstlight.providers.runpod import quota, retry
from firstlight.providers.runpod.quota import Window


@pytest.mark.parametrize(
    ("failure", "repeatable", "tries", "seconds"),
    [
        ({"status": 500}, True, 1, 1.0),
        ({"status": 502}, True, 3, 4.0),
        ({"status": 503}, True, 5, 16.0),
        ({"status": 503, "after": 7.0}, True, 1, 8.0),
        ({"status": 503, "after": 121.0}, True, 1, None),
        ({"status": 500}, True, 6, None),
        ({"status": 501}, True, 1, None),
        ({"status": 408}, True, 1, 1.0),
        ({"status": 500}, False, 1, None),
        ({"status": 408}, False, 1, None),
        ({"status": 429}, False, 1, 1.0),
        ({"status": 429, "after": 12.0}, False, 1, 13.0),
        ({"status": 429, "after": 3600.0}, True, 1, None),
        ({}, True, 1, 1.0),
        ({}, False, 1, None),
        ({"reached": False}, False, 1, 1.0),
        ({"status": 404}, True, 1, None),
        ({"status": 403}, True, 1, None),
        ({"status": 301}, True, 1, None),
        ({"status": 402}, False, 1, None),
    ],
)
def test_only_what_may_be_done_twice_or_surely_was_not_done_is_made_again(
    failure: dict[str, Any], repeatable: bool, tries: int, seconds: float | None
) -> None:
    assert retry.pause(retry.Failure(**failure), repeatable=repeatable, tries=tries, spent=0.0, luck=1.0) == seconds


def test_patience_ends() -> None:
    failure = retry.Failure(status=503, after=100.0)

    assert retry.pause(failure, repeatable=True, tries=1, spent=70.0, luck=0.0) == 100.0
    assert retry.pause(failure, repeatable=True, tries=2, spent=80.5, luck=0.0) is None


NOON = 1792238400.0  # Sat, 17 Oct 2026 12:00:00 GMT


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "12"}, 12.0),
        ({"retry-after": " 0 "}, 0.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({}, None),
        ({"retry-after": "Sat, 17 Oct 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Sat, 17 Oct 2026 11:00:30 GMT"}, 0.0),
        # Its own clock is an hour late; the date of the answer says so.
        ({"retry-after": "Sat, 17 Oct 2026 11:00:30 GMT", "date": "Sat, 17 Oct 2026 11:00:00 GMT"}, 30.0),
        ({"retry-after": "Sat, 99 Oct 2026 12:00:30 GMT"}, None),
    ],
)
def test_retry_after_is_a_number_or_a_date(headers: dict[str, str], seconds: float | None) -> None:
    assert retry.asked_pause(headers, NOON) == seconds


POLICY = '"minute";q=60;w=60, "hour";q=3000;w=3600, "day";q=50000;w=86400'


def test_the_headers_of_the_documents_are_read() -> None:
    headers = {"ratelimit": '"minute";r=0;t=12, "hour";r=2800;t=1812, "day";r=49500;t=45012', "ratelimit-policy": POLICY}

    windows = quota.told({}, headers, now=100.0)

    assert windows == {
        "minute": Window(left=0, ends=112.0, quota=60, length=60.0),
        "hour": Window(left=2800, ends=1912.0, quota=3000, length=3600.0),
        "day": Window(left=49500, ends=45112.0, quota=50000, length=86400.0),
    }
    assert quota.wait(windows, 0, 100.0, changes=False) == (12.0, "minute")
    assert quota.wait(windows, 0, 113.0, changes=False) == (0.0, "")


@pytest.mark.parametrize(
    ("header", "left"),
    [("minute;r=7;t=3", 7), ('"minute" ; r=7 ; t=3', 7), ('"minute";t=3;r=7;x="a"', 7), ('"minute";r=7', None), ("60", None), ("", None)],
)
def test_other_forms_are_read_or_passed_over(header: str, left: int | None) -> None:
    windows = quota.told({}, {"ratelimit": header}, now=0.0)

    assert (windows["minute"].left if windows else None) == left


@given(strategies.text(), strategies.text())
def test_no_header_makes_it_fail(limit: str, policy: str) -> None:
    windows = quota.told({}, {"ratelimit": limit, "ratelimit-policy": policy}, now=0.0)

    assert quota.wait(quota.renew(windows, 5.0), 3, 5.0, changes=True)[0] >= 0.0


@pytest.mark.parametrize(
    ("left", "flying", "changes", "seconds"),
    [
        (7, 0, False, 0.0),
        (6, 0, False, 10.0),  # the last of them are kept for what changes something
        (6, 0, True, 0.0),
        (1, 0, True, 0.0),
        (0, 0, True, 10.0),
        (40, 33, False, 0.0),
        (40, 34, False, 10.0),  # each of those may take one
    ],
)
def test_what_is_in_the_air_is_counted(left: int, flying: int, changes: bool, seconds: float) -> None:
    windows = {"minute": Window(left=left, ends=10.0, quota=60, length=60.0)}

    assert quota.wait(windows, flying, 0.0, changes=changes)[0] == seconds


def test_an_answer_that_was_overtaken_gives_nothing_back() -> None:
    newer = quota.told({}, {"ratelimit": '"minute";r=3;t=30'}, now=0.0)

    assert quota.told(newer, {"ratelimit": '"minute";r=9;t=30'}, now=1.0)["minute"].left == 3
    assert quota.told(newer, {"ratelimit": '"minute";r=59;t=60'}, now=31.0)["minute"].left == 59


def test_a_window_begins_anew() -> None:
    windows = {
        "minute": Window(left=0, ends=10.0, quota=60, length=60.0),
        "other": Window(left=0, ends=10.0),
    }

    assert quota.renew(windows, 9.0) == windows
    assert quota.renew(windows, 11.0) == {"minute": Window(left=60, ends=71.0, quota=60, length=60.0)}
