"""RunPod's API v2: one method for each call that we make of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import quote

import httpx2

from firstlight import errors
from firstlight.providers.runpod import logs, paging, shapes
from firstlight.providers.runpod.access import Access
from firstlight.providers.runpod.exchange import Call, Exchange
from firstlight.providers.runpod.refusal import CloudError
from firstlight.providers.runpod.sight import Sight

__all__ = ["Client", "CloudError"]

# A list that is longer goes on for ever.
_MOST_PAGES = 1000

_Shape = TypeVar("_Shape")


class Client:
    """Ask RunPod. One for each event loop; close it, or use it in `async with`.

    All its tasks share one line, so that the account's quota is kept: a call may wait for its turn. Bound it with `anyio.fail_after`
    where that matters.
    """

    def __init__(self, access: Access, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        self._exchange = Exchange(access, transport)
        self._sight = Sight(self._pod, self.pods)

    async def __aenter__(self) -> Client:  # noqa: PYI034 - nobody derives from it, and Self is newer than Python 3.10
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._exchange.close()

    async def pods(self) -> tuple[shapes.Pod, ...]:
        """All pods but those of clusters, whose API is another."""
        return await self._list("/pods", "pods", shapes.pod)

    async def pod(self, pod_id: str) -> shapes.Pod:
        """One pod as it is now. Many who ask at once are answered out of one list."""
        return await self._sight.pod(pod_id)

    async def _pod(self, pod_id: str) -> shapes.Pod:
        return await self._one(shapes.pod, Call(method="GET", path=f"/pods/{_part(pod_id)}", words=f"ask for pod {pod_id}"))

    async def create_pod(self, body: Mapping[str, Any]) -> shapes.Pod:
        """Order a pod. Where the error says `done`, nobody knows whether there is one: look through `pods`."""
        return await self._one(shapes.pod, Call(method="POST", path="/pods", words="create a pod", body=body, repeatable=False))

    async def update_pod(self, pod_id: str, body: Mapping[str, Any]) -> shapes.Pod:
        """Change what is named in `body`; `env` is replaced whole. It may restart the pod."""
        return await self._one(shapes.pod, Call(method="PATCH", path=f"/pods/{_part(pod_id)}", words=f"change pod {pod_id}", body=body))

    async def act(self, pod_id: str, action: str) -> shapes.Pod:
        """Start, stop or restart a pod. It is under way when this returns; `pod` says how far it has come."""
        words = f"{action} pod {pod_id}"
        path = f"/pods/{_part(pod_id)}/action"
        return await self._one(shapes.pod, Call(method="POST", path=path, words=words, body={"action": action}, repeatable=False))

    async def terminate(self, pod_id: str) -> None:
        """Delete a pod and what lies on its host. One that is gone already is none to complain of."""
        call = Call(method="DELETE", path=f"/pods/{_part(pod_id)}", words=f"terminate pod {pod_id}", answered=False)
        try:
            await self._exchange.ask(call)
        except CloudError as error:
            if error.status != 404:
                raise

    async def templates(self) -> tuple[shapes.Template, ...]:
        """All templates of the account."""
        return await self._list("/templates", "templates", shapes.template)

    async def template(self, template_id: str) -> shapes.Template:
        """One template."""
        call = Call(method="GET", path=f"/templates/{_part(template_id)}", words=f"ask for template {template_id}")
        return await self._one(shapes.template, call)

    async def update_template(self, template_id: str, body: Mapping[str, Any]) -> shapes.Template:
        """Change what is named in `body`; `env` is replaced whole. No pod notices."""
        call = Call(method="PATCH", path=f"/templates/{_part(template_id)}", words=f"change template {template_id}", body=body)
        return await self._one(shapes.template, call)

    async def price(self, gpu: str) -> shapes.Price:
        """What one GPU of this type costs an hour."""
        return await self._one(shapes.price, Call(method="GET", path=f"/catalog/gpus/{_part(gpu)}", words=f"ask for the price of {gpu}"))

    def logs(
        self,
        pod_id: str,
        *,
        source: str | None = None,
        tail: int | None = None,
        since: str | None = None,
        after: str | None = None,
        follow: bool = True,
    ) -> AsyncGenerator[shapes.LogLine, None]:
        """The lines of a pod's log as they come. With `follow`, for ever: a connection that ends is followed by another; without, until
        it ends or nothing comes for some seconds.

        `tail`: so many of the last lines first (0 to 5000; 100 where nothing is said); `since`: those from this time on, RFC 3339;
        `after`: those behind the line with this id. The last of these that is given counts.
        """
        told = {"source": source, "tail": None if tail is None else str(tail), "since": since}
        query = {name: value for name, value in told.items() if value is not None}
        path = f"/pods/{_part(pod_id)}/logs"
        return logs.lines(self._exchange, path, f"read the log of pod {pod_id}", query=query, after=after, follow=follow)

    async def _one(self, shape: Callable[[Mapping[str, Any]], _Shape], call: Call) -> _Shape:
        return _shaped(shape, await self._exchange.ask(call), call.words)

    async def _list(self, path: str, field: str, shape: Callable[[Mapping[str, Any]], _Shape]) -> tuple[_Shape, ...]:
        """All pages of a list. A part of one would be worse than none: whoever cleans up would miss the rest."""
        found: list[_Shape] = []
        asked: list[Mapping[str, str]] = [{}]
        words = f"list {field}"
        while len(asked) <= _MOST_PAGES:
            told = await self._exchange.ask(Call(method="GET", path=path, words=words, query=asked[-1]))
            members = told.get(field)
            if not isinstance(members, list):
                raise CloudError(f"cannot {words}: the answer holds no {field}", status=200)
            found += [_shaped(shape, member, words) for member in members]
            following = paging.following(told)
            if not following:
                return tuple(found)
            if following in asked:
                break
            asked.append(following)
        raise CloudError(f"cannot {words}: the list has no end: it goes round in circles", status=200)


def _shaped(shape: Callable[[Mapping[str, Any]], _Shape], told: Mapping[str, Any], words: str) -> _Shape:
    try:
        return shape(told)
    except ValueError as error:
        raise CloudError(f"cannot {words}: {error}", status=200, done=True) from None


def _part(name: str) -> str:
    """A part of a path. A GPU's id has spaces in it, and might have a slash."""
    if name.strip(".") == "":
        raise errors.UsageError(f"cannot ask RunPod for {name!r}: that is no id")
    return quote(name, safe="")
