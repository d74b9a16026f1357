"""RunPod on localhost, for the tests of the control plane."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
import pytest
from cloud import contract, server, service
from cloud.habits import Habits
from cloud.pods import RUNNING, Pod
from cloud.world import World

from firstlight.providers.runpod.access import Access

GPU = "NVIDIA GeForce RTX 4090"


@dataclass
class Cloud:
    """A cloud that listens.

    Attributes:
        world: its state. Tests may look at it and change it.
        access: what a client asks it with.
    """

    service: service.Service
    addresses: dict[str, str]
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    @property
    def world(self) -> World:
        """The state behind it."""
        return self.service.world

    @property
    def access(self) -> Access:
        """For a client in this process."""
        return Access(key=self.world.key, api=self.addresses["api"], proxy=self.addresses["proxy"])

    @property
    def environment(self) -> dict[str, str]:
        """For a command in a process of its own."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("RUNPOD_", "FIRSTLIGHT_"))}
        told = {"RUNPOD_API_KEY": self.world.key, "RUNPOD_API_URL": self.addresses["api"], "RUNPOD_PROXY_URL": self.addresses["proxy"]}
        return {**kept, **told}

    def habits(self, **changed: Any) -> None:
        """Change how it behaves."""
        self.world.habits = replace(self.world.habits, **changed)

    def pod(self, name: str = "pod", *, running: bool = True, **body: Any) -> Pod:
        """A pod with firstlight as its start command, as `pod configure` leaves it; running at once."""
        pod = self.world.create({**self.body(name), **body})
        if running:
            self.world.hurry(pod, RUNNING)
        return pod

    def body(self, name: str = "pod") -> dict[str, Any]:
        """What such a pod is ordered with."""
        return {
            "name": name,
            "image": "runpod/pytorch:1.0.2-cu1281-torch280-ubuntu2404",
            "gpu": {"id": GPU, "count": 1},
            "ports": ["8188/http", "8421/http", "22/tcp"],
            "env": {"FIRSTLIGHT_TOKEN": self.token},
            "cmd": ["run", "--serve", "0.0.0.0:8421", "--with", "/start.sh", "--on-failure", "hold", "--", "python3", "main.py"],
            "entrypoint": ["/workspace/firstlight/firstlight.pyz"],
        }


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    """RunPod on localhost. Whatever it answers is as RunPod's document has it, where that is here."""
    place = contract.path()
    application = service.application(World(habits=Habits()), contract.Contract.read(place) if place else None)
    running = server.server(application)
    thread = threading.Thread(target=lambda: anyio.run(running.serve))
    thread.start()
    try:
        server.wait(running)
        yield Cloud(application, server.addresses(server.port(running)))
    finally:
        running.should_exit = True
        thread.join()
    assert application.violations == []
