"""What ComfyUI says of a prompt that it has refused, or that is over. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from firstlight.errors import Error, ExitCode

# How much of a text of its own is quoted.
_QUOTED = 300


class ComfyUIError(Error):
    """ComfyUI did not do as asked."""

    exit_code = ExitCode.CLOUD


@dataclass(frozen=True, kw_only=True)
class Done:
    """A prompt that ComfyUI calls a success, which proves nothing yet.

    Attributes:
        cached: the nodes that were answered from the cache.
        files: what its outputs have written.
        seconds: from the start of its execution to the end, by ComfyUI's clock; None where it does not tell.
    """

    cached: frozenset[str]
    files: tuple[Mapping[str, Any], ...]
    seconds: float | None


def done(entry: Mapping[str, Any]) -> Done:
    """What the history says of a prompt.

    Raises:
        ComfyUIError: a node has failed, or somebody has stopped it.
    """
    status = entry.get("status") or {}
    messages = {kind: data for kind, data in status.get("messages") or []}  # noqa: C416 - a pair is a list here
    if "execution_error" in messages:
        raise ComfyUIError(f"cannot run the workflow: {_failure(messages['execution_error'])}")
    if "execution_interrupted" in messages:
        raise ComfyUIError("cannot run the workflow: somebody has interrupted it")
    if status.get("status_str") != "success":
        raise ComfyUIError(f"cannot run the workflow: it ended as {status.get('status_str')!r}")
    begun, ended = (messages.get(f"execution_{part}", {}).get("timestamp") for part in ("start", "success"))
    return Done(
        cached=frozenset(map(str, messages.get("execution_cached", {}).get("nodes") or [])),
        files=tuple(_files(entry.get("outputs") or {})),
        seconds=(ended - begun) / 1000 if isinstance(begun, int) and isinstance(ended, int) else None,
    )


def _files(outputs: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for number, output in outputs.items():
        for held in output.values():
            if isinstance(held, list):
                yield from ({**file, "node": number} for file in held if isinstance(file, dict) and file.get("filename"))


def _failure(error: Mapping[str, Any]) -> str:
    said = _one_line(str(error.get("exception_message", "")))
    return f"node {error.get('node_id')} ({error.get('node_type')}) has failed: {error.get('exception_type')}: {said}"


def refusal(body: bytes) -> str:
    """Why a prompt was refused: the first node's own words where there are any."""
    said = parsed(body)
    for number, node in (said.get("node_errors") or {}).items():
        for error in node.get("errors") or []:
            return _one_line(f"node {number} ({node.get('class_type')}): {error.get('message')}: {error.get('details')}")
    error = said.get("error") or {}
    return _one_line(f"{error.get('message')} {error.get('details') or ''}") if isinstance(error, dict) else "it does not say why"


def parsed(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _one_line(text: str) -> str:
    joined = " ".join(text.split())
    return joined if len(joined) <= _QUOTED else joined[:_QUOTED] + "…"
