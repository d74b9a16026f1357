"""Raise the soft limits that CUDA runs into, as far as the hard limits let us."""

from __future__ import annotations

from collections.abc import Mapping

from firstlight.faults.environment import address_space_limit, descriptor_limit
from firstlight.faults.fault import Evidence
from firstlight.probe.facts import Facts, Limit
from firstlight.remedies.plan import Plan, RaiseLimit, Refused, Risk

RISK = Risk.NONE
# CUDA alone is content with far fewer; an app opens many more files than CUDA does.
_DESCRIPTORS_WANTED = 65536


def plan(facts: Facts, environment: Mapping[str, str]) -> Plan | Refused:
    """The limits that there is evidence against, raised."""
    actions = []
    address_space, descriptors = facts.limits.address_space, facts.limits.descriptors
    if isinstance(address_space, Limit) and isinstance(address_space_limit.evidence(facts), Evidence):
        actions += _raised("RLIMIT_AS", address_space, address_space.hard)
    if isinstance(descriptors, Limit) and isinstance(descriptor_limit.evidence(facts), Evidence):
        hard = descriptors.hard
        actions += _raised("RLIMIT_NOFILE", descriptors, _DESCRIPTORS_WANTED if hard is None else min(hard, _DESCRIPTORS_WANTED))
    return Plan(tuple(actions)) if actions else Refused("the hard limits let nothing be raised")


def _raised(name: str, limit: Limit, soft: int | None) -> list[RaiseLimit]:
    """What raises a limit to `soft`; nothing where it is there already."""
    return [] if limit.soft == soft else [RaiseLimit(name, soft)]
