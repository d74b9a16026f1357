"""Where an environment's versions lie, and how one takes the place of another.

    PATH                      a link to one of PATH.versions/*; before the first upgrade, a folder of its own
    PATH.versions/2.8.0+cu126     an environment, named for its torch
    PATH.versions/2.9.0+cu128
    PATH.versions/*.json          what each was made from, and how far that came
    PATH.versions/swap.json       the last swap: what rollback undoes
    PATH.versions/lock            held by whoever works here, and by what it has started

Every environment is made to be used as PATH: its scripts name PATH/bin/python, so whichever lies there works, and none has to be
rewritten when it comes back.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from firstlight import errors
from firstlight.system import linux

# How far an environment has come, in order. Only a proven one was ever in use; the user's own have no record at all.
COPYING, INSTALLED, PROVEN = "copying", "installed", "proven"

# The name that a link has before it takes PATH's place, and the file that tells of the last swap.
_LINK = "link"
_LAST_SWAP = "swap.json"


@dataclass(frozen=True)
class Place:
    """An environment by the name that its users know, and the folder of its versions."""

    path: str

    @property
    def versions(self) -> str:
        """The folder of its versions."""
        return f"{self.path}.versions"

    def version(self, name: str) -> str:
        """The folder of one version."""
        return os.path.join(self.versions, name)

    def text(self, name: str) -> str:
        """What a link at PATH says to lead to this version: relative, so that the parent folder can be moved or mounted elsewhere."""
        return os.path.join(os.path.basename(self.versions), name)

    @property
    def python(self) -> str:
        """Its interpreter."""
        return os.path.join(self.path, "bin/python")


@dataclass(frozen=True, kw_only=True)
class Record:
    """What an environment was made from, and how far that came."""

    state: str
    wanted: str  # a digest of what was asked for
    source: str  # a digest of the environment that it was copied from
    path: str  # PATH, as its scripts name it
    made: str = ""  # a digest of what it was when it was made


def find(path: str) -> Place:
    """The environment at `path`.

    Raises:
        UsageError: there is none.
    """
    place = Place(os.path.abspath(path))
    if not os.path.lexists(place.path) and not os.path.isdir(place.versions):
        raise errors.UsageError(f"cannot find an environment: there is no {place.path}")
    if os.path.lexists(place.path):
        refuse_unless_environment(place.path)
    return place


def refuse_unless_environment(folder: str) -> None:
    """Raises UsageError: this is no virtual environment."""
    if os.path.isdir(os.path.join(folder, "conda-meta")):
        raise errors.UsageError(f"cannot work on {folder}: it is an environment of conda, not a virtual environment")
    for part in ("pyvenv.cfg", "bin/python"):
        if not os.path.isfile(os.path.join(folder, part)):
            raise errors.UsageError(f"cannot work on {folder}: it is no virtual environment (it has no {part})")


def refuse_mount_point(place: Place) -> None:
    """Raises UsageError: no link can take the place of PATH."""
    if os.path.ismount(place.path):
        raise errors.UsageError(f"cannot replace {place.path}: it is a mount point of its own, and nothing can take its place")


@contextlib.contextmanager
def locked(place: Place) -> Iterator[int]:
    """Work on an environment alone. Gives the lock's descriptor: a child that inherits it holds the lock too, until it has ended.

    Raises:
        UpgradeError: somebody else is at work here.
    """
    try:
        os.makedirs(place.versions, exist_ok=True)
        descriptor = os.open(os.path.join(place.versions, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise errors.UpgradeError(f"cannot work in {place.versions}: {error.strerror}") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise errors.UpgradeError(
                f"cannot work on {place.path}: another firstlight is at work on it, or what it started still is"
            ) from None
        heal(place)
        yield descriptor
    finally:
        os.close(descriptor)


def heal(place: Place) -> None:
    """Finish or take back what a killed swap has left. The caller holds the lock."""
    link = place.version(_LINK)
    if os.path.islink(link):
        if os.path.lexists(place.path):
            os.unlink(link)
        else:
            os.rename(link, place.path)  # killed between the two renames of a file system that cannot exchange names
    for name in os.listdir(place.versions):
        if os.path.islink(place.version(name)):  # it waited to be exchanged with PATH
            os.unlink(place.version(name))
    for name in recorded(place):
        if not os.path.lexists(place.version(name)):  # a user has removed the folder
            os.unlink(place.version(f"{name}.json"))


def in_use(place: Place) -> str:
    """What the link at PATH says; empty while PATH is a folder of its own."""
    return os.readlink(place.path) if os.path.islink(place.path) else ""


def kept(place: Place) -> list[str]:
    """The versions that can be used, PATH's own among them, by their names."""
    try:
        names = sorted(os.listdir(place.versions))
    except OSError:
        return []
    return [name for name in names if _is_environment(place.version(name)) and _whole(record(place, name))]


def _whole(entry: Record | None) -> bool:
    return entry is None or entry.state == PROVEN


def free_name(place: Place, version: str) -> str:
    """A name for a version that nothing has yet."""
    taken = set(os.listdir(place.versions)) if os.path.isdir(place.versions) else set()
    wanted = "".join(letter if letter.isalnum() or letter in ".+_" else "_" for letter in version).lstrip(".") or "without-torch"
    names = (wanted, *(f"{wanted}-{number}" for number in range(2, len(taken) + 3)))
    return next(name for name in names if name not in taken and f"{name}.json" not in taken)


def record(place: Place, name: str) -> Record | None:
    """How far a version has come; None for one that nobody made here."""
    data = _read(place.version(f"{name}.json"))
    return Record(**{key: str(data.get(key, "")) for key in ("state", "wanted", "source", "path", "made")}) if data is not None else None


def write_record(place: Place, name: str, entry: Record) -> None:
    """Keep how far a version has come."""
    _write(place.version(f"{name}.json"), asdict(entry))


def recorded(place: Place) -> list[str]:
    """Versions that were made here, however far, by their names."""
    return [name.removesuffix(".json") for name in sorted(os.listdir(place.versions)) if name.endswith(".json") and name != _LAST_SWAP]


def half_made(place: Place) -> list[str]:
    """Versions that were begun and never proven, by their names."""
    return [name for name in recorded(place) if (found := record(place, name)) is not None and found.state in (COPYING, INSTALLED)]


def remove(place: Place, name: str) -> None:
    """Remove a version that is not in use. Its record goes last, so that whatever is left of it is still known as half made.

    Raises:
        OSError: it cannot be removed.
    """
    found = record(place, name)
    if found is not None and found.state == PROVEN:
        write_record(place, name, Record(state=COPYING, wanted="", source="", path=place.path))
    if os.path.lexists(place.version(name)):
        shutil.rmtree(place.version(name))
    if found is not None:
        os.unlink(place.version(f"{name}.json"))


def can_exchange(place: Place) -> str:
    """Whether PATH can change places with a link at one stroke: empty, or why not. A link is replaced so everywhere."""
    if os.path.islink(place.path):
        return ""
    one, other = place.version("exchange-one"), place.version("exchange-other")
    try:
        for name in (one, other):
            os.makedirs(name, exist_ok=True)
        linux.exchange(one, other)
    except OSError as error:
        return error.strerror or str(error)
    finally:
        for name in (one, other):
            if os.path.isdir(name):
                os.rmdir(name)
    return ""


def swap(place: Place, text: str, own_name: str, *, gap: bool) -> str:
    """Let PATH lead to `text` from now on. Where PATH is a folder, that becomes the version `own_name`. Gives what PATH was.

    With `gap` PATH may be missing for a moment, where the file system cannot exchange two names.

    Raises:
        OSError: it cannot be done; PATH is what it was.
    """
    before = in_use(place)
    last = last_swap(place)
    earlier = last[0] if last is not None and last[1] == (before or place.text(own_name)) else ""
    # Written first: a swap that then does not happen is told by PATH itself.
    _write(place.version(_LAST_SWAP), {"from": before or place.text(own_name), "to": text, "earlier": earlier})
    if before:
        os.symlink(text, place.version(_LINK))
        os.replace(place.version(_LINK), place.path)
        return before
    if gap:
        os.symlink(text, place.version(_LINK))
        os.rename(place.path, place.version(own_name))
        os.rename(place.version(_LINK), place.path)
    else:
        # The link waits under the very name that the folder shall have: one exchange, and both are where they belong.
        os.symlink(text, place.version(own_name))
        linux.exchange(place.path, place.version(own_name))
    return place.text(own_name)


def last_swap(place: Place) -> tuple[str, str] | None:
    """From which version the last swap led to which, as links say it; None where there was none."""
    data = _read(place.version(_LAST_SWAP))
    if data is None:
        return None
    now = in_use(place)
    if now == data.get("to"):
        return str(data["from"]), now
    if now and now == data.get("from") and data.get("earlier"):  # that swap was killed before it happened
        return str(data["earlier"]), now
    return None


def target_of(place: Place, text: str) -> str:
    """The folder that a link at PATH with this text leads to."""
    return os.path.normpath(os.path.join(os.path.dirname(place.path), text))


def users(place: Place) -> tuple[int, ...]:
    """Processes that run out of PATH now, by their pids: they have files of it loaded, or were started by its name."""
    real = os.path.realpath(place.path)
    prefixes = tuple(os.fsencode(prefix) + b"/" for prefix in {place.path, real})
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                started = file.read().startswith(prefixes)
            if not started:
                with open(f"/proc/{pid}/maps", "rb") as file:
                    started = any(line.split(None, 5)[5].startswith(prefixes) for line in file if line.count(b"/"))
            if started:
                found.append(int(pid))
    return tuple(sorted(set(found) - {os.getpid()}))


def _is_environment(folder: str) -> bool:
    return not os.path.islink(folder) and all(os.path.isfile(os.path.join(folder, part)) for part in ("pyvenv.cfg", "bin/python"))


def _read(name: str) -> dict[str, Any] | None:
    try:
        with open(name, encoding="utf-8") as file:
            data = json.load(file)
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def _write(name: str, data: dict[str, Any]) -> None:
    """Whole or not at all."""
    with open(f"{name}.new", "w", encoding="utf-8") as file:
        json.dump(data, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(f"{name}.new", name)
