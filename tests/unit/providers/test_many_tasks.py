"""One client, many tasks, and the account's quota."""

from __future__ import annotations

import math
from collections import Counter

import anyio
import httpx2
import pytest
from cloud import virtual
from scripted import Service, problem, script

from firstlight.providers.runpod.client import Client, CloudError

POD = {"id": "p1", "name": "comfy", "status": "RUNNING"}


class Limited:
    """A service that keeps a quota for each minute, as the documents tell it."""

    def __init__(self, quota: int = 60) -> None:
        self.quota = quota
        self.minutes: Counter[int] = Counter()
        self.refused = 0
        self.began = 1000.0  # where the virtual clock begins
        self.pods = {f"p{place}": {"id": f"p{place}", "status": "RUNNING"} for place in range(1000)}

    def answer(self, request: httpx2.Request, _: int) -> httpx2.Response:
        now = anyio.current_time() - self.began
        minute = int(now // 60)
        self.minutes[minute] += 1
        left = self.quota - self.minutes[minute]
        rest = math.ceil(60 * (minute + 1) - now)
        headers = {
            "ratelimit": f'"minute";r={max(left, 0)};t={rest}, "hour";r=2800;t=1812',
            "ratelimit-policy": f'"minute";q={self.quota};w=60, "hour";q=3000;w=3600',
        }
        if left < 0:
            self.refused += 1
            return httpx2.Response(429, json={"title": "Too Many Requests"}, headers={**headers, "retry-after": str(rest)})
        name = request.url.path.rpartition("/")[2]
        told = {"pods": list(self.pods.values())} if name == "pods" else self.pods.get(name, POD)
        return httpx2.Response(200, json=told, headers=headers)


def test_a_quota_is_kept_without_a_refusal() -> None:
    limited = Limited()
    service = Service(limited.answer)

    async def many() -> float:
        async with service.client() as client, anyio.create_task_group() as tasks:
            for place in range(200):
                tasks.start_soon(client.act, f"p{place}", "stop")
        return anyio.current_time() - limited.began

    seconds = virtual.run(many)

    assert limited.refused == 0
    assert len(service.requests) == 200
    assert 180 < seconds < 190  # four minutes' quotas, and the first is there at once


def test_a_small_quota_is_kept_from_the_second_request_on() -> None:
    """More are in the air at once than a window has: when it begins anew, as many go as it had before, and no more."""
    limited = Limited(quota=10)
    service = Service(limited.answer)

    async def many() -> None:
        async with service.client() as client, anyio.create_task_group() as tasks:
            await client.act("p0", "stop")
            for place in range(1, 45):
                tasks.start_soon(client.act, f"p{place}", "stop")

    virtual.run(many)

    assert limited.refused == 0
    assert len(service.requests) == 45


def test_a_thousand_who_wait_for_their_pods_are_one_list() -> None:
    limited = Limited()
    service = Service(limited.answer)
    seen = []

    async def wait(client: Client, pod_id: str) -> None:
        for _ in range(5):
            seen.append((await client.pod(pod_id)).id)
            await anyio.sleep(5)

    async def many() -> None:
        async with service.client() as client, anyio.create_task_group() as tasks:
            for pod_id in limited.pods:
                tasks.start_soon(wait, client, pod_id)

    virtual.run(many)

    assert limited.refused == 0
    assert Counter(seen) == Counter(5 * list(limited.pods))
    assert len(service.requests) == 5


def test_who_ends_a_pod_does_not_wait_behind_those_who_look_on() -> None:
    limited = Limited()
    service = Service(limited.answer)

    async def ended() -> float:
        async with service.client() as client, anyio.create_task_group() as tasks:
            for _ in range(300):
                tasks.start_soon(client.price, "GPU")
            await anyio.sleep(30)
            began = anyio.current_time()
            await client.terminate("p1")
            took = anyio.current_time() - began
            tasks.cancel_scope.cancel()
        return took

    assert virtual.run(ended) < 1.0


def test_one_refusal_holds_all_tasks_back() -> None:
    service = Service(
        lambda _, number: httpx2.Response(429, json={}, headers={"retry-after": "30"}) if number < 3 else httpx2.Response(200, json=POD),
    )

    async def many() -> None:
        async with service.client() as client, anyio.create_task_group() as tasks:
            for place in range(3):
                tasks.start_soon(client.act, f"p{place}", "stop")
            await anyio.sleep(1)
            for place in range(20):
                tasks.start_soon(client.act, f"q{place}", "stop")

    virtual.run(many)

    assert len(service.requests) == 26
    assert [time for time in service.times if 0.0 < time < 30.0] == []


def test_a_list_is_never_older_than_the_question() -> None:
    running = {"status": "EXITED"}
    service = Service(
        lambda request, _: (
            {"pods": [{"id": f"p{place}", **running} for place in range(9)]} if request.url.path.endswith("/pods") else {"id": "p0"}
        ),
        took=10.0,
    )

    async def late() -> list[str]:
        told = []

        async def ask(client: Client, place: int) -> None:
            told.append((await client.pod(f"p{place}")).status)

        async with service.client() as client, anyio.create_task_group() as tasks:
            for place in range(4):
                tasks.start_soon(ask, client, place)
            await anyio.sleep(5)
            for place in range(4, 8):
                tasks.start_soon(ask, client, place)
        return told

    virtual.run(late)

    assert service.times == [0.0, 10.0]


def test_pods_that_no_list_holds_are_asked_for_one_by_one() -> None:
    service = Service(
        lambda request, _: {"pods": []} if request.url.path.endswith("/pods") else problem(404),
    )

    async def many() -> int:
        gone = 0

        async def ask(client: Client, place: int) -> None:
            nonlocal gone
            with pytest.raises(CloudError) as caught:
                await client.pod(f"p{place}")
            gone += caught.value.status == 404

        async with service.client() as client, anyio.create_task_group() as tasks:
            for place in range(10):
                tasks.start_soon(ask, client, place)
        return gone

    assert virtual.run(many) == 10
    assert Counter(request.url.path for request in service.requests)["/v2/pods"] == 1


def test_a_key_that_may_not_list_asks_for_each() -> None:
    service = Service(
        lambda request, _: problem(403) if request.url.path.endswith("/pods") else {"id": request.url.path.rpartition("/")[2]}
    )

    async def many() -> set[str]:
        found = set()

        async def ask(client: Client, place: int) -> None:
            found.add((await client.pod(f"p{place}")).id)

        async with service.client() as client:
            for _ in range(2):
                async with anyio.create_task_group() as tasks:
                    for place in range(5):
                        tasks.start_soon(ask, client, place)
        return found

    assert virtual.run(many) == {f"p{place}" for place in range(5)}
    assert Counter(request.url.path for request in service.requests)["/v2/pods"] == 1


def test_who_is_no_longer_waited_for_leaves_the_line() -> None:
    service = Service(
        lambda request, _: {"id": request.url.path.rpartition("/")[2], "pods": [{"id": f"p{place}"} for place in range(9)]}, took=10.0
    )

    async def impatient() -> str:
        async def ask(client: Client, place: int) -> None:
            with anyio.move_on_after(place + 1):
                await client.pod(f"p{place}")

        async with service.client() as client, anyio.create_task_group() as tasks:
            for place in range(8):
                tasks.start_soon(ask, client, place)
            await anyio.sleep(0.5)
            return (await client.pod("p8")).id

    assert virtual.run(impatient) == "p8"


def test_an_hour_that_is_used_up_is_told_at_once_and_not_asked_again() -> None:
    spent = {"ratelimit": '"minute";r=50;t=30, "hour";r=0;t=1812', "ratelimit-policy": '"minute";q=60;w=60, "hour";q=3000;w=3600'}
    service = script(httpx2.Response(200, json=POD, headers=spent))

    async def asked() -> None:
        async with service.client() as client:
            await client.update_pod("p1", {})
            for _ in range(50):
                with pytest.raises(CloudError, match=r"quota of requests of this hour is used up for the next 181\d s"):
                    await client.pod("p1")

    virtual.run(asked)
    assert len(service.requests) == 1
