"""The start command in its two forms: one string, or entrypoint and cmd. Written from the document alone, apart from the client's reading."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

Words = tuple[str, ...]


class ContradictionError(Exception):
    """`args` describes another command than `entrypoint` and `cmd`."""


def parts(args: str) -> tuple[Words, Words]:
    """Entrypoint and cmd of a stored string: a JSON object as it is, anything else split into cmd; no shell runs it."""
    try:
        told = json.loads(args)
    except ValueError:
        told = None
    if isinstance(told, dict) and set(told) <= {"entrypoint", "cmd"}:
        found = [told.get(name) or [] for name in ("entrypoint", "cmd")]
        if all(isinstance(words, list) and all(isinstance(word, str) for word in words) for words in found):
            return tuple(found[0]), tuple(found[1])
    try:
        return (), tuple(shlex.split(args))
    except ValueError:
        return (), tuple(args.split())


def stored(entrypoint: Words, cmd: Words) -> str:
    """The string that the two are kept as."""
    if not entrypoint and not cmd:
        return ""
    told = {name: list(words) for name, words in (("entrypoint", entrypoint), ("cmd", cmd)) if words}
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False)


def merged(args: str, body: Mapping[str, Any]) -> str:
    """What is stored after a body: `args` is what was stored before; what the body leaves out stays.

    Raises:
        ContradictionError: the body tells two commands.
    """
    if "args" in body and not {"entrypoint", "cmd"} & set(body):
        return str(body["args"])
    entrypoint, cmd = parts(args)
    if "args" in body:
        entrypoint, cmd = parts(body["args"])
        for name, words in (("entrypoint", entrypoint), ("cmd", cmd)):
            if name in body and tuple(body[name]) != words:
                raise ContradictionError(f"args and {name} describe different commands")
        return str(body["args"])
    if not {"entrypoint", "cmd"} & set(body):
        return args
    return stored(tuple(body.get("entrypoint", entrypoint)), tuple(body.get("cmd", cmd)))
