"""The service's noes."""

from __future__ import annotations

from collections.abc import Sequence

_TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    413: "Content Too Large",
    422: "Unprocessable Entity",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
}

NO_CAPACITY = "There are no longer any instances available with the requested specifications. Please refresh and try again."
NO_GPU = "There are not enough free GPUs on the host machine to start this pod."


class RefusedError(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, detail: str, errors: Sequence[str] = ()) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = list(errors)

    def problem(self) -> dict[str, object]:
        """As the document has it."""
        found: dict[str, object] = {"title": _TITLES.get(self.status, "Error"), "status": self.status, "detail": self.detail}
        return {**found, "errors": self.errors} if self.errors else found
