"""Pods as people call them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from firstlight import errors
from firstlight.fleet import names
from firstlight.providers.runpod import shapes


def pods(*told: tuple[str, str]) -> Sequence[shapes.Pod]:
    return [shapes.pod({"id": pod_id, "name": name}) for pod_id, name in told]


PODS = pods(("a1", "comfy"), ("b2", "voice"), ("c3", "comfy"), ("voice", "odd"), ("d4", ""))


@pytest.mark.parametrize(("asked", "meant"), [("b2", "b2"), ("odd", "voice"), ("a1", "a1"), ("voice", "voice")])
def test_an_id_goes_before_a_name(asked: str, meant: str) -> None:
    assert names.pick(PODS, asked, "pod").id == meant


@pytest.mark.parametrize(
    ("things", "asked", "words"),
    [
        (PODS, "comfy", "cannot tell which pod 'comfy' is: 2 have that name; say which by its id: a1, c3"),
        (PODS, "voic", "cannot find the pod 'voic': did you mean 'voice'?"),
        (PODS, "", "cannot find the pod '': there is 'comfy', 'comfy', 'd4', 'odd', 'voice'"),
        (pods(*[(str(place), f"n{place}") for place in range(9)]), "?", "there is 'n0', 'n1', 'n2', 'n3', 'n4' and 4 more"),
        ([], "comfy", "cannot find the pod 'comfy': the account has no pod"),
    ],
)
def test_who_is_not_found_is_told_what_there_is(things: Sequence[shapes.Pod], asked: str, words: str) -> None:
    with pytest.raises(errors.UsageError) as told:
        names.pick(things, asked, "pod")

    assert words in str(told.value)
