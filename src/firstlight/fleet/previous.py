"""What `pod restore` puts back: remembered in a variable of the pod itself, where nothing can lose it. Pure.

A second configuration keeps what the first one found. What somebody else has changed since is theirs: it is what the next
configuration finds, and what a restoration leaves alone. To know that, a digest of each thing that was set is kept.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from firstlight import settings
from firstlight.fleet import start
from firstlight.providers.runpod.shapes import Container, command

NAME = settings.PREVIOUS

# Bytes. It is one variable of many in a request of 102,400, and one text of the container's environment.
LONGEST = 32_768

_VERSION = 1


@dataclass(frozen=True)
class Touched:
    """A variable that was changed. None and an empty digest stand for one that is not there."""

    former: str | None = field(repr=False)
    digest: str  # of what was set


@dataclass(frozen=True, kw_only=True)
class Previous:
    """What was there, and what was put in its place."""

    args: str = field(repr=False)  # the start command as RunPod had it, byte for byte
    args_digest: str
    ports: tuple[str, ...]  # added
    env: Mapping[str, Touched]


@dataclass(frozen=True, kw_only=True)
class Restored:
    """A container as it was, and in words what stays because somebody has changed it since."""

    args: str = field(repr=False)
    env: Mapping[str, str] = field(repr=False)
    ports: tuple[str, ...]
    kept: tuple[str, ...]


def read(env: Mapping[str, str]) -> Previous | None:
    """What a container remembers; None where it was never configured.

    Raises:
        ValueError: it cannot be read.
    """
    if NAME not in env:
        return None
    try:
        told = json.loads(env[NAME])
        if told["version"] != _VERSION:
            raise ValueError(f"{NAME} is of version {told['version']}, and this firstlight knows {_VERSION}")
        return Previous(
            args=_text(told["args"]),
            args_digest=_text(told["args_set"]),
            ports=tuple(_text(port) for port in told["ports"]),
            env={name: Touched(None if was is None else _text(was), _text(digest)) for name, (was, digest) in told["env"].items()},
        )
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError):
        raise ValueError(f"{NAME} holds something that firstlight has not written") from None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def write(previous: Previous) -> str:
    """The variable's value."""
    told = {
        "version": _VERSION,
        "args": previous.args,
        "args_set": previous.args_digest,
        "ports": list(previous.ports),
        "env": {name: [touched.former, touched.digest] for name, touched in sorted(previous.env.items())},
    }
    # RunPod puts a secret in place of {{ RUNPOD_SECRET_… }} wherever it stands in a variable: not in here.
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).replace("{{", "{\\u007b")


def remember(previous: Previous | None, before: Container, *, args: str, env: Mapping[str, str], ports: tuple[str, ...]) -> Previous:
    """What to remember once `before` has become this."""
    touched = dict(previous.env) if previous else {}
    for name in (before.env.keys() | env.keys()) - {NAME}:
        now, then = before.env.get(name), env.get(name)
        if now == then:
            continue
        known = touched.pop(name, None)
        former = known.former if known and known.digest == _digest(now) else now
        if former != then:
            touched[name] = Touched(former, _digest(then))
    added = (*(previous.ports if previous else ()), *(port for port in ports if port not in before.ports))
    return Previous(
        args=previous.args if previous and _is_ours(before.args, previous) else before.args,
        args_digest=_args_digest(args),
        ports=tuple(dict.fromkeys(port for port in added if port in ports)),
        env=touched,
    )


def restore(previous: Previous, now: Container) -> Restored:
    """What to make of a container as it is now."""
    env = {name: value for name, value in now.env.items() if name != NAME}
    kept = []
    for name, touched in previous.env.items():
        if _digest(env.get(name)) != touched.digest:
            kept.append(f"{name} was changed since: it stays as it is")
        elif touched.former is None:
            del env[name]
        else:
            env[name] = touched.former
    ours = _is_ours(now.args, previous)
    if not ours:
        kept.append("its start command was changed since: it stays as it is")
    return Restored(
        args=previous.args if ours else now.args,
        env=env,
        ports=tuple(port for port in now.ports if port not in previous.ports),
        kept=tuple(kept),
    )


def _is_ours(args: str, previous: Previous) -> bool:
    """What we set, or what somebody made of it by changing an option."""
    if _args_digest(args) == previous.args_digest:
        return True
    try:
        found = start.recognise(command(args))
    except ValueError:
        return True
    return found is not None and found.guarded


def _digest(value: str | None) -> str:
    """Enough to tell two values apart; the value itself stands beside it."""
    return "" if value is None else hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _args_digest(args: str) -> str:
    """By what it means: the service may write the same words in another form."""
    return _digest(command(args).args)
