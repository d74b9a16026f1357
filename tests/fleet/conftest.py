"""RunPod on localhost, for the tests of the control plane."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from cloud import catalogue, contract, machine, server, service
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


@contextlib.contextmanager
def listening(world: World) -> Iterator[Cloud]:
    """The cloud of this world on a socket."""
    application = service.application(world, contract.here())
    running = server.server(application)
    thread = threading.Thread(target=anyio.run, args=(server.serve, running))
    thread.start()
    try:
        server.wait(running)
        yield Cloud(application, server.addresses(server.port(running)))
    finally:
        running.should_exit = True
        thread.join()
    assert application.violations == []


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    """RunPod on localhost. Whatever it answers is as RunPod's document has it, where that is here."""
    with listening(World()) as found:
        yield found


@pytest.fixture
def in_process() -> Iterator[Callable[..., service.Service]]:
    """Makes clouds for clients in this process (transport.Transport), on the event loop's own clock: see cloud.virtual. What it is
    called with is the world's."""
    made: list[service.Service] = []

    def make(**named: Any) -> service.Service:
        made.append(service.application(World(**{"clock": anyio.current_time, **named}), contract.here()))
        return made[-1]

    yield make
    for application in made:
        assert application.violations == []


@dataclass
class RealCloud(Cloud):
    """A cloud whose pods are real processes: the installed firstlight on simulated machines, and a real sshd.

    Attributes:
        identity: the file of a private key that opens every pod.
    """

    machines: machine.Machines | None = None
    identity: str = ""

    def body(self, name: str = "pod") -> dict[str, Any]:
        """A pod with a network volume on which firstlight lies, as `pod configure` orders it."""
        volume = catalogue.add_volume(self.world, name=f"volume of {name}")["id"]
        self.install(volume)
        return {
            **super().body(name),
            "mounts": {"network": [{"volumeId": volume, "path": "/workspace"}]},
            "startSsh": True,
            "cmd": [
                *("run", "--serve", "0.0.0.0:8421", "--with", "/start.sh"),
                *("--on-failure", "hold", "--attempts", "2", "--delay", "200ms", "--", "python3", "/app/main.py"),
            ],
        }

    def install(self, volume: str) -> Path:
        """Put firstlight on a volume: its folder outside. It is the one that is installed here."""
        folder = self.machines.shared(volume)
        command = folder / "firstlight" / "firstlight.pyz"
        command.parent.mkdir(exist_ok=True)
        command.write_text(f'#!/bin/sh\nexec {Path(sys.executable).parent / "firstlight"} "$@"\n')
        command.chmod(0o755)
        return folder


@pytest.fixture
def real_cloud(tmp_path: Path) -> Iterator[RealCloud]:
    """RunPod on localhost with real pods. Needs root, as a host does."""
    lacking = machine.missing()
    if lacking:
        pytest.skip(lacking)
    machines = machine.Machines(tmp_path / "hosts")
    world = World(runner=machines)
    machines.world = world
    identity = tmp_path / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", identity], check=True)
    world.ssh_keys = [identity.with_suffix(".pub").read_text().strip()]
    try:
        with listening(world) as found:
            machines.api_port = int(found.addresses["api"].split(":")[2].partition("/")[0])
            yield RealCloud(found.service, found.addresses, machines=machines, identity=str(identity))
    finally:
        machines.close()
