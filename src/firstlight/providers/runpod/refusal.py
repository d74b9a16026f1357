"""What RunPod's refusals say, whichever shape they have. Pure.

The service has two shapes of error, {title, detail, errors} and {error}; older parts say {message}; and whoever stands before it
answers with pages for people.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from firstlight import errors

# Error pages can be long.
_LONGEST = 500

# A value of an environment that is shorter than this says nothing to whoever reads it in an error.
_SHORTEST_SECRET = 6

# What the number alone does not tell.
_MEANINGS = {
    401: "RunPod does not know this key: it is wrong, was deleted, or has expired",
    402: "the account's balance does not suffice",
    403: "the key is right, but its rights do not suffice",
    410: "this API is no more",
    429: "too many requests were made in too short a time",
    413: "it is too large: RunPod takes at most 102,400 bytes, a template's own included",
}


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

    def again(self) -> CloudError:
        """The same, to be raised by one more task: a traceback belongs to one alone."""
        error = CloudError(str(self), status=self.status, detail=self.detail, done=self.done)
        error.exit_code = self.exit_code
        return error


def refusal(words: str, *, status: int, headers: Mapping[str, str], body: bytes, secrets: Mapping[str, str]) -> CloudError:
    """The error for an answer that is none of success. `words` tell what we wanted; `secrets` are what its text must not show."""
    told = _json(body)
    detail = hide(_detail(told), secrets)
    if 300 <= status < 400:
        reason = f"it is sent on to {_host(headers.get('location', ''))}, where the key does not go"
    elif status == 403 and told is None:
        reason = "whoever stands before RunPod turned the request away, before the key was looked at"
    else:
        reason = ": ".join(part for part in (_MEANINGS.get(status, ""), detail) if part) or "it gives no reason"
    error = CloudError(f"cannot {words}: {reason} (HTTP {status})", status=status, detail=detail, done=status >= 500 or status == 408)
    if status == 403 and told is None:
        error.exit_code = errors.ExitCode.CLOUD
    return error


def _host(address: str) -> str:
    try:
        return urlsplit(address).hostname or "elsewhere"
    except ValueError:
        return "elsewhere"


def hide(text: str, secrets: Mapping[str, str]) -> str:
    """The text as one line, not too long, without the values that nobody is to see: their names stand for them."""
    for name, value in secrets.items():
        if len(value) >= _SHORTEST_SECRET:
            text = text.replace(value, f"[{name}]")
    return "".join(character if character.isprintable() else " " for character in " ".join(text.split()))[:_LONGEST]


def _json(body: bytes) -> Mapping[str, Any] | None:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None


def _detail(told: Mapping[str, Any] | None) -> str:
    if told is None:
        return ""
    said = next((str(told[name]) for name in ("detail", "error", "message", "title") if told.get(name)), "")
    several = told.get("errors")
    more = [str(one.get("message", one)) if isinstance(one, dict) else str(one) for one in several] if isinstance(several, list) else []
    return "; ".join(part for part in (said, *more) if part)
