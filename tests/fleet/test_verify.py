"""A pod followed from its status to its app: against the cloud on localhost, over sockets or on a virtual clock."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from cloud import service, virtual
from cloud.habits import Habits, Trouble
from cloud.hosts import Host
from cloud.pods import RUNNING
from cloud.transport import Transport
from cloud.world import World

from firstlight.fleet import inside, verify
from firstlight.fleet.verify import Leg, Patience, Verified
from firstlight.providers.runpod.access import Access
from firstlight.providers.runpod.client import Client, CloudError

FIRSTLIGHT = str(Path(sys.executable).parent / "firstlight")
TOKEN = "a-token-of-forty-three-characters-or-so-0123"
GPU = "NVIDIA GeForce RTX 4090"
ORDER: dict[str, Any] = {
    "name": "pod",
    "image": "runpod/pytorch:1.0.2",
    "gpu": {"id": GPU, "count": 1},
    "ports": ["8188/http", "8421/http"],
    "env": {"FIRSTLIGHT_TOKEN": TOKEN},
    "entrypoint": ["/workspace/firstlight/firstlight.pyz"],
    "cmd": ["run", "--serve", "0.0.0.0:8421", "--on-failure", "hold", "--app", "comfyui", "--", "python3", "main.py"],
}
# The times that RunPod was seen to take.
SLOW = Habits(provisioning=20, starting=40, agent_after=15, ready_after=90)


@dataclass
class Followed:
    """What came of it, and how long that took on the clock."""

    verified: Verified
    told: list[Leg]
    seconds: float
    world: World = field(repr=False)

    @property
    def legs(self) -> dict[str, bool]:
        return {leg.name: leg.ok for leg in self.verified.legs}

    def leg(self, name: str) -> Leg:
        return next(leg for leg in self.verified.legs if leg.name == name)


def follow(
    habits: Habits = SLOW, *, host: Host | None = None, patience: Patience | None = None, troubles: tuple[Trouble, ...] = (), **order: Any
) -> Followed:
    """Order a pod on a virtual clock and follow it, without SSH."""

    async def story() -> Followed:
        world = World([host] if host else (), habits=habits, clock=anyio.current_time)
        transport = Transport(service.Service(world))
        access = Access(key=world.key, api="http://cloud/v2", proxy="http://cloud/proxy/{pod}/{port}")
        world.troubles += troubles
        pod = world.create({**ORDER, **order})
        told: list[Leg] = []
        began = anyio.current_time()
        async with Client(access, transport=transport) as cloud, inside.client(transport) as http:
            verified = await verify.verify(cloud, access, pod.id, ssh=None, patience=patience or Patience(), tell=told.append, http=http)
        return Followed(verified, told, anyio.current_time() - began, world)

    return virtual.run(story)


def test_a_good_pod_is_proven_leg_by_leg() -> None:
    done = follow()

    assert done.verified.ok, done.verified
    assert done.legs == {"status": True, "health": True, "cuda": True, "ready": True, "proxy": True}
    assert done.told == list(done.verified.legs)
    assert done.verified.gpus == done.world.hosts["host-1"].uuids
    assert done.verified.driver == "570.195.03"
    assert (done.verified.fault, done.verified.host_fault, done.verified.zero_gpu) == (None, False, False)


def test_the_times_are_those_of_the_pod() -> None:
    done = follow()

    patience = Patience()
    assert 60 <= done.leg("status").seconds < 60 + 2 * patience.cloud_pause
    assert done.leg("ready").began + done.leg("ready").seconds == pytest.approx(60 + 90, abs=patience.cloud_pause + patience.pause)
    ends = [leg.began + leg.seconds for leg in done.verified.legs]
    assert ends == sorted(ends)
    assert ends[-1] == pytest.approx(done.seconds)


def test_a_hold_for_a_fault_of_the_host_ends_it_at_once() -> None:
    done = follow(host=Host(name="ill", fault="uvm-open-fails"))

    assert not done.verified.ok
    assert done.legs == {"status": True, "health": True, "cuda": False}
    assert (done.verified.fault, done.verified.host_fault) == ("uvm-open-fails", True)
    assert "uvm-open-fails" in done.verified.words
    assert done.verified.gpus == ()
    assert done.seconds < 60 + 15 + 10  # no patience is waited out


def test_a_pod_without_firstlight_is_told_what_to_do() -> None:
    done = follow(env={}, entrypoint=[], cmd=["/start.sh"])

    assert done.legs == {"status": True, "health": False}
    assert done.verified.words == "health: firstlight is not configured in it; `firstlight pod configure pod` sees to that"
    assert done.seconds < 70


def test_a_port_that_is_not_published_is_named() -> None:
    done = follow(ports=["8188/http"])

    assert "it does not publish 8421/http" in done.leg("health").words


def test_a_token_that_is_not_taken_is_told_once_the_old_container_must_be_gone() -> None:
    async def story() -> Verified:
        world = World(habits=replace(Habits(), patch_resets=False), clock=anyio.current_time)
        transport = Transport(service.Service(world))
        access = Access(key=world.key, api="http://cloud/v2", proxy="http://cloud/proxy/{pod}/{port}")
        pod = world.create(ORDER)
        world.hurry(pod, RUNNING)
        async with Client(access, transport=transport) as cloud, inside.client(transport) as http:
            await cloud.update_pod(pod.id, {"env": {"FIRSTLIGHT_TOKEN": "another-token-of-some-forty-characters-01234"}})
            return await verify.verify(cloud, access, pod.id, ssh=None, patience=Patience(), tell=lambda _: None, http=http)

    done = virtual.run(story)
    (leg,) = (leg for leg in done.legs if leg.name == "health")
    assert "it was not restarted since it was configured" in leg.words
    assert leg.seconds == pytest.approx(30, abs=3)


def test_what_never_answers_is_given_up() -> None:
    done = follow(host=Host(name="dark", fault="dark"))

    assert done.legs == {"status": True, "health": False}
    assert done.leg("health").words == "nothing answers at this port yet; given up after 180 s"
    assert done.leg("health").seconds == pytest.approx(180)


def test_a_pod_that_never_starts_is_given_up() -> None:
    done = follow(host=Host(name="stuck", fault="never-starts"), patience=Patience(status=100))

    assert done.legs == {"status": False}
    assert done.leg("status").words == "it is STARTING; given up after 100 s"


def test_an_app_that_never_gets_ready_is_given_up() -> None:
    done = follow(replace(SLOW, ready_after=10_000), patience=Patience(ready=300))

    assert done.legs == {"status": True, "health": True, "cuda": True, "ready": False}
    assert done.leg("ready").words.endswith("given up after 300 s")


def test_a_pod_that_is_stopped_is_waited_for_only_as_long_as_a_start_may_take_to_show() -> None:
    async def story() -> tuple[Verified, float]:
        world = World(habits=Habits(), clock=anyio.current_time)
        transport = Transport(service.Service(world))
        access = Access(key=world.key, api="http://cloud/v2", proxy="http://cloud/proxy/{pod}/{port}")
        pod = world.create(ORDER)
        world.hurry(pod, RUNNING)
        world.act(pod.id, "stop")
        world.hurry(pod, "EXITED")
        began = anyio.current_time()
        async with Client(access, transport=transport) as cloud, inside.client(transport) as http:
            done = await verify.verify(cloud, access, pod.id, ssh=None, patience=Patience(), tell=lambda _: None, http=http)
        return done, anyio.current_time() - began

    done, seconds = virtual.run(story)
    assert done.words == "status: it is EXITED"
    assert seconds == pytest.approx(30, abs=6)


def test_a_start_without_a_gpu_ends_it_at_once() -> None:
    async def story() -> Verified:
        world = World([Host(name="a")], habits=Habits(no_gpu="zero", tells_zero=True), clock=anyio.current_time)
        transport = Transport(service.Service(world))
        access = Access(key=world.key, api="http://cloud/v2", proxy="http://cloud/proxy/{pod}/{port}")
        pod = world.create(ORDER)
        world.hurry(pod, RUNNING)
        world.act(pod.id, "stop")
        world.hurry(pod, "EXITED")
        world.hosts["a"].taken = 1
        world.act(pod.id, "start")
        async with Client(access, transport=transport) as cloud, inside.client(transport) as http:
            return await verify.verify(cloud, access, pod.id, ssh=None, patience=Patience(), tell=lambda _: None, http=http)

    done = virtual.run(story)
    assert (done.ok, done.zero_gpu, done.host_fault) == (False, True, False)
    assert done.legs[-1].name == ("status")


@pytest.mark.parametrize(("end", "words"), [("stop", "it is EXITED"), ("terminate", "pod not found")])
def test_a_pod_that_goes_away_while_its_app_is_awaited_is_noticed_soon(end: str, words: str) -> None:
    async def story() -> tuple[str, float]:
        world = World(habits=replace(SLOW, ready_after=3600), clock=anyio.current_time)
        transport = Transport(service.Service(world))
        access = Access(key=world.key, api="http://cloud/v2", proxy="http://cloud/proxy/{pod}/{port}")
        pod = world.create(ORDER)
        ended = 0.0

        async def take_away() -> None:
            nonlocal ended
            while "cuda" not in legs:  # noqa: ASYNC110 - the world has no events
                await anyio.sleep(1)
            world.act(pod.id, "stop") if end == "stop" else world.terminate(pod.id)
            ended = anyio.current_time()

        legs: list[str] = []
        async with Client(access, transport=transport) as cloud, inside.client(transport) as http, anyio.create_task_group() as group:
            group.start_soon(take_away)
            try:
                found = await verify.verify(
                    cloud, access, pod.id, ssh=None, patience=Patience(), tell=lambda leg: legs.append(leg.name), http=http
                )
                said = found.words
            except CloudError as error:
                said = str(error)
        return said, anyio.current_time() - ended

    said, seconds = virtual.run(story)
    assert words in said
    assert seconds < 60


def test_the_service_may_fail_for_a_while() -> None:
    done = follow(troubles=(Trouble(on="getPod", status=500, times=30), Trouble(on="getPod", status=429, times=10)))

    assert done.verified.ok, done.verified


def test_a_pod_that_goes_meanwhile_is_an_error() -> None:
    async def story() -> None:
        world = World(habits=SLOW, clock=anyio.current_time)
        transport = Transport(service.Service(world))
        access = Access(key=world.key, api="http://cloud/v2", proxy="http://cloud/proxy/{pod}/{port}")
        pod = world.create(ORDER)
        async with Client(access, transport=transport) as cloud, inside.client(transport) as http, anyio.create_task_group() as tasks:

            async def end() -> None:
                await anyio.sleep(30)
                world.terminate(pod.id)

            tasks.start_soon(end)
            with pytest.raises(CloudError, match="404"):
                await verify.verify(cloud, access, pod.id, ssh=None, patience=Patience(), tell=lambda _: None, http=http)

    virtual.run(story)


def command(cloud: Any, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [FIRSTLIGHT, "pod", "verify", *words], env={**cloud.environment, **more}, capture_output=True, text=True, check=False
    )


def test_the_command_proves_a_pod_by_its_name(cloud: Any) -> None:
    pod = cloud.pod("painter")
    done = command(cloud, "painter", "--no-ssh")

    assert (done.returncode, done.stderr) == (0, "")
    *legs, verdict = done.stdout.splitlines()
    assert [line.split()[1] for line in legs] == ["status", "health", "cuda", "ready", "proxy"]
    assert verdict.startswith(f"{pod.id} is proven: 1 GPU proven by its own kernel, driver 570.195.03; ready ")
    assert cloud.token not in done.stdout


def test_the_command_tells_programs(cloud: Any) -> None:
    cloud.world.hosts["host-1"].fault = "uvm-open-fails"
    pod = cloud.pod()
    done = command(cloud, pod.id, "--no-ssh", "--format", "json")

    told = json.loads(done.stdout)
    assert done.returncode == 1
    assert (told["version"], told["pod"], told["ok"], told["fault"], told["host_fault"]) == (1, pod.id, False, "uvm-open-fails", True)
    assert [leg["name"] for leg in told["legs"]] == ["status", "health", "cuda"]
    assert [line.split()[1] for line in done.stderr.splitlines() if not line.startswith(" ")] == ["status", "health", "cuda"]
    assert cloud.token not in done.stdout + done.stderr


def test_a_fault_of_the_host_names_the_verb_that_helps(cloud: Any) -> None:
    cloud.world.hosts["host-1"].fault = "uvm-open-fails"
    pod = cloud.pod()

    assert f"`firstlight pod relocate {pod.id}`" in command(cloud, pod.id, "--no-ssh").stdout


@pytest.mark.parametrize(
    ("words", "more", "code", "says"),
    [
        (("nobody", "--no-ssh"), {}, 64, "cannot find the pod 'nobody'"),
        (("pod", "--ready-timeout", "soon"), {}, 64, "cannot take --ready-timeout 'soon'"),
        (("pod", "--identity", "/no/key"), {}, 64, "cannot take --identity /no/key: there is no such file"),
        (("pod", "--no-ssh"), {"RUNPOD_API_KEY": "rpa_wrong"}, 77, "cannot"),
        (("pod", "--no-ssh"), {"RUNPOD_API_KEY": ""}, 64, "cannot ask RunPod"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(cloud: Any, words: tuple[str, ...], more: dict[str, str], code: int, says: str) -> None:
    cloud.pod()
    done = command(cloud, *words, **more)

    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith("firstlight: " + says)
    assert len(done.stderr.splitlines()) == 1
