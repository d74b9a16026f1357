"""How single pods stand, for many who ask at once.

A fleet that asks for each of its pods would use up the account's quota within a second: the documents name 60 requests a minute. So those who wait
for their turn are answered together, out of one list. An answer is never older than its question.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import anyio

from firstlight.providers.runpod.refusal import CloudError
from firstlight.providers.runpod.shapes import Pod

# For so many at once a list is cheaper than a question each.
_MANY = 3


class _Asked:
    """Somebody's question, and what came of it."""

    def __init__(self, pod_id: str) -> None:
        self.pod_id = pod_id
        self.pod: Pod | None = None
        self.error: CloudError | None = None
        self.looked = False  # for it, in a list


class Sight:
    """Answers for one client. Whoever is first in line asks for all who have come by then."""

    def __init__(self, one: Callable[[str], Awaitable[Pod]], every: Callable[[], Awaitable[Sequence[Pod]]]) -> None:
        self._one = one
        self._every = every
        self._line = anyio.Lock()
        self._asked: list[_Asked] = []
        self._lists = True  # until the service says that this key may not

    async def pod(self, pod_id: str) -> Pod:
        """The pod as it is after this was called."""
        asked = _Asked(pod_id)
        self._asked.append(asked)
        try:
            async with self._line:
                if not asked.looked:
                    await self._together(asked)
        finally:
            self._asked.remove(asked)
        if asked.error is not None:
            raise asked.error.again()
        # Not in the list: gone, or of a kind that lists leave out.
        return await self._one(pod_id) if asked.pod is None else asked.pod

    async def _together(self, first: _Asked) -> None:
        """Look for all who wait, while those who come now wait for the next time."""
        if not self._lists:
            return
        waiting = [asked for asked in self._asked if not asked.looked]
        if len({asked.pod_id for asked in waiting}) < _MANY:
            first.pod = await self._one(first.pod_id)
            return
        try:
            pods = {pod.id: pod for pod in await self._every()}
        except CloudError as error:
            if error.status == 403:
                self._lists = False
                return
            for asked in waiting:
                asked.error, asked.looked = error, True
            return
        for asked in waiting:
            asked.pod, asked.looked = pods.get(asked.pod_id), True
