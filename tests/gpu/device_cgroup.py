"""A cgroup of our own that denies one device major: by a BPF program on cgroup v2, else by devices.deny on v1."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import kernel


def create(major: int) -> str:
    """Make the cgroup and have it deny `major`.

    Returns:
        its directory.

    Raises:
        OSError: this machine lets us do it in neither way; the message says why.
    """
    reasons = []
    for kind, root in _roots():
        directory = f"{root}/firstlight-gpu-suite-{os.getpid()}"
        try:
            os.mkdir(directory)
        except OSError as error:
            reasons.append(f"{kind}: cannot create a cgroup: {error.strerror}")
            continue
        try:
            _deny(kind, directory, major)
        except OSError as error:
            reasons.append(f"{kind}: {error.strerror or error}")
            remove(directory)
        else:
            return directory
    raise OSError(f"cannot deny a device major: {'; '.join(reasons) or 'no cgroup file system is mounted'}")


def create_open(major: int) -> str:
    """Make a cgroup that denies nothing yet, on a machine where `deny` can have it deny `major` later. Raises as `create`."""
    directory = create(major)
    remove(directory)
    os.mkdir(directory)
    return directory


def deny(directory: str, major: int) -> None:
    """Have the cgroup deny `major` from now on, to every process in it."""
    _deny("v2" if os.path.exists(f"{directory}/cgroup.controllers") else "v1", directory, major)


def _deny(kind: str, directory: str, major: int) -> None:
    if kind == "v2":
        kernel.deny_major_by_bpf(directory, major)
    else:
        Path(directory, "devices.deny").write_text(f"c {major}:* rwm")


def join(directory: str) -> None:
    """Move this process into the cgroup."""
    Path(directory, "cgroup.procs").write_text("0")


def remove(directory: str) -> None:
    """Remove the cgroup; one that still holds a process stays."""
    with contextlib.suppress(OSError):
        os.rmdir(directory)


def _roots() -> list[tuple[str, str]]:
    """Where cgroups can be made: our own group's directory under each hierarchy that can deny devices, v2 first."""
    own: dict[str, str] = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, place = line.split(":", 2)
        own.update(dict.fromkeys(controllers.split(","), place))
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        mount_point, kind, options = left.split()[4], right.split()[0], right.split()[-1].split(",")
        if kind == "cgroup2":
            found.append(("v2", mount_point + own.get("", "/").rstrip("/")))
        elif kind == "cgroup" and "devices" in options:
            found.append(("v1", mount_point + own.get("devices", "/").rstrip("/")))
    return sorted(found, reverse=True)
