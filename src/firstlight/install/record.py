"""What an installation remembers: which contents are ours, and what was there before. Kept as JSON beside the tool."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from firstlight import errors

NAME = "firstlight/installed.json"
_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One file that is ours as a whole."""

    ours: tuple[str, ...]  # the digests of all that we have put there, or were about to
    backup: str | None = None  # the name of what was there before; None: nothing was
    kept: tuple[str, ...] = ()  # the names of copies that somebody had edited, and that we have replaced since


@dataclass(frozen=True, kw_only=True)
class Part:
    """A file of the user's that holds a section of ours."""

    ours: tuple[str, ...]  # the digests of all sections that we have put there, or were about to
    joint: str  # what was put between the user's text and the section
    created: bool  # there was no such file before
    kept: tuple[str, ...] = ()  # as of an entry


@dataclass(frozen=True, kw_only=True)
class Record:
    """All of it, by name below the folder."""

    entries: dict[str, Entry] = field(default_factory=dict)
    parts: dict[str, Part] = field(default_factory=dict)
    made_folder: bool = False  # there was no folder for the tool before


def encode(record: Record) -> bytes:
    """As it is kept. The same record gives the same bytes."""
    told = {
        "version": _VERSION,
        "made_by": "firstlight install",
        "made_folder": record.made_folder,
        "entries": {
            name: {"ours": list(entry.ours), "backup": entry.backup, "kept": list(entry.kept)}
            for name, entry in sorted(record.entries.items())
        },
        "parts": {
            name: {"ours": list(part.ours), "joint": part.joint, "created": part.created, "kept": list(part.kept)}
            for name, part in sorted(record.parts.items())
        },
    }
    return json.dumps(told, indent=1).encode() + b"\n"


def decode(data: bytes) -> Record:
    """Out of what was kept.

    Raises:
        UsageError: it is no such record, or one of a newer version.
    """
    try:
        told = json.loads(data)
        if told["version"] != _VERSION:
            raise errors.UsageError(f"cannot read {NAME}: it is of version {told['version']!r}, and this firstlight knows {_VERSION}")
        entries = {_name(name): _entry(entry) for name, entry in told["entries"].items()}
        parts = {_name(name): _part(part) for name, part in told["parts"].items()}
        return Record(entries=entries, parts=parts, made_folder=told["made_folder"] is True)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise errors.UsageError(f"cannot read {NAME}: it is no record of an installation; move it away") from None


def _entry(told: Any) -> Entry:
    backup = told["backup"]
    return Entry(ours=_texts(told["ours"]), backup=None if backup is None else _name(backup), kept=tuple(map(_name, told["kept"])))


def _part(told: Any) -> Part:
    return Part(ours=_texts(told["ours"]), joint=str(told["joint"]), created=told["created"] is True, kept=tuple(map(_name, told["kept"])))


def _texts(told: Any) -> tuple[str, ...]:
    return tuple(str(text) for text in told)


def _name(told: Any) -> str:
    """A name below the folder: what a record names is moved and removed, and it may have been edited."""
    if not isinstance(told, str) or not told or told.startswith("/") or "\0" in told or ".." in told.split("/"):
        raise ValueError(told)
    return told
