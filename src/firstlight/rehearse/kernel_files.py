"""What the simulated kernel shows under /proc and /sys. Pure: a scenario in, texts by path out."""

from __future__ import annotations

import platform

from firstlight.rehearse import hardware
from firstlight.rehearse.scenario import Scenario

# Majors that any Linux has, so that the list looks like one.
_OTHER_MAJORS = ((1, "mem"), (4, "tty"), (5, "/dev/tty"), (10, "misc"), (136, "pts"))


def driver_files(scenario: Scenario, *, uvm_loaded: bool) -> dict[str, str]:
    """The files of the kernel driver, by path relative to the machine's folder."""
    driver = scenario.driver
    majors = list(_OTHER_MAJORS)
    modules = ["overlay 163840 1 - Live 0x0000000000000000"]
    found: dict[str, str] = {}
    if driver.loaded:
        majors.append((195, "nvidia"))
        modules.append("nvidia 14381056 12 - Live 0x0000000000000000")
        found["proc/driver/nvidia/version"] = (
            f"NVRM version: NVIDIA UNIX Open Kernel Module for {platform.machine()}  {driver.version}  Release Build  (simulated)\n"
        )
        found["proc/driver/nvidia/params"] = (
            f"ModifyDeviceFiles: {int(driver.modify_device_files)}\nDeviceFileUID: 0\nDeviceFileGID: 0\nDeviceFileMode: 438\n"
        )
        found["sys/module/nvidia/initstate"] = "live\n"
        for place, gpu in enumerate(scenario.gpus):
            found[f"proc/driver/nvidia/gpus/{hardware.bus_id(gpu, place)}/information"] = _information(scenario, place)
        if uvm_loaded:
            majors.append((driver.uvm_major, "nvidia-uvm"))
            modules.append("nvidia_uvm 4079616 4 - Live 0x0000000000000000")
    found["proc/modules"] = "".join(f"{line}\n" for line in modules)
    found["proc/devices"] = (
        "Character devices:\n" + "".join(f"{major:3} {name}\n" for major, name in sorted(majors)) + "\nBlock devices:\n  7 loop\n"
    )
    return found


def _information(scenario: Scenario, place: int) -> str:
    gpu = scenario.gpus[place]
    return (
        f"Model: \t\t {gpu.name}\nIRQ:   \t\t 42\nGPU UUID: \t {hardware.uuid(gpu, place)}\nBus Type: \t PCIe\n"
        f"Bus Location: \t {hardware.bus_id(gpu, place)}\nDevice Minor: \t {hardware.minor(gpu, place)}\n"
        f"GPU Firmware: \t {scenario.driver.version}\nGPU Excluded:\t No\n"
    )


def mountinfo(dev_options: list[str], mounted_files: list[str]) -> str:
    """/proc/self/mountinfo of a container into which the toolkit has mounted `mounted_files` one by one."""
    lines = [
        "1000 900 0:100 / / rw,relatime - overlay overlay rw",
        "1001 1000 0:101 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw",
        f"1002 1000 0:102 / /dev {','.join(dev_options)} - tmpfs tmpfs rw,size=65536k,mode=755",
        "1003 1000 0:103 / /sys ro,nosuid,nodev,noexec,relatime - sysfs sysfs ro",
    ]
    lines += [
        f"{1010 + place} 1000 8:1 {path} {path} ro,nosuid,nodev,relatime - ext4 /dev/root rw" for place, path in enumerate(mounted_files)
    ]
    return "".join(f"{line}\n" for line in lines)
