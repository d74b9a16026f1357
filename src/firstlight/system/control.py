"""HTTP over the control socket of a running firstlight, for whoever has something to ask or to tell there."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Mapping

# The agent answers within a tenth of a second, and gives an order three.
_PATIENCE = 10.0


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


def tell(path: str, told: Mapping[str, object]) -> str:
    """Tell the instance whose control socket is at `path` how an acceptance goes (serve/told.py has the shape).

    Gives "", or why that was not taken. Nothing else comes of it: an acceptance is none the worse where nobody listens.
    """
    connection = Connection(path)
    try:
        connection.request("POST", "/acceptance", json.dumps(told).encode("ascii"), {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer = response.read(1000).decode("utf-8", "replace").strip()
    except (OSError, http.client.HTTPException) as error:
        return f"cannot tell {path}: {error}"
    finally:
        connection.close()
    return "" if response.status < 300 else answer
