"""The tool as one file: the one that we were started from, or one made from the installed wheel and what it needs."""

from __future__ import annotations

import importlib.metadata
import io
import os
import re
import zipfile
from collections.abc import Iterator
from importlib import resources

import firstlight
from firstlight import errors

_SHEBANG = b"#!/usr/bin/env -S python3 -IS\n"
_TIMESTAMP = (2020, 1, 1, 0, 0, 0)  # the same wheel gives the same bytes

# What children of the core import lies beside our package; what the agent and the control plane need, in an archive of its own.
_BESIDE = ("nvidia-ml-py", "tomli")
_OURS = "firstlight"


def read() -> bytes:
    """The one file.

    Raises:
        Error: we run from a wheel whose libraries are not all there.
    """
    archive = os.path.dirname(os.path.dirname(os.path.abspath(firstlight.__file__)))
    if os.path.isfile(archive):
        with open(archive, "rb") as file:
            return file.read()
    return _from_wheel(os.path.dirname(os.path.abspath(firstlight.__file__)))


def _from_wheel(package: str) -> bytes:
    """The installed package with its libraries. It has no byte code, so that it starts more slowly than the one that is built."""
    contents = {"__main__.py": (resources.files("firstlight.install") / "files" / "main_of_wheel.py").read_bytes()}
    contents.update({f"{_OURS}/{name}": data for name, data in _tree(package)})
    libraries = {}
    for distribution in sorted(_needed(_OURS)):
        files = _files(distribution)
        if distribution in _BESIDE:
            contents.update(files)
        else:
            libraries.update(files)
    contents["libraries.zip"] = _archive(libraries, b"", zipfile.ZIP_STORED)
    contents["control.zip"] = _archive({}, b"", zipfile.ZIP_STORED)  # the built one divides them, so that an agent reads its own alone
    return _archive(contents, _SHEBANG, zipfile.ZIP_DEFLATED)


def _tree(package: str) -> Iterator[tuple[str, bytes]]:
    """Every file of the package, by name below it."""
    for folder, _, names in os.walk(package):
        for name in names:
            if not folder.endswith("__pycache__"):
                path = os.path.join(folder, name)
                with open(path, "rb") as file:
                    yield os.path.relpath(path, package), file.read()


def _needed(distribution: str) -> set[str]:
    """The distributions that one needs, and what those need in turn, as far as they are installed here."""
    found: set[str] = set()
    waiting = [distribution]
    while waiting:
        name = waiting.pop()
        try:
            needs = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            if name == distribution:
                raise errors.Error("cannot make the one file: this firstlight was not installed from a wheel; run firstlight.pyz") from None
            continue  # one for another Python
        if name != distribution:
            found.add(name)
        words = [re.match(r"[\w.-]+", need) for need in needs if "extra ==" not in need]
        waiting += [name for word in words if word and (name := re.sub(r"[-_.]+", "-", word[0]).lower()) not in found]
    return found


def _files(distribution: str) -> dict[str, bytes]:
    """What a distribution has installed, less what is for one machine alone."""
    return {
        str(file): file.read_binary()
        for file in importlib.metadata.files(distribution) or ()
        if ".." not in file.parts
        and file.suffix not in (".pyc", ".so")
        and (not file.parts[0].endswith(".dist-info") or file.name == "METADATA")  # some ask for their own version
    }


def _archive(contents: dict[str, bytes], before: bytes, compression: int) -> bytes:
    buffer = io.BytesIO(before)
    buffer.seek(len(before))
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in sorted(contents.items()):
            entry = zipfile.ZipInfo(name, _TIMESTAMP)
            entry.external_attr = 0o100644 << 16
            entry.create_system = 3  # Unix, wherever it was made
            entry.compress_type = compression
            archive.writestr(entry, data)
    return buffer.getvalue()
