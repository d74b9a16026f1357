"""A section of ours in a text of somebody else: found between its markers, put in, taken out. Every other byte stays."""

from __future__ import annotations

import re
from dataclasses import dataclass

BEGIN = b"<!-- firstlight: made by `firstlight install`; `firstlight install --uninstall` removes it -->"
END = b"<!-- firstlight: end -->"
# What begins a marker is enough to know it: its words may change.
_MARKER = re.compile(rb"<!-- firstlight: (?P<end>end)?[^\n]*?-->")


@dataclass(frozen=True)
class Split:
    """A text around our section. `section` is None where there is none: then `before` is all of it."""

    before: bytes
    section: bytes | None
    after: bytes


def make(text: bytes) -> bytes:
    """The section with this text, markers and last newline included."""
    return BEGIN + b"\n" + text + END + b"\n"


def split(text: bytes) -> Split | None:
    """The text around our section; None where its markers do not make up exactly one."""
    markers = list(_MARKER.finditer(text))
    if not markers:
        return Split(text, None, b"")
    if len(markers) != 2 or markers[0]["end"] or not markers[1]["end"]:
        return None
    start, stop = markers[0].start(), markers[1].end()
    if text[stop : stop + 1] == b"\n":
        stop += 1
    return Split(text[:start], text[start:stop], text[stop:])


def joint(text: bytes) -> bytes:
    """What goes between a text and a section behind it: an empty line."""
    return b"" if not text else b"\n" if text.endswith(b"\n") else b"\n\n"


def without(parts: Split, between: bytes) -> bytes:
    """The text as it would be had we never put our section in. `between` is the joint of then."""
    before = parts.before
    # Somebody may have joined the two otherwise since.
    return (before.removesuffix(between) if before.endswith(between) else before) + parts.after
