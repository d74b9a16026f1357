"""Which libcuda and libnvidia-ml the loader would take, and every other one on this machine.

The order is that of ld.so(8) for a library without RUNPATH: LD_LIBRARY_PATH, /etc/ld.so.cache, the default directories.
Behind these come places that the loader does not look at: files that the container runtime mounted one by one, and the
directories in which images and hosts keep the driver.
"""

from __future__ import annotations

import fnmatch
import os
import re
import struct
from collections.abc import Iterator, Mapping

from firstlight.probe import elf
from firstlight.probe.facts import Cause, Libraries, Library, LibraryKind, Unknown
from firstlight.system import files

LIBCUDA = "libcuda.so.1"
LIBNVML = "libnvidia-ml.so.1"

_MULTIARCH = f"{os.uname().machine}-linux-gnu"
_DEFAULT_DIRECTORIES = (f"/lib/{_MULTIARCH}", f"/usr/lib/{_MULTIARCH}", "/lib64", "/usr/lib64", "/lib", "/usr/lib")
_WELL_KNOWN_DIRECTORIES = (
    "/usr/local/nvidia/lib64",
    "/usr/local/nvidia/lib",
    f"/usr/lib/{_MULTIARCH}/nvidia/current",
    "/usr/lib/nvidia",
    "/usr/lib64/nvidia",
    "/usr/lib/wsl/lib",
    "/run/opengl-driver/lib",
    "/opt/nvidia/lib64",
    "/usr/local/cuda/compat",
)
_VERSION = re.compile(r"\.so\.(\d+\.\d[\d.]*)$")

# /etc/ld.so.cache, new format: a header with the number of entries, then fixed-size entries that point into a string table.
_CACHE_MAGIC = b"glibc-ld.so.cache1.1"
_CACHE_HEADER = struct.Struct("<20sII20x")
_CACHE_ENTRY = struct.Struct("<iIIIQ")


def collect(variables: Mapping[str, str]) -> Libraries:
    """What a process with the environment `variables` would load, and all candidates."""
    cache = _loader_cache()
    mounts = _mounted_files()
    found = {soname: _distinct(_search(soname, variables, cache, mounts)) for soname in (LIBCUDA, LIBNVML)}
    return Libraries(
        libcuda=_chosen(LIBCUDA, found[LIBCUDA]),
        nvml=_chosen(LIBNVML, found[LIBNVML]),
        candidates=tuple(found[LIBCUDA] + found[LIBNVML]),
    )


def on_search_path(library: Library) -> bool:
    """True when the loader itself looks where this library lies."""
    return library.found_in in ("LD_LIBRARY_PATH", "ld.so.cache", "default directories")


def _chosen(soname: str, found: list[Library]) -> Library | Unknown:
    """The first that the loader meets; it passes over files of another architecture, yet fails on an empty one."""
    for library in found:
        if on_search_path(library) and library.kind is not LibraryKind.FOREIGN:
            return library
    return Unknown(f"the loader finds no {soname}", Cause.ABSENT)


def _search(soname: str, variables: Mapping[str, str], cache: dict[str, list[str]], mounts: list[str]) -> Iterator[tuple[str, str]]:
    """(path, where it was found), in the loader's order and then beyond it."""
    # An empty entry means the working directory, as ld.so has it.
    search_path = variables.get("LD_LIBRARY_PATH", "")
    for directory in re.split("[:;]", search_path) if search_path else ():
        yield os.path.join(directory or ".", soname), "LD_LIBRARY_PATH"
    for path in cache.get(soname, ()):
        yield path, "ld.so.cache"
    for directory in _DEFAULT_DIRECTORIES:
        yield os.path.join(directory, soname), "default directories"
    # libcuda.so.580.159.04 may be mounted while nothing made the link libcuda.so.1 beside it.
    for path in mounts:
        if fnmatch.fnmatch(os.path.basename(path), soname.removesuffix(".1") + ".*"):
            yield path, "mounts"
    for directory in _WELL_KNOWN_DIRECTORIES:
        yield os.path.join(directory, soname), "well-known directories"


def _distinct(places: Iterator[tuple[str, str]]) -> list[Library]:
    """The places at which there is a file; each file once, at the first place that names it."""
    found: list[Library] = []
    seen: set[str] = set()
    for path, where in places:
        real_path = os.path.realpath(files.path(path))
        if real_path in seen:
            continue
        try:
            size = os.stat(real_path).st_size
        except OSError:
            continue
        seen.add(real_path)
        found.append(_library(path, real_path, size, where))
    return found


def _library(path: str, real_path: str, size: int, where: str) -> Library:
    name = os.path.basename(path)
    match = _VERSION.search(os.path.basename(real_path))
    try:
        kind, note = elf.examine(real_path, size)
    except OSError:
        kind, note = LibraryKind.UNREADABLE, None
    return Library(
        soname=LIBCUDA if name.startswith("libcuda") else LIBNVML,
        path=path,
        real_path=real_path,
        size=size,
        kind=kind,
        version=match[1] if match else Unknown(f"the name {os.path.basename(real_path)} holds no version", Cause.ABSENT),
        found_in=where,
        compat=note,
    )


def _loader_cache() -> dict[str, list[str]]:
    """Paths by soname out of /etc/ld.so.cache; empty where there is none (musl) or it is of an unknown format."""
    try:
        data = files.read_bytes("/etc/ld.so.cache", limit=16 << 20)
    except OSError:
        return {}
    start = data.find(_CACHE_MAGIC)
    if start < 0 or len(data) < start + _CACHE_HEADER.size:
        return {}
    _, count, _ = _CACHE_HEADER.unpack_from(data, start)
    found: dict[str, list[str]] = {}
    for number in range(count):
        place = start + _CACHE_HEADER.size + number * _CACHE_ENTRY.size
        if place + _CACHE_ENTRY.size > len(data):
            break
        _, name, path, _, _ = _CACHE_ENTRY.unpack_from(data, place)
        soname = _string(data, start + name)
        if soname in (LIBCUDA, LIBNVML):
            found.setdefault(soname, []).append(_string(data, start + path))
    return found


def _string(data: bytes, place: int) -> str:
    end = data.find(b"\0", place)
    return os.fsdecode(data[place:end])


def _mounted_files() -> list[str]:
    """Mount points that are driver libraries: the container toolkit mounts each file by itself."""
    try:
        lines = files.read_text("/proc/self/mountinfo").splitlines()
    except OSError:
        return []
    points = (fields[4] for fields in (line.split() for line in lines) if len(fields) > 4)
    return [point for point in points if os.path.basename(point).startswith(("libcuda.so", "libnvidia-ml.so"))]
