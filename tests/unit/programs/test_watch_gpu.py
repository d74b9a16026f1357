"""What one look reads in the kernel's log: which lines are Xids, and that it never waits."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from firstlight.programs import watch_gpu
from firstlight.system import files

# Lines as drivers have printed them, and the number and place in each; None where it is no Xid.
LINES = {
    "3,1207,5140900,-;NVRM: Xid (PCI:0000:19:00): 79, GPU has fallen off the bus.": (79, "0000:19:00"),
    "3,1208,5140901,-;NVRM: Xid (PCI:0000:8D:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.": (79, "0000:8d:00"),
    "4,99,1,-;NVRM: Xid (PCI:0000:03:00): 31, pid=2374, name=python3, Ch 00000008, intr 00000000. MMU Fault: ENGINE GRAPHICS": (31, "0000:03:00"),
    "4,99,1,c;NVRM: Xid (0000:03:00): 13, Graphics Exception: ESR 0x404600=0x80000002": (13, "0000:03:00"),
    "4,99,1,-;NVRM: Xid (PCI:0000:9b:00): 119, pid=12, name=nvidia-smi, Timeout after 45s of waiting for RPC response from GPU0 GSP!": (119, "0000:9b:00"),
    "4,99,1,-;NVRM: Xid (PCI:0000:9b:00): 154, GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)": (154, "0000:9b:00"),
    "4,99,1,-;NVRM: loading NVIDIA UNIX Open Kernel Module for x86_64  580.159.04": None,
    "12,99,1,-;NVRM: Xid (PCI:0000:19:00): 79, a process has written this, and no kernel": None,
    "4,99,1,-;systemd: somebody quotes NVRM: Xid (PCI:0000:19:00): 79, from another log": None,
    "4,99,1,-;NVRM: Xid (PCI:0000:19:00): many, of no number": None,
    "4,99,1,-;NVRM: Xid (PCI:0000:19:00": None,
    " SUBSYSTEM=pci": None,
    "": None,
}  # fmt: skip


@pytest.mark.parametrize("line", LINES)
def test_an_xid_is_told_from_other_lines(line: str) -> None:
    found = watch_gpu.xid(line)
    assert (found and (found["number"], found["bus_id"])) == LINES[line]


def said(capfd: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capfd.readouterr().out.splitlines()]


def test_a_log_without_news_is_read_at_once(capfd: pytest.CaptureFixture[str]) -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    watch_gpu.read_log(reading)
    assert said(capfd) == [{"errno": 0, "step": "log"}]
    os.close(reading)
    os.close(writing)


def test_each_look_tells_what_is_new_since_the_last_one(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "ROOT", str(tmp_path))
    (tmp_path / "dev").mkdir()
    log = tmp_path / "dev" / "kmsg"
    log.write_text("3,1,1,-;NVRM: Xid (PCI:0000:19:00): 79, before we came\n")
    descriptor = files.open_kernel_log()
    numbers = []
    for number in (13, 31):
        with log.open("a") as file:
            file.write(f"3,2,2,-;NVRM: Xid (PCI:0000:19:00): {number}, now\n SUBSYSTEM=pci\n")
        watch_gpu.read_log(descriptor)
        numbers.append([item["number"] for item in said(capfd) if item["step"] == "xid"])
    assert numbers == [[13], [31]]
    os.close(descriptor)


def test_the_log_of_this_very_kernel_can_be_read(capfd: pytest.CaptureFixture[str]) -> None:
    try:
        descriptor = files.open_kernel_log()
    except OSError as error:
        pytest.skip(f"this machine does not show its kernel's log: {error.strerror}")
    watch_gpu.read_log(descriptor)
    assert said(capfd)[-1] == {"errno": 0, "step": "log"}
    os.lseek(descriptor, 0, os.SEEK_SET)
    assert any(";" in line for line in watch_gpu.log_lines(descriptor))
    os.close(descriptor)


def test_a_log_that_fails_is_told(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    watch_gpu.read_log(descriptor)
    assert said(capfd) == [{"errno": 21, "step": "log"}]
    os.close(descriptor)
