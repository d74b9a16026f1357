"""Let the loader find the libcuda that belongs to this machine's kernel driver.

The directories of LD_LIBRARY_PATH that offer a wrong one are taken off it; where that is not enough, the right one's
directory is put in front. A right file that no link leads to gets a directory of links.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from firstlight.probe import libraries
from firstlight.probe.facts import Facts, Library, LibraryKind, Unknown
from firstlight.remedies.plan import LinkLibraries, Plan, Refused, Risk, SetVariable

RISK = Risk.NONE
_NAME = "LD_LIBRARY_PATH"


def plan(facts: Facts, environment: Mapping[str, str]) -> Plan | Refused:
    """A new LD_LIBRARY_PATH under which the right libcuda comes first."""
    right = _right_library(facts)
    if right is None:
        return Refused("there is no libcuda on this machine that fits its kernel driver")
    if os.path.basename(right.path) != libraries.LIBCUDA:
        return Plan((LinkLibraries(os.path.dirname(right.path), str(right.version)),))
    kept = _without_wrong_ones(facts, environment.get(_NAME, ""), right)
    if _first(facts, kept) != right.real_path:
        kept.insert(0, os.path.dirname(right.path))
    value = ":".join(kept)
    if value == environment.get(_NAME, ""):
        return Refused("the right libcuda is already the first that the loader finds")
    return Plan((SetVariable(_NAME, value or None),))


def _right_library(facts: Facts) -> Library | None:
    """The libcuda whose version is the kernel driver's; else a compat one that fits it; else any real one."""
    candidates = [item for item in facts.libraries.candidates if item.soname == libraries.LIBCUDA]
    kernel = facts.driver.version
    real = [item for item in candidates if item.kind is LibraryKind.DRIVER]
    if isinstance(kernel, Unknown):
        return real[0] if real else None
    exact = [item for item in real if item.version == kernel]
    if exact:
        # A file under its soname needs no links.
        return next((item for item in exact if os.path.basename(item.path) == libraries.LIBCUDA), exact[0])
    major = kernel.partition(".")[0]
    fitting = [item for item in candidates if item.kind is LibraryKind.COMPAT and item.compat and major in map(str, item.compat.drivers)]
    unversioned = [item for item in real if isinstance(item.version, Unknown)]
    return next(iter(fitting or unversioned), None)


def _without_wrong_ones(facts: Facts, value: str, right: Library) -> list[str]:
    wrong = {
        os.path.dirname(item.path) or "."
        for item in facts.libraries.candidates
        if item.soname == libraries.LIBCUDA and item.found_in == "LD_LIBRARY_PATH" and item.real_path != right.real_path
    }
    return [
        directory for directory in value.split(":") if directory and directory.rstrip("/") not in {place.rstrip("/") for place in wrong}
    ]


def _first(facts: Facts, search_path: list[str]) -> str | None:
    """The libcuda that the loader would take with this search path, as far as the facts tell."""
    for item in facts.libraries.candidates:
        if item.soname != libraries.LIBCUDA or not libraries.on_search_path(item):
            continue
        directory = (os.path.dirname(item.path) or ".").rstrip("/")
        if item.found_in != "LD_LIBRARY_PATH" or directory in [place.rstrip("/") for place in search_path]:
            return item.real_path
    return None
