"""The client against the cloud on localhost: the service's habits, by a clock that takes no time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from cloud import contract, service, virtual
from cloud.habits import Habits, Trouble
from cloud.hosts import Host
from cloud.pods import EXITED, RUNNING
from cloud.transport import Transport
from cloud.world import World

from firstlight.fleet import names, power
from firstlight.providers.runpod.access import Access
from firstlight.providers.runpod.client import Client, CloudError
from firstlight.providers.runpod.shapes import Pod

GPU = "NVIDIA GeForce RTX 4090"


def order(name: str) -> dict[str, Any]:
    return {"name": name, "image": "image", "gpu": {"id": GPU, "count": 1}, "env": {"NAME": 'a "quoted" $(value)\n'}, "cmd": ["it's", "$x"]}


Story = Callable[[Client, service.Service], Awaitable[Any]]


def tell(story: Story, *, pods: int = 0, spare: int = 1, **habits: Any) -> Any:
    """Let a client live a story in a cloud with these habits; whatever was said was as the document has it."""

    async def live() -> Any:
        place = contract.path()
        world = World([Host(name="host-1", count=pods + spare)], habits=Habits(), clock=anyio.current_time)
        for number in range(pods):
            world.hurry(world.create(order(f"pod-{number}")), RUNNING)
        cloud = service.application(world, contract.Contract.read(place) if place else None)
        world.habits = Habits(**habits)
        async with Client(Access(world.key, "http://cloud/v2"), Transport(cloud)) as client:
            came = await story(client, cloud)
        assert (cloud.violations, cloud.complaints) == ([], [])
        return came

    return virtual.run(live)


def deaf(pod: Pod, words: str) -> None:
    """Nobody wants to know."""


@pytest.mark.parametrize("form", ["top", "block"])
@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_all_pages_are_read(form: str, size: int) -> None:
    async def story(client: Client, cloud: service.Service) -> None:
        found = await client.pods()
        assert {pod.id for pod in found} == set(cloud.world.pods)
        assert len(found) == 7

    tell(story, pods=7, page=size, page_form=form)


def test_what_is_created_comes_back_byte_for_byte() -> None:
    async def story(client: Client, cloud: service.Service) -> None:
        made = await client.create_pod(order("new"))
        seen = await client.pod(made.id)
        assert (seen.env, seen.command.cmd, seen.gpu, seen.gpu_count) == ({"NAME": 'a "quoted" $(value)\n'}, ("it's", "$x"), GPU, 1)

    tell(story)


@pytest.mark.parametrize("shape", ["problem", "error"])
def test_both_shapes_of_error_say_the_same(shape: str) -> None:
    async def story(client: Client, cloud: service.Service) -> None:
        pod_id = next(iter(cloud.world.pods))
        with pytest.raises(CloudError, match=r"^cannot start pod \w+: .* \(HTTP 409\)$") as caught:
            await client.act(pod_id, "start")
        assert caught.value.detail
        assert not caught.value.done

    tell(story, pods=1, error_shape=shape)


def test_strange_words_and_fields_are_taken() -> None:
    async def story(client: Client, cloud: service.Service) -> list[str]:
        made = await client.create_pod(order("new"))
        seen = [made.status]
        while seen[-1] != RUNNING:
            await anyio.sleep(1)
            seen.append((await client.pod(made.id)).status)
        return seen

    assert "HIBERNATING" in tell(story, strange_status="HIBERNATING", strange_fields=True, starting=3.0)


@pytest.mark.parametrize(
    ("trouble", "fails", "made"),
    [
        (Trouble(on="createPod", status=500, after=True), True, 1),
        (Trouble(on="createPod", status=None, after=True), True, 1),
        (Trouble(on="createPod", status=503), True, 0),
        (Trouble(on="createPod", status=429, retry_after=7, times=3), False, 1),
    ],
)
def test_a_create_is_never_made_twice(trouble: Trouble, fails: bool, made: int) -> None:
    async def story(client: Client, cloud: service.Service) -> None:
        cloud.world.troubles.append(trouble)
        if fails:
            with pytest.raises(CloudError) as caught:
                await client.create_pod(order("new"))
            assert caught.value.done
        else:
            await client.create_pod(order("new"))
        assert len(cloud.world.pods) == made

    tell(story)


@pytest.mark.parametrize("status", [None, 500, 502, 429])
def test_a_change_and_an_end_outlive_trouble(status: int | None) -> None:
    async def story(client: Client, cloud: service.Service) -> None:
        (pod_id,) = cloud.world.pods
        cloud.world.troubles += [
            Trouble(on=on, status=status, after=status == 500, times=2) for on in ("updatePod", "deletePod", "listPods")
        ]
        assert (await client.update_pod(pod_id, {"name": "other"})).name == "other"
        assert [pod.name for pod in await client.pods()] == ["other"]
        await client.terminate(pod_id)
        assert cloud.world.pods == {}

    tell(story, pods=1)


def test_a_fleet_keeps_the_documents_quota() -> None:
    async def story(client: Client, cloud: service.Service) -> None:
        pods = await client.pods()
        turned = await power.each(pods, lambda pod: power.stop(client, pod, within=3600, tell=deaf))
        assert [one.words for one in turned] == ["is stopped"] * 100
        assert [call for call in cloud.calls if call.status == 429] == []
        # A stop for each; and few looks, for all of them together.
        assert sum(call.method == "POST" for call in cloud.calls) == 100
        assert sum(call.method == "GET" for call in cloud.calls) < 60

    tell(story, pods=100, stopping=20.0, quotas={"minute": 60, "hour": 3000})


# Starts.


def test_a_start_is_waited_for_until_it_is_real() -> None:
    async def story(client: Client, cloud: service.Service) -> None:
        (pod,) = await client.pods()
        said: list[str] = []
        stopped = await power.stop(client, pod, within=60, tell=lambda _, words: said.append(words))
        assert (stopped.ok, stopped.pod.status) == (True, EXITED)
        started = await power.start(client, stopped.pod, within=60, tell=lambda _, words: said.append(words))
        assert (started.ok, started.pod.status, started.words) == (True, RUNNING, "runs")
        assert said[0] == "asked to stop"
        assert said[-1] == "running"

    tell(story, pods=1, provisioning=5.0, starting=20.0, stopping=4.0)


def test_a_start_that_is_refused_says_what_a_stopped_pod_is() -> None:
    async def story(client: Client, cloud: service.Service) -> None:
        (pod,) = await client.pods()
        stopped = (await power.stop(client, pod, within=60, tell=deaf)).pod
        started = await power.start(client, stopped, within=60, tell=deaf)
        assert not started.ok
        assert started.exit_code == 74
        assert started.words.startswith(f"cannot start pod {pod.id}: ")
        assert "RunPod keeps a stopped pod on its host, where others may have rented the GPU" in started.words

    tell(story, pods=1, spare=0, rivals=1.0)


def test_a_start_without_a_gpu_is_no_start() -> None:
    async def story(client: Client, cloud: service.Service) -> None:
        (pod,) = await client.pods()
        stopped = (await power.stop(client, pod, within=60, tell=deaf)).pod
        started = await power.start(client, stopped, within=60, tell=deaf)
        assert not started.ok
        assert "it was started without a GPU" in started.words

    tell(story, pods=1, spare=0, rivals=1.0, no_gpu="zero", tells_zero=True)


def test_a_wait_ends_and_says_how_it_stands() -> None:
    async def story(client: Client, cloud: service.Service) -> None:
        (pod,) = await client.pods()
        stopped = (await power.stop(client, pod, within=60, tell=deaf)).pod
        started = await power.start(client, stopped, within=30, tell=deaf)
        assert started.words == f"cannot wait any longer for pod {pod.id}: after 30 s it is STARTING"
        assert started.exit_code == 74

    tell(story, pods=1, starting=500.0)


def test_a_pod_that_goes_while_it_is_waited_for_is_told() -> None:
    async def story(client: Client, cloud: service.Service) -> None:
        (pod,) = await client.pods()
        stopped = (await power.stop(client, pod, within=60, tell=deaf)).pod
        async with anyio.create_task_group() as tasks:

            async def end() -> None:
                await anyio.sleep(10)
                await client.terminate(pod.id)

            tasks.start_soon(end)
            started = await power.start(client, stopped, within=300, tell=deaf)
        assert started.words == f"cannot ask for pod {pod.id}: pod not found (HTTP 404)"

    tell(story, pods=1, starting=500.0)


# Names.


def test_a_pod_that_is_not_listed_yet_is_found_by_its_id() -> None:
    async def story(client: Client, cloud: service.Service) -> None:
        made = await client.create_pod(order("new"))
        assert await client.pods() == ()
        assert (await names.find(client, made.id)).name == "new"

    tell(story, list_lag=100.0)


def test_a_pods_own_key_finds_that_pod() -> None:
    async def story(client: Client, cloud: service.Service) -> None:
        (pod,) = cloud.world.pods.values()
        own = cloud.world.pod_key(pod)
        async with Client(Access(own, "http://cloud/v2"), Transport(cloud)) as inside:
            assert (await names.find(inside, pod.id)).id == pod.id
            with pytest.raises(CloudError, match="its rights do not suffice"):
                await names.find(inside, "another")

    tell(story, pods=1)
