"""Device nodes and the majors that the kernel has now."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping

from firstlight.probe import fingerprint
from firstlight.probe.facts import NOT_ASKED, Cause, Devices, Node, NodeKind, Unknown
from firstlight.probe.unread import unread
from firstlight.system import files

_KINDS = {
    stat.S_IFCHR: NodeKind.CHAR,
    stat.S_IFBLK: NodeKind.BLOCK,
    stat.S_IFREG: NodeKind.FILE,
    stat.S_IFDIR: NodeKind.DIRECTORY,
    stat.S_IFLNK: NodeKind.SYMLINK,
}

_GPU_NODE = re.compile(r"/dev/nvidia\d+")


def collect(opened: Mapping[str, int | Unknown]) -> Devices:
    """Every /dev/nvidia* node; `opened` maps a path to the errno of a real open, where one was tried."""
    return Devices(nodes=_nodes(opened), majors=majors(), dev_options=_dev_options())


def is_gpu_node(path: str) -> bool:
    """True for /dev/nvidia0, /dev/nvidia1 and so on, whose opening wakes a GPU."""
    return _GPU_NODE.fullmatch(path) is not None


def majors() -> dict[str, int] | Unknown:
    """The "nvidia…" character devices of /proc/devices: {"nvidia": 195, "nvidia-uvm": 234}."""
    try:
        text = files.read_text("/proc/devices")
    except OSError as error:
        return unread("/proc/devices", error)
    found = {}
    for line in text.partition("Block devices:")[0].splitlines():
        number, _, name = line.strip().partition(" ")
        if name.startswith("nvidia") and number.isdigit():
            found[name] = int(number)
    return found


def _nodes(opened: Mapping[str, int | Unknown]) -> tuple[Node, ...] | Unknown:
    try:
        paths = fingerprint.node_paths()
    except OSError as error:
        return unread("/dev", error)
    found = []
    for path in paths:
        try:
            found.append(_node(path, opened.get(path, NOT_ASKED)))
        except FileNotFoundError:
            continue  # gone since the listing
        except OSError as error:
            found.append(Node(path=path, kind=NodeKind.OTHER, opened=unread(path, error)))
    return tuple(found)


def _node(path: str, opened: int | Unknown) -> Node:
    try:
        status = files.status(path)
    except FileNotFoundError:
        status = files.status(path, follow=False)  # a link that leads nowhere, unless the node is gone
    kind = _KINDS.get(stat.S_IFMT(status.st_mode), NodeKind.OTHER)
    is_device = kind in (NodeKind.CHAR, NodeKind.BLOCK)
    return Node(
        path=path,
        kind=kind,
        major=os.major(status.st_rdev) if is_device else 0,
        minor=os.minor(status.st_rdev) if is_device else 0,
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        opened=opened,
    )


def _dev_options() -> tuple[str, ...] | Unknown:
    """Mount options of /dev; those of / where /dev is no mount of its own."""
    try:
        lines = files.read_text("/proc/self/mountinfo").splitlines()
    except OSError as error:
        return unread("/proc/self/mountinfo", error)
    options = {fields[4]: fields[5] for fields in (line.split() for line in lines) if len(fields) > 5}
    for mount_point in ("/dev", "/"):
        if mount_point in options:
            return tuple(options[mount_point].split(","))
    return Unknown("/proc/self/mountinfo names no mount for /dev", Cause.ABSENT)
