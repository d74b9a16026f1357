"""The cloud on localhost: what it does by the document, and the habits that no document has."""

from __future__ import annotations

import anyio
from cloud import virtual
from cloud.habits import Habits
from cloud.pods import EXITED, PROVISIONING, RUNNING, STARTING
from cloud.world import World

from firstlight.providers.runpod.client import Client


def test_a_client_over_a_socket_sees_a_pod_come_up(cloud):
    async def story():
        async with Client(cloud.access) as client:
            pod = await client.create_pod(cloud.body())
            assert pod.status == PROVISIONING
            while (pod := await client.pod(pod.id)).status != RUNNING:
                await anyio.sleep(0.01)
            await client.act(pod.id, "stop")
            while (pod := await client.pod(pod.id)).status != EXITED:
                await anyio.sleep(0.01)
            await client.terminate(pod.id)
            assert await client.pods() == ()

    anyio.run(story)
    assert cloud.service.complaints == []


def test_status_follows_the_virtual_clock():
    async def story():
        world = World(habits=Habits(provisioning=10, starting=20), clock=anyio.current_time)
        pod = world.create({"name": "a", "image": "i", "gpu": {"id": "NVIDIA GeForce RTX 4090", "count": 1}})
        seen = []
        for _ in range(4):
            seen.append(world.pod(pod.id).status)
            await anyio.sleep(10)
        return seen

    assert virtual.run(story) == [PROVISIONING, STARTING, STARTING, RUNNING]
