"""What a shared library's bytes say of it: machine, kind, and the note of a forward-compatibility libcuda."""

from __future__ import annotations

import json
import os
import struct
from typing import BinaryIO

from firstlight.probe.facts import CompatNote, LibraryKind

# A real libcuda is tens of megabytes; only a file smaller than this can be a stub, and only such a file is searched.
_LARGEST_STUB = 4 << 20
# Every real user-mode driver opens the device nodes; a stub, made for linking alone, never does.
_DRIVER_MARK = b"/dev/nvidia"
_NOTE_SECTION = b".note.cuda.fwd_compatibility"
_MACHINES = {"x86_64": 62, "aarch64": 183, "ppc64le": 21}
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")


def examine(path: str, size: int) -> tuple[LibraryKind, CompatNote | None]:
    """Kind of the library at `path`, and its compat note if it has one.

    Raises:
        OSError: the file cannot be read.
    """
    if size == 0:
        return LibraryKind.EMPTY, None
    with open(path, "rb", buffering=0) as file:
        header = file.read(_HEADER.size)
        if len(header) < _HEADER.size or header[:6] != b"\x7fELF\x02\x01":
            return LibraryKind.FOREIGN, None
        fields = _HEADER.unpack(header)
        if fields[2] != _MACHINES.get(os.uname().machine, fields[2]):
            return LibraryKind.FOREIGN, None
        note = _compat_note(file, section_offset=fields[6], section_count=fields[12], names_index=fields[13], file_size=size)
        if note is not None:
            # The driver's own libcuda carries the note too: what makes it a compat library is where it was put.
            return (LibraryKind.COMPAT if "/compat/" in path else LibraryKind.DRIVER), note
        if size < _LARGEST_STUB:
            file.seek(0)
            if _DRIVER_MARK not in file.read(size):
                return LibraryKind.STUB, None
    return LibraryKind.DRIVER, None


def _compat_note(file: BinaryIO, *, section_offset: int, section_count: int, names_index: int, file_size: int) -> CompatNote | None:
    """The JSON note that NVIDIA puts into a compat libcuda, by way of the section table."""
    if not section_count or section_offset + section_count * _SECTION.size > file_size:
        return None
    file.seek(section_offset)
    table = file.read(section_count * _SECTION.size)
    sections = [_SECTION.unpack_from(table, place * _SECTION.size) for place in range(section_count)]
    names = _content(file, sections[names_index]) if names_index < section_count else b""
    for section in sections:
        if names[section[0] :].partition(b"\0")[0] == _NOTE_SECTION:
            return _parse_note(_content(file, section))
    return None


def _content(file: BinaryIO, section: tuple[int, ...]) -> bytes:
    offset, size = section[4], section[5]
    file.seek(offset)
    return file.read(min(size, 1 << 20))


def _parse_note(note: bytes) -> CompatNote | None:
    """An ELF note: name size, content size, type; then name and content, each padded to four bytes."""
    if len(note) < 12:
        return None
    name_size, content_size, _ = struct.unpack_from("<III", note)
    start = 12 + (name_size + 3) // 4 * 4
    try:
        # {"format":1,"CUDA version":"13.0","driver":[535,…],"device":[1,…]}; NVIDIA's own reader takes the names in any case.
        fields = {name.lower(): value for name, value in json.loads(note[start : start + content_size].rstrip(b"\0")).items()}
        return CompatNote(
            cuda_version=str(fields["cuda version"]),
            drivers=tuple(int(major) for major in fields.get("driver", ())),
            devices=tuple(str(device) for device in fields.get("device", ())),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
