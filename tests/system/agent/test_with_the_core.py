"""The agent beside the real core: a boot is shown, ordered about, and ended."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

FIRSTLIGHT = str(Path(sys.executable).parent / "firstlight")


def test_a_running_app_is_shown_and_ordered_about(start_plainly: Callable[..., Any], tmp_path: Path) -> None:
    place = tmp_path / "run"
    options = ("--gpus", "none", "--serve", "127.0.0.1:0", "--run-dir", str(place))
    running = start_plainly("sh", "-c", "echo I live; exec sleep 1000", options=options)
    assert running.line() == "I live"
    address = re.search(r"http://\S+", running.says("the status page is at"))[0]

    def ask(path: str) -> str:
        with urllib.request.urlopen(address + path) as answer:
            return answer.read().decode()

    def ctl(*words: str) -> str:
        return subprocess.run([FIRSTLIGHT, "ctl", *words, "--run-dir", place], capture_output=True, text=True, check=True).stdout

    assert "[+]app ok" in ask("readyz?verbose")
    assert "I live" in ask("")
    assert json.loads(ask("status.json"))["lives"] == 1

    assert ctl("restart").startswith("restart: ")
    assert running.line() == "I live"
    assert ctl("status") in ("Ready\n", "The app runs and is not ready yet\n")

    assert ctl("stop").startswith("stop: ")
    assert running.code() == 143
    orders = [event["order"] for event in running.events() if event["kind"] == "order"]
    assert orders == ["restart", "stop"]


def test_it_answers_while_cuda_hangs(tmp_path: Path) -> None:
    place, state = tmp_path / "run", tmp_path / "state"
    options = ("--serve", "127.0.0.1:0", "--run-dir", place, "--state-dir", state)
    with subprocess.Popen([FIRSTLIGHT, "rehearse", "probe-hung", *options, "--", "true"], stderr=subprocess.PIPE, text=True) as running:
        try:
            address = next(found[0] for line in running.stderr if (found := re.search(r"http://\S+", line)))
            with urllib.request.urlopen(address + "status.json") as answer:
                assert json.load(answer)["stage"] == "probe"
            with pytest.raises(urllib.error.HTTPError, match="503"):
                urllib.request.urlopen(address + "readyz")
        finally:
            running.terminate()
            running.stderr.read()
    assert running.returncode == 143


TOKEN = "a-token-that-a-pod-was-given-0123456789"


def test_the_token_of_the_environment_opens_the_page_and_is_nowhere_else(start_plainly: Callable[..., Any], tmp_path: Path) -> None:
    place = tmp_path / "run"
    options = ("--gpus", "none", "--serve", "127.0.0.1:0", "--run-dir", str(place), "--with", "sleep 1000")
    theirs = {"FIRSTLIGHT_TOKEN": TOKEN, "FIRSTLIGHT_PREVIOUS": '{"cmd":["/start.sh"]}', "FIRSTLIGHT_LEASE": "l1", "THEIRS": "1"}
    running = start_plainly("sh", "-c", "env; echo ready; exec sleep 1000", options=options, env={**os.environ, **theirs})
    seen = "".join(iter(running.line, "ready"))
    address = re.search(r"http://\S+", running.says("the status page is at"))[0]

    def ask(token: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {token}", "X-Forwarded-For": "9.9.9.9"}
        with urllib.request.urlopen(urllib.request.Request(address + "status.json", headers=headers)) as answer:
            return json.load(answer)

    told = ask(TOKEN)
    assert told["headline"]
    with pytest.raises(urllib.error.HTTPError, match="401"):
        ask("another-token-0123456789-0123456789")
    assert "THEIRS=1" in seen
    assert not re.search("FIRSTLIGHT_(TOKEN|PREVIOUS|LEASE)", seen)
    children = running.children()
    assert not any(TOKEN in argv for argv in children)
    theirs = [pid for argv, pid in children.items() if argv.startswith("sleep 1000") or "serve.agent" in argv]
    assert len(theirs) >= 2
    for pid in theirs:  # the app or its companion, and whoever answers the network
        assert TOKEN not in Path(f"/proc/{pid}/environ").read_text(), pid
    assert not any(TOKEN in path.read_text() for folder in (tmp_path / "state", place) for path in folder.rglob("*") if path.is_file())
    assert TOKEN not in json.dumps(told)
    assert not list(place.rglob("token"))
    running.popen.terminate()
    assert TOKEN.encode() not in running.finish()[2]
