"""The cloud as an ASGI application: the API under /v2, the pods' HTTP ports under /proxy, and the truth under /_cloud."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from cloud import control, logs, operations, proxy, quota, routes
from cloud.contract import Contract
from cloud.habits import Trouble
from cloud.refusals import RefusedError
from cloud.world import World

# What stands before the service says to programs that it does not like.
_TURNED_AWAY = "<!DOCTYPE html><html><head><title>Access denied</title></head><body>error code: 1010</body></html>"


class CutError(Exception):
    """The connection is to be closed without another word."""


@dataclass
class Call:
    """One request as it was, for tests to look at."""

    at: float
    method: str
    path: str
    operation: str
    pod: str | None
    body: Any = None
    user_agent: str = ""
    status: int | None = None  # None: the connection was cut

    def plain(self) -> dict[str, Any]:
        """For the control endpoint."""
        return dict(vars(self))


@dataclass
class Service:
    """The application. `calls`, `violations` and `complaints` are for tests.

    Attributes:
        violations: where our own answers break the document.
        complaints: where the client's requests break it.
        proxied: how many requests there were to the pods' HTTP ports.
        keeps_streams: a log stays open. Without, it ends once all is told, as a connection does that breaks.
    """

    world: World
    contract: Contract | None = None
    calls: list[Call] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    proxied: int = 0
    keeps_streams: bool = True

    def __post_init__(self) -> None:
        self._quota = quota.Quota()

    async def __call__(
        self, scope: Mapping[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        path = scope.get("raw_path", scope["path"].encode()).decode().partition("?")[0]
        if path.startswith("/proxy/"):
            self.proxied += 1
            response = await proxy.answer(self.world, request, path)
        elif path.startswith("/_cloud/"):
            response = await control.answer(self, request, path.removeprefix("/_cloud/"))
        else:
            response = await self._api(request, path)
        await response(scope, receive, send)

    async def _api(self, request: Request, path: str) -> Response:
        agent = request.headers.get("user-agent", "")
        if agent.startswith(self.world.habits.user_agents):
            return HTMLResponse(_TURNED_AWAY, 403)
        raw = await request.body()
        found = routes.find(request.method, path)
        call = Call(self.world.now(), request.method, path, "", None, user_agent=agent)
        self.calls.append(call)
        if isinstance(found, int):
            call.status = found
            return _problem(RefusedError(found, "not found" if found == 404 else "The requested method is not allowed for this path."))
        route, name = found
        call.operation, call.pod = route.operation, name if "/pods/" in path else None
        try:
            response = await self._operation(request, route, name, raw, call)
        except RefusedError as error:
            response = self._dressed(_problem(error), route, "")
        if self.world.habits.latency:
            await anyio.sleep(self.world.habits.latency)
        call.status = response.status_code
        if response.status_code != 401:
            response.headers.update(self._quota.headers(self.world.habits.quotas, self.world.now()))
        return response

    async def _operation(self, request: Request, route: routes.Route, name: str, raw: bytes, call: Call) -> Response:
        self._may(request, route, name)
        self._quota.take(self.world.habits.quotas, self.world.now())
        trouble = next((one for one in self.world.troubles if one.strikes(route.operation, call.pod)), None)
        if trouble and not trouble.after:
            return self._trouble(trouble, route)
        body = self._body(request, route, raw)
        call.body = body
        if self.contract:
            errors = self.contract.request_errors(route.operation, request.query_params, request.headers, body)
            if errors:
                self.complaints += [f"{route.operation}: {error}" for error in errors]
                raise RefusedError(422, "Request validation failed.", errors)
        if route.operation == "getPodLogs":
            return logs.stream(self.world, name, request, self._check(route), keeps=self.keeps_streams)
        status, told = operations.do(self.world, route.operation, name, body, request.query_params, len(raw))
        response = Response(status_code=status) if told is None else JSONResponse(told, status)
        if trouble:
            return self._trouble(trouble, route)
        return self._dressed(response, route, "", told)

    def _may(self, request: Request, route: routes.Route, name: str) -> None:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key:
            raise RefusedError(401, "missing bearer token")
        rights = self.world.keys.get(key)
        if rights is None:
            raise RefusedError(401, "invalid bearer token")
        own = rights == f"pod:{name}" and "/pods/" in route.path
        if not (rights == "all" or own or (rights == "read" and not route.writes)):
            raise RefusedError(403, "access denied")

    def _body(self, request: Request, route: routes.Route, raw: bytes) -> Any:
        if not raw:
            return None
        if not request.headers.get("content-type", "").startswith("application/json"):
            raise RefusedError(422, "Request validation failed.", ["the body is not application/json"])
        try:
            return json.loads(raw)
        except ValueError:
            raise RefusedError(400, "request body is not valid JSON") from None

    def _trouble(self, trouble: Trouble, route: routes.Route) -> Response:
        if trouble.status is None:
            raise CutError
        response = _problem(RefusedError(trouble.status, trouble.detail))
        if trouble.retry_after is not None:
            response.headers["Retry-After"] = str(trouble.retry_after)
        return self._dressed(response, route, trouble.shape)

    def _dressed(self, response: Response, route: routes.Route, shape: str, told: Any = None) -> Response:
        """The answer, held against the document, and only then made as strange as the habits want it."""
        self._check(route)(response.status_code, response.media_type, response.body)
        shape = shape or self.world.habits.error_shape
        if response.status_code < 400:
            strange = operations.strange(self.world, route.operation, told)
            return response if strange is None else JSONResponse(strange, response.status_code)
        kept = {name: value for name, value in response.headers.items() if name == "retry-after"}
        if shape == "error":
            problem = json.loads(response.body)
            return JSONResponse({"error": problem["detail"], "status": response.status_code}, response.status_code, kept)
        if shape == "html":
            return HTMLResponse(f"<html><body><h1>{response.status_code}</h1></body></html>", response.status_code, kept)
        return response

    def _check(self, route: routes.Route) -> Callable[[int, str | None, bytes], None]:
        def check(status: int, media_type: str | None, body: bytes) -> None:
            if self.contract:
                errors = self.contract.response_errors(route.operation, status, media_type, body)
                self.violations += [f"{route.operation} {status}: {error}" for error in errors]

        return check


def _problem(error: RefusedError) -> Response:
    headers = {"Retry-After": str(error.after)} if isinstance(error, quota.LimitedError) else None
    return JSONResponse(error.problem(), error.status, headers, media_type="application/problem+json")


def application(world: World, contract: Contract | None = None) -> Service:
    """The cloud around a world; with a contract, all that is asked and answered is held against it."""
    return Service(world, contract)
