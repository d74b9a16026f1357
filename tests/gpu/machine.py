"""The machine that the suite runs on: its nodes, its GPU, what lies at hand for making faults, and a page-ready description."""

from __future__ import annotations

import dataclasses
import datetime as dt
import glob
import os
import platform
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from box import Box, Node


class CannotMake(Exception):  # noqa: N818 - no error: the case is listed with this reason
    """A case that this machine gives no means for; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What the cases need to know of a healthy machine. `nodes` has its first GPU's alone, `more_gpus` those of the others;
    `scratch` is a folder that every user can read."""

    nodes: tuple[Node, ...]
    more_gpus: tuple[Node, ...] = ()
    uuid: str
    gpu: str
    driver: str
    scratch: str

    def box(self, **changes: object) -> Box:
        """A healthy private machine, with `changes` to it."""
        return Box(**{"nodes": self.nodes, **changes})  # type: ignore[arg-type]

    def two_gpus(self, **second: object) -> tuple[Node, ...]:
        """The nodes of a machine with two GPUs, with changes to the second one's."""
        if not self.more_gpus:
            raise CannotMake("this machine has one GPU")
        return (*self.nodes, dataclasses.replace(self.more_gpus[0], **second))  # type: ignore[arg-type]

    def node(self, name: str) -> Node:
        """The healthy node of that name."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise CannotMake(f"this machine has no /dev/{name}")

    @property
    def gpu_node(self) -> str:
        """The name of the first GPU's node; "nvidia0" as a rule."""
        return next((node.name for node in self.nodes if re.fullmatch(r"nvidia\d+", node.name)), "nvidia0")

    def stub(self) -> str:
        """A folder with the CUDA toolkit's link-time stub as libcuda.so.1."""
        places = [
            *sorted(glob.glob("/usr/local/cuda*/**/stubs/libcuda.so", recursive=True)),
            *sorted(glob.glob(f"{sys.prefix}/lib/python*/site-packages/nvidia/**/stubs/libcuda.so", recursive=True)),
        ]
        if not places:
            raise CannotMake("no CUDA toolkit with lib64/stubs/libcuda.so is on this machine")
        return self._folder("stub", lambda folder: shutil.copy(places[0], f"{folder}/libcuda.so.1"))

    def empty_library(self) -> str:
        """A folder with a libcuda.so.1 of zero bytes."""
        return self._folder("empty", lambda folder: Path(folder, "libcuda.so.1").touch())

    def compat(self) -> str:
        """The folder of a forward-compatibility libcuda."""
        found = sorted(glob.glob("/usr/local/cuda*/compat/libcuda.so.1"))
        if not found:
            raise CannotMake("no CUDA compat package is on this machine")
        return os.path.dirname(found[0])

    def cache_without_libcuda(self) -> str:
        """A loader cache that knows every directory of today's cache except those that hold libcuda."""
        listing = _output("ldconfig", "-p")
        directories = sorted({os.path.dirname(path) for path in re.findall(r"=> (\S+)", listing)})
        hidden = [directory for directory in directories if os.path.exists(f"{directory}/libcuda.so.1")]
        always = [directory for directory in hidden if re.fullmatch(r"(/usr)?/lib(64)?(/[^/]+-linux-gnu)?", os.path.realpath(directory))]
        if always:
            raise CannotMake(f"libcuda.so.1 stands in {always[0]}, which the loader always searches")
        folder = self._folder("cache", lambda folder: None)
        Path(folder, "ld.so.conf").write_text("".join(f"{directory}\n" for directory in directories if directory not in hidden))
        command = ["ldconfig", "-i", "-X", "-f", f"{folder}/ld.so.conf", "-C", f"{folder}/ld.so.cache"]  # -X: touches no link
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if not os.path.exists(f"{folder}/ld.so.cache"):
            raise CannotMake(f"cannot build a loader cache: {done.stderr.strip() or done.returncode}")
        return f"{folder}/ld.so.cache"

    def library_path(self) -> str:
        """Today's LD_LIBRARY_PATH."""
        return os.environ.get("LD_LIBRARY_PATH", "")

    def path_without_libcuda(self) -> str | None:
        """LD_LIBRARY_PATH less the directories that hold libcuda; None when nothing is left."""
        kept = [part for part in self.library_path().split(":") if part and not os.path.exists(f"{part}/libcuda.so.1")]
        return ":".join(kept) or None

    def _folder(self, name: str, fill: Callable[[str], object]) -> str:
        folder = os.path.join(self.scratch, name)
        if not os.path.isdir(folder):
            os.mkdir(folder, 0o755)
            fill(folder)
        return folder


def examine(scratch: str) -> Machine:
    """Look at this machine without starting CUDA on it."""
    gpus = sorted(glob.glob("/dev/nvidia[0-9]*"), key=lambda path: int(re.sub(r"\D", "", path)))
    nodes = _nodes("/dev/nvidiactl", *gpus[:1], "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools")
    uuid, gpu, driver = ask_driver("uuid", "name", "driver_version") or ("", "none", "none")
    return Machine(nodes=nodes, more_gpus=_nodes(*gpus[1:]), uuid=uuid, gpu=gpu, driver=driver, scratch=scratch)


def _nodes(*paths: str) -> tuple[Node, ...]:
    """Those that are there and are character devices."""
    nodes = []
    for path in paths:
        try:
            status = os.stat(path)
        except FileNotFoundError:
            continue
        if stat.S_ISCHR(status.st_mode):
            nodes.append(Node(name=os.path.basename(path), major=os.major(status.st_rdev), minor=os.minor(status.st_rdev)))
    return tuple(nodes)


def describe(machine: Machine) -> dict[str, str]:
    """What the page says of the machine: no host name, no path."""
    return {
        "GPU": machine.gpu if not machine.more_gpus else f"{1 + len(machine.more_gpus)} x {machine.gpu}",
        "driver": machine.driver,
        "persistence mode": "".join(ask_driver("persistence_mode")) or "unknown",
        "kernel": platform.release(),
        "cores": str(os.cpu_count()),
        "Python": platform.python_version(),
        "date": dt.datetime.now(dt.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
    }


def ask_driver(*fields: str) -> tuple[str, ...]:
    """What nvidia-smi says of the first GPU; nothing where there is none."""
    program = shutil.which("nvidia-smi") or "/usr/local/nvidia/bin/nvidia-smi"
    lines = _output(program, f"--query-gpu={','.join(fields)}", "--format=csv,noheader").splitlines()
    answers = tuple(part.strip() for part in lines[0].split(",")) if lines else ()
    return answers if len(answers) == len(fields) else ()


def _output(*argv: str) -> str:
    """What a command printed; nothing when it is not there, fails or hangs."""
    try:
        return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
