"""Start the app without LD_PRELOAD. Done only when asked for: a preloaded library may be what makes the app work."""

from __future__ import annotations

from collections.abc import Mapping

from firstlight.probe.facts import Facts
from firstlight.remedies.plan import Plan, Refused, Risk, SetVariable

RISK = Risk.ASKED_ONLY


def plan(facts: Facts, environment: Mapping[str, str]) -> Plan | Refused:
    """Take LD_PRELOAD away; /etc/ld.so.preload belongs to the image and stays."""
    if "LD_PRELOAD" not in environment:
        return Refused("LD_PRELOAD is not set")
    return Plan((SetVariable("LD_PRELOAD", None),))
