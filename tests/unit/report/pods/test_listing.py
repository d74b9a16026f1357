"""Pods and log lines as text."""

from __future__ import annotations

import pytest

from firstlight.providers.runpod.shapes import LogLine
from firstlight.report.pods import listing
from firstlight.report.style import Style

NOW = "2026-06-10T12:00:00.500Z"


@pytest.mark.parametrize(
    ("began", "words"),
    [
        ("2026-06-10T11:59:20Z", "40 s"),
        ("2026-06-10T11:59:20.123456789Z", "40 s"),
        ("2026-06-10T13:30:00+02:00", "30 min"),
        ("2026-06-10T08:40:00Z", "3 h 20 min"),
        ("2026-06-05T10:00:00Z", "5 d 2 h"),
        ("2026-06-10T12:00:09Z", "0 s"),  # its clock is before ours
        ("2026-99-10T12:00:00Z", "2026-99-10T12:00:00Z"),
        ("soon\x1b[2J", "soon\\x1b[2J"),
        ("", ""),
    ],
)
def test_an_age_is_told_in_two_words(began: str, words: str) -> None:
    assert listing.age(began, NOW) == words


@pytest.mark.parametrize(
    ("line", "terminal", "shown"),
    [
        (LogLine("1", "T", "container", "\x1b[1;31mred\x1b[m"), True, "\x1b[1;31mred\x1b[m\x1b[0m"),
        (LogLine("1", "T", "container", "a\tb\r\x1b]0;title\x07\x9b2J"), True, "a\tb\\r\\x1b]0;title\\x07\\x9b2J"),
        (LogLine("1", "T", "container", "plain"), True, "plain"),
        (LogLine("1", "T", "container", "a\r\x1b[2J"), False, "a\r\x1b[2J"),
        (LogLine("1", "T", "system", "pull image"), False, "T pull image"),
        (LogLine("1", "T\x1b", "system", "pull\x1b[2J"), True, "T\\x1b pull\\x1b[2J"),
    ],
)
def test_a_terminal_obeys_colours_alone(line: LogLine, terminal: bool, shown: str) -> None:
    assert listing.log_line(line, terminal=terminal) == shown


def test_what_a_stream_cannot_carry_is_escaped() -> None:
    assert listing.log_line(LogLine("1", "T", "container", "naïve 😀"), Style(unicode=False), terminal=False) == "na\\xefve \\U0001f600"
