"""Raise the soft limits that CUDA runs into, as far as the hard limits let us."""

from __future__ import annotations

from collections.abc import Mapping

from firstlight.probe.facts import Facts, Limit, Unknown
from firstlight.remedies.plan import Plan, RaiseLimit, Refused, Risk

RISK = Risk.NONE
# cuInit alone reserves 8.6 GB of addresses; with 12,000,000 KiB it fails and with 16,000,000 KiB it works (driver 580).
_ADDRESS_SPACE_NEEDED = 16_000_000 * 1024
# A context fails with 32 descriptors and works with 48; an app needs many more than that.
_DESCRIPTORS_NEEDED = 1024
_DESCRIPTORS_WANTED = 65536


def plan(facts: Facts, environment: Mapping[str, str]) -> Plan | Refused:
    """The limits that are too low, raised."""
    limits = facts.limits
    actions = []
    if isinstance(limits.address_space, Limit) and _below(limits.address_space.soft, _ADDRESS_SPACE_NEEDED):
        actions.append(RaiseLimit("RLIMIT_AS", limits.address_space.hard))
    if isinstance(limits.descriptors, Limit) and _below(limits.descriptors.soft, _DESCRIPTORS_NEEDED):
        hard = limits.descriptors.hard
        actions.append(RaiseLimit("RLIMIT_NOFILE", _DESCRIPTORS_WANTED if hard is None else min(hard, _DESCRIPTORS_WANTED)))
    useful = tuple(action for action in actions if action.soft != _soft(facts, action.name))
    return Plan(useful) if useful else Refused("the hard limits let nothing be raised")


def _below(value: int | None, needed: int) -> bool:
    return value is not None and value < needed


def _soft(facts: Facts, name: str) -> int | None:
    limit = facts.limits.address_space if name == "RLIMIT_AS" else facts.limits.descriptors
    return None if isinstance(limit, Unknown) else limit.soft
