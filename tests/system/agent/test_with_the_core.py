"""The agent beside the real core: a boot is shown, ordered about, and ended."""

from __future__ import annotations

import json
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
