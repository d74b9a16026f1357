"""The real agent in a real process, with the test in the core's place."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from firstlight.system import process

from .chromium import Browser, program

BOOT = "20261124T050000Z-abcd"
AT = "2026-11-24T05:00:00.000Z"


class Unix(http.client.HTTPConnection):
    """A connection over the control socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=30)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Answer:
    """What came back."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.code = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.text = response.read().decode()

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Agent:
    """An agent under way."""

    def __init__(
        self, folder: Path, *, argv: list[str] | None = None, environment: dict[str, str] | None = None, **configuration: Any
    ) -> None:
        self.folder = folder
        self.control = str(folder / "control.sock")
        self.number = 0
        self.popen = subprocess.Popen(
            argv or process.module("firstlight.serve.agent"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": os.environ["PATH"], **(environment or {})},
        )
        self.configure(**configuration)

    def configure(self, **more: Any) -> None:
        first = {
            "step": "configure",
            "boot": BOOT,
            "version": "1.2.3",
            "serve": "127.0.0.1:0",
            "control": self.control,
            "token_file": None,
            "logs": str(self.folder / "app.log"),
            "state_dir": None,
            "app": "an app",
            "settings": {},
        }
        self.send({**first, **more})

    def send(self, line: Any) -> None:
        self.popen.stdin.write(json.dumps(line).encode() + b"\n")
        self.popen.stdin.flush()

    def write(self, kind: str, stage: str, at: float = 0.0, **data: Any) -> None:
        """One line of the journal, as the core writes it."""
        self.send({"v": 1, "boot": BOOT, "n": self.number, "t": AT, "s": at, "stage": stage, "kind": kind, **data})
        self.number += 1

    def answers(self, step: str) -> dict[str, Any]:
        """Wait for one of its lines."""
        for line in self.popen.stdout:
            found = json.loads(line)
            if found["step"] == step:
                return found
        raise AssertionError(f"it ended without saying {step}: {self.popen.stderr.read().decode()}")

    def listens(self) -> int:
        """Wait until it does; give the port."""
        self.address = self.answers("listening")["address"]
        self.port = int(self.address.rpartition(":")[2]) if self.address else 0
        return self.port

    def ask(self, path: str, method: str = "GET", *, control: bool = False, body: str | None = None, **headers: str) -> Answer:
        """One request."""
        connection = Unix(self.control) if control else http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            return Answer(connection.getresponse())

    def eventually(self, path: str, holds: Callable[[Answer], bool], **more: Any) -> Answer:
        """Ask until the answer is right: lines that were sent take a moment. The test's own time limit is what ends this."""
        while not holds(answer := self.ask(path, **more)):
            time.sleep(0.01)
        return answer

    def caught_up(self) -> None:
        """Wait until it has read all that was written."""
        self.eventually("/status.json", lambda answer: answer.json.get("boot") is not None and self._seen() == self.number, control=True)

    def _seen(self) -> int:
        connection = Unix(self.control)
        with contextlib.closing(connection):
            connection.request("GET", "/events")
            response = connection.getresponse()
            last = -1
            while last < self.number - 1:
                line = response.fp.readline()
                if line.startswith(b"id: "):
                    last = int(line.rpartition(b"/")[2])
            return last + 1

    def token(self) -> str:
        return (self.folder / "token").read_text().strip()

    def ends(self) -> int:
        """Wait for its end: the exit code."""
        return self.popen.wait()

    def close(self) -> str:
        """Close its input and wait for its end; what it said on standard error, once."""
        with contextlib.suppress(BrokenPipeError):
            self.popen.stdin.close()
        self.popen.wait()
        self.popen.stdout.close()
        if self.popen.stderr.closed:
            return ""
        with self.popen.stderr as error:
            return error.read().decode()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests of a file."""
    if program() is None:
        pytest.skip("Chromium is needed to see the page (Debian package chromium)")
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Agent]]:
    """Starts agents, and sees at the end that none has complained."""
    folder = tmp_path / "instance"
    folder.mkdir(mode=0o700)
    started: list[Agent] = []

    def begin(**more: Any) -> Agent:
        agent = Agent(folder, **more)
        started.append(agent)
        return agent

    yield begin
    complaints = [agent.close() for agent in started]
    assert not any(complaints), "\n".join(complaints)


def tell_a_healthy_boot(agent: Agent, *, gpus: int = 1) -> None:
    """A boot whose app is ready."""
    agent.write("boot", "start", command=["python3", "main.py"], pid=1, settings={})
    agent.write("stage", "probe", 0.02, attempt=1)
    agent.write("diagnosis", "diagnose", 0.41, usable=gpus, expected=gpus, promised=True)
    for place in range(gpus):
        gpu = {
            "ordinal": place,
            "uuid": f"GPU-0000000{place}-6a22-563e-ba15-9e4aeafab77f",
            "name": "NVIDIA H100 80GB HBM3",
            "memory_total": 85520809984,
            "kernel": 0,
            "proven": True,
        }
        agent.write("proof", "prove", 0.42, gpu=gpu, seconds={"init": 0.2, "kernel": 0.0005})
    agent.write("app-started", "app", 0.45, pid=7, command=["python3", "main.py"], life=1)
    agent.write("check", "app", 4.0, check="http", level="ready", ok=True, words="200")
    agent.write("ready", "ready", 4.0, words="http passes")


PYTHON = sys.executable
