"""Order a pod, once. What may have come of it is promised before, and looked for where the answer was lost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio

from firstlight.fleet.lease import MARK, TERMINATE, Duty, Lease, made_under
from firstlight.providers.runpod import shapes
from firstlight.providers.runpod.client import Client, CloudError

# Seconds that one order may take, its waits for a rate limit included. A sweep counts on it: see SETTLED.
_LONGEST_ORDER = 300.0

# Seconds after a lost answer in which a pod may still come to be seen. What has not by then was not made.
_LONGEST_SEARCH = 600.0

# Seconds after the promise of an order, after which nothing can come of it that is not seen.
SETTLED = _LONGEST_ORDER + _LONGEST_SEARCH

# Seconds between two looks for what was ordered: often at first, then less so, for the account's limit of calls.
_FIRST_PAUSE, _LONGEST_PAUSE = 2.0, 20.0


async def create(cloud: Client, lease: Lease, body: Mapping[str, Any], *, original: str) -> shapes.Pod:
    """Order one pod like the original, and give it; it is owed to be terminated. There is one POST, and never another for the same call.

    Raises:
        CloudError: there is no pod. Where `done` was said of the answer, none has appeared for as long as one could.
        LeaseError: nothing was ordered.
    """
    others = lease.duties
    marked = {**body, "env": {**(body.get("env") or {}), MARK: f"{lease.id}:{original}"}}
    lease.promise(*others, Duty(TERMINATE, None))
    made: tuple[shapes.Pod, ...]
    try:
        with anyio.fail_after(_LONGEST_ORDER):
            made = (await cloud.create_pod(marked),)
    except TimeoutError:
        made = await _search(cloud, lease, CloudError("cannot create a pod: no answer in time", done=True))
    except CloudError as error:
        if error.done:
            made = await _search(cloud, lease, error)
        else:
            lease.promise(*others)
            raise
    lease.promise(*others, *(Duty(TERMINATE, pod.id) for pod in made))
    lease.made.update(pod.id for pod in made)
    return made[0]


async def _search(cloud: Client, lease: Lease, lost: CloudError) -> tuple[shapes.Pod, ...]:
    """What came of an order whose answer was lost."""
    until = anyio.current_time() + _LONGEST_SEARCH
    pause = _FIRST_PAUSE
    while True:
        try:
            found = tuple(pod for pod in marked(await cloud.pods(), lease.id) if pod.id not in lease.made)
        except CloudError as error:
            if not _passing(error):
                raise  # what is owed stays owed
            found = ()
        if found:
            return found
        if anyio.current_time() >= until:
            raise CloudError(
                f"{lost}; no pod of that order appeared in {_LONGEST_SEARCH:.0f} s", status=lost.status, detail=lost.detail, done=True
            )
        await anyio.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def marked(pods: tuple[shapes.Pod, ...], lease_id: str) -> list[shapes.Pod]:
    """The pods that were made under a lease and are there."""
    return [pod for pod in pods if made_under(pod.env) == lease_id and pod.status != shapes.TERMINATED]


def _passing(error: CloudError) -> bool:
    return error.status is None or error.status == 429 or error.status >= 500
