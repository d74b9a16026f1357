"""Becomes a container, and then its start command. Runs in new namespaces, by itself: `python3 -I -S container.py SPEC`.

The image is this machine's own file system, in read-only form under a fresh layer; what is this machine's own in it (SSH host keys,
root's .ssh) is taken out, and what a pod's image has is put in.
"""

import ctypes
import fcntl
import fnmatch
import json
import os
import shutil
import socket
import struct
import sys

_LIBC = ctypes.CDLL(None, use_errno=True)
_BIND, _RECURSIVE = 4096, 16384
_SIOCSIFFLAGS, _UP = 0x8914, 1


def main() -> None:
    """What the host does before a start command begins."""
    with open(sys.argv[1]) as file:
        spec = json.load(file)
    socket.sethostname(spec["hostname"])
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _UP))
    root = spec["layer"] + "/root"
    if not os.path.isdir(spec["layer"] + "/up"):  # a container that is started again keeps its layer
        os.mkdir(spec["layer"] + "/up")
        os.mkdir(spec["layer"] + "/work")
        os.mkdir(root)
        fresh = True
    else:
        fresh = False
    _mount("overlay", root, "overlay", f"lowerdir=/,upperdir={spec['layer']}/up,workdir={spec['layer']}/work")
    _mount("tmpfs", root + "/tmp", "tmpfs")
    _mount("tmpfs", root + "/run", "tmpfs")
    _mount("proc", root + "/proc", "proc")
    for path in _mounted_on_the_image():
        _mount(path, root + path, None, flags=_BIND)
    _mount("/sys", root + "/sys", None, flags=_BIND | _RECURSIVE)
    if spec["hidden"]:
        _bring_devices(root + "/dev", spec["hidden"])
    else:
        _mount("/dev", root + "/dev", None, flags=_BIND | _RECURSIVE)
    for outside, inside in spec["mounts"].items():
        os.makedirs(root + inside, exist_ok=True)
        _mount(outside, root + inside, None, flags=_BIND)
    if fresh:
        _furnish(root, spec)
    os.chroot(root)
    os.chdir("/")
    os.system("/sbin/ldconfig")
    if spec["preload"]:
        with open("/etc/ld.so.preload", "w") as file:
            file.write(spec["preload"] + "\n")
    os.write(spec["ready"], b"ready\n")
    os.close(spec["ready"])
    try:
        os.execvpe(spec["argv"][0], spec["argv"], spec["env"])
    except OSError as error:
        sys.exit(f"OCI runtime create failed: exec: {spec['argv'][0]}: {error.strerror}")


def _mounted_on_the_image() -> "list":
    """What this machine's container runtime has mounted into its file system: a layer holds no mounts. A driver's files are such."""
    with open("/proc/self/mountinfo") as file:
        points = [line.split()[4] for line in file]
    return sorted(point for point in points if point.startswith(("/etc/", "/lib", "/opt/", "/usr/")))


def _bring_devices(folder: str, hidden: "list") -> None:
    """A /dev of its own with this machine's nodes, but for those that match a pattern."""
    _mount("tmpfs", folder, "tmpfs")
    for entry in os.scandir("/dev"):
        if any(fnmatch.fnmatch(entry.name, pattern) for pattern in hidden):
            continue
        target = f"{folder}/{entry.name}"
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), target)
        elif entry.is_dir():
            os.mkdir(target)
            _mount(entry.path, target, None, flags=_BIND | _RECURSIVE)
        else:
            open(target, "w").close()
            _mount(entry.path, target, None, flags=_BIND)


def _furnish(root: str, spec: "dict") -> None:
    """What an image of RunPod's has, and a machine has not; and the other way round."""
    for name in os.listdir(root + "/etc/ssh"):
        if name.startswith("ssh_host_"):
            os.unlink(f"{root}/etc/ssh/{name}")
    shutil.rmtree(root + "/root/.ssh", ignore_errors=True)
    with open(root + "/root/.bashrc", "w") as file:
        file.write("case $- in *i*) ;; *) return ;; esac\n")
    for name, target in (("start.sh", "/start.sh"), ("main.py", "/app/main.py")):
        os.makedirs(os.path.dirname(root + target), exist_ok=True)
        shutil.copy(f"{spec['image']}/{name}", root + target)
        os.chmod(root + target, 0o755)
    for name in ("python3", "python"):
        link = f"{root}/usr/local/bin/{name}"
        if os.path.lexists(link):
            os.unlink(link)
        os.symlink(spec["python"], link)
    with open(root + "/etc/ld.so.conf.d/000-gpu.conf", "w") as file:
        file.write("".join(f"{folder}\n" for folder in spec["libraries"]))


def _mount(source: str, target: str, kind: "str | None", options: str = "", flags: int = 0) -> None:
    words = [None if word is None else word.encode() for word in (source, target, kind)]
    if _LIBC.mount(*words, flags, options.encode() or None):
        number = ctypes.get_errno()
        raise OSError(number, f"cannot mount {target}: {os.strerror(number)}")


main()
