"""A copy of an environment without the packages that change, made to be used under the same name as the first."""

from __future__ import annotations

import csv
import errno
import hashlib
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from firstlight.pytorch.packages import Package

# A script that installers write is far smaller; what is larger names no interpreter.
_LARGEST_SCRIPT = 1 << 20

# How many files are copied between two looks at whether we are asked to stop.
_BATCH = 200

# What says that this file system cannot copy within the kernel; then bytes go through us.
_NO_KERNEL_COPY = (errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM, errno.EIO)


@dataclass(frozen=True)
class Entry:
    """A file or link to copy, by its path inside of the environment."""

    path: str
    size: int


def entries(folder: str, without: frozenset[str]) -> tuple[Entry, ...]:
    """Everything in an environment but the files of `without`, which are paths inside of it."""
    found = []
    for parent, folders, files in os.walk(folder):
        inside = os.path.relpath(parent, folder)
        links = [name for name in folders if os.path.islink(os.path.join(parent, name))]
        for name in (*files, *links):
            path = os.path.normpath(os.path.join(inside, name))
            status = os.lstat(os.path.join(parent, name))
            if path in without or _compiled_from(path) in without or not (stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)):
                continue
            found.append(Entry(path, status.st_size if stat.S_ISREG(status.st_mode) else 0))
    return tuple(found)


def _compiled_from(path: str) -> str:
    """The source of a compiled module: a record need not list what Python compiled later."""
    parent, name = os.path.split(path)
    if os.path.basename(parent) != "__pycache__":
        return path
    return os.path.join(os.path.dirname(parent), name.partition(".")[0] + ".py")


def files_of(folder: str, packages: Iterable[Package]) -> frozenset[str]:
    """The files of these packages, as their records list them, as paths inside of the environment; others' are left out."""
    found: set[str] = set()
    for package in packages:
        site = os.path.dirname(package.record)
        try:
            with open(os.path.join(package.record, "RECORD"), encoding="utf-8", newline="") as file:
                listed = [row[0] for row in csv.reader(file) if row]
        except OSError:
            continue
        # Installers add to the folder of the metadata what they do not list.
        listed += [os.path.join(os.path.basename(package.record), name) for name in os.listdir(package.record)]
        found.update(os.path.relpath(os.path.normpath(os.path.join(site, name)), folder) for name in listed)
    return frozenset(path for path in found if not path.startswith(".."))


def size_of(folder: str, paths: Iterable[str]) -> int:
    """Bytes of these files."""
    total = 0
    for path in paths:
        try:
            total += os.lstat(os.path.join(folder, path)).st_size
        except OSError:
            continue
    return total


def digest(packages: Iterable[Package]) -> str:
    """What tells an environment from what it was before a package was installed, changed or removed."""
    lines = []
    for package in packages:
        try:
            changed = os.stat(package.record).st_mtime_ns
        except OSError:
            changed = 0
        lines.append(f"{package.name} {package.version} {package.record} {changed}")
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def copy(folder: str, target: str, listed: Iterable[Entry], *, link: bool, pause: Callable[[], None]) -> None:
    """Copy these files. With `link` both environments share them, which costs no space; a file written in place is then changed in both.

    `pause` is called now and then; what it raises ends the copying.

    Raises:
        OSError: a file cannot be copied.
    """
    made: set[str] = set()
    owner = os.geteuid() == 0
    for place, entry in enumerate(listed):
        if place % _BATCH == 0:
            pause()
        source, copied = os.path.join(folder, entry.path), os.path.join(target, entry.path)
        parent = os.path.dirname(copied)
        if parent not in made:
            os.makedirs(parent, exist_ok=True)
            made.add(parent)
        if os.path.islink(source):
            os.symlink(os.readlink(source), copied)
        elif link:
            os.link(source, copied)
            continue
        else:
            _copy_bytes(source, copied)
        shutil.copystat(source, copied, follow_symlinks=False)  # compiled modules are valid by the time of their source
        if owner:
            status = os.lstat(source)
            os.lchown(copied, status.st_uid, status.st_gid)


def _copy_bytes(source: str, copied: str) -> None:
    """Within the kernel where it can: file systems that share blocks then do so, at no cost."""
    with open(source, "rb") as reading, open(copied, "wb") as writing:
        try:
            while os.copy_file_range(reading.fileno(), writing.fileno(), 1 << 30):
                pass
            return
        except OSError as error:
            if error.errno not in _NO_KERNEL_COPY:
                raise
        reading.seek(0)
        writing.seek(0)
        writing.truncate()
        shutil.copyfileobj(reading, writing, 1 << 20)


def settle(folder: str, names: Iterable[str], final: str) -> None:
    """Let the scripts of an environment name it as `final`, where they name it as one of `names`.

    An environment cannot be moved as it is: its scripts begin with the path of its interpreter, and `activate` sets that path.

    Raises:
        OSError: a script cannot be rewritten.
    """
    longest_first = sorted({name for name in names if name != final}, key=len, reverse=True)
    if not longest_first:
        return
    named = re.compile(b"(?:" + b"|".join(re.escape(os.fsencode(name)) for name in longest_first) + rb")(?=[/\"'\s:;)]|$)")
    scripts = os.path.join(folder, "bin")
    for path in (os.path.join(folder, "pyvenv.cfg"), *(os.path.join(scripts, name) for name in sorted(os.listdir(scripts)))):
        status = os.lstat(path)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST_SCRIPT:
            continue
        with open(path, "rb") as file:
            text = file.read()
        if b"\0" in text:
            continue
        settled = named.sub(lambda _: os.fsencode(final), text)
        if settled != text:
            _replace(path, settled, status)


def _replace(path: str, text: bytes, status: os.stat_result) -> None:
    """Give it another content under a new inode: the old one may be shared with another environment."""
    with open(f"{path}.settled", "wb") as file:
        file.write(text)
    os.chmod(f"{path}.settled", stat.S_IMODE(status.st_mode))
    if os.geteuid() == 0:
        os.chown(f"{path}.settled", status.st_uid, status.st_gid)
    os.replace(f"{path}.settled", path)
