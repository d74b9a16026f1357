"""What programs find on a simulated machine: nodes, their errnos, the kernel's files, who they are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FIRSTLIGHT = str(Path(sys.executable).parent / "firstlight")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the simulated machine needs Linux")

OPEN = """
import errno, os
def opened(path):
    try:
        os.close(os.open(path, os.O_RDWR))
        return "opens"
    except OSError as error:
        return errno.errorcode[error.errno]
"""

# What the scenario adds, what is evaluated on its machine, and what that gives.
CASES = {
    "a node is a character device": (
        "",
        "os.major(os.stat('/dev/nvidia0').st_rdev), oct(os.stat('/dev/nvidia0').st_mode)",
        "(195, '0o20666')",
    ),
    "a right node opens": ("", "opened('/dev/nvidia0')", "opens"),
    "a missing node": ('[nodes]\n"/dev/nvidia0" = "absent"', "opened('/dev/nvidia0')", "ENOENT"),
    "a node of a GPU that is not there": ('[nodes]\n"/dev/nvidia0" = { minor = 7 }', "opened('/dev/nvidia0')", "ENODEV"),
    "a major that nobody has": ('[nodes]\n"/dev/nvidia-uvm" = { major = 510 }', "opened('/dev/nvidia-uvm')", "ENXIO"),
    "a module that is not loaded": ("[driver]\nuvm = false", "opened('/dev/nvidia-uvm')", "ENXIO"),
    "a lost GPU": ("[[gpus]]\nlost = true", "opened('/dev/nvidia0')", "ENODEV"),
    "a GPU that does not start": ('[[gpus]]\nopen = "EIO"', "opened('/dev/nvidia0')", "EIO"),
    "an errno of the node's own": ('[nodes]\n"/dev/nvidiactl" = { open = "EBUSY" }', "opened('/dev/nvidiactl')", "EBUSY"),
    "a device rule": ('[container]\ncgroup_deny = ["195:*"]', "opened('/dev/nvidiactl'), opened('/dev/nvidia-uvm')", "('EPERM', 'opens')"),
    "a mode that forbids": (
        '[container]\nuid = 1000\ngid = 1000\ngroups = [1000]\ncapabilities = ""\n[nodes]\n"/dev/nvidia0" = { mode = "660", gid = 44 }',
        "opened('/dev/nvidia0'), os.access('/dev/nvidia0', os.R_OK)",
        "('EACCES', False)",
    ),
    "a mode that allows a group": (
        '[container]\nuid = 1000\ngid = 1000\ngroups = [44]\ncapabilities = ""\n[nodes]\n"/dev/nvidia0" = { mode = "660", gid = 44 }',
        "opened('/dev/nvidia0'), os.getuid(), os.getgroups()",
        "('opens', 1000, [44])",
    ),
    "a /dev without devices": ("[container]\ndev_nodev = true", "opened('/dev/nvidia0')", "EACCES"),
    "a node that is made": (
        '[nodes]\n"/dev/nvidia0" = "absent"',
        "os.mknod('/dev/nvidia0', 0o20666, os.makedev(195, 0)), os.chmod('/dev/nvidia0', 0o600), opened('/dev/nvidia0')",
        "(None, None, 'opens')",
    ),
    "a node that is replaced": (
        '[nodes]\n"/dev/nvidia0" = { minor = 7 }',
        "os.unlink('/dev/nvidia0'), opened('/dev/nvidia0'), os.mknod('/dev/nvidia0', 0o20666, os.makedev(195, 0)), opened('/dev/nvidia0')",
        "(None, 'ENOENT', None, 'opens')",
    ),
    "a listing of /dev": (
        "",
        "[name for name in sorted(os.listdir('/dev')) if 'nvidia' in name]",
        "['nvidia-uvm', 'nvidia-uvm-tools', 'nvidia0', 'nvidiactl']",
    ),
    "the kernel's list of drivers": ("[driver]\nuvm_major = 237", "'237 nvidia-uvm' in open('/proc/devices').read()", "True"),
    "the driver's version": ("", "'580.159.04' in open('/proc/driver/nvidia/version').read()", "True"),
    "no driver": ("libraries = []\n[driver]\nloaded = false", "os.path.exists('/proc/driver/nvidia')", "False"),
    "capabilities": (
        '[container]\ncapabilities = "MKNOD"',
        "[line.split()[1] for line in open('/proc/self/status') if line.startswith('CapEff')]",
        "['0000000008000000']",
    ),
}


def run_on(text: str, expression: str, folder: Path) -> subprocess.CompletedProcess[str]:
    file = folder / "machine.toml"
    file.write_text(f'description = "a machine of a test"\n{text}\n')
    program = f"{OPEN}\nfound = {expression}\nprint(found)"
    command = [FIRSTLIGHT, "rehearse", str(file), "--gpus", "none", "--quiet", "--", sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("name", CASES)
def test_a_program_finds(name, tmp_path):
    text, expression, expected = CASES[name]
    done = run_on(text, expression, tmp_path)
    assert done.stdout == f"{expected}\n", done.stderr


def test_who_may_not_make_nodes_is_refused(tmp_path):
    text = '[container]\ncapabilities = "CHOWN"\n[nodes]\n"/dev/nvidia0" = "absent"'
    done = run_on(text, "os.mknod('/dev/nvidia0', 0o20666, os.makedev(195, 0))", tmp_path)
    assert "PermissionError" in done.stderr
