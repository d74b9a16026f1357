"""How each fault is made: functions that give the private machine on which it holds. One raises CannotMake where this machine gives no means for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

from box import Box
from machine import CannotMake, Machine

Making = Callable[[Machine], Box]


def healthy(**changes: object) -> Making:
    """A machine with every node, and `changes` to the box."""
    return lambda machine: machine.box(**changes)


def visible_devices(value: str) -> Making:
    """CUDA_VISIBLE_DEVICES as given, with {uuid} filled in."""
    return lambda machine: machine.box(environment={"CUDA_VISIBLE_DEVICES": value.format(uuid=machine.uuid, **_parts(machine))})


def node(name: str, *, may_mknod: bool = False, user: int | None = None, **changes: object) -> Making:
    """One node changed; "gpu" stands for the first GPU's node."""

    def make(machine: Machine) -> Box:
        target = machine.node(machine.gpu_node if name == "gpu" else name)
        altered = dataclasses.replace(target, **changes)  # type: ignore[arg-type]
        if name == "gpu" and "minor" in changes:
            altered = dataclasses.replace(altered, minor=target.minor + altered.minor)
        nodes = tuple(altered if one is target else one for one in machine.nodes)
        return machine.box(nodes=nodes, may_mknod=may_mknod, user=user)

    return make


def without(name: str, *, may_mknod: bool = False) -> Making:
    """One node missing for good; "gpu" stands for the first GPU's node."""

    def make(machine: Machine) -> Box:
        gone = machine.node(machine.gpu_node if name == "gpu" else name)
        return machine.box(nodes=tuple(one for one in machine.nodes if one is not gone), may_mknod=may_mknod)

    return make


def library_first(folder: str) -> Making:
    """A folder of the machine's making ("stub", "empty_library", "compat") first on LD_LIBRARY_PATH."""

    def make(machine: Machine) -> Box:
        first = getattr(machine, folder)()
        rest = machine.library_path()
        return machine.box(environment={"LD_LIBRARY_PATH": f"{first}:{rest}" if rest else first})

    return make


def library_off_path(machine: Machine) -> Box:
    """Neither LD_LIBRARY_PATH nor the loader's cache leads to libcuda."""
    return machine.box(loader_cache=machine.cache_without_libcuda(), environment={"LD_LIBRARY_PATH": machine.path_without_libcuda()})


def _parts(machine: Machine) -> dict[str, str]:
    """Pieces and falsifications of the GPU's UUID."""
    if not machine.uuid.startswith("GPU-"):
        raise CannotMake("nvidia-smi told no GPU UUID")
    bare = machine.uuid[len("GPU-") :]
    wrong = "GPU-" + "".join("0" if letter == "f" else "f" if letter.isalnum() else letter for letter in bare)
    return {"bare": bare, "wrong": wrong, "prefix": machine.uuid[:12]}


def two_gpus(*, missing: bool = False, may_mknod: bool = False, environment: Mapping[str, str] | None = None, **second: object) -> Making:
    """A machine that was given two GPUs, as RunPod says so, with changes to the second one's node, or without it."""
    given = {"RUNPOD_GPU_COUNT": "2", **(environment or {})}

    def make(machine: Machine) -> Box:
        both = machine.two_gpus(**second)
        return machine.box(nodes=machine.nodes if missing else both, may_mknod=may_mknod, environment=given)

    return make


def first_with_index_of_host(machine: Machine) -> Box:
    """The first of the host's two GPUs alone, and an index that counts the host's."""
    machine.two_gpus()  # or it is refused
    return machine.box(environment={"CUDA_VISIBLE_DEVICES": "1"})
