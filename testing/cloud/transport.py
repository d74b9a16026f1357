"""The cloud in the client's own process: no sockets, and time as the event loop has it."""

from __future__ import annotations

import httpx2

from cloud.service import CutError, Service


class Transport(httpx2.AsyncBaseTransport):
    """What a client of httpx2 takes in place of a network."""

    def __init__(self, service: Service) -> None:
        """Requests go to this one, whatever host they name. An answer is taken whole: no stream may stay open."""
        service.keeps_streams = False
        self._inner = httpx2.ASGITransport(service)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """One request; a connection that is cut looks as it does on a network."""
        try:
            return await self._inner.handle_async_request(request)
        except CutError:
            raise httpx2.ReadError("the connection was cut", request=request) from None
