"""From what is wanted and what is there to what is to be done: pure. What was there before is never lost.

A file is ours where its content is one that we have put there; that is what the record is for. It is written before anything
else is done, and names what was about to happen: so whatever a kill leaves behind is understood by the next plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from firstlight import errors
from firstlight.install import section
from firstlight.install.record import Entry, Part, Record
from firstlight.install.wanted import Wanted, digest

# Where a run keeps its journal on a volume. It is no part of an installation.
JOURNAL = ".firstlight"
_BACKUP = ".before-firstlight"


class Kind(Enum):
    """What is there under a name."""

    NOTHING = "nothing"
    FILE = "a file"
    LINK = "a symbolic link"
    FOLDER = "a folder"
    OTHER = "no ordinary file"


@dataclass(frozen=True, kw_only=True)
class Found:
    """What is there under a name. `place` is the name of the file itself, where a link that is followed leads to it."""

    kind: Kind
    place: str = ""
    data: bytes = b""
    mode: int = 0
    owner: tuple[int, int] | None = None

    @property
    def digest(self) -> str:
        """What its content is known by."""
        return digest(self.data)


@dataclass(frozen=True, kw_only=True)
class There:
    """All that is there. `names` are all names in the folders that we write to."""

    files: Mapping[str, Found]
    names: frozenset[str]
    record: Record | None
    running: tuple[int, ...] = ()  # who runs from the tool that lies there

    def __getitem__(self, name: str) -> Found:
        return self.files.get(name, _NOTHING)


_NOTHING = Found(kind=Kind.NOTHING)


@dataclass(frozen=True)
class Move:
    """Give a file another name, whatever bears that name now."""

    name: str
    to: str


@dataclass(frozen=True)
class Put:
    """Write a file whole, in place of what is there. `owner` is given to it where we may."""

    name: str
    data: bytes
    mode: int
    owner: tuple[int, int] | None = None


@dataclass(frozen=True)
class Remove:
    """Remove a file."""

    name: str


@dataclass(frozen=True)
class SetMode:
    """Give a file its mode."""

    name: str
    mode: int


@dataclass(frozen=True)
class RemoveTree:
    """Remove a folder with all that is in it."""

    name: str


Action = Move | Put | Remove | RemoveTree | SetMode


@dataclass(frozen=True)
class Change:
    """One file, what becomes of it, and how that is done. Without actions, it is left as it is."""

    name: str
    what: str
    actions: tuple[Action, ...] = ()
    words: str = ""


@dataclass(frozen=True)
class Plan:
    """What is to be done. `record` is what is remembered before it is; None: once all is done, nothing is remembered any more."""

    changes: tuple[Change, ...]
    record: Record | None
    to_do: bool

    def touches(self, name: str) -> bool:
        """It changes what bears this name."""
        return any(change.name == name and change.actions for change in self.changes)


def install(wanted: Iterable[Wanted], sections: Iterable[Wanted], there: There) -> Plan:
    """What makes everything as it is wanted.

    Raises:
        UsageError: something is in the way that we do not move.
    """
    record = there.record or Record(made_folder="firstlight" not in there.names)
    changes: list[Change | None] = []
    entries, parts = dict(record.entries), dict(record.parts)
    for file in wanted:
        change, entries[file.name] = _file(file, there, record.entries.get(file.name))
        changes.append(change)
    for file in sections:
        change, part = _section(file, there, record.parts.get(file.name))
        changes.append(change)
        if part is not None:
            parts[file.name] = part
    found = tuple(filter(None, changes))
    remembered = replace(record, entries=entries, parts=parts)
    return Plan(found, remembered, remembered != there.record or any(change.actions for change in found))


def uninstall(there: There, *, purge: bool) -> Plan:
    """What puts everything back as it was. What somebody has edited stays; the journal too, unless it is to be purged."""
    record = there.record or Record()
    changes = [_put_back(name, entry, there) for name, entry in reversed(record.entries.items())]
    changes += [_take_out(name, part, there) for name, part in record.parts.items()]
    kept = [name for entry in record.entries.values() for name in entry.kept] + [
        name for part in record.parts.values() for name in part.kept
    ]
    changes += [Change(name, "kept", words="somebody's edits of a file of ours") for name in kept if name in there.names]
    if purge and there[JOURNAL].kind is Kind.FOLDER:
        changes.append(Change(JOURNAL, "removed", (RemoveTree(JOURNAL),)))
    found = tuple(filter(None, changes))
    return Plan(found, None, there.record is not None or any(change.actions for change in found))


def _file(wanted: Wanted, there: There, known: Entry | None) -> tuple[Change | None, Entry]:
    """What makes one file as it is wanted."""
    found, name = there[wanted.name], wanted.name
    if found.kind in (Kind.FOLDER, Kind.OTHER):
        raise errors.UsageError(f"cannot write {name}: {found.kind.value} is there; move it away")
    entry = known or Entry(ours=())
    ours = replace(entry, ours=tuple(dict.fromkeys((*entry.ours, wanted.digest))))
    put = Put(name, wanted.data, wanted.mode)
    if found.kind is Kind.NOTHING:
        return Change(name, "created", (put,)), ours
    if found.kind is Kind.FILE and found.digest in ours.ours:
        if found.digest != wanted.digest:
            return Change(name, "renewed", (put,)), ours
        if found.mode != wanted.mode:
            return Change(name, "mended", (SetMode(name, wanted.mode),), f"its mode was {found.mode:o}"), ours
        return None, ours
    # It is not ours. Without a backup, it is what was there before; else somebody has edited our own.
    if known is None or (known.backup is not None and known.backup not in there.names):
        backup = entry.backup or _free(name, there.names)
        return Change(name, "replaced", (Move(name, backup), put), f"what was there is {backup}"), replace(ours, backup=backup)
    backup = _free(name, there.names)
    words = f"somebody had edited it; that is {backup}"
    return Change(name, "replaced", (Move(name, backup), put), words), replace(ours, kept=tuple(dict.fromkeys((*ours.kept, backup))))


def _section(wanted: Wanted, there: There, known: Part | None) -> tuple[Change | None, Part | None]:
    """What makes our section of somebody's file as it is wanted."""
    found, name = there[wanted.name], wanted.name
    ours = tuple(dict.fromkeys((*(known.ours if known else ()), wanted.digest)))
    if found.kind is Kind.NOTHING:
        return Change(name, "created", (Put(name, wanted.data, wanted.mode),)), Part(ours=ours, joint="", created=True)
    if found.kind is not Kind.FILE:
        return Change(name, "left", words=f"{found.kind.value} is there"), known
    parts = section.split(found.data)
    if parts is None:
        return Change(name, "left", words="the markers of our section are damaged"), known
    if parts.section is None:
        joint = section.joint(parts.before)
        data = parts.before + joint + wanted.data
        put = Put(found.place, data, found.mode, found.owner)
        return Change(name, "amended", (put,), "a section was added"), Part(ours=ours, joint=joint.decode(), created=False)
    part = replace(known, ours=ours) if known else Part(ours=ours, joint="", created=False)
    if parts.section == wanted.data:
        return None, part
    put = Put(found.place, parts.before + wanted.data + parts.after, found.mode, found.owner)
    if digest(parts.section) in part.ours:
        return Change(name, "amended", (put,), "our section was renewed"), part
    backup = _free(name, there.names)
    copy = Put(backup, found.data, found.mode, found.owner)
    words = f"somebody had edited our section; that is {backup}"
    return Change(name, "amended", (copy, put), words), replace(part, kept=tuple(dict.fromkeys((*part.kept, backup))))


def _put_back(name: str, entry: Entry, there: There) -> Change | None:
    """What makes one file as it was before us."""
    found = there[name]
    backup = entry.backup if entry.backup in there.names else None
    if found.kind is Kind.NOTHING or (found.kind is Kind.FILE and found.digest in entry.ours):
        if backup is not None:
            return Change(name, "put back", (Move(backup, name),))
        return Change(name, "removed", (Remove(name),)) if found.kind is Kind.FILE else None
    if entry.backup is not None and backup is None:
        return None  # it is back already, or was never replaced
    before = f"; what was there before it is {backup}" if backup else ""
    return Change(name, "kept", words=f"somebody has edited it{before}")


def _take_out(name: str, part: Part, there: There) -> Change | None:
    """What takes our section out of somebody's file."""
    found = there[name]
    parts = section.split(found.data) if found.kind is Kind.FILE else None
    if parts is None:
        return None if found.kind is Kind.NOTHING else Change(name, "kept", words="our section cannot be told from the rest of it")
    if parts.section is None:
        return None
    if digest(parts.section) not in part.ours:
        return Change(name, "kept", words="somebody has edited our section")
    rest = section.without(parts, part.joint.encode())
    if not rest and part.created:
        return Change(name, "removed", (Remove(found.place),))
    return Change(name, "amended", (Put(found.place, rest, found.mode, found.owner),), "our section was taken out")


def _free(name: str, names: frozenset[str]) -> str:
    """A name for what was there that nothing bears."""
    backup, number = name + _BACKUP, 1
    while backup in names:
        number += 1
        backup = f"{name}{_BACKUP}-{number}"
    return backup
