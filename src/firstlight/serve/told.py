"""What an acceptance tells over the control socket: from the JSON that came to the event that the core writes. Pure.

{"leg": "prompt"}                                              a leg of the way to the first verified generation is over: prompt, executed
{"accepted": {"ok": true, "cold": true, "seconds": 8.1,        what an acceptance has found; `cold` may be null, and so may a gate's `ok`
              "gates": [{"gate": "rate", "ok": true}], "words": "…"}}
"""

from __future__ import annotations

import json
from typing import Any

from firstlight.journal.event import LONGEST_BOOT

# What is longer is cut: it stands in the journal and on the page.
_LONGEST_WORDS = 500
_MOST_GATES = 40


def parse(body: bytes) -> dict[str, Any]:
    """The event: its kind and its data.

    Raises:
        ValueError: it is none of the two; the words say what is.
    """
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError("it is no JSON") from None
    if not isinstance(told, dict) or len(told) != 1:
        raise ValueError('it is no object with either "leg" or "accepted"')
    if "leg" in told:
        if told["leg"] not in ("prompt", "executed"):
            raise ValueError('"leg" is "prompt" or "executed"')
        return {"kind": "leg", "name": told["leg"]}
    if not isinstance(told.get("accepted"), dict):
        raise ValueError('"accepted" is an object')
    return {"kind": "accepted", **_accepted(told["accepted"])}


def _accepted(data: dict[str, Any]) -> dict[str, Any]:
    seconds, gates = data.get("seconds"), data.get("gates", [])
    if not isinstance(data.get("ok"), bool) or not isinstance(data.get("cold"), (bool, type(None))):
        raise ValueError('"ok" is true or false, and "cold" too, or null')
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds < LONGEST_BOOT:
        raise ValueError('"seconds" is a number of seconds')
    if not isinstance(gates, list) or not all(isinstance(gate, dict) and isinstance(gate.get("ok"), (bool, type(None))) for gate in gates):
        raise ValueError('"gates" is a list of objects with "gate" and "ok"')
    return {
        "ok": data["ok"],
        "cold": data.get("cold"),
        "seconds": seconds,
        "gates": [{"gate": str(gate.get("gate"))[:_LONGEST_WORDS], "ok": gate.get("ok")} for gate in gates[:_MOST_GATES]],
        "words": str(data.get("words", ""))[:_LONGEST_WORDS],
    }
