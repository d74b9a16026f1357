"""HTTP over the control socket of a running firstlight, for whoever has something to ask or to tell there."""

from __future__ import annotations

import http.client
import json
import select
import socket
from collections.abc import Mapping

from firstlight.system import clock

# The agent answers within a tenth of a second, and gives an order three.
_PATIENCE = 10.0
# How long to wait until somebody who does not listen is tried again, in seconds.
_PAUSE = 0.1


class Connection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_PATIENCE)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_PATIENCE)
        self.sock.connect(self._path)


def tell(path: str, told: Mapping[str, object], *, patience: float = 0.0) -> str:
    """Tell the instance whose control socket is at `path` how an acceptance goes (serve/told.py has the shape).

    Gives "", or why that was not taken; `patience` is for how many seconds it is tried again while nobody listens. Nothing else comes of it: an
    acceptance is none the worse for that.
    """
    body, until = json.dumps(told).encode("ascii"), clock.now() + patience
    while True:
        connection = Connection(path)
        try:
            connection.request("POST", "/acceptance", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = response.read(1000).decode("utf-8", "replace").strip()
            return "" if response.status < 300 else answer
        except (OSError, http.client.HTTPException) as error:
            if clock.now() >= until or not isinstance(error, (FileNotFoundError, ConnectionRefusedError)):
                return f"cannot tell {path}: {error}"
        finally:
            connection.close()
        select.select([], [], [], _PAUSE)
