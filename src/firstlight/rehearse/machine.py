"""Builds the folder of a simulated machine out of a scenario, and changes it while it runs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from firstlight import errors
from firstlight.rehearse import hardware, kernel_files
from firstlight.rehearse.scenario import Event, Gpu, Library, Scenario, errno_number

# By bit number, as in linux/capability.h.
_CAPABILITY_BITS = {
    name: bit
    for bit, name in enumerate(
        "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST "
        "NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE "
        "SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP".split()
    )
}

# Variables of the real machine that would tell CUDA or firstlight about it; a simulated machine has its own.
_FOREIGN = ("CUDA_", "NVIDIA_", "FIRSTLIGHT_", "RUNPOD_", "LD_LIBRARY_PATH", "LD_PRELOAD", "PYTORCH_")

# The folder of a machine in which files set off events.
TRIGGERS = "triggers"

# Names under /dev that a listing of it shows besides the GPU's.
_OTHER_NODES = ("fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom", "zero")


class Machine:
    """A simulated machine in a folder.

    Attributes:
        folder: where it lies: machine.conf, dev/, proc/, state/, usr/…
        environment: what its container was started with.
    """

    def __init__(self, folder: Path, scenario: Scenario, products: Path) -> None:
        """Build `scenario` in the empty `folder`. `products` is the folder of the compiled driver."""
        self.folder = folder
        self.scenario = scenario
        self._uvm_loaded = scenario.driver.uvm
        for name in ("dev", "proc/self", "proc/1", "state", "lib", TRIGGERS):
            (folder / name).mkdir(parents=True)
        self._settings = _settings(scenario)
        self._write_settings()
        self._place_libraries(products)
        self.environment = self._environment()
        self._write_proc()
        for name in _OTHER_NODES:
            (folder / "dev" / name).symlink_to(f"/dev/{name}")
        for path, node in _nodes(scenario, scenario.nodes).items():
            self._write_node(path, node)
        if any(event.kernel_log for event in scenario.events):
            (folder / "dev" / "kmsg").touch()  # most containers have none

    def process_environment(self, real: Mapping[str, str]) -> dict[str, str]:
        """The environment in which a program of the real machine finds itself on this one."""
        kept = {name: value for name, value in real.items() if not name.startswith(_FOREIGN)}
        return {**kept, **self.environment, "LD_PRELOAD": str(self.folder / "lib" / "libfirstlight-machine.so")}

    def perform(self, event: Event) -> None:
        """Let an event happen."""
        if event.node:
            self._write_node(event.node, _nodes(self.scenario)[event.node])
        if event.remove:
            self._place(event.remove).unlink(missing_ok=True)
        if event.load_uvm:
            self._uvm_loaded = True
            self._write_proc()
        if event.kernel_log:
            self._append_to_log(event.kernel_log)
        if event.set:
            self._settings.update({key: _text(value) for key, value in event.set.items()})
            self._write_settings()

    def triggered(self, event: Event) -> bool:
        """Whether somebody has made the file that sets off an event."""
        return (self.folder / TRIGGERS / event.trigger).exists()

    def _append_to_log(self, words: str) -> None:
        """One record as /dev/kmsg has them. A number in sequence and microseconds would come before the words."""
        with open(self.folder / "dev" / "kmsg", "a") as file:
            file.write(f"3,1,1,-;{words}\n")

    def _place(self, path: str) -> Path:
        if ".." in path.split("/"):
            raise errors.UsageError(f"cannot build the machine: {path!r} leads out of it")
        return self.folder / path.lstrip("/")

    def _write(self, path: str, text: str) -> None:
        """In one step, so that no reader sees half of it."""
        place = self._place(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        aside = self.folder / "state" / "aside"
        aside.write_text(text, "utf-8", "surrogateescape")
        aside.replace(place)

    def _write_settings(self) -> None:
        self._write("machine.conf", "".join(f"{key} {value}\n" for key, value in self._settings.items()))

    def _write_node(self, path: str, node: Mapping[str, Any]) -> None:
        """A node, complete when it appears."""
        if node.get("kind") == "file":
            self._write(path, "")
        else:
            self._write(path, "".join(f"{key} {value}\n" for key, value in node.items()))

    def _write_proc(self) -> None:
        container = self.scenario.container
        for path, text in kernel_files.driver_files(self.scenario, uvm_loaded=self._uvm_loaded).items():
            self._write(path, text)
        options = ["ro" if container.dev_read_only else "rw", "nosuid", *(["nodev"] if container.dev_nodev else [])]
        mounted = [self._library_file(library) for library in self.scenario.libraries if library.mounted]
        self._write("proc/self/mountinfo", kernel_files.mountinfo(options, [str(path) for path in mounted]))
        self._write("proc/1/environ", "".join(f"{name}={value}\0" for name, value in self.environment.items()))

    def _library_file(self, library: Library) -> Path:
        stem = "libnvidia-ml.so" if library.kind == "nvml" else "libcuda.so"
        suffix = "1" if library.kind == "stub" else library.version or self.scenario.driver.version
        return self._place(f"{library.directory}/{stem}.{suffix}")

    def _place_libraries(self, products: Path) -> None:
        shutil.copyfile(products / "preload.so", self.folder / "lib" / "libfirstlight-machine.so")
        for library in self.scenario.libraries:
            file = self._library_file(library)
            file.parent.mkdir(parents=True, exist_ok=True)
            if library.kind == "empty":
                file.touch()
            else:
                shutil.copyfile(products / f"{library.kind}.so", file)
            link = file.with_name(file.name.partition(".so.")[0] + ".so.1")
            if link != file:
                link.symlink_to(file.name)

    def _environment(self) -> dict[str, str]:
        """What the container was started with; an empty search path is left out."""
        directories = dict.fromkeys(str(self._place(library.directory)) for library in self.scenario.libraries if library.path)
        given = {"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_DRIVER_CAPABILITIES": "compute,utility", **self.scenario.environment}
        if directories:
            given["LD_LIBRARY_PATH"] = ":".join(directories)
        return given


def _text(value: Any) -> str:
    """A value of the scenario as machine.conf has it."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, (list, tuple)):
        return " ".join(_text(item) for item in value)
    return str(value)


def _settings(scenario: Scenario) -> dict[str, str]:
    """All of machine.conf."""
    odd = next((event.trigger for event in scenario.events if os.sep in event.trigger or event.trigger in (".", "..")), None)
    if odd is not None:
        raise errors.UsageError(f"cannot build the machine: no file of the name {odd!r} can set off an event")
    unknown_nodes = {event.node for event in scenario.events if event.node} - set(_nodes(scenario))
    if unknown_nodes:
        raise errors.UsageError(f"cannot build the machine: an event names the node {min(unknown_nodes)!r}, which its driver does not have")
    container, driver = scenario.container, scenario.driver
    unknown = set(container.capabilities.split()) - set(_CAPABILITY_BITS)
    if unknown:
        raise errors.UsageError(f"cannot build the machine: there is no capability {min(unknown)!r}")
    kinds = {library.kind for library in scenario.libraries} - {"driver", "stub", "compat", "empty", "nvml"}
    if kinds:
        raise errors.UsageError(f"cannot build the machine: there is no library of the kind {min(kinds)!r}")
    bits = sum(1 << _CAPABILITY_BITS[name] for name in container.capabilities.split())
    found: dict[str, Any] = {
        "uid": container.uid,
        "gid": container.gid,
        "groups": container.groups,
        "capabilities": hex(bits),
        "seccomp": container.seccomp,
        "cgroup.deny": container.cgroup_deny,
        "cgroup.deny-mknod": container.cgroup_deny_mknod,
        "dev.nodev": container.dev_nodev,
        "dev.read-only": container.dev_read_only,
        "control.open": errno_number(driver.open_control, "driver.open_control"),
        "uvm.open": errno_number(driver.open_uvm, "driver.open_uvm"),
        "gpus": len(scenario.gpus) if driver.loaded else 0,
    }
    found.update({f"call.{name}": codes for name, codes in scenario.calls.items()})
    found.update({f"delay.{name}": delay for name, delay in scenario.delays.items()})
    for place, gpu in enumerate(scenario.gpus):
        found.update({f"gpu.{place}.{key}": value for key, value in _gpu_settings(gpu, place).items()})
    return {key: _text(value) for key, value in found.items()}


def _gpu_settings(gpu: Gpu, place: int) -> dict[str, Any]:
    values = {name: value for name, value in vars(gpu).items() if name not in ("calls", "delays", "mig_uuids", "stranger")}
    values.update(minor=hardware.minor(gpu, place), bus_id=hardware.bus_id(gpu, place), uuid=hardware.uuid(gpu, place))
    values["open"] = errno_number(gpu.open, "gpus.open")
    # The driver takes the mere presence of these for a yes.
    values.update({name: value for name, value in (("mig_uuids", gpu.mig_uuids), ("stranger", gpu.stranger)) if value})
    found = {name.replace("_", "-"): value for name, value in values.items()}
    found.update({f"call.{name}": codes for name, codes in gpu.calls.items()})
    found.update({f"delay.{name}": delay for name, delay in gpu.delays.items()})
    return found


def _nodes(scenario: Scenario, differences: Mapping[str, Any] | None = None) -> dict[str, dict[str, Any]]:
    """The nodes by path: those that the driver calls for, changed by `differences`."""

    def char(major: int, minor: int) -> dict[str, Any]:
        return {"kind": "char", "major": major, "minor": minor, "mode": "0666", "uid": 0, "gid": 0, "open": 0, "hang": 0}

    found: dict[str, dict[str, Any]] = {}
    if scenario.driver.loaded:
        found["/dev/nvidiactl"] = char(195, 255)
        found["/dev/nvidia-uvm"] = char(scenario.driver.uvm_major, 0)
        found["/dev/nvidia-uvm-tools"] = char(scenario.driver.uvm_major, 1)
        for place, gpu in enumerate(scenario.gpus):
            minor = hardware.minor(gpu, place)
            found[f"/dev/nvidia{minor}"] = char(195, minor)
    for path, difference in (differences or {}).items():
        if difference == "absent":
            found.pop(path, None)
        elif difference == "file":
            found[path] = {"kind": "file"}
        elif isinstance(difference, dict) and set(difference) <= set(char(0, 0)):
            found[path] = {**found.get(path, char(195, 0)), **_node_values(path, difference)}
        else:
            raise errors.UsageError(f"cannot build the machine: {path} is {difference!r}, and no node can be that")
    return found


def _node_values(path: str, difference: Mapping[str, Any]) -> dict[str, Any]:
    """What a scenario says of a node, as its file has it."""
    values = {name: int(value) if isinstance(value, bool) else value for name, value in difference.items()}
    if "mode" in values:
        values["mode"] = f"0{values['mode']}"
    if "open" in values:
        values["open"] = errno_number(str(values["open"]), path)
    return values
