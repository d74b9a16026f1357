"""The kernel driver as /proc shows it."""

from __future__ import annotations

import os
import re

from firstlight.probe.facts import Cause, Driver, KernelGpu, Unknown
from firstlight.probe.unread import unread
from firstlight.system import files

_PROC = "/proc/driver/nvidia"
_VERSION = re.compile(r"\b\d{3,4}\.\d+(?:\.\d+)?\b")


def collect() -> Driver:
    """Version, parameters and GPUs; every part that cannot be read is Unknown by itself."""
    return Driver(version=_version(), params=_params(), gpus=_gpus(), modules=_modules(), kernel=os.uname().release)


def _version() -> str | Unknown:
    path = f"{_PROC}/version"
    try:
        text = files.read_text(path)
    except OSError as error:
        return unread(path, error)
    return version_in(text)


def version_in(text: str) -> str | Unknown:
    """The driver's version in the text of /proc/driver/nvidia/version."""
    match = _VERSION.search(text)
    return match[0] if match else Unknown(f"cannot find a version in {_PROC}/version: {text.strip()[:80]!r}")


def _params() -> dict[str, str] | Unknown:
    path = f"{_PROC}/params"
    try:
        text = files.read_text(path)
    except OSError as error:
        return unread(path, error)
    return _fields(text)


def _gpus() -> tuple[KernelGpu, ...] | Unknown:
    folder = f"{_PROC}/gpus"
    try:
        return tuple(_gpu(bus_id) for bus_id in files.list_directory(folder))
    except OSError as error:
        return unread(folder, error)


def _gpu(bus_id: str) -> KernelGpu:
    path = f"{_PROC}/gpus/{bus_id}/information"
    try:
        fields = _fields(files.read_text(path))
    except OSError as error:
        unknown = unread(path, error)
        return KernelGpu(bus_id=bus_id, minor=unknown, uuid=unknown, model=unknown)
    minor, uuid, excluded = fields.get("Device Minor", ""), fields.get("GPU UUID", ""), fields.get("GPU Excluded")
    silent = Unknown(f"{path} does not say", Cause.ABSENT)
    return KernelGpu(
        bus_id=bus_id,
        minor=int(minor) if minor.isdigit() else silent,
        # The driver prints question marks until the GPU was opened for the first time.
        uuid=uuid if uuid and "?" not in uuid else silent,
        model=fields.get("Model") or silent,
        excluded=silent if excluded is None else excluded.lower() == "yes",
    )


def _modules() -> tuple[str, ...] | Unknown:
    try:
        text = files.read_text("/proc/modules")
    except OSError as error:
        return unread("/proc/modules", error)
    return tuple(sorted(line.split()[0] for line in text.splitlines() if line.startswith("nvidia")))


def _fields(text: str) -> dict[str, str]:
    """Lines of the form "Name: value"."""
    pairs = (line.partition(":") for line in text.splitlines() if ":" in line)
    return {name.strip(): value.strip() for name, _, value in pairs}
