"""What a case's private machine is made of, as data: plain enough to travel to `enter.py` as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Node:
    """One entry of the private /dev. A `plain_file` has no major and minor; `after` is when it appears, in seconds after the start."""

    name: str
    major: int = 0
    minor: int = 0
    mode: int = 0o666
    plain_file: bool = False
    after: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Box:
    """A private machine: its nodes and what it keeps from the process in it."""

    nodes: tuple[Node, ...]
    may_mknod: bool = False  # CAP_MKNOD among the container's usual capabilities
    user: int | None = None  # run as this user and group instead of as root
    address_space: tuple[int, int] | None = None  # RLIMIT_AS, bytes: soft, hard; -1 is unlimited
    descriptors: tuple[int, int] | None = None  # RLIMIT_NOFILE
    denied_major: int | None = None  # a cgroup of its own that denies this device major
    loader_cache: str | None = None  # a file that stands in for /etc/ld.so.cache
    environment: Mapping[str, str | None] = field(default_factory=dict)  # None: unset

    def to_json(self) -> dict[str, Any]:
        """The box as JSON-ready data."""
        return dataclasses.asdict(self)


def from_json(data: Mapping[str, Any]) -> Box:
    """The box that `to_json` gave."""
    pairs: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in data.items() if name != "nodes"}
    return Box(nodes=tuple(Node(**node) for node in data["nodes"]), **pairs)
