"""The packages of an environment: which of them change with PyTorch, and which stay as they are. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

# What PyTorch's makers release together: a version of one fits one version of each other.
TOGETHER = ("torch", "torchvision", "torchaudio")

# What torch brings along. Others may require these too: the check for new complaints sees to them.
_BROUGHT = re.compile(r"nvidia-.*|cuda-.*|triton|pytorch-triton")

# A version as packaging tools take it behind "==" (PEP 440); old packages have others, which cannot be pinned.
_PLAIN_VERSION = re.compile(r"(\d+!)?\d+(\.\d+)*((a|b|rc)\d+)?(\.post\d+)?(\.dev\d+)?(\+[a-z0-9]+([-_.][a-z0-9]+)*)?")


@dataclass(frozen=True, kw_only=True)
class Package:
    """One installed package."""

    name: str  # as packaging tools compare it: "nvidia-cublas-cu12"
    version: str
    record: str = ""  # the folder of its metadata, "…/site-packages/torch-2.8.0.dist-info"
    requires: tuple[str, ...] = ()  # names, those of its extras too
    modules: tuple[str, ...] = ()  # what can be imported of it


Packages = Mapping[str, Package]


def family(installed: Packages, also: Iterable[str] = ()) -> frozenset[str]:
    """The installed packages that change with torch: it, its sisters, what it brings along, and `also`."""
    found = {name for name in (*TOGETHER, *also) if name in installed}
    fresh = {"torch"} & found
    while fresh:
        required = {name for package in fresh for name in installed[package].requires if _BROUGHT.fullmatch(name) and name in installed}
        fresh = required - found
        found |= fresh
    return frozenset(found)


def requests(version: str, installed: Packages, also: Iterable[str] = ()) -> tuple[str, ...]:
    """What to ask the installer for: this torch, and whatever version goes with it of the others."""
    others = [name for name in (*TOGETHER[1:], *also) if name in installed]
    return (f"torch=={version}", *others)


def constraints(installed: Packages, changing: frozenset[str]) -> tuple[str, ...]:
    """Lines that keep the installer from touching the others."""
    kept = (package for name, package in sorted(installed.items()) if name not in changing)
    return tuple(f"{package.name}=={package.version}" for package in kept if _PLAIN_VERSION.fullmatch(package.version))


def changed(before: Packages, after: Packages, changing: frozenset[str]) -> tuple[str, ...]:
    """Packages that were to stay and did not, in words."""
    found = []
    for name, package in sorted(before.items()):
        if name in changing:
            continue
        now = after.get(name)
        if now is None or now.version != package.version:
            found.append(f"{name} {package.version} would be {now.version if now is not None else 'gone'}")
    return tuple(found)


def modules_to_prove(installed: Packages, changing: frozenset[str]) -> tuple[str, ...]:
    """What torch's change can break: torch, its sisters, and the modules of whatever requires it. All else stays byte for byte.

    Of torch and its sisters it is their own name alone: what else a version brings, the next one may leave out.
    """
    found = {name for name in TOGETHER if name in installed}
    for name, package in installed.items():
        if name not in TOGETHER and ("torch" in package.requires or (name in changing and not _BROUGHT.fullmatch(name))):
            # Some packages bring their examples or their website along as modules; the one of their own name is what people import.
            own = name.replace("-", "_")
            found.update([own] if own in package.modules else package.modules)
    return ("torch", *sorted(found - {"torch"}))


def complaints(told: str) -> frozenset[str]:
    """What `pip check` or `uv pip check` complains of, without the version that is installed: that one is to change."""
    lines = (line.strip() for line in told.splitlines())
    return frozenset(line.partition(", but")[0] for line in lines if " requires " in line or " has requirement " in line)
