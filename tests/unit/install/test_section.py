"""Our section of somebody's text: whatever that text is, it comes back byte for byte."""

from __future__ import annotations

import pytest
from hypothesis import example, given, strategies

from firstlight.install import section

OURS = section.make(b"## What we say\n")


@given(strategies.binary().filter(lambda text: b"<!-- firstlight: " not in text))
@example(b"")
@example(b"no newline at the end")
@example(b"a title\r\n")
@example(b"\xff\xfe\n\n\n")
def test_a_text_comes_back_as_it_was(text):
    joint = section.joint(text)
    parts = section.split(text + joint + OURS)
    assert parts is not None
    assert parts.section == OURS
    assert section.without(parts, joint) == text


@given(strategies.binary().filter(lambda text: b"<!-- firstlight: " not in text))
def test_what_is_written_behind_the_section_stays(text):
    parts = section.split(b"before\n" + b"\n" + OURS + text)
    assert parts is not None
    assert section.without(parts, b"\n") == b"before\n" + text


def test_a_text_that_was_joined_otherwise_since_loses_nothing():
    parts = section.split(b"before" + OURS)
    assert parts is not None
    assert section.without(parts, b"\n\n") == b"before"


def test_a_text_without_markers_has_no_section():
    assert section.split(b"text") == section.Split(b"text", None, b"")


DAMAGED = {
    "no end": section.BEGIN + b"\ntext\n",
    "no beginning": b"text\n" + section.END,
    "the end first": section.END + b"\n" + section.BEGIN,
    "two of them": OURS + OURS,
    "a beginning within": section.BEGIN + OURS,
}


@pytest.mark.parametrize("text", DAMAGED.values(), ids=DAMAGED.keys())
def test_damaged_markers_are_no_section(text):
    assert section.split(text) is None
