"""The simulated driver, compiled on first use into the user's cache folder."""

from __future__ import annotations

import hashlib
import importlib.resources
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from firstlight import errors
from firstlight.system import clock
from firstlight.system.loop import Loop

if TYPE_CHECKING:
    import sys

    if sys.version_info >= (3, 11):
        from importlib.resources.abc import Traversable
    else:
        from importlib.abc import Traversable

_CUDA = ("machine.c", "user_driver.c", "cuda_init.c", "cuda_device.c", "cuda_context.c", "cuda_memory.c", "cuda_kernel.c", "cuda_error.c")

# What is built: the file, the name that the loader knows it by, its sources.
PRODUCTS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "preload": ("libfirstlight-machine.so", ("machine.c", "kernel.c", "preload.c", "status.c")),
    "driver": ("libcuda.so.1", _CUDA),
    "compat": ("libcuda.so.1", (*_CUDA, "cuda_compat.c")),
    "stub": ("libcuda.so.1", ("cuda_stub.c",)),
    "nvml": ("libnvidia-ml.so.1", ("machine.c", "user_driver.c", "nvml_init.c", "nvml_device.c")),
}

# _FORTIFY_SOURCE would have libc's headers define some of the very functions that the preload shim replaces.
FLAGS = ("-std=c11", "-O1", "-fPIC", "-shared", "-fvisibility=hidden", "-U_FORTIFY_SOURCE")
LIBRARIES = ("-ldl", "-lpthread")

_TIMEOUT = 120.0  # seconds for one file; a slow volume may hold the compiler


def sources() -> Traversable:
    """The folder of the C sources."""
    return importlib.resources.files(__package__).joinpath("driver")


def compiler(environment: Mapping[str, str]) -> str:
    """The C compiler: $CC, or the first of cc, gcc and clang.

    Raises:
        Error: there is none.
    """
    named = environment.get("CC")
    for name in (named,) if named else ("cc", "gcc", "clang"):
        path = shutil.which(name, path=environment.get("PATH"))
        if path:
            return path
    raise errors.Error(
        f"cannot build the simulated driver: no C compiler ({named or 'cc, gcc, clang'}) on PATH; "
        "install one, for example with: apt-get install gcc libc6-dev"
    )


def compiled(loop: Loop, environment: Mapping[str, str]) -> Path:
    """The folder with all products, built now or by an earlier rehearsal from the same sources by the same compiler.

    Raises:
        Error: there is no compiler, or it fails.
    """
    cc = compiler(environment)
    folder = _cache(environment) / _fingerprint(cc)
    if (folder / "complete").exists():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise errors.Error(
            f"cannot keep the simulated driver in {folder.parent}: {error.strerror}; name another place in XDG_CACHE_HOME"
        ) from None
    # Built aside and renamed: two rehearsals at once must not see each other's half.
    with tempfile.TemporaryDirectory(dir=folder.parent) as aside:
        built = Path(aside) / "built"
        built.mkdir()
        source = Path(aside) / "source"
        _unpack(sources(), source)
        for product, (soname, files) in PRODUCTS.items():
            output = str(built / f"{product}.so")
            inputs = [str(source / name) for name in files]
            _run(loop, [cc, *FLAGS, f"-I{source / 'include'}", f"-Wl,-soname,{soname}", "-o", output, *inputs, *LIBRARIES], environment)
        (built / "complete").touch()
        try:
            built.rename(folder)
        except OSError:
            if not (folder / "complete").exists():
                raise errors.Error(f"cannot keep the simulated driver in {folder}") from None
    return folder


def _cache(environment: Mapping[str, str]) -> Path:
    base = environment.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "firstlight" / "rehearse"


def _fingerprint(cc: str) -> str:
    """Changes with any source, flag or compiler."""
    status = os.stat(cc)
    digest = hashlib.sha256(repr((os.path.realpath(cc), status.st_size, status.st_mtime_ns, FLAGS, PRODUCTS)).encode())
    for folder in (sources(), sources().joinpath("include")):
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
            if entry.is_file():
                digest.update(entry.name.encode() + b"\0" + entry.read_bytes())
    return digest.hexdigest()[:16]


def _unpack(folder: Traversable, to: Path) -> None:
    """The sources as files: firstlight itself may be one zipped file."""
    to.mkdir()
    for entry in folder.iterdir():
        if entry.is_dir():
            _unpack(entry, to / entry.name)
        else:
            (to / entry.name).write_bytes(entry.read_bytes())


def _run(loop: Loop, argv: list[str], environment: Mapping[str, str]) -> None:
    process = loop.start(argv, {**environment, "LC_ALL": "C"}, name="compiler")
    if not loop.wait_for(lambda: process.ended, clock.now() + _TIMEOUT):
        loop.end(process)
        raise errors.Error(f"cannot build the simulated driver: {argv[0]} did not end within {_TIMEOUT:.0f} s")
    if process.status:
        said = bytes(process.errors).decode("utf-8", "replace").strip().splitlines()
        first = next((line for line in said if "error" in line), said[0] if said else f"exit {process.status}")
        raise errors.Error(f"cannot build the simulated driver: {os.path.basename(argv[0])}: {first}")
