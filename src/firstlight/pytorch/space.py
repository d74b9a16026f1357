"""How much space an upgrade needs, and where. Pure, but for the question of what is free."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass

GIB = 1 << 30

# torch 2.9.1+cu128 with its sisters and NVIDIA's libraries is 7.5 GB on the disk. So much is asked for where the torch to replace is none of CUDA's.
UNPACKED = 7_500_000_000
# One build differs from the next.
MARGIN = 1.25
# Of what is unpacked, what its wheels are.
_COMPRESSED = 0.5


@dataclass(frozen=True, kw_only=True)
class Need:
    """What is needed and free beside the environment, and where the installer keeps what it downloads; all in bytes."""

    copied: int
    unpacked: int
    free: int
    folder: str  # of the downloads
    variable: str  # that names another one
    downloads: int
    downloads_free: int
    together: bool  # both are on one file system
    shared: bool  # the installer then shares the files of its cache, which costs nothing more

    @property
    def beside(self) -> int:
        """What is needed beside the environment, with the downloads where they lie on the same file system."""
        return self.copied + self.unpacked + (self.downloads if self.together and not self.shared else 0)


def need(beside: str, *, copied: int, unpacked: int, uv: bool, variables: Mapping[str, str]) -> Need:
    """pip puts wheels into the folder for temporary files; uv unpacks them into its cache, and links to that where it can."""
    folder = _cache(variables) if uv else tempfile.gettempdir()
    return Need(
        copied=copied,
        unpacked=unpacked,
        free=free(beside),
        folder=folder,
        variable="UV_CACHE_DIR" if uv else "TMPDIR",
        downloads=unpacked if uv else int(_COMPRESSED * unpacked),
        downloads_free=free(folder),
        together=os.stat(beside).st_dev == os.stat(folder).st_dev,
        shared=uv,
    )


def _cache(variables: Mapping[str, str]) -> str:
    """The folder of uv's cache, or the one in which it will be made."""
    home = variables.get("XDG_CACHE_HOME") or os.path.join(variables.get("HOME") or "/", ".cache")
    folder = os.path.abspath(variables.get("UV_CACHE_DIR") or os.path.join(home, "uv"))
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return folder


def free(folder: str) -> int:
    """Bytes that may still be written in a folder."""
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


def short(found: Need) -> str:
    """Where the space will not do, with the figures; empty where it will."""
    if found.beside > found.free:
        downloads = f", {size(found.downloads)} for downloads" if found.together and not found.shared else ""
        links = "; --hard-links copies nothing" if found.copied > found.beside - found.free else ""
        return (
            f"{size(found.beside)} are needed beside it and {size(found.free)} are free"
            f" ({size(found.copied)} to copy, {size(found.unpacked)} for the new torch{downloads}{links})"
        )
    if not found.together and found.downloads > found.downloads_free:
        return (
            f"{size(found.downloads)} are needed for downloads in {found.folder} and {size(found.downloads_free)} are free;"
            f" {found.variable} names another place"
        )
    return ""


def size(number: int) -> str:
    """Bytes, for people."""
    return f"{number / GIB:.1f} GiB" if number >= GIB // 10 else f"{number / (1 << 20):.1f} MiB"
