"""RunPod's API v2 over HTTP: one method for each call that we make of it.

What is safe to repeat is repeated: reads, and writes that say how something is to be (PATCH, DELETE). What is not (create, an action)
is repeated only where the service surely did nothing: it was never reached, or said 429.
"""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Any

import anyio
import httpx2

import firstlight
from firstlight import errors
from firstlight.providers.runpod import shapes
from firstlight.providers.runpod.access import Access

# Seconds. The service answers within a few; a create takes longest.
_TIMEOUT = httpx2.Timeout(60.0, connect=10.0)
_TRIES = 5
_LONGEST_PAUSE = 60.0
_FIRST_PAUSE = 1.0

# Error pages of whoever stands before the service can be long.
_LONGEST_WORDS = 500


class CloudError(errors.Error):
    """RunPod did not do as asked.

    Attributes:
        status: of HTTP; None where there was no answer.
        detail: the service's own words.
        done: whether it may have been done all the same: nobody said no.
    """

    exit_code = errors.ExitCode.CLOUD

    def __init__(self, message: str, *, status: int | None = None, detail: str = "", done: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.detail = detail
        self.done = done
        if status in (401, 403):
            self.exit_code = errors.ExitCode.DENIED


class Client:
    """Ask RunPod. One for each event loop; close it, or use it in `async with`."""

    def __init__(self, access: Access) -> None:
        self._http = httpx2.AsyncClient(
            base_url=access.api,
            headers={
                "Authorization": f"Bearer {access.key}",
                # Whoever stands before the service turns some programs' own names away.
                "User-Agent": f"firstlight/{firstlight.__version__}",
                "Accept": "application/json, application/problem+json",
            },
            timeout=_TIMEOUT,
        )

    async def __aenter__(self) -> Client:  # noqa: PYI034 - nobody derives from it, and Self is newer than Python 3.10
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._http.aclose()

    async def pods(self) -> tuple[shapes.Pod, ...]:
        """All pods but those of clusters, whose API is another."""
        return tuple([shapes.pod(told) async for told in self._list("/pods", "pods")])

    async def pod(self, pod_id: str) -> shapes.Pod:
        """One pod as it is now."""
        return shapes.pod(await self._ask("GET", f"/pods/{pod_id}", f"ask for pod {pod_id}"))

    async def create_pod(self, body: Mapping[str, Any]) -> shapes.Pod:
        """Order a pod. Where the error says `done`, nobody knows whether there is one: look through `pods`."""
        return shapes.pod(await self._ask("POST", "/pods", "create a pod", body=body, repeatable=False))

    async def update_pod(self, pod_id: str, body: Mapping[str, Any]) -> shapes.Pod:
        """Change what is named in `body`; `env` is replaced whole. It may restart the pod."""
        return shapes.pod(await self._ask("PATCH", f"/pods/{pod_id}", f"change pod {pod_id}", body=body))

    async def act(self, pod_id: str, action: str) -> shapes.Pod:
        """Start, stop or restart a pod. It is under way when this returns; `pod` says how far it has come."""
        words = f"{action} pod {pod_id}"
        return shapes.pod(await self._ask("POST", f"/pods/{pod_id}/action", words, body={"action": action}, repeatable=False))

    async def terminate(self, pod_id: str) -> None:
        """Delete a pod and what lies on its host. One that is gone already is none to complain of."""
        try:
            await self._ask("DELETE", f"/pods/{pod_id}", f"terminate pod {pod_id}")
        except CloudError as error:
            if error.status != 404:
                raise

    async def templates(self) -> tuple[shapes.Template, ...]:
        """All templates of the account."""
        return tuple([shapes.template(told) async for told in self._list("/templates", "templates")])

    async def template(self, template_id: str) -> shapes.Template:
        """One template."""
        return shapes.template(await self._ask("GET", f"/templates/{template_id}", f"ask for template {template_id}"))

    async def update_template(self, template_id: str, body: Mapping[str, Any]) -> shapes.Template:
        """Change what is named in `body`; `env` is replaced whole. No pod notices."""
        return shapes.template(await self._ask("PATCH", f"/templates/{template_id}", f"change template {template_id}", body=body))

    async def price(self, gpu: str) -> shapes.Price:
        """What one GPU of this type costs an hour."""
        told = await self._ask("GET", f"/catalog/gpus/{gpu}", f"ask for the price of {gpu}")
        price = told.get("price") or {}
        return shapes.Price(secure=price.get("secure"), community=price.get("community"))

    def logs(
        self, pod_id: str, *, source: str | None = None, tail: int | None = None, after: str | None = None
    ) -> AsyncIterator[shapes.LogLine]:
        """The lines of a pod's log as they come, until the service closes; `after` is the id of the last line that is known."""
        raise NotImplementedError

    async def _list(self, path: str, field: str) -> AsyncIterator[Mapping[str, Any]]:
        told = await self._ask("GET", path, f"list {field}")
        for one in told.get(field) or ():
            yield one

    async def _ask(
        self, method: str, path: str, words: str, *, body: Mapping[str, Any] | None = None, repeatable: bool = True
    ) -> Mapping[str, Any]:
        """One call; what was answered, empty where there is no body. `words` tell what we wanted."""
        for left in reversed(range(_TRIES)):
            try:
                response = await self._http.request(method, path.lstrip("/"), json=body)
            except httpx2.TransportError as error:
                reached = not isinstance(error, (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout))
                if not left or (reached and not repeatable):
                    raise CloudError(f"cannot {words}: {str(error) or type(error).__name__}", done=reached) from None
                await anyio.sleep(_pause(_TRIES - left))
                continue
            if response.is_success:
                return _object(response)
            again = response.status_code == 429 or (response.status_code >= 500 and repeatable)
            if not left or not again:
                raise _error(words, response)
            await anyio.sleep(_pause(_TRIES - left))
        raise AssertionError


def _pause(count: int) -> float:
    return min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** (count - 1)) * random.uniform(0.5, 1.0)  # noqa: S311 - it spreads retries


def _object(response: httpx2.Response) -> Mapping[str, Any]:
    if not response.content:
        return {}
    told = response.json()
    return told if isinstance(told, dict) else {}


def _error(words: str, response: httpx2.Response) -> CloudError:
    """Both shapes of error are read: {title, detail, errors}, and {error}; and a page that is no JSON."""
    try:
        told = json.loads(response.content)
    except ValueError:
        told = None
    detail = (
        str(told.get("detail") or told.get("error") or told.get("message") or told.get("title") or "") if isinstance(told, dict) else ""
    )
    more = told.get("errors") if isinstance(told, dict) else None
    detail = "; ".join([detail, *map(str, more)]) if isinstance(more, list) else detail
    detail = " ".join(detail.split())[:_LONGEST_WORDS]
    return CloudError(
        f"cannot {words}: {detail or response.reason_phrase} (HTTP {response.status_code})",
        status=response.status_code,
        detail=detail,
        done=response.status_code >= 500,
    )
