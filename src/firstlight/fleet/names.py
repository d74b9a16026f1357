"""Pods and templates as people call them: by name or by id."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TypeVar

from firstlight import errors
from firstlight.providers.runpod.client import Client, CloudError
from firstlight.providers.runpod.shapes import Container, Pod, Template

_Named = TypeVar("_Named", bound=Container)

_ID = re.compile(r"[A-Za-z0-9_-]+")

# So many of what there is are named in a complaint.
_NAMED = 5


async def find(cloud: Client, name_or_id: str) -> Pod:
    """The one pod that is meant.

    Raises:
        UsageError: there is none, or there are several of that name.
    """
    return (await find_all(cloud, [name_or_id]))[0]


async def find_all(cloud: Client, names_or_ids: Iterable[str]) -> tuple[Pod, ...]:
    """The pods that are meant, each once, for one question to the service.

    Raises:
        UsageError: one of them is none, or there are several of its name.
    """
    asked = list(dict.fromkeys(names_or_ids))
    try:
        pods = await cloud.pods()
    except CloudError as error:
        if error.status != 403:
            raise
        # A key may be good for a pod alone, as the one that RunPod puts into it is.
        pods = ()
    there = {word for pod in pods for word in (pod.id, pod.name)}
    for name in asked:
        if name not in there and _ID.fullmatch(name):
            pods += await _alone(cloud, name)
    # Looked up, since a fleet's names may be as many as its pods; what this leaves is an error of one kind or the other.
    often = Counter(pod.name for pod in pods)
    meant = {pod.name: pod for pod in pods if pod.name and often[pod.name] == 1} | {pod.id: pod for pod in pods}
    found = [meant.get(name) or pick(pods, name, "pod") for name in asked]
    return tuple({pod.id: pod for pod in found}.values())


async def _alone(cloud: Client, pod_id: str) -> tuple[Pod, ...]:
    """A pod that no list holds: it has only just been made, or belongs to a cluster, or the key is for it alone."""
    try:
        return (await cloud.pod(pod_id),)
    except CloudError as error:
        if error.status != 404:
            raise
        return ()


async def find_template(cloud: Client, name_or_id: str) -> Template:
    """The one template of the account that is meant.

    Raises:
        UsageError: there is none, or there are several of that name; or it is somebody else's, who alone can change it.
    """
    try:
        return pick(await cloud.templates(), name_or_id, "template")
    except errors.UsageError:
        try:
            found = await cloud.template(name_or_id)
        except CloudError:
            found = None
        if found is None:
            raise
    raise errors.UsageError(
        f"cannot change template {found.id} ({found.name}): it is public and another account's; make a copy of it, and change that"
    )


def pick(things: Sequence[_Named], asked: str, kind: str) -> _Named:
    """The one that has this id, else the one that has this name. Pure.

    Raises:
        UsageError: there is none, or there are several of that name.
    """
    for thing in things:
        if thing.id == asked:
            return thing
    called = [thing for thing in things if asked and thing.name == asked]
    if len(called) == 1:
        return called[0]
    if called:
        ids = ", ".join(sorted(thing.id for thing in called))
        raise errors.UsageError(f"cannot tell which {kind} {asked!r} is: {len(called)} have that name; say which by its id: {ids}")
    raise errors.UsageError(f"cannot find the {kind} {asked!r}: {_nearest(things, asked, kind)}")


def _nearest(things: Sequence[_Named], asked: str, kind: str) -> str:
    if not things:
        return f"the account has no {kind}"
    words = {word for thing in things for word in (thing.id, thing.name) if word}
    near = difflib.get_close_matches(asked, sorted(words), n=_NAMED)
    if near:
        return f"did you mean {', '.join(repr(word) for word in near)}?"
    names = sorted(thing.name or thing.id for thing in things)
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"there is {', '.join(repr(name) for name in names[:_NAMED])}{more}"
