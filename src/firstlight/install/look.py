"""What is there in a folder, as a plan needs to know it. Nothing is changed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

from firstlight import errors
from firstlight.install import record
from firstlight.install.plan import Found, Kind, There
from firstlight.install.wanted import TOOL

STAGED = ".firstlight-install-"


def look(folder: str, wanted: Iterable[str], sections: Iterable[str]) -> There:
    """All that is there under these names, and under those that an earlier installation remembers.

    Raises:
        OSError: it cannot be read.
        UsageError: the folder, or that of the tool, is none; or what is remembered cannot be read.
    """
    check(folder)
    remembered = _record(folder)
    whole = {*wanted, *(remembered.entries if remembered else ())}
    shared = {*sections, *(remembered.parts if remembered else ())}
    files = {name: _found(folder, name) for name in whole}
    files.update({name: _followed(folder, name) for name in shared})
    return There(files=files, names=_names(folder), record=remembered, running=_running(os.path.join(folder, TOOL)))


def check(folder: str) -> None:
    """Whether something can be installed there.

    Raises:
        UsageError: it is no folder, or something is in the place of the tool's.
    """
    if not os.path.isdir(folder):
        what = "it is no folder" if os.path.lexists(folder) else "there is no such folder (is the volume mounted?)"
        raise errors.UsageError(f"cannot use {folder}: {what}")
    own = os.path.join(folder, os.path.dirname(TOOL))
    # A link may lead to another file system, and nothing can be moved there in one step.
    if os.path.lexists(own) and (os.path.islink(own) or not os.path.isdir(own)):
        raise errors.UsageError(f"cannot use {own}: it is {'a symbolic link' if os.path.islink(own) else 'no folder'}; move it away")


def _record(folder: str) -> record.Record | None:
    try:
        with open(os.path.join(folder, record.NAME), "rb") as file:
            return record.decode(file.read())
    except FileNotFoundError:
        return None


def _names(folder: str) -> frozenset[str]:
    """The names in the folder, and in that of the tool."""
    own = os.path.dirname(TOOL)
    inside = os.listdir(os.path.join(folder, own)) if os.path.isdir(os.path.join(folder, own)) else []
    return frozenset([*os.listdir(folder), *(f"{own}/{name}" for name in inside)])


def _found(folder: str, name: str) -> Found:
    """What bears this name; a link is not followed."""
    path = os.path.join(folder, name)
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return Found(kind=Kind.NOTHING)
    if stat.S_ISLNK(status.st_mode):
        return Found(kind=Kind.LINK)
    if stat.S_ISDIR(status.st_mode):
        return Found(kind=Kind.FOLDER)
    if not stat.S_ISREG(status.st_mode):
        return Found(kind=Kind.OTHER)
    with open(path, "rb") as file:
        data = file.read()
    return Found(kind=Kind.FILE, place=name, data=data, mode=stat.S_IMODE(status.st_mode), owner=(status.st_uid, status.st_gid))


def _followed(folder: str, name: str) -> Found:
    """What bears this name; a link that stays in the folder is followed: CLAUDE.md often is one to another file."""
    found = _found(folder, name)
    if found.kind is not Kind.LINK:
        return found
    home, place = os.path.realpath(folder), os.path.realpath(os.path.join(folder, name))
    if os.path.dirname(place) != home:
        return found
    target = _found(folder, os.path.basename(place))
    return target if target.kind is Kind.FILE else found


def _running(tool: str) -> tuple[int, ...]:
    """Who was started from the tool, ourselves aside: Python goes on to read modules out of it, by its name."""
    try:
        wanted = os.stat(tool)
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]
    except OSError:
        return ()
    return tuple(sorted(pid for pid in pids if _runs(pid, tool, wanted)))


def _runs(pid: int, tool: str, wanted: os.stat_result) -> bool:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read().split(b"\0")[:8]  # an interpreter, its options, and what it runs
        return any(word.endswith(os.fsencode(os.path.basename(tool))) and os.path.samestat(os.stat(word), wanted) for word in words)
    except (OSError, ValueError):
        return False
