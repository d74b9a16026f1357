"""Orders over the control socket, and `firstlight ctl` that gives them. The test answers in the core's place."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Agent, tell_a_healthy_boot

Start = Callable[..., Agent]
FIRSTLIGHT = str(Path(sys.executable).parent / "firstlight")


def ctl(folder: Path, *words: str, **more: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([FIRSTLIGHT, "ctl", *words, "--run-dir", str(folder)], capture_output=True, text=True, check=False, **more)


@pytest.fixture
def agent(start: Start) -> Agent:
    agent = start()
    agent.listens()
    tell_a_healthy_boot(agent)
    agent.caught_up()
    return agent


def obey(agent: Agent, words: str, took: list[dict[str, str]] | None = None) -> threading.Thread:
    """Take one order as the core would, and write what came of it."""

    def take() -> None:
        order = agent.answers("order")
        if took is not None:
            took.append(order)
        agent.write("order", "ready", order=order["order"], by=order["by"], words=words)

    thread = threading.Thread(target=take)
    thread.start()
    return thread


@pytest.mark.parametrize("order", ["restart", "stop", "retry", "rediagnose"])
def test_an_order_reaches_the_core_and_its_word_comes_back(agent: Agent, order: str) -> None:
    core = obey(agent, f"I shall {order}")

    outcome = ctl(agent.folder.parent, order)

    core.join()
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, f"{order}: I shall {order}\n", "")


def test_who_gave_the_order_is_noted(agent: Agent) -> None:
    took: list[dict[str, str]] = []
    core = obey(agent, "yes", took)

    answer = agent.ask("/v1/restart", "POST", control=True)

    core.join()
    assert answer.json == {"order": "restart", "answered": True, "words": "yes"}
    assert took[0]["by"] == f"uid {os.geteuid()} pid {os.getpid()}"


def test_the_word_about_another_order_is_no_answer(agent: Agent) -> None:
    def take() -> None:
        order = agent.answers("order")
        agent.write("order", "ready", order=order["order"], by="uid 0 pid 1", words="somebody else's")
        agent.write("order", "ready", order="stop", by=order["by"], words="another one")
        agent.write("order", "ready", order=order["order"], by=order["by"], words="yours")

    core = threading.Thread(target=take)
    core.start()
    answer = agent.ask("/v1/restart", "POST", control=True)
    core.join()

    assert answer.json["words"] == "yours"


def test_a_core_that_says_nothing_is_not_waited_for_long(agent: Agent) -> None:
    answer = agent.ask("/v1/retry", "POST", control=True)

    assert (answer.code, answer.json["answered"]) == (202, False)
    assert agent.answers("order") == {"step": "order", "order": "retry", "by": f"uid {os.geteuid()} pid {os.getpid()}"}


def test_ctl_tells_how_the_boot_stands(agent: Agent) -> None:
    outcome = ctl(agent.folder.parent, "status")
    assert (outcome.returncode, outcome.stdout) == (0, "Ready\n")

    data = json.loads(ctl(agent.folder.parent, "status", "--format", "json").stdout)
    assert (data["version"], data["headline"]) == (1, "Ready")


def test_ctl_without_an_instance(tmp_path: Path) -> None:
    outcome = ctl(tmp_path, "status")

    assert outcome.returncode == 64
    assert outcome.stderr == f"firstlight: cannot find a running firstlight: there is no instance under {tmp_path}\n"


def test_ctl_with_an_instance_that_has_ended(agent: Agent) -> None:
    agent.close()

    outcome = ctl(agent.folder.parent, "restart")

    assert outcome.returncode == 64
    assert outcome.stderr.startswith("firstlight: cannot reach firstlight: nobody listens on ")
    assert outcome.stderr.count("\n") == 1


def test_ctl_with_an_order_that_is_none(tmp_path: Path) -> None:
    outcome = ctl(tmp_path, "explode")

    assert outcome.returncode == 64
    assert "invalid choice: 'explode'" in outcome.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_another_user_cannot_connect(agent: Agent, tmp_path: Path) -> None:
    agent.folder.chmod(0o755)
    for folder in (agent.folder.parent, *agent.folder.parent.parents):
        if folder.stat().st_mode & 0o005 != 0o005 and folder != Path("/tmp"):
            folder.chmod(folder.stat().st_mode | 0o005)
    code = "import socket, sys\ns = socket.socket(socket.AF_UNIX)\ntry: s.connect(sys.argv[1])\nexcept PermissionError: sys.exit(13)\n"

    outcome = subprocess.run(["python3", "-I", "-S", "-c", code, agent.control], user=65534, group=65534, extra_groups=[], check=False)

    assert outcome.returncode == 13
