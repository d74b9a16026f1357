"""The way to the first verified generation, of the installed command and an app that answers as ComfyUI: `run --accept`, and `accept` by hand beside it.

tests/comfyui has the real one.
"""

from __future__ import annotations

import argparse
import importlib
import json
import re
import shlex
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scripted_comfyui import WORKFLOW, ScriptedComfyUI

from firstlight.cli import main
from firstlight.system import instance

from .conftest import FIRSTLIGHT, Starter, eventually

PAGE = Path(__file__).parents[2] / "docs/howto/first-speech.md"
SCRIPTED = Path(__file__).parents[2] / "testing/scripted_comfyui.py"
WAY = ["process", "device", "port", "nodes", "worker", "prompt", "executed", "verified", "ready"]


@pytest.fixture
def workflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A workflow's file, on a machine with an ffmpeg that is never asked: all clips are WAV. No other firstlight is told of it."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/ffmpeg").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "bin/ffmpeg").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("FIRSTLIGHT_RUN_DIR", str(tmp_path / "run"))
    file = tmp_path / "tts.json"
    file.write_text(json.dumps(WORKFLOW))
    return str(file)


@pytest.fixture
def comfyui() -> Iterator[ScriptedComfyUI]:
    server = ScriptedComfyUI()
    yield server
    server.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def ask(*words: str) -> str:
    return subprocess.run([FIRSTLIGHT, *words], capture_output=True, text=True, check=True).stdout


def standing() -> dict[str, Any]:
    """How it stands, as its agent tells."""
    return json.loads(ask("ctl", "status", "--format=json"))


def accept(workflow: str, comfyui: ScriptedComfyUI, *options: str) -> subprocess.CompletedProcess[str]:
    order = [FIRSTLIGHT, "accept", f"--workflow={workflow}", f"--url={comfyui.url}", *options]
    return subprocess.run(order, capture_output=True, text=True, check=False)


def test_a_boot_that_must_have_spoken_has_every_leg_from_the_gpu_to_the_verdict(workflow: str, tmp_path: Path) -> None:
    port, page = free_port(), free_port()
    files = [f"--state-dir={tmp_path / 'state'}", f"--run-dir={tmp_path / 'run'}"]
    ours = ["--app=comfyui", "--node=Speaks", f"--accept={workflow} --seeds=1", f"--serve=127.0.0.1:{page}"]
    command = [FIRSTLIGHT, "rehearse", "healthy", *files, *ours, "--", sys.executable, str(SCRIPTED), f"--port={port}", "--cpu"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            eventually(
                lambda: process.poll() is not None or '"kind":"ready"' in "".join(map(Path.read_text, tmp_path.glob("state/boots/*")))
            )
            assert process.poll() is None, process.stdout.read() if process.stdout else ""
            told = standing()
            metrics = urllib.request.urlopen(f"http://127.0.0.1:{page}/metrics").read().decode()
            shown = urllib.request.urlopen(f"http://127.0.0.1:{page}/").read().decode()
        finally:
            process.terminate()
            printed = process.communicate()[0]
    assert process.returncode == 0, printed
    assert [leg["name"] for leg in told["legs"]] == ["cuda", *WAY]
    assert told["verified_after"] == next(leg["at"] for leg in told["legs"] if leg["name"] == "verified")
    assert (told["accepted"]["ok"], told["accepted"]["cold"], told["verified_cold"]) == (True, True, True)
    assert f'firstlight_first_generation_seconds{{models="cold"}} {told["verified_after"]}' in metrics
    for leg in ("cuda", *WAY):
        assert f'firstlight_leg_duration_seconds{{leg="{leg}"}}' in metrics
    assert "First generation" in shown
    assert re.search(r"verified after [^<]*, cold<", shown)
    timeline = ask("timeline", f"--state-dir={tmp_path / 'state'}")
    assert "prompt after " in timeline
    assert "executed after " in timeline
    assert ", cold" in timeline


def test_one_by_hand_is_told_to_the_firstlight_that_runs_and_only_the_first_counts(
    start_plainly: Starter, workflow: str, comfyui: ScriptedComfyUI
) -> None:
    running = start_plainly("cat", options=("--gpus=none", "--serve=127.0.0.1:0"), stdin=subprocess.PIPE)
    eventually(lambda: [event for event in running.events() if event["kind"] == "agent" and event.get("control")])
    address = next(event["listening"] for event in running.events() if event["kind"] == "agent")
    page = urllib.request.urlopen(f"http://{address}/").read().decode()
    assert "First generation" not in page  # an app that generates nothing has none

    assert accept(workflow, comfyui).returncode == 0
    eventually(lambda: "accepted" in [event["kind"] for event in running.events()])
    first = standing()
    assert [leg["name"] for leg in first["legs"]] == ["process", "ready", "prompt", "executed", "verified"]
    assert first["accepted"]["words"].startswith("accepted (")
    assert {"gate": "level", "ok": True} in next(event["gates"] for event in running.events() if event["kind"] == "accepted")

    comfyui.clip = b"RIFF and so on"
    assert accept(workflow, comfyui, "--seeds=1").returncode == 1
    eventually(lambda: [event["kind"] for event in running.events()].count("accepted") == 2)
    second = standing()
    assert second["legs"] == first["legs"]
    assert second["verified_after"] == first["verified_after"]
    assert second["accepted"]["ok"] is False
    assert [event["name"] for event in running.events() if event["kind"] == "leg"] == ["prompt", "executed"]
    page = urllib.request.urlopen(f"http://{address}/").read().decode()
    assert "First generation" in page
    assert running.code() == 0


def test_where_no_firstlight_runs_or_none_that_listens_nobody_hears_of_it(workflow: str, comfyui: ScriptedComfyUI, tmp_path: Path) -> None:
    alone = accept(workflow, comfyui)
    assert (alone.returncode, "cannot" in alone.stderr) == (0, False)

    # One runs, and whoever has its socket hangs up on everybody.
    directory = instance.create("20261124T050000Z-0000", str(tmp_path / "run"), {})
    assert directory is not None
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(Path(directory) / instance.CONTROL))
        deaf.listen()
        order = [FIRSTLIGHT, "accept", f"--workflow={workflow}", f"--url={comfyui.url}"]
        with subprocess.Popen(order, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            deaf.accept()[0].close()
            _, said = process.communicate()
    assert (process.returncode, "cannot" in said) == (0, False)


def test_a_comfyui_of_another_machine_is_none_of_the_business_of_the_firstlight_here(workflow: str, tmp_path: Path) -> None:
    from firstlight.acceptance import comfyui

    here = {"http://127.0.0.1:8188", "http://localhost:8188", "http://[::1]:8188", "http://0.0.0.0:8188"}
    elsewhere = {"https://pod-8188.proxy.runpod.net", "http://10.0.0.7:8188", "http://127.0.0.1.example.org"}
    assert {url for url in here | elsewhere if comfyui.Server(url).here} == here


def test_comfyui_has_a_budget_of_its_own_and_another_app_none(start_plainly: Starter) -> None:
    """A server that loads weights for half an hour is no worse for it; where there is a limit, its user knows."""
    for options, budget in (([], 0.0), (["--app=vllm"], 0.0), (["--app=comfyui"], 300.0), (["--app=comfyui", "--budget=9m"], 540.0)):
        name = "-".join(options) or "none"
        running = start_plainly(
            "true", options=["--gpus=none", "--serve=off", "--restart=never", *options], state=start_plainly.state / name
        )
        running.finish()
        assert running.events()[0]["settings"]["budget"] == budget


def parsed(line: str) -> argparse.Namespace:
    """As the command line reads it. UsageError where it is wrong."""
    verb, *words = shlex.split(line)
    if verb in main.GROUPS:
        return main.build(f"{verb} {words[0]}", importlib.import_module(f"{main.GROUPS[verb]}.{words[0]}")).parse_args(words[1:])
    return main.build(verb, importlib.import_module(f"firstlight.cli.{verb}")).parse_args(words)


def test_the_commands_of_the_page_are_taken_and_so_is_what_stands_behind_accept() -> None:
    shown = [
        line
        for block in re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
        for line in block.replace("\\\n", "").splitlines()
    ]
    orders = [line.partition(" ")[2].partition(" -- ")[0] for line in shown if line.startswith("firstlight ")]
    assert {order.partition(" ")[0] for order in orders} == {"run", "pod", "accept", "status"}
    for told in filter(None, (getattr(parsed(order), "accept", None) for order in orders)):
        file, *options = shlex.split(told)
        assert file == "/workspace/accept.json"
        assert parsed(f"accept {shlex.join(options)}").voice == "/workspace/me.wav"
    for order in re.findall(r"`firstlight (explain [a-z-]+)`", PAGE.read_text()):
        ask(*order.split())
