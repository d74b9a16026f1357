"""How many pods stand, for the price of one question: whoever waits for a pod shares each list with all the others who wait.

RunPod takes sixty questions a minute from an account. A pod that comes up is asked about every few seconds; at four pods that is
all of it, and at a thousand it is a thousand times too much. So nobody asks for a pod here. All wait for the next look, and one
look serves them all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import anyio

from firstlight.providers.runpod.client import Client, CloudError
from firstlight.providers.runpod.shapes import Pod

# Seconds between the beginnings of two looks: thirty a minute, which leaves as many questions for what is ordered meanwhile.
PERIOD = 2.0


class Asks(Protocol):
    """Whoever can say how a pod stands: the client itself, or a look that is shared."""

    async def pod(self, pod_id: str) -> Pod:
        """The pod as it is now."""
        ...


@dataclass
class _Question:
    pod_id: str
    told: anyio.Event = field(default_factory=anyio.Event)
    answer: Pod | CloudError | None = None


class Standing:
    """One look after the other, for as long as anybody waits for one. `run` in a task of its own."""

    def __init__(self, cloud: Client, period: float = PERIOD) -> None:
        self._cloud = cloud
        self._period = period
        self._waiting: list[_Question] = []
        self._wanted = anyio.Event()

    async def pod(self, pod_id: str) -> Pod:
        """The pod as it is after this was called: never an answer to an older question.

        Raises:
            CloudError: RunPod did not answer, or knows no such pod.
        """
        question = _Question(pod_id)
        self._waiting.append(question)
        self._wanted.set()
        await question.told.wait()
        if isinstance(question.answer, CloudError):
            raise question.answer.again()
        assert question.answer is not None
        return question.answer

    async def run(self) -> None:
        """Look, until cancelled."""
        while True:
            await self._wanted.wait()
            began = anyio.current_time()
            questions, self._waiting, self._wanted = self._waiting, [], anyio.Event()
            try:
                await self._look(questions)
            finally:
                for question in questions:  # an answer that never came must leave nobody waiting
                    question.answer = question.answer or CloudError(f"cannot ask for pod {question.pod_id}: nobody asks any more")
                    question.told.set()
            # A list of many pages takes long, and each page is a question: at most a third of the time is spent on asking.
            took = anyio.current_time() - began
            await anyio.sleep(max(self._period - took, 2 * took))

    async def _look(self, questions: list[_Question]) -> None:
        if len({question.pod_id for question in questions}) > 1:
            try:
                found = {pod.id: pod for pod in await self._cloud.pods()}
            except CloudError as error:
                for question in questions:
                    question.answer = error
                return
            for question in questions:
                question.answer = found.get(question.pod_id)
        # One pod alone, and one that is not in the list: it is gone, and RunPod shall say so itself.
        left: dict[str, list[_Question]] = {}
        for question in questions:
            if question.answer is None:
                left.setdefault(question.pod_id, []).append(question)
        for pod_id, same in left.items():
            answer = await _ask(self._cloud, pod_id)
            for question in same:
                question.answer = answer


async def _ask(cloud: Client, pod_id: str) -> Pod | CloudError:
    try:
        return await cloud.pod(pod_id)
    except CloudError as error:
        return error
