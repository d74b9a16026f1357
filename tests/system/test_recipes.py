"""Recipes put to servers that speak the apps' protocols, through the real checker. tests/contract/test_real_apps.py has the real ones that install."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from firstlight import settings
from firstlight.apps import parse, recipes
from firstlight.apps.app import Check, Kind, Level
from firstlight.supervise import chosen
from firstlight.system.loop import program

from .checking import PYTHON, Checker

PROTOCOL = Path(__file__).parents[2] / "testing" / "speak_protocol.py"


class Stand:
    """A stand-in for an app, and the recipe's checks put to it at the pace of a test."""

    def __init__(self, app: str, command: tuple[str, ...] = (), **wanted: str) -> None:
        self.server = subprocess.Popen(
            [sys.executable, "-I", str(PROTOCOL), app], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self.port = int(self.server.stdout.readline().removeprefix("ready (port: ").removesuffix(")\n"))
        recipe = recipes.recipe(app)
        words = [*command, recipe.port_flag, str(self.port)]
        checks = chosen.choose(settings.load({"app": app, "config": "none", **wanted}, {}), words).checks
        self.checks = {check.name: check for check in checks}
        quick = [replace(check, period=0.05, start_interval=0.05, timeout=30.0, threshold=2, start_period=0.0) for check in checks]
        self.checker = Checker(quick)

    def is_now(self, word: str) -> None:
        """Make it so."""
        self.server.stdin.write(word + "\n")
        assert self.server.stdout.readline() == word + "\n"

    def judged(self) -> dict[str, tuple[bool, str]]:
        """What the checker says next about each check that turns, until all have."""
        answer = self.checker.checked()
        return {answer["check"]: (answer["ok"], answer["words"])}

    def all_well(self) -> dict[str, str]:
        """Wait until each check is well, and give their words."""
        words: dict[str, str] = {}
        while len(words) < len(self.checks):
            ((name, (ok, said)),) = self.judged().items()
            assert ok, said
            words[name] = said
        return words

    def end(self) -> None:
        """End both."""
        self.checker.end()
        self.server.kill()
        self.server.communicate()


@pytest.fixture
def stand(request: pytest.FixtureRequest) -> Iterator[Stand]:
    """The app that the test is parametrized with."""
    standing = Stand(*request.param) if isinstance(request.param, tuple) else Stand(request.param)
    yield standing
    standing.end()


WELL = {
    "comfyui": {
        "system-stats": "status 200, devices.0.type is cuda",
        "queue": "status 200",
        "answers": "status 200",
        "worker": "ended with exit code 0",
    },
    "vllm": {"health": "status 200", "engine": "status 200"},
    "triton": {"ready": "status 200", "live": "status 200"},
    "a1111": {"ping": "status 200", "answers": "status 200"},
}


@pytest.mark.parametrize("stand", WELL, indirect=True)
def test_an_app_that_works_is_well(stand: Stand, request: pytest.FixtureRequest) -> None:
    assert stand.all_well() == WELL[request.node.callspec.params["stand"]]


# What happens to the app, and the first checks that turn.
TURNS = {
    "comfyui broken": ("comfyui", "broken", {"system-stats": (False, "status 500")}),
    "comfyui zombie": ("comfyui", "zombie", {"queue": (False, "queue_pending is not empty and queue_running is empty")}),
    "comfyui without a GPU": ("comfyui", "cpu", {"system-stats": (False, "devices.0.type is cpu, not cuda")}),
    "triton loses a model": ("triton", "starting", {"ready": (False, "status 400")}),
}


@pytest.mark.parametrize(("stand", "word", "turned"), TURNS.values(), ids=TURNS, indirect=["stand"])
def test_a_failure_turns_the_check_that_is_about_it_and_no_other(stand: Stand, word: str, turned: dict[str, tuple[bool, str]]) -> None:
    stand.all_well()

    stand.is_now(word)
    assert stand.judged() == turned
    stand.is_now("well")

    ((name, (ok, _)),) = stand.judged().items()
    assert (name, ok) == (next(iter(turned)), True)


@pytest.mark.parametrize(("stand", "status"), [("vllm", 503), ("triton", 400), ("a1111", 500)], indirect=["stand"])
def test_where_the_engine_died_it_is_neither_ready_nor_alive(stand: Stand, status: int) -> None:
    stand.all_well()

    stand.is_now("broken")

    assert {**stand.judged(), **stand.judged()} == dict.fromkeys(stand.checks, (False, f"status {status}"))
    assert {check.level for check in stand.checks.values()} == set(Level)


@pytest.mark.parametrize("stand", [("comfyui", ("--cpu",))], indirect=True)
def test_comfyui_started_without_a_gpu_on_purpose_is_well_without_one(stand: Stand) -> None:
    stand.is_now("cpu")

    assert stand.all_well()["system-stats"] == "status 200"


@pytest.mark.parametrize(
    ("wanted", "ok", "words"),
    [
        ({"node": "EmptyImage"}, True, "status 200, the answer is not empty"),
        ({"node": "VibeVoiceTTS"}, False, "the answer is empty"),
        ({"node": "VibeVoiceSingleSpeakerNode", "model": "VibeVoice-1.5B"}, True, "the answer offers VibeVoice-1.5B"),
        ({"node": "VibeVoiceSingleSpeakerNode", "model": "VibeVoice-7B"}, False, "the answer does not offer VibeVoice-7B"),
    ],
)
def test_the_node_that_is_wanted_and_its_model_are_asked_for(wanted: dict[str, str], ok: bool, words: str) -> None:
    standing = Stand("comfyui", **wanted)
    try:
        judged: dict[str, tuple[bool, str]] = {}
        while "node" not in judged:
            judged.update(standing.judged())
        assert judged["node"][0] is ok
        assert words in judged["node"][1]
        assert [check.name for check in standing.checks.values()] == ["system-stats", "queue", "answers", "node", "worker"]
    finally:
        standing.end()


@pytest.mark.parametrize(
    ("word", "code", "words"),
    [
        ("well", 0, ""),
        ("zombie", 1, "a prompt without a model was not run within 0.3 s"),
        ("broken", 1, "the prompt failed: RuntimeError: CUDA error: unknown error"),
    ],
)
@pytest.mark.parametrize("stand", ["comfyui"], indirect=True)
def test_a_prompt_without_a_model_tells_whether_prompts_are_run(stand: Stand, word: str, code: int, words: str) -> None:
    stand.is_now(word)

    done = subprocess.run(program("prompt_comfyui", str(stand.port), "0.3"), capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout.strip(), done.stderr) == (code, words, "")


def test_a_comfyui_that_is_not_there_runs_no_prompt() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    done = subprocess.run(program("prompt_comfyui", str(port), "0.3"), capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert "cannot ask ComfyUI: " in done.stdout


def test_a_check_that_is_put_once_is_not_put_again_in_its_life(tmp_path: Path) -> None:
    once, often = tmp_path / "once", tmp_path / "often"
    counting = ("sh", "-c", f"echo x >>{often}; test $(wc -l <{often}) -ge 5")
    common = {"level": Level.READY, "kind": Kind.EXEC, "period": 0.05, "start_interval": 0.05, "timeout": 30.0, "threshold": 1}
    checker = Checker(
        [Check(name="once", command=("sh", "-c", f"echo x >>{once}"), once=True, **common), Check(name="often", command=counting, **common)]
    )

    assert {checker.checked()["check"], checker.checked()["check"]} == {"once", "often"}
    assert once.read_text() == "x\n"
    assert often.read_text().count("x") >= 5
    checker.end()


def test_the_last_check_is_put_once_all_the_others_are_well(tmp_path: Path) -> None:
    """It is a whole generation: put earlier, its prompt would stand in the way of the one that needs no model."""
    tries, order = tmp_path / "tries", tmp_path / "order"
    counting = ("sh", "-c", f"echo x >>{tries}; test $(wc -l <{tries}) -ge 5 && echo first >>{order}")
    common = {"level": Level.READY, "kind": Kind.EXEC, "period": 0.05, "start_interval": 0.05, "timeout": 30.0, "once": True}
    last = Check(name="last", command=("sh", "-c", f"echo last >>{order}"), last=True, **common)
    checker = Checker([last, Check(name="first", command=counting, **common)])

    assert [checker.checked()["check"] for _ in range(2)] == ["first", "last"]
    assert order.read_text().split() == ["first", "last"]
    checker.tell({"order": "start", "life": 2})  # and so in each life
    assert [checker.checked()["check"] for _ in range(2)] == ["first", "last"]
    checker.end()


@pytest.mark.parametrize(("node", "ok"), [("EmptyImage", True), ("VibeVoiceTTS", False)])
@pytest.mark.parametrize("stand", ["comfyui"], indirect=True)
def test_a_node_that_comfyui_could_not_import_is_missed(stand: Stand, node: str, ok: bool) -> None:
    asked = parse.spec(f"http://127.0.0.1:{stand.port}/object_info/{node} . not-empty", Level.READY, "ready-1")
    checker = Checker([replace(asked, start_period=0.0, threshold=1)])

    assert checker.checked()["ok"] is ok
    checker.end()


HTTP_SERVER = """
import http.server
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
print(server.server_port, flush=True)
server.serve_forever()
"""


def test_plain_http_on_a_port(tmp_path: Path) -> None:
    """The real server of Python's own library."""
    server = subprocess.Popen([*PYTHON, HTTP_SERVER], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    checks = recipes.recipe("http").checks_for([], int(server.stdout.readline()))
    checker = Checker([replace(check, period=0.05, start_interval=0.05, threshold=1, start_period=0.0) for check in checks])
    try:
        assert {(answer["check"], answer["ok"]) for answer in (checker.checked(), checker.checked())} == {("http", True), ("answers", True)}
        server.kill()
        server.wait()
        assert {(answer["check"], answer["ok"]) for answer in (checker.checked(), checker.checked())} == {
            ("http", False),
            ("answers", False),
        }
    finally:
        checker.end()
        server.kill()
        server.communicate()
