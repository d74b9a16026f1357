"""A pod that holds for a broken host and asks its own way off: the installed command as PID 1 on a simulated machine, against the cloud."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import waiting
from cloud import catalogue, hosts

from firstlight.fleet.lease import MARK

FIRSTLIGHT = str(Path(sys.executable).parent / "firstlight")
NAMESPACE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")

# The machine of the scenario of this name, as RunPod's own environment would have it.
SCENARIO = """
description = "nvidia-uvm has met a fatal error on the host."

[driver]
open_uvm = "EIO"

[expect]
exit = 75
faults = ["uvm-open-fails"]

[environment]
"""

# A fault of the image, which another host would not cure.
NOT_THE_HOSTS = """
description = "The container runtime was asked for the driver without its compute part."

[[libraries]]
kind = "nvml"
directory = "/usr/lib/x86_64-linux-gnu"

[expect]
exit = 69
faults = ["compute-not-enabled"]

[environment]
NVIDIA_DRIVER_CAPABILITIES = "utility"
"""

pytestmark = pytest.mark.root


# A pod that was started again while its host had no GPU left.
ZERO_GPU = """
description = "A pod that was started with no GPU."
libraries = []

[nodes]
"/dev/nvidiactl" = "absent"
"/dev/nvidia0" = "absent"
"/dev/nvidia-uvm" = "absent"
"/dev/nvidia-uvm-tools" = "absent"

[expect]
exit = 69
faults = ["gpu-not-granted"]

[environment]
NVIDIA_VISIBLE_DEVICES = "void"
RUNPOD_GPU_COUNT = "0"
"""

# A GPU that falls off the bus under the running app.
LOST_LATER = """
description = "The GPU falls off the bus while the app runs."

[[events]]
trigger = "sick"
set = { "gpu.0.lost" = true }

[expect]
watched = ["gpu-lost"]

[environment]
"""

IN_CHARGE = ("--on-failure", "relocate")


class Inside:
    """`firstlight run` in a pod of the cloud whose host is broken: it is `fault`, as the cloud's own pods tell it."""

    def __init__(self, cloud, folder, *, key=None, scenario=SCENARIO, fault="uvm-open-fails", policy=IN_CHARGE, **body):
        world = cloud.world
        world.hosts["host-1"].fault = fault
        mounts = {"network": [{"volumeId": catalogue.add_volume(world, name="v")["id"], "path": "/workspace"}]}
        self.pod = cloud.pod(**{"mounts": mounts, **body})
        world.hosts["host-2"].taken = 1  # others have it
        self.state, self.run = folder / "state", folder / "run"
        environment = {
            **cloud.environment,
            "RUNPOD_POD_ID": self.pod.id,
            "RUNPOD_API_KEY": world.pod_key(self.pod) if key is None else key,
            "FIRSTLIGHT_TOKEN": cloud.token,
        }
        self.machine = folder / "machine"
        options = (*policy, "--state-dir", str(self.state), "--run-dir", str(self.run), "--serve", "off")
        machine = folder / "uvm-open-fails.toml"
        given = "".join(
            f"{name} = {json.dumps(value)}\n" for name, value in environment.items() if name.startswith(("RUNPOD_", "FIRSTLIGHT_"))
        )
        machine.write_text(scenario + given)
        argv = [*NAMESPACE, FIRSTLIGHT, "rehearse", str(machine), "--keep", str(self.machine), *options, "--", "sleep", "600"]
        self.popen = subprocess.Popen(argv, env=cloud.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def says(self, words):
        """Wait for a line with these words on standard error."""
        heard = []
        for line in self.popen.stderr:
            heard.append(line)
            if words in line:
                return line
        raise AssertionError(f"it ended without saying {words!r}: {''.join(heard)}")

    def events(self, kind):
        return [event for event in self.all_events() if event["kind"] == kind]

    def all_events(self):
        """All that is written down yet; the last line may not be whole."""
        found = []
        for journal in self.state.glob("boots/*.jsonl"):
            lines = journal.read_text().splitlines(keepends=True)
            found += [json.loads(line) for line in lines if line.endswith("\n")]
        return found

    def leases(self):
        return list((self.state / "leases").glob("*.json"))


@pytest.fixture
def begin(cloud, tmp_path):
    begun = []

    def begin(**more):
        begun.append(Inside(cloud, tmp_path, **more))
        return begun[-1]

    yield begin
    for inside in begun:
        inside.popen.kill()
        inside.popen.communicate()


def marked(cloud):
    return [pod for pod in cloud.world.pods.values() if MARK in pod.env]


def test_a_pod_on_a_broken_host_moves_itself(cloud, begin):
    cloud.habits(pod_key="all")
    cloud.world.hosts["good"] = hosts.Host(name="good")
    inside = begin()
    waiting.until(lambda: inside.pod.id in cloud.world.ended)
    (new,) = marked(cloud)
    assert new.host.name == "good"
    assert {**new.env, MARK: ""} == {**inside.pod.env, MARK: ""}
    assert new.mounts == inside.pod.mounts


def test_a_key_that_may_not_order_pods_leaves_the_pod_holding_and_says_why(cloud, begin):
    cloud.habits(pod_key="own")
    inside = begin()
    words = inside.says("HTTP 403")
    assert "cannot create a pod" in words
    waiting.until(lambda: any(event["step"] == "cannot" for event in inside.events("relocation")))
    assert inside.popen.poll() is None
    assert inside.leases() == []
    assert list(cloud.world.pods) == [inside.pod.id]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"key": ""}, "there is no key of RunPod"),
        ({"mounts": {"persistent": {"size": 20, "path": "/workspace"}}}, "lies on its host"),
    ],
)
def test_what_cannot_be_moved_says_why(cloud, begin, more, words):
    cloud.habits(pod_key="all")
    inside = begin(**more)
    inside.says(words)
    assert inside.popen.poll() is None
    assert list(cloud.world.pods) == [inside.pod.id]


def test_a_pod_that_another_has_ordered_leaves_it_to_that_one(cloud, begin):
    """What came of its own order would be nobody's, once it is ended for its fault."""
    cloud.habits(pod_key="all")
    original = cloud.pod()
    inside = begin(env={"FIRSTLIGHT_TOKEN": cloud.token, MARK: f"0123456789abcdef:{original.id}"})
    inside.says(f"it was made like {original.id}, which is still there, under the lease 0123456789abcdef")
    assert inside.popen.poll() is None
    assert set(cloud.world.pods) == {original.id, inside.pod.id}


def test_a_pod_whose_original_has_gone_moves_itself(cloud, begin):
    cloud.habits(pod_key="all")
    cloud.world.hosts["good"] = hosts.Host(name="good")
    inside = begin(env={"FIRSTLIGHT_TOKEN": cloud.token, MARK: "0123456789abcdef:gone"})
    waiting.until(lambda: inside.pod.id in cloud.world.ended)
    (new,) = marked(cloud)
    assert new.env[MARK].endswith(f":{inside.pod.id}")


def test_a_fault_that_is_not_the_hosts_moves_nothing_and_the_hold_says_so(cloud, begin):
    cloud.habits(pod_key="all")
    cloud.world.hosts["good"] = hosts.Host(name="good")
    inside = begin(scenario=NOT_THE_HOSTS)
    inside.says("holding: the container stays up;")
    (hold,) = waiting.until(lambda: inside.events("hold"))
    assert hold["asks"] is None
    assert "nothing says that the host is at fault" in hold["reason"]
    assert inside.events("relocation") == []
    assert list(cloud.world.pods) == [inside.pod.id]


def test_a_pod_that_was_started_without_its_gpu_moves_itself(cloud, begin):
    """A stopped pod comes back to its own host, which has given the GPU away: only another host has one."""
    cloud.habits(pod_key="all")
    cloud.world.hosts["good"] = hosts.Host(name="good")
    inside = begin(scenario=ZERO_GPU, fault="gpu-not-granted")
    waiting.until(lambda: inside.pod.id in cloud.world.ended)
    (new,) = marked(cloud)
    assert new.host.name == "good"
    assert inside.events("give-up")[0]["code"] == 69


def test_a_container_that_nobody_gave_a_gpu_asks_for_no_other_host(cloud, begin):
    """Without RunPod's word that it has no GPU, it was started so by its owner: it would be again."""
    cloud.habits(pod_key="all")
    cloud.world.hosts["good"] = hosts.Host(name="good")
    inside = begin(scenario=ZERO_GPU.replace('RUNPOD_GPU_COUNT = "0"\n', ""), fault="gpu-not-granted")
    inside.says("holding: the container stays up;")
    (hold,) = waiting.until(lambda: inside.events("hold"))
    assert hold["asks"] is None
    assert list(cloud.world.pods) == [inside.pod.id]


def test_a_gpu_that_is_lost_under_the_app_moves_the_pod(cloud, begin):
    """The app is stopped first: two would write to one volume."""
    cloud.habits(pod_key="all")
    cloud.world.hosts["good"] = hosts.Host(name="good")
    inside = begin(scenario=LOST_LATER, fault="gpu-lost", policy=("--on-gpu-fault", "relocate", "--watch", "200ms", "--grace", "1s"))
    waiting.until(lambda: inside.events("app-started"))
    (inside.machine / "triggers" / "sick").touch()
    waiting.until(lambda: inside.pod.id in cloud.world.ended)
    (new,) = marked(cloud)
    assert new.host.name == "good"
    kinds = [event["kind"] for event in inside.all_events() if event["kind"] in ("app-exited", "hold", "relocation")]
    assert kinds[:3] == ["app-exited", "hold", "relocation"]
    assert [(hold["asks"], hold["reason"].partition(":")[0]) for hold in inside.events("hold")] == [("relocate", "gpu-lost")]


def test_an_order_to_try_again_undoes_the_move(cloud, begin):
    cloud.habits(pod_key="all")
    cloud.world.hosts["other"] = hosts.Host(name="other", fault=hosts.NEVER_STARTS)
    inside = begin()
    (new,) = waiting.until(lambda: marked(cloud))
    assert inside.leases()
    waiting.until(lambda: any(event["step"] == "ordered" for event in inside.events("relocation")))
    subprocess.run([FIRSTLIGHT, "ctl", "retry", "--run-dir", str(inside.run)], check=True, capture_output=True)
    inside.says("the move was undone")
    assert new.id in cloud.world.ended
    assert inside.pod.id in cloud.world.pods


@pytest.mark.slow
def test_a_real_pod_moves_itself_to_a_real_pod(real_cloud):
    """All are processes of the installed command; what the old one owes lies on the volume that they have. The first one that it is given is sick as
    well, and would move itself too: it is on trial, and leaves that to the old one."""
    world = real_cloud.world
    world.hosts.clear()
    world.hosts["bad"] = hosts.Host(name="bad", fault="uvm-open-fails")
    real_cloud.habits(pod_key="all")
    body = real_cloud.body()
    words = ["relocate" if word == "hold" else word for word in body["cmd"]]
    place = words.index("--")
    words[place:place] = ["--state-dir", "/workspace/.firstlight"]
    addresses = {"RUNPOD_API_URL": real_cloud.addresses["api"], "RUNPOD_PROXY_URL": real_cloud.addresses["proxy"]}
    old = real_cloud.pod(**{**body, "cmd": words, "env": {**body["env"], **addresses}})
    world.hosts["sick as well"] = hosts.Host(name="sick as well", fault="uvm-open-fails")
    world.hosts["good"] = hosts.Host(name="good")
    waiting.until(lambda: old.id in world.ended and len(world.ended) == 2)
    (new,) = world.pods.values()
    assert new.host.name == "good"
    assert new.mounts == old.mounts
    assert {pod.host.name for pod in world.ended.values()} == {"bad", "sick as well"}
