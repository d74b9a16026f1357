"""Have the container started on another host. Nobody inside it can do that: this remedy only tells the reader to."""

from __future__ import annotations

from collections.abc import Mapping

from firstlight.probe.facts import Facts
from firstlight.remedies.plan import Plan, Refused, Risk

RISK = Risk.ASKED_ONLY


def plan(facts: Facts, environment: Mapping[str, str]) -> Plan | Refused:
    """Refuse, on every machine."""
    return Refused("nobody inside a container can replace it")
