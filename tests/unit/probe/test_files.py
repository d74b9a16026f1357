"""Facts that files tell: a machine in a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from firstlight.probe import devices, driver, environment, fingerprint, limits
from firstlight.probe.facts import Cause, NodeKind, Unknown
from firstlight.system import files

VERSION = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.159.04  Release Build  (dvs-builder@U22)\nGCC version:  gcc version 12.3.0\n"
INFORMATION = "Model: \t\t NVIDIA H100 80GB HBM3\nIRQ:   \t\t 44\nGPU UUID: \t GPU-0d3c\nBus Location: \t 0000:8d:00.0\nDevice Minor: \t 4\nGPU Excluded:\t No\n"
DEVICES = "Character devices:\n  1 mem\n195 nvidia\n234 nvidia-uvm\n\nBlock devices:\n  8 sd\n253 nvidia-block\n"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(files, "ROOT", str(tmp_path))
    return tmp_path


def put(machine: Path, name: str, text: str) -> None:
    place = machine / name.lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)


def test_the_kernel_driver_is_read(machine: Path) -> None:
    put(machine, "/proc/driver/nvidia/version", VERSION)
    put(machine, "/proc/driver/nvidia/params", "ModifyDeviceFiles: 1\nDeviceFileMode: 438\n")
    put(machine, "/proc/driver/nvidia/gpus/0000:8d:00.0/information", INFORMATION)
    put(machine, "/proc/modules", "nvidia_uvm 100 4 - Live 0x0\nnvidia 200 50 nvidia_uvm, Live 0x0\next4 1 1 - Live 0x0\n")
    found = driver.collect()
    assert found.version == "580.159.04"
    assert found.params == {"ModifyDeviceFiles": "1", "DeviceFileMode": "438"}
    assert not isinstance(found.gpus, Unknown)
    assert (found.gpus[0].minor, found.gpus[0].uuid, found.gpus[0].excluded) == (4, "GPU-0d3c", False)
    assert found.modules == ("nvidia", "nvidia_uvm")


def test_a_uuid_that_the_driver_does_not_know_yet_is_unknown(machine: Path) -> None:
    put(machine, "/proc/driver/nvidia/gpus/0000:8d:00.0/information", INFORMATION.replace("GPU-0d3c", "GPU-????????-????"))
    found = driver.collect()
    assert not isinstance(found.gpus, Unknown)
    assert isinstance(found.gpus[0].uuid, Unknown)


def test_a_machine_without_a_driver_says_that_it_is_absent(machine: Path) -> None:
    found = driver.collect()
    assert isinstance(found.version, Unknown)
    assert found.version.cause is Cause.ABSENT


def test_majors_are_those_of_character_devices_alone(machine: Path) -> None:
    put(machine, "/proc/devices", DEVICES)
    assert devices.majors() == {"nvidia": 195, "nvidia-uvm": 234}


def test_nodes_are_told_with_what_an_open_gave(machine: Path) -> None:
    put(machine, "/dev/nvidia0", "")
    put(machine, "/dev/nvidia-caps/nvidia-cap1", "")
    put(machine, "/dev/null", "")
    (machine / "dev/nvidiactl").symlink_to("nowhere")
    found = devices.collect({"/dev/nvidia0": 13})
    assert not isinstance(found.nodes, Unknown)
    assert [(node.path, node.kind) for node in found.nodes] == [
        ("/dev/nvidia-caps/nvidia-cap1", NodeKind.FILE),
        ("/dev/nvidia0", NodeKind.FILE),
        ("/dev/nvidiactl", NodeKind.SYMLINK),
    ]
    assert found.nodes[1].opened == 13


def test_the_fingerprint_changes_with_a_node_its_mode_and_a_major(machine: Path) -> None:
    seen = [fingerprint.take()]
    put(machine, "/dev/nvidia0", "")
    seen.append(fingerprint.take())
    (machine / "dev/nvidia0").chmod(0)
    seen.append(fingerprint.take())
    put(machine, "/proc/devices", DEVICES)
    seen.append(fingerprint.take())
    put(machine, "/proc/driver/nvidia/version", VERSION)
    seen.append(fingerprint.take())
    assert len(set(seen)) == len(seen)
    put(machine, "/dev/something-else", "")
    assert fingerprint.take() == seen[-1]


def test_only_telling_variables_are_kept_and_no_secret(machine: Path) -> None:
    put(machine, "/proc/1/environ", "CUDA_VISIBLE_DEVICES=3\0HOME=/root\0NVIDIA_API_KEY=nvapi-1\0")
    found = environment.collect({"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_API_KEY": "nvapi-1", "RUNPOD_API_KEY": "x", "LD_PRELOAD": "a.so"})
    assert found.variables == {"LD_PRELOAD": "a.so", "NVIDIA_VISIBLE_DEVICES": "all"}
    assert found.pid1 == {"CUDA_VISIBLE_DEVICES": "3"}


def test_limits_come_from_the_kernel_and_unlimited_is_none() -> None:
    found = limits.collect()
    assert not isinstance(found.descriptors, Unknown)
    assert found.descriptors.soft is None or found.descriptors.soft > 0
