"""What an acceptance tells → the event of it, or why it is none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from firstlight.serve import told

ACCEPTED = {"ok": True, "cold": None, "seconds": 8, "gates": [{"gate": "rate", "ok": True, "figure": 24000}], "words": "all well"}


def test_a_leg_and_a_verdict_are_events() -> None:
    assert told.parse(b'{"leg": "prompt"}') == {"kind": "leg", "name": "prompt"}
    assert told.parse(json.dumps({"accepted": ACCEPTED}).encode()) == {
        "kind": "accepted",
        **ACCEPTED,
        "gates": [{"gate": "rate", "ok": True}],
    }


def test_what_is_long_is_cut() -> None:
    found = told.parse(json.dumps({"accepted": {**ACCEPTED, "words": "x" * 9999, "gates": [{"gate": "y", "ok": None}] * 99}}).encode())

    assert (len(found["words"]), len(found["gates"])) == (500, 40)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"[" * 9999,
        {"leg": "verified"},
        {"leg": []},
        {"leg": "prompt", "accepted": ACCEPTED},
        {"accepted": []},
        {"accepted": {**ACCEPTED, "ok": 1}},
        {"accepted": {**ACCEPTED, "cold": "yes"}},
        {"accepted": {**ACCEPTED, "seconds": True}},
        {"accepted": {**ACCEPTED, "seconds": -1}},
        {"accepted": {**ACCEPTED, "gates": [1]}},
        {"accepted": {**ACCEPTED, "gates": [{"gate": "x", "ok": 3}]}},
    ],
    ids=str,
)
def test_anything_else_is_refused(body: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        told.parse(body if isinstance(body, bytes) else json.dumps(body).encode())
