"""One look for all who wait."""

import anyio
import pytest

from firstlight.fleet.standing import Standing
from firstlight.providers.runpod import shapes
from firstlight.providers.runpod.client import CloudError

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


class Cloud:
    """Pods that are counted; each look tells a later status than the one before."""

    def __init__(self, *names):
        self.names, self.asked, self.looks = names, [], 0
        self.gate = anyio.Event()
        self.gate.set()
        self.error = None

    def _pod(self, name):
        return shapes.pod({"id": name, "status": f"look {self.looks}"})

    async def pods(self):
        self.looks += 1
        self.asked.append("pods")
        await self.gate.wait()
        if self.error:
            raise self.error
        return tuple(self._pod(name) for name in self.names)

    async def pod(self, name):
        self.looks += 1
        self.asked.append(name)
        await self.gate.wait()
        if name not in self.names:
            raise CloudError(f"cannot ask for pod {name}: not found", status=404)
        return self._pod(name)


async def ask(standing, name, answers):
    try:
        answers[name] = (await standing.pod(name)).status
    except CloudError as error:
        answers[name] = error.status


async def test_a_thousand_who_wait_cost_one_question():
    names = [f"pod{number}" for number in range(1000)]
    cloud = Cloud(*names)
    standing, answers = Standing(cloud, period=0), {}
    async with anyio.create_task_group() as group:
        async with anyio.create_task_group() as asking:
            for name in names:
                asking.start_soon(ask, standing, name, answers)
            await anyio.wait_all_tasks_blocked()
            group.start_soon(standing.run)
        group.cancel_scope.cancel()
    assert cloud.asked == ["pods"]
    assert answers == dict.fromkeys(names, "look 1")


async def test_one_pod_alone_is_asked_for_itself():
    cloud = Cloud("a", "b")
    standing, answers = Standing(cloud, period=0), {}
    async with anyio.create_task_group() as group:
        group.start_soon(standing.run)
        await ask(standing, "a", answers)
        await ask(standing, "a", answers)
        group.cancel_scope.cancel()
    assert cloud.asked == ["a", "a"]
    assert answers == {"a": "look 2"}


async def test_who_comes_during_a_look_gets_the_next_one():
    cloud = Cloud("a", "b")
    standing, answers = Standing(cloud, period=0), {}
    cloud.gate = anyio.Event()
    async with anyio.create_task_group() as group:
        async with anyio.create_task_group() as asking:
            asking.start_soon(ask, standing, "a", answers)
            group.start_soon(standing.run)
            await anyio.wait_all_tasks_blocked()
            assert cloud.asked == ["a"]
            asking.start_soon(ask, standing, "b", answers)
            await anyio.wait_all_tasks_blocked()
            cloud.gate.set()
        group.cancel_scope.cancel()
    assert answers == {"a": "look 1", "b": "look 2"}


async def test_a_pod_that_is_gone_is_told_by_the_service_itself():
    cloud = Cloud("a")
    standing, answers = Standing(cloud, period=0), {}
    async with anyio.create_task_group() as group:
        async with anyio.create_task_group() as asking:
            asking.start_soon(ask, standing, "a", answers)
            asking.start_soon(ask, standing, "gone", answers)
            await anyio.wait_all_tasks_blocked()
            group.start_soon(standing.run)
        group.cancel_scope.cancel()
    assert cloud.asked == ["pods", "gone"]
    assert answers == {"a": "look 1", "gone": 404}


async def test_an_error_is_everybodys_and_the_next_look_is_made():
    cloud = Cloud("a", "b")
    cloud.error = CloudError("cannot list pods: it burns", status=500)
    standing, answers = Standing(cloud, period=0), {}
    async with anyio.create_task_group() as group:
        async with anyio.create_task_group() as asking:
            asking.start_soon(ask, standing, "a", answers)
            asking.start_soon(ask, standing, "b", answers)
            await anyio.wait_all_tasks_blocked()
            group.start_soon(standing.run)
        assert answers == {"a": 500, "b": 500}
        cloud.error = None
        await ask(standing, "a", answers)
        assert answers["a"] == "look 2"
        group.cancel_scope.cancel()


async def test_nobody_is_left_waiting_when_it_ends():
    cloud = Cloud("a")
    cloud.gate = anyio.Event()
    standing, answers = Standing(cloud, period=0), {}
    async with anyio.create_task_group() as asking, anyio.create_task_group() as group:
        asking.start_soon(ask, standing, "a", answers)
        group.start_soon(standing.run)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    assert answers == {"a": None}
