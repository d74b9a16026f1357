"""Whatever the facts are, a diagnosis comes out: facts are made up from their own types."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from enum import EnumMeta
from typing import Any, Union

from hypothesis import HealthCheck, given, settings, strategies as st
from machines import healthy

from firstlight.faults.catalogue import CATALOGUE
from firstlight.faults.diagnose import diagnose
from firstlight.probe.facts import FACTS_VERSION, Cause, Facts, Unknown
from firstlight.report import diagnosis as diagnosis_report, summary

# Values that the faults look at, so that made-up facts come near to them often.
TEXTS = (
    "", "0", "0,8", "-1", "8", "none", "void", "all", "GPU-", "MIG-1", "580.159.04", "570.124.06", "13.0", "not a version", "1.²", "/dev/nvidia0",
    "/dev/nvidia8", "/dev/nvidiactl", "/dev/nvidia-uvm", "libcuda.so.1", "LD_LIBRARY_PATH", "utility", "CAP_DAC_OVERRIDE", "\x1b[31m", "file too short",
)  # fmt: skip
NUMBERS = (0, 1, 2, 3, 5, 13, 15, 16, 34, 35, 46, 100, 101, 195, 234, 255, 304, 802, 803, 804, 999, 12000, 13000, 0o666, 1 << 40, -1)
NAMES = (
    "CUDA_VISIBLE_DEVICES",
    "NVIDIA_VISIBLE_DEVICES",
    "RUNPOD_GPU_COUNT",
    "NVIDIA_DRIVER_CAPABILITIES",
    "CUDA_VERSION",
    "nvidia",
    "nvidia-uvm",
)
UNKNOWNS = st.builds(Unknown, st.sampled_from(("file too short", "Permission denied")), st.sampled_from(Cause))


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Values of an annotated type of facts."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (Union, types.UnionType):
        return st.one_of([values(argument) for argument in arguments])
    if origin is tuple and arguments[-1] is Ellipsis:
        return st.lists(values(arguments[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*(values(argument) for argument in arguments))
    if origin is Mapping:
        return st.dictionaries(st.sampled_from(NAMES), values(arguments[1]), max_size=4)
    if kind is Unknown:
        return UNKNOWNS
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return st.builds(kind, **{item.name: values(hints[item.name]) for item in dataclasses.fields(kind)})
    if isinstance(kind, EnumMeta):
        return st.sampled_from(kind)
    plain = {int: st.sampled_from(NUMBERS), str: st.sampled_from(TEXTS), bool: st.booleans(), float: st.just(0.5), type(None): st.none()}
    return plain[kind]


HINTS = typing.get_type_hints(Facts)
ANY_FACTS = values(Facts).map(lambda facts: dataclasses.replace(facts, version=FACTS_VERSION))
# Most of a healthy machine, and any one part of it made up.
NEARLY_HEALTHY = st.sampled_from([name for name in HINTS if name not in ("version", "taken_at")]).flatmap(
    lambda name: values(HINTS[name]).map(lambda part: dataclasses.replace(healthy(2), **{name: part}))
)
ORDER = [fault.id for fault in CATALOGUE]


@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.one_of(ANY_FACTS, NEARLY_HEALTHY))
def test_any_facts_give_one_diagnosis_in_the_order_of_the_catalogue(facts: Facts) -> None:
    found = diagnose(facts)
    assert diagnose(facts) == found
    places = [ORDER.index(finding.fault.id) for finding in found.findings]
    assert places == sorted(set(places))
    assert not {name for name, _ in found.undecided} & {finding.fault.id for finding in found.findings}


@settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.one_of(ANY_FACTS, NEARLY_HEALTHY))
def test_any_facts_can_be_shown_without_a_control_character(facts: Facts) -> None:
    found = diagnose(facts)
    for text in (diagnosis_report.render(found, facts), summary.render(facts)):
        assert all(line.isprintable() for line in text.split("\n"))
    assert diagnosis_report.encode(found, facts)["usable"] == found.usable
