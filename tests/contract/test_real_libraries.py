"""The simulated libraries against NVIDIA's own, version 535, which run without a GPU as far as they can get.

On each machine of the table a client asks both the same questions; every answer must be the same. NVIDIA's run in a private
mount namespace with a /dev of their own, since as root they create device nodes. Errnos that no node gives by itself are
injected there by strace.

From driver 580 on NVML answers some errnos differently: EPERM, ENXIO, EACCES and ENODEV give 999, and EIO, EBUSY and EMFILE
give 17. That was measured on a real GPU, no library to compare with can be fetched, and so it is stated here as a table.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import fetched
import pytest

from firstlight.rehearse import scenario, stage
from firstlight.system.loop import Loop

CLIENT = str(Path(__file__).resolve().parent / "client.py")
REAL_VERSION = "535.261.03"
CUDA_CODES = (0, 1, 2, 3, 4, 34, 46, 100, 101, 102, 200, 201, 209, 214, 218, 221, 222, 304, 400, 500, 700, 701, 702, 719)
CUDA_CODES += (800, 801, 802, 803, 804, 805, 807, 999, 12345)
NVML_CODES = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 999, 12345)

# What is done to /dev/nvidiactl: absent, a node without a driver behind it, a plain file, or an errno of its open.
MACHINES = ("absent", "absent, and may be made", "no driver behind it", "a plain file", "EPERM", "EACCES", "EIO", "EBUSY", "ENODEV")


@pytest.fixture(scope="module")
def real_libraries():
    if os.geteuid() != 0:
        pytest.skip("a private /dev needs root")
    fetched.need("unshare", "mount", "mknod", "setpriv", "strace")
    allowed = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, text=True, check=False)
    if allowed.returncode:
        pytest.skip(f"this machine allows no private mounts: {allowed.stderr.strip()}")
    return fetched.user_mode_driver()


@pytest.fixture(scope="module")
def loop():
    made = Loop()
    yield made
    made.close()


def client() -> list[str]:
    return [sys.executable, "-I", "-S", CLIENT, ",".join(map(str, CUDA_CODES)), ",".join(map(str, NVML_CODES))]


def answers(command: list[str], environment: dict[str, str]) -> dict:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def ask_real(machine: str, libraries: Path) -> dict:
    nodes = {
        "no driver behind it": "mknod -m 666 /dev/nvidiactl c 195 255",
        "a plain file": "touch /dev/nvidiactl",
    }
    node = nodes.get(machine, "true" if machine.startswith("absent") else "mknod -m 666 /dev/nvidiactl c 195 255")
    prepare = f'mount -t tmpfs tmpfs /dev && mknod -m 666 /dev/null c 1 3 && {node} && exec "$@"'
    command = client()
    if machine.startswith("E"):
        command = ["strace", "-f", "-o", "/dev/null", "-P", "/dev/nvidiactl", "-e", f"inject=openat:error={machine}", *command]
    if machine != "absent, and may be made":
        command = ["setpriv", "--bounding-set=-mknod", "--inh-caps=-mknod", *command]
    environment = {"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": str(libraries)}
    return answers(["unshare", "-m", "sh", "-c", prepare, "sh", *command], environment)


def simulated(machine: str, version: str) -> scenario.Scenario:
    capabilities = scenario.DEFAULT_CAPABILITIES
    if machine != "absent, and may be made":
        capabilities = capabilities.replace("MKNOD", "")
    node = {"no driver behind it": {"major": 195, "minor": 255}, "a plain file": "file"}.get(machine)
    if machine.startswith("E"):
        node = {"major": 195, "minor": 255, "open": machine}
    return scenario.Scenario(
        name="contract",
        description="no kernel driver",
        driver=scenario.Driver(loaded=False),
        container=scenario.Container(capabilities=capabilities),
        nodes={"/dev/nvidiactl": node or "absent"},
        libraries=tuple(scenario.Library(kind=kind, directory="/usr/lib", version=version) for kind in ("driver", "nvml")),
    )


def ask_simulated(loop: Loop, machine: str, version: str = REAL_VERSION) -> dict:
    with stage.set_up(loop, simulated(machine, version), os.environ, None) as built:
        return answers(client(), built.process_environment(os.environ))


@pytest.mark.root
@pytest.mark.parametrize("machine", MACHINES)
def test_both_give_the_same_answers(machine, real_libraries, loop):
    assert ask_simulated(loop, machine) == ask_real(machine, real_libraries)


MEASURED_580 = {
    "absent": (100, 9),
    "EPERM": (100, 999),
    "ENXIO": (100, 999),
    "EACCES": (100, 999),
    "ENODEV": (100, 999),
    "EIO": (100, 17),
    "EBUSY": (100, 17),
    "EMFILE": (100, 17),
}


@pytest.mark.parametrize("machine", MEASURED_580)
def test_driver_580_answers_an_errno_as_measured(machine, loop):
    given = ask_simulated(loop, machine, "580.159.04")
    assert (given["cuInit"], given["nvmlInit_v2"]) == MEASURED_580[machine]
