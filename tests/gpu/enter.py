"""Run one command in a private machine: `python3 enter.py ORDER.json`.

The order says {"box": …, "argv": […], "environment": {…}, "directory": …, "report": FILE, "limit": seconds}. This process
leaves the mount and PID namespaces, puts a tmpfs with the box's own nodes over /dev, starts the command as PID 1 of the new
PID namespace with the box's limits, user and capabilities, makes the late nodes when they are due, and writes the report:
{"started", "ended", "exit", "appeared": {node: time}} in CLOCK_MONOTONIC seconds, or {"cannot": reason} where the box
could not be made here. The command's stdout and stderr are ours. Nothing outside the namespaces changes, save a cgroup
that is removed at the end.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import stat
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NoReturn

import device_cgroup
import kernel
from box import Box, Node, from_json

USUAL_NODES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
USUAL_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}


def main() -> None:
    """Do what the order says."""
    order = json.loads(Path(sys.argv[1]).read_text())
    report: dict[str, Any] = {}
    group = None
    try:
        kernel.die_with_parent(signal.SIGKILL)
        box = from_json(order["box"])
        if box.denied_major is not None:
            group = device_cgroup.create(box.denied_major)
        kernel.unshare(kernel.CLONE_NEWNS | kernel.CLONE_NEWPID)
        keep_mounts_private()
        furnish(box)
        report = run(order, box, group)
    except OSError as error:
        report = {"cannot": error.strerror or str(error)}
    finally:
        if group is not None:
            device_cgroup.remove(group)
        _write_whole(order["report"], report)


def keep_mounts_private() -> None:
    """Have nothing that we mount reach the machine. A sandbox that knows no propagation of mounts has none to stop."""
    try:
        kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    except OSError:
        if " shared:" in Path("/proc/self/mountinfo").read_text():
            raise


def furnish(box: Box) -> None:
    """Put the private /dev in place, and the loader's cache where the box has one."""
    os.umask(0)
    stage = tempfile.mkdtemp(prefix="private-dev-")
    kernel.mount("tmpfs", stage, "tmpfs", kernel.MS_NOSUID, "mode=755,size=64m")
    for name, (major, minor) in USUAL_NODES.items():
        os.mknod(f"{stage}/{name}", stat.S_IFCHR | 0o666, os.makedev(major, minor))
    for name, target in USUAL_LINKS.items():
        os.symlink(target, f"{stage}/{name}")
    os.mkdir(f"{stage}/shm", 0o1777)
    os.mkdir(f"{stage}/pts")
    with contextlib.suppress(OSError):  # nothing here needs a terminal; a sandbox without devpts is still a machine
        kernel.mount("devpts", f"{stage}/pts", "devpts", kernel.MS_NOSUID, "newinstance,ptmxmode=0666,mode=620")
    for node in box.nodes:
        if not node.after:
            make_node(stage, node)
    try:
        kernel.mount(stage, "/dev", flags=kernel.MS_MOVE)
        os.rmdir(stage)
    except OSError:  # a sandbox that cannot move a mount can show it at a second place
        kernel.mount(stage, "/dev", flags=kernel.MS_BIND | kernel.MS_REC)
    if box.loader_cache is not None:
        kernel.mount(box.loader_cache, "/etc/ld.so.cache", flags=kernel.MS_BIND)


def make_node(directory: str, node: Node) -> None:
    """Make one node. The umask is 0, so it has its mode from the start."""
    place = f"{directory}/{node.name}"
    if node.plain_file:
        os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY, node.mode))
    else:
        os.mknod(place, stat.S_IFCHR | node.mode, os.makedev(node.major, node.minor))


def run(order: dict[str, Any], box: Box, group: str | None) -> dict[str, Any]:
    """Start the command, make the late nodes, and see the command's end."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    receiver, sender = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(receiver)
        become(order, box, group, sender)
    os.close(sender)
    with os.fdopen(receiver) as words:
        said = words.read()  # ends when the command is executed, or when that failed
    started, _, refusal = said.partition("\n")
    if refusal or not started:
        os.waitpid(child, 0)
        return {"cannot": refusal or "cannot start the command"}
    report: dict[str, Any] = {"started": float(started), "appeared": {}}
    report.update(_accompany(child, box, report["started"], order["limit"], report["appeared"]))
    return report


def become(order: dict[str, Any], box: Box, group: str | None, sender: int) -> NoReturn:
    """In the child, PID 1 of its namespace: take on what the box asks for, then become the command.

    Tells `sender` when the command is executed, and on a second line why something could not be done.
    """
    try:
        os.setsid()
        kernel.mount("proc", "/proc", "proc")
        if group is not None:
            device_cgroup.join(group)
        for name, limit in ((resource.RLIMIT_AS, box.address_space), (resource.RLIMIT_NOFILE, box.descriptors)):
            if limit is not None:
                resource.setrlimit(name, limit)
        os.umask(0o022)
        kept = kernel.CONTAINER_CAPABILITIES if box.may_mknod else kernel.CONTAINER_CAPABILITIES - {kernel.CAP_MKNOD}
        kernel.keep_capabilities(kept)
        if box.user is not None:
            os.setgroups([])
            os.setresgid(box.user, box.user, box.user)
            os.setresuid(box.user, box.user, box.user)
        kernel.die_with_parent(signal.SIGKILL)
        os.chdir(order["directory"])
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        for ignored in (signal.SIGPIPE, signal.SIGXFSZ):  # by Python at its start; a container's first process gets neither
            signal.signal(ignored, signal.SIG_DFL)
        os.write(sender, f"{time.monotonic():.6f}".encode())
        os.execvpe(order["argv"][0], order["argv"], order["environment"])
    except OSError as error:
        os.write(sender, f"\n{error.strerror or error}".encode())
    finally:
        os._exit(125)


def _accompany(child: int, box: Box, started: float, limit: float, appeared: dict[str, float]) -> dict[str, Any]:
    """Make each late node when it is due, until the command ends or has had its time."""
    late = sorted((node for node in box.nodes if node.after), key=lambda node: node.after)
    overdue = False
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return {"exit": os.waitstatus_to_exitcode(status), "ended": time.monotonic(), "overdue": overdue}
        due = started + (late[0].after if late else limit)
        if time.monotonic() < due:
            signal.sigtimedwait({signal.SIGCHLD}, max(0.0, due - time.monotonic()))
        elif late:
            node = late.pop(0)
            make_node("/dev", node)
            appeared[node.name] = time.monotonic()
        elif not overdue:
            overdue = True
            os.kill(child, signal.SIGKILL)
            limit += 10.0  # a process that the kernel cannot end right now is left behind, and said so
        else:
            return {"exit": None, "ended": time.monotonic(), "overdue": True}


def _write_whole(place: str, data: object) -> None:
    """Write the report so that a reader finds all of it or none."""
    draft = f"{place}.draft"
    Path(draft).write_text(json.dumps(data))
    os.replace(draft, place)


if __name__ == "__main__":
    main()
