"""The file door: every file of the machine that firstlight reads is named through here.

`ROOT` is "/"; a test points it at a folder, and that folder is the machine.
"""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = "/"


def path(name: str) -> str:
    """Where the absolute path `name` lies on this machine."""
    if ROOT == "/":
        return name
    return os.path.join(ROOT, name.lstrip("/"))


def read_bytes(name: str, limit: int = 1 << 20) -> bytes:
    """At most `limit` bytes of a file. Files of /proc report no size, so this reads until the end.

    Raises:
        OSError: the file cannot be read.
    """
    descriptor = os.open(path(name), os.O_RDONLY | os.O_CLOEXEC)
    try:
        content = bytearray()
        while len(content) < limit and (piece := os.read(descriptor, min(limit - len(content), 1 << 16))):
            content += piece
        return bytes(content)
    finally:
        os.close(descriptor)


def read_text(name: str, limit: int = 1 << 20) -> str:
    """At most `limit` bytes of a file as text. Bytes that are not UTF-8 survive as surrogates.

    Raises:
        OSError: the file cannot be read.
    """
    return read_bytes(name, limit).decode("utf-8", "surrogateescape")


def read_link(name: str) -> str:
    """Where a symbolic link leads.

    Raises:
        OSError: there is no such link.
    """
    return os.readlink(path(name))


def list_directory(name: str) -> list[str]:
    """The names in a directory, sorted.

    Raises:
        OSError: the directory cannot be listed.
    """
    return sorted(os.listdir(path(name)))


def status(name: str, *, follow: bool = True) -> os.stat_result:
    """stat(2) of a file, or lstat(2) where links are not to be followed.

    Raises:
        OSError: there is no such file, or it may not be reached.
    """
    return os.stat(path(name), follow_symlinks=follow)


def overwrite(name: str, data: bytes) -> None:
    """Give a plain file that is there already another content.

    Raises:
        OSError: there is no such file, or it cannot be written.
    """
    descriptor = os.open(path(name), os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.ftruncate(descriptor, 0)
            os.write(descriptor, data)
    finally:
        os.close(descriptor)


def is_mount(name: str) -> bool:
    """Whether something is mounted at the absolute path. Told from the list of mounts: a hung volume is not touched."""
    try:
        mounts = read_text("/proc/self/mountinfo").splitlines()
    except OSError:
        return False
    return any(line.split()[4:5] == [name] for line in mounts)


def state_folder(variables: Mapping[str, str]) -> str | None:
    """Our folder in the user's directory of state, where the XDG Base Directory Specification has it; None where nothing tells. Pure."""
    state = variables.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state):
        state = os.path.join(variables.get("HOME", ""), ".local", "state")
    return os.path.join(state, "firstlight") if os.path.isabs(state) else None


def make_node(name: str, major: int, minor: int, *, replace: bool) -> None:
    """Make a character device node that everybody may use; `replace` first removes what is there.

    Raises:
        OSError: it cannot be made here.
    """
    place = path(name)
    if replace:
        os.unlink(place)
    os.mknod(place, 0o666 | stat.S_IFCHR, os.makedev(major, minor))
    os.chmod(place, 0o666)  # noqa: S103 - the umask took its part of the mode


def open_kernel_log() -> int:
    """A descriptor of the kernel's log behind its last record. Reading it gives what is reported from now on, and never waits.

    Raises:
        OSError: this container has no /dev/kmsg, or may not read it.
    """
    descriptor = os.open(path("/dev/kmsg"), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        os.lseek(descriptor, 0, os.SEEK_END)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
