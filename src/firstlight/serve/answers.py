"""What is asked of the agent, answered: one function for each address."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import asdict
from email.utils import formatdate
from enum import Enum
from typing import Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from firstlight.serve import access, health, live as live_events, metrics, page, told
from firstlight.serve.access import Denied, Level
from firstlight.serve.background import Lookup, PastBoot
from firstlight.serve.connections import Peer
from firstlight.serve.live import Live
from firstlight.serve.view import View, look

# Raise it when a field of status.json changes its meaning or goes away.
STATUS_VERSION = 1

# Followers of the events at once.
MOST_FOLLOWERS = 16
# A line to a silent follower, in seconds: proxies close what says nothing for a minute and a half.
_KEEP_ALIVE = 15.0

# Bytes of a form. A token has 43.
_LONGEST_FORM = 4096

# How long an order waits for the core's word, in seconds.
_ORDER_PATIENCE = 3.0

# How long the page waits for what lies in files, in seconds.
_FILE_PATIENCE = 0.05

_COOKIE = "firstlight"
_COOKIE_AGE = 7 * 86400

Endpoint = Callable[[Request], Awaitable[Response]]


class Answers:
    """The agent's answers.

    Attributes:
        keys: who may see what.
        application: what a server calls.
    """

    def __init__(
        self,
        live: Live,
        *,
        version: str,
        app: str,
        log: Lookup[Any],
        past: Lookup[Any],
        host_keys: Lookup[Sequence[str]],
        order: Callable[[str, str], None],
        tell: Callable[[dict[str, Any]], None],
        now: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        """`order(order, by)` tells the core, and `tell(event)` what an acceptance says; `now` is a clock that no one sets, `wall` the one on the wall."""
        self.keys = access.Keys()
        self._live = live
        self._version = version
        self._app = app
        self._log = log
        self._past = past
        self._host_keys = host_keys
        self._order = order
        self._tell = tell
        self._now = now
        self._wall = wall
        self._failures = access.Failures()
        self._followers = 0
        self._seen: tuple[int, View | None] = (-1, None)
        routes: dict[str, Endpoint] = {
            "/": self._page,
            "/status.json": self._status,
            "/events": self._events,
            "/metrics": self._metrics,
            "/livez": self._health("livez", health.alive),
            "/healthz": self._health("livez", health.alive),
            "/readyz": self._health("readyz", health.ready),
            "/startupz": self._health("startupz", health.started),
        }
        orders = [path for path in access.TABLE if path.startswith("/v1/")]
        self.application = Starlette(
            routes=[
                *(Route(path, self._guard(path, endpoint), methods=["GET"]) for path, endpoint in routes.items()),
                Route("/login", self._guard("/login", self._login), methods=["POST"]),
                Route("/acceptance", self._guard("/acceptance", self._take_acceptance), methods=["POST"]),
                *(Route(path, self._guard(path, self._take_order), methods=["POST"]) for path in orders),
            ],
            exception_handlers={HTTPException: _refusal, Exception: _failure},
        )
        self.application.router.redirect_slashes = False

    def view(self) -> View | None:
        """The boot as it stands; None before its first event."""
        if self._seen[0] != self._live.version:
            self._seen = (self._live.version, look(self._live.events) if self._live.events else None)
        return self._seen[1]

    def _called(self, view: View | None) -> str:
        return self._app or (view.app if view is not None else "")

    # Who asks

    def _guard(self, path: str, endpoint: Endpoint) -> Endpoint:
        """The endpoint, for those who may. `request.state.level` says what they may see."""
        need = access.TABLE[path]

        async def guarded(request: Request) -> Response:
            peer: Peer = request.state.peer
            asker = access.Asker(
                transport=peer.transport,
                peer=peer.address,
                host=request.headers.get("host", ""),
                forwarded=access.was_forwarded(request.headers.keys(), request.scope["http_version"]),
                bearer=_bearer(request),
                cookie=request.cookies.get(_COOKIE),
            )
            level = access.decide(asker, need, self.keys)
            if isinstance(level, Level):
                request.state.level = level
                return _with_headers(await endpoint(request))
            refused = self._slowed(peer) if level is Denied.TOKEN else None
            return _with_headers(refused or _denied(level))

        return guarded

    async def _login(self, request: Request) -> Response:
        """A token out of a form becomes a cookie that scripts cannot read and other sites cannot send."""
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return _plain(403, "cannot sign in from another site")
        token = parse_qs((await _body(request)).decode("utf-8", "replace")).get("token", [""])[0].strip()
        if self.keys.token is None or not access.same(token, self.keys.token):
            wrong = Response(page.stranger(self.view(), wrong=True), 401, {"WWW-Authenticate": "Bearer"}, media_type="text/html")
            return self._slowed(request.state.peer) or wrong
        response = RedirectResponse("/", 303)
        secure = request.headers.get("x-forwarded-proto", "") == "https"
        response.set_cookie(
            _COOKIE, access.cookie(self.keys.token), max_age=_COOKIE_AGE, httponly=True, samesite="strict", secure=secure, path="/"
        )
        return response

    def _slowed(self, peer: Peer) -> Response | None:
        """What one more wrong token is told where too many came from its address. A right one always passes: behind a proxy all askers share
        one address, and at its length nobody finds it by trying."""
        if self._failures.too_many(peer.address, self._now()):
            return _plain(429, "cannot take this token, and too many wrong ones came from this address", {"Retry-After": "10"})
        self._failures.note(peer.address, self._now())
        return None

    # What they get

    def _health(self, name: str, lines: Callable[[View | None], list[health.Line]]) -> Endpoint:
        async def answer(request: Request) -> Response:
            verbose = "verbose" in request.query_params and request.state.level is Level.ADMIN
            code, text = health.text(lines(self.view()), name=name, exclude=request.query_params.getlist("exclude"), verbose=verbose)
            return PlainTextResponse(text, code)

        return answer

    async def _status(self, request: Request) -> Response:
        view = self.view()
        if request.state.level is not Level.ADMIN:
            return JSONResponse(page.little(view))
        own = {
            "version": STATUS_VERSION,
            "firstlight": self._version,
            **_plain_data(view),
            "app": self._called(view),
            "ssh_host_keys": list(await self._host_keys.get(_FILE_PATIENCE) or ()),
        }
        return JSONResponse(own)

    async def _metrics(self, _: Request) -> Response:
        return Response(metrics.render(self.view(), self._version), media_type=metrics.CONTENT_TYPE)

    async def _page(self, request: Request) -> Response:
        view = self.view()
        if request.state.level is not Level.ADMIN:
            return Response(page.stranger(view), 401, {"WWW-Authenticate": "Bearer"}, media_type="text/html")
        lines, boots = await asyncio.gather(self._log.get(_FILE_PATIENCE), self._past.get(_FILE_PATIENCE))
        past: list[PastBoot] | None = boots
        text = page.render(
            view, version=self._version, app=self._called(view), now=self._wall(), log=lines, past=past, past_late=self._past.late
        )
        return Response(text, media_type="text/html")

    async def _events(self, request: Request) -> Response:
        if self._followers >= MOST_FOLLOWERS:
            return _plain(503, f"cannot take another follower: there are {self._followers}", {"Retry-After": "15"})
        number = self._resume_after(request.headers.get("last-event-id", ""))
        if request.method == "HEAD":
            return Response(media_type="text/event-stream")
        return StreamingResponse(self._follow(number), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})

    def _resume_after(self, last: str) -> int:
        """The number after which a follower goes on; -1 for the beginning, and for what is not of this boot."""
        boot, _, number = last.rpartition("/")
        here = self._live.events[-1].boot if self._live.events else ""
        return int(number) if boot and boot == here and number.isascii() and number.isdecimal() else -1

    async def _follow(self, number: int) -> AsyncIterator[str]:
        self._followers += 1
        try:
            yield "retry: 2000\n\n"
            while True:
                events = self._live.after(number)
                if events:
                    number = events[-1].number
                    yield "".join(f"id: {event.boot}/{event.number}\ndata: {live_events.line(event)}\n\n" for event in events)
                elif not await self._live.changed(_KEEP_ALIVE):
                    yield ": still here\n\n"
        finally:
            self._followers -= 1

    # Orders

    async def _take_order(self, request: Request) -> Response:
        """Hand an order to the core, and give its word where it comes soon."""
        order = request.url.path.rpartition("/")[2]
        peer: Peer = request.state.peer
        number = self._live.events[-1].number if self._live.events else -1
        self._order(order, peer.words)
        until = self._now() + _ORDER_PATIENCE
        while (left := until - self._now()) > 0:
            for event in self._live.after(number):
                number = event.number
                if event.kind == "order" and event.data.get("order") == order and event.data.get("by") == peer.words:
                    return JSONResponse({"order": order, "answered": True, "words": str(event.data.get("words", ""))})
            await self._live.changed(left)
        return JSONResponse({"order": order, "answered": False, "words": "the order was handed over; the journal will tell"}, 202)

    async def _take_acceptance(self, request: Request) -> Response:
        """Hand what an acceptance tells to the core, for the journal."""
        try:
            event = told.parse(await _body(request))
        except ValueError as error:
            return _plain(400, f"cannot take this: {error}")
        self._tell(event)
        return JSONResponse({"taken": event["kind"]}, 202)


def _plain_data(view: View | None) -> dict[str, Any]:
    if view is None:
        return page.little(None)
    data = asdict(view)
    data = {**data.pop("status"), **data}
    data["spans"] = [{**asdict(span), "stage": span.stage.value} for span in view.spans]
    return {name: value.value if isinstance(value, Enum) else value for name, value in data.items()}


def _bearer(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


async def _body(request: Request) -> bytes:
    body = b""
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > _LONGEST_FORM:
                raise HTTPException(413, "cannot take so long a form")
    except ClientDisconnect:
        raise HTTPException(400, "cannot take half a form") from None
    return body


def _denied(why: Denied) -> Response:
    if why is Denied.HOST:
        return _plain(421, "cannot answer for this host name: it is none of ours")
    if why is Denied.TRANSPORT:
        return _plain(403, "cannot take orders here: they are taken over the control socket alone (firstlight ctl)")
    words = "cannot accept this token" if why is Denied.TOKEN else "cannot show this without the token (Authorization: Bearer)"
    return _plain(401, words, {"WWW-Authenticate": "Bearer"})


def _plain(code: int, words: str, headers: dict[str, str] | None = None) -> Response:
    return _with_headers(PlainTextResponse(f"{words}\n", code, headers))


async def _refusal(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    words = {404: "cannot find this", 405: "cannot do this here"}.get(error.status_code, error.detail)
    return _plain(error.status_code, words, dict(error.headers or {}))


async def _failure(_: Request, __: Exception) -> Response:
    """A fault of our own. Its words may hold anything: they go to the core, not to whoever asks."""
    return _plain(500, "cannot answer: this is a fault of firstlight itself")


def _with_headers(response: Response) -> Response:
    """What every answer carries: nothing is kept, framed, guessed at, or fetched from elsewhere."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Date"] = formatdate(usegmt=True)
    return response


_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": page.CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
