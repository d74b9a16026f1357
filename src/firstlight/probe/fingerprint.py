"""A cheap value that changes whenever a late node, module or GPU shows up: what a wait watches.

Taken before the first probe starts, so it imports nothing that is not needed for that.
"""

from __future__ import annotations

from firstlight.system import files

# nvidia-caps is a folder of MIG capability nodes; its entries matter, not itself.
_CAPABILITY_FOLDER = "/dev/nvidia-caps"


def node_paths() -> list[str]:
    """Paths of the NVIDIA nodes, sorted. Raises OSError when /dev cannot be listed."""
    paths = [f"/dev/{name}" for name in files.list_directory("/dev") if name.startswith("nvidia")]
    if _CAPABILITY_FOLDER in paths:
        paths.remove(_CAPABILITY_FOLDER)
        paths += [f"{_CAPABILITY_FOLDER}/{name}" for name in files.list_directory(_CAPABILITY_FOLDER)]
    return sorted(paths)


def take() -> tuple[object, ...]:
    """The nodes with their numbers, modes and owners; the kernel's majors; the driver's version and GPUs."""
    marks: list[object] = []
    try:
        for path in node_paths():
            status = files.status(path)
            marks.append((path, status.st_mode, status.st_rdev, status.st_uid, status.st_gid))
    except OSError as error:
        marks.append(error.errno)
    for name in ("/proc/devices", "/proc/driver/nvidia/version"):
        try:
            marks.append(files.read_bytes(name))
        except OSError as error:
            marks.append(error.errno)
    try:
        marks.append(tuple(files.list_directory("/proc/driver/nvidia/gpus")))
    except OSError as error:
        marks.append(error.errno)
    return tuple(marks)
