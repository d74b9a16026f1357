"""One call to RunPod over HTTP, made again where that is safe; and one stream of events.

What is safe to repeat is repeated: reads, and writes that say how something is to be (PATCH, DELETE). What is not (create, an action)
is repeated only where the service surely did nothing: it was never reached, or said 429.
"""

from __future__ import annotations

import json
import random
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx2

import firstlight
from firstlight.providers import network
from firstlight.providers.runpod import events, retry
from firstlight.providers.runpod.access import Access
from firstlight.providers.runpod.pace import AT_ONCE, Pace, UsedUp
from firstlight.providers.runpod.refusal import CloudError, hide, refusal
from firstlight.system import clock, standard_error

# Seconds. The service answers within a few; a create takes longest. A body that drips would renew the first number for ever: the
# last one bounds the whole of a try.
_TIMEOUT = httpx2.Timeout(60.0, connect=10.0, pool=None)
_LONGEST_TRY = 90.0

# Seconds: a wait that is shorter is not told of, nor one so soon after another.
_SILENT = 1.5
_TELL_AGAIN = 15.0

# A list of some ten thousand pods.
LARGEST_BODY = 32 << 20
_LARGEST_PAGE = 64 << 10

# Of connections that nobody uses. Servers close theirs after five seconds and more; a request on one that is just being closed
# gets no answer, and nobody knows whether it was read.
_KEEP = 4.0


@dataclass(frozen=True, kw_only=True)
class Call:
    """What is asked of the service. `words` tell what we wanted: "cannot …" is put before them."""

    method: str
    path: str  # after the version, its parts quoted
    words: str
    body: Mapping[str, Any] | None = field(default=None, repr=False)  # variables may be secrets
    query: Mapping[str, str] = field(default_factory=dict)
    repeatable: bool = True
    answered: bool = True  # with a JSON object; else nothing need come

    def __post_init__(self) -> None:
        assert "?" not in self.path


class Exchange:
    """The connections to the service, and the line that all calls wait in."""

    def __init__(self, access: Access, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        self._access = access
        self._host = urlsplit(access.api).netloc
        self._pace = Pace()
        self._told_again = 0.0
        self._http = network.client(
            transport,
            base_url=access.api,
            headers={
                "Authorization": f"Bearer {access.key}",
                # Whoever stands before the service turns some programs' own names away.
                "User-Agent": f"firstlight/{firstlight.__version__}",
                "Accept": "application/json, application/problem+json",
            },
            timeout=_TIMEOUT,
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=AT_ONCE, keepalive_expiry=_KEEP),
            follow_redirects=False,  # the key would go along
        )

    async def close(self) -> None:
        """Let go of all connections."""
        await self._http.aclose()

    async def ask(self, call: Call) -> Mapping[str, Any]:
        """Make a call; what was answered, empty where there is no body and none is needed.

        Raises:
            CloudError: it was refused, or nobody knows.
        """
        tries, spent = 0, 0.0
        while True:
            await self._turn(call)
            began = anyio.current_time()
            told, failure, error = await self._try(call)
            if error is None:
                return told
            tries, spent = tries + 1, spent + anyio.current_time() - began
            seconds = retry.pause(failure, repeatable=call.repeatable, tries=tries, spent=spent, luck=random.random())  # noqa: S311 - it spreads retries
            if failure.status == 429:
                self._pace.shut(failure.after if seconds is None and failure.after is not None else seconds or 0.0)
            if seconds is None:
                raise error
            self._tell(f"{error}; trying again in {seconds:.0f} s", seconds)
            await anyio.sleep(seconds)
            spent += seconds

    def _tell(self, words: str, seconds: float) -> None:
        """Nobody is to stare at a silent screen; nor at a hundred lines, when a hundred tasks wait for the same."""
        now = anyio.current_time()
        if seconds >= _SILENT and now >= self._told_again:
            self._told_again = now + _TELL_AGAIN
            standard_error.say(words)

    async def _turn(self, call: Call) -> None:
        try:
            await self._pace.turn(changes=call.method != "GET")
        except UsedUp as used:
            window = f"of this {used.window} " if used.window else ""
            raise CloudError(
                f"cannot {call.words}: the account's quota of requests {window}is used up for the next {used.seconds:.0f} s (HTTP 429)",
                status=429,
            ) from None

    async def _try(self, call: Call) -> tuple[Mapping[str, Any], retry.Failure, CloudError | None]:
        """Once: what was answered; or how it failed, and what to say of it."""
        secrets = self._secrets(call.body)
        headers: Mapping[str, str] | None = None
        status = None
        try:
            with anyio.fail_after(_LONGEST_TRY):
                request = self._http.build_request(call.method, call.path, json=call.body, params=call.query or None)
                response = await self._http.send(request, stream=True)
                try:
                    status, headers = response.status_code, response.headers
                    body = await _read(response, LARGEST_BODY if response.is_success else _LARGEST_PAGE)
                finally:
                    await response.aclose()
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, TimeoutError) as error:
            reached = not isinstance(error, (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout))
            failure = retry.Failure(reached=reached)
            said = hide(str(error), secrets) or _LOST.get(type(error), "the connection was lost")
            if not reached:
                said = f"{self._host} cannot be reached: {said}; look at the network, and at RUNPOD_API_URL"
            return {}, failure, CloudError(f"cannot {call.words}: {said}{_doubt(call, done=reached)}", status=status, done=reached)
        finally:
            self._pace.landed(headers)
        if not response.is_success:
            after = retry.asked_pause(headers, clock.epoch())
            return (
                {},
                retry.Failure(status=status, after=after),
                refusal(call.words, status=status, headers=headers, body=body, secrets=secrets),
            )
        told = _object(body)
        if told is None and (body or call.answered):
            reason = "the answer is none of RunPod's: it is no JSON object" if body else "the answer is empty"
            said = f"cannot {call.words}: {reason} (HTTP {status}){_doubt(call, done=True)}"
            return {}, retry.Failure(), CloudError(said, status=status, done=True)
        return told or {}, retry.Failure(), None

    async def events(
        self, path: str, words: str, query: Mapping[str, str], *, last: str | None, quiet: float
    ) -> AsyncGenerator[events.Event, None]:
        """The events of one connection as they come, from after the one whose id is `last`.

        It ends where the service ends it, and after `quiet` seconds without an event.

        Raises:
            CloudError: it was refused, or broke off; `status` is None for the latter.
        """
        await self._turn(Call(method="GET", path=path, words=words))
        headers: Mapping[str, str] | None = None
        more = {"Accept": "text/event-stream", **({"Last-Event-ID": last} if last else {})}
        request = self._http.build_request("GET", path, params=query, headers=more, timeout=httpx2.Timeout(None, connect=10.0, write=10.0))
        try:
            try:
                with anyio.fail_after(_LONGEST_TRY):
                    response = await self._http.send(request, stream=True)
                headers = response.headers
            finally:
                self._pace.landed(headers)
            try:
                if response.status_code == 204:
                    return
                if not response.is_success:
                    body = await _read(response, _LARGEST_PAGE)
                    raise refusal(words, status=response.status_code, headers=headers, body=body, secrets=self._secrets(None))
                reader, pieces = events.Reader(), response.aiter_bytes()
                until = anyio.current_time() + quiet
                while (piece := await _before(until, pieces)) is not None:
                    for event in reader.read(piece):
                        yield event
                        until = anyio.current_time() + quiet
            finally:
                await response.aclose()
        except (httpx2.HTTPError, httpx2.StreamError, TimeoutError) as error:
            said = hide(str(error), self._secrets(None)) or _LOST.get(type(error), "the connection was lost")
            raise CloudError(f"cannot {words}: {said}") from None

    def _secrets(self, body: Mapping[str, Any] | None) -> Mapping[str, str]:
        """What no text of ours may show: the key, and what a pod's environment is given."""
        environment = (body or {}).get("env")
        given = environment if isinstance(environment, Mapping) else {}
        return {"the key": self._access.key, **{str(name): str(value) for name, value in given.items()}}


# What httpx2 says nothing of.
_LOST = {
    httpx2.ConnectTimeout: "no answer to the connection",
    httpx2.ReadTimeout: "no answer came in time",
    httpx2.WriteTimeout: "it did not take the request in time",
    TimeoutError: "no whole answer came in time",
}


def _doubt(call: Call, *, done: bool) -> str:
    """What else to say where nobody said no."""
    return "; it may have been done all the same" if done and not call.repeatable else ""


async def _before(moment: float, pieces: AsyncIterator[bytes]) -> bytes | None:
    """The next piece, if it comes in time."""
    with anyio.CancelScope(deadline=moment):
        return await anext(pieces, None)
    return None


async def _read(response: httpx2.Response, limit: int) -> bytes:
    """The body, and an error where it is larger; of an error's page as much as there may be."""
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > limit:
            if response.is_success:
                raise httpx2.DecodingError(f"the answer is larger than {limit >> 20} MiB", request=response.request)
            break
    return bytes(body[:limit])


def _object(body: bytes) -> Mapping[str, Any] | None:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None
