"""What an upgrade will do to an environment, and what it needs: told before anything is done."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass

from firstlight import errors
from firstlight.pytorch import asking, builds, copying, packages as deciding, space
from firstlight.pytorch.asking import Installer, Surroundings
from firstlight.pytorch.packages import Package
from firstlight.pytorch.places import Place


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the user asks for."""

    version: str  # "2.9.0+cu128"; "2.9.0" where any build of it will do
    find_links: str  # a folder of wheels; may be empty
    index: str  # an address, which may hold a password; may be empty
    also: tuple[str, ...] = ()  # packages that may change with torch
    modules: tuple[str, ...] = ()  # modules that must import; empty: those that torch's change can break
    hard_links: bool = False
    gap: bool = False
    gpu: bool = True


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What will be done, and what it needs."""

    place: Place
    request: Request
    installer: Installer
    torch: str  # the version in use; empty when there is none
    installed: Mapping[str, Package]
    changing: frozenset[str]
    entries: tuple[copying.Entry, ...]
    modules: tuple[str, ...]
    source: str  # digest of the environment in use
    space: space.Need

    @property
    def wanted(self) -> tuple[str, ...]:
        """What the installer is asked for."""
        return deciding.requests(self.request.version, self.installed, self.request.also)

    @property
    def files(self) -> int:
        """Bytes to copy."""
        return sum(entry.size for entry in self.entries)


def plan(around: Surroundings, place: Place, request: Request) -> Plan:
    """Look at the environment in use, and say what an upgrade does and needs.

    Raises:
        UsageError: it cannot be done to this environment.
    """
    if not os.path.isfile(place.python):
        raise errors.UsageError(f"cannot run {place.python}: it is not there")
    installed = asking.packages(around, place.python)
    real = os.path.realpath(place.path)
    changing = deciding.family(installed, request.also)
    without = copying.files_of(real, (installed[name] for name in changing))
    listed = copying.entries(real, without)
    torch = installed["torch"].version if "torch" in installed else ""
    has_cuda = bool(torch) and "cpu" not in builds.local(torch) and bool(without)
    unpacked = int(space.MARGIN * copying.size_of(real, without)) if has_cuda else space.UNPACKED
    copied = 0 if request.hard_links else sum(entry.size for entry in listed)
    installer = _installer(around, place, installed)
    return Plan(
        place=place,
        request=request,
        installer=installer,
        torch=torch,
        installed=installed,
        changing=changing,
        entries=listed,
        modules=request.modules or deciding.modules_to_prove(installed, changing),
        source=copying.digest(installed.values()),
        space=space.need(os.path.dirname(place.path), copied=copied, unpacked=unpacked, uv=bool(installer.uv), variables=around.variables),
    )


def _installer(around: Surroundings, place: Place, installed: Mapping[str, Package]) -> Installer:
    uv = shutil.which("uv", path=around.variables.get("PATH")) or ""
    if not uv and "pip" not in installed:
        raise errors.UsageError(f"cannot install into {place.path}: it has no pip, and uv is not on PATH")
    return Installer(uv)
