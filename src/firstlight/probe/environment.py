"""The environment variables that CUDA, its libraries and the container runtime read."""

from __future__ import annotations

import re
from collections.abc import Mapping

from firstlight.probe.facts import Environment, Unknown
from firstlight.probe.unread import unread
from firstlight.system import files

_PREFIXES = ("CUDA_", "NVIDIA_")
_NAMES = frozenset({"LD_LIBRARY_PATH", "LD_PRELOAD", "RUNPOD_GPU_COUNT", "PYTORCH_NVML_BASED_CUDA_CHECK"})
# NVIDIA_API_KEY is a real one: facts are shown to people and sent to others.
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL")


def collect(variables: Mapping[str, str]) -> Environment:
    """The telling ones of `variables` (a whole environment), and of what PID 1 was started with."""
    return Environment(variables=_telling(variables), pid1=_pid1(), ld_so_preload=_ld_so_preload())


def _telling(variables: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in sorted(variables.items())
        if (name in _NAMES or name.startswith(_PREFIXES)) and not _SECRET.search(name)
    }


def _pid1() -> dict[str, str] | Unknown:
    try:
        text = files.read_text("/proc/1/environ")
    except OSError as error:
        return unread("/proc/1/environ", error)
    pairs = (entry.partition("=") for entry in text.split("\0") if "=" in entry)
    return _telling({name: value for name, _, value in pairs})


def _ld_so_preload() -> tuple[str, ...] | Unknown:
    try:
        return tuple(files.read_text("/etc/ld.so.preload").split())
    except FileNotFoundError:
        return ()
    except OSError as error:
        return unread("/etc/ld.so.preload", error)
