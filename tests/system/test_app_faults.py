"""Faults of an app's start, found by the installed command: before the start in real folders and ports, after it in the lines of real ComfyUIs.

The app is a script where ComfyUI's is (main.py), which prints what a ComfyUI was recorded to print. tests/comfyui has the real one.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .conftest import FIRSTLIGHT, Running, Starter, eventually

RECORDED = Path(__file__).parents[1] / "data" / "comfyui"
SCRIPT = """
import os, signal, sys
print(f"started (hub offline: {os.environ.get('HF_HUB_OFFLINE')})", flush=True)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
if sys.argv[1]:
    os.write(2, open(sys.argv[1], "rb").read())
if sys.argv[2]:
    os._exit(int(sys.argv[2]))
signal.sigwait({signal.SIGTERM, signal.SIGINT})
"""


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A folder as ComfyUI's own."""
    folder = tmp_path / "ComfyUI"
    (folder / "custom_nodes").mkdir(parents=True)
    (folder / "main.py").write_text(SCRIPT)
    return folder


def start_app(
    start: Starter, base: Path, *options: str, printed: str = "", code: str = "", flags: tuple[str, ...] = ("--cpu",), **extra: Any
) -> Running:
    """Start it as a user of the recipe would; it prints a recorded log, then ends with a code where one is given."""
    log = str(RECORDED / printed) if printed else ""
    ours = ("--gpus=none", "--app=comfyui", "--serve=off", "--restart-delay=100ms", *options)
    return start(sys.executable, str(base / "main.py"), log, code, "--front-end-root=/", *flags, options=ours, **extra)


def faults(running: Running) -> list[str]:
    return [event["fault"] for event in running.events() if event["kind"] == "app-fault"]


def test_a_port_that_is_taken_is_found_before_the_start_and_waited_for(start_plainly: Starter, base: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        running = start_app(start_plainly, base, "--restart-limit=0", flags=("--cpu", f"--port={port}"))
        said = running.says("the app is not started now: ")
        assert f"port-taken: Port {port} is held by pid " in said
        assert not [event for event in running.events() if event["kind"] == "app-started"]

    assert running.line() == "started (hub offline: None)"
    running.popen.terminate()
    assert running.code() == 0
    restarts = [event for event in running.events() if event["kind"] == "restart"]
    assert restarts[0]["reason"].startswith(f"port-taken: Port {port} is held by pid ")


def test_where_nothing_starts_it_again_a_port_that_is_taken_is_the_end(start_plainly: Starter, base: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        code, output, errors = start_app(
            start_plainly, base, "--restart=never", flags=("--cpu", f"--port={server.getsockname()[1]}")
        ).finish()

    assert (code, output) == (1, b"")
    assert b"End the process that holds the port" in errors


def test_a_volume_that_is_mounted_late_is_waited_for(start_plainly: Starter, base: Path) -> None:
    (base / "custom_nodes").rmdir()
    running = start_app(start_plainly, base, "--restart-limit=0")
    running.says(f"the app is not started now: app-folder-missing: {base}/custom_nodes is not there, and ComfyUI names it.")

    (base / "custom_nodes").mkdir()

    assert running.line() == "started (hub offline: None)"
    running.popen.terminate()
    assert running.code() == 0


@pytest.mark.parametrize(
    ("printed", "code", "flags", "fault"),
    [
        ("no_gpu.txt", "1", (), "cuda-failed-at-import"),
        ("zombie.txt", "", ("--cpu",), "worker-dead"),
        ("transformers5_enemyx_generation.txt", "", ("--cpu",), "vibevoice-versions"),
        ("fetches.txt", "", ("--cpu",), "manager-blocks-start"),
    ],
)
def test_what_a_comfyui_printed_names_its_fault(
    start_plainly: Starter, base: Path, printed: str, code: str, flags: tuple[str, ...], fault: str
) -> None:
    running = start_app(start_plainly, base, "--restart=never", printed=printed, code=code, flags=flags)

    assert running.line().startswith("started")
    running.says(f"{fault}: ")
    eventually(lambda: fault in faults(running))
    if not code:
        running.popen.terminate()
    running.finish()
    assert faults(running).count(fault) == 1


def test_a_start_that_ends_without_an_error_is_that_of_a_node(start_plainly: Starter, base: Path, tmp_path: Path) -> None:
    (tmp_path / "device").write_text("Device: cpu\n")
    code, _, errors = start_app(start_plainly, base, "--restart=never", printed=str(tmp_path / "device"), code="3").finish()

    assert code == 3
    assert b"node-ends-app: The app ended with exit code 3 while its nodes were imported" in errors


def test_the_status_names_the_fault_and_metrics_of_it_are_known(start_plainly: Starter, base: Path) -> None:
    running = start_app(start_plainly, base, "--restart=never", printed="zombie.txt")
    eventually(lambda: "worker-dead" in faults(running))

    status = json.loads(ask("status", "--format=json", f"--state-dir={running.state}"))

    assert (status["condition"], [finding["fault"] for finding in status["findings"]]) == ("degraded", ["worker-dead"])
    running.popen.terminate()
    running.finish()


def ask(*words: str) -> str:
    return subprocess.run([FIRSTLIGHT, *words], capture_output=True, text=True, check=True).stdout


def test_where_the_hub_has_nothing_to_say_it_is_not_asked(
    start_plainly: Starter, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = base / "models/vibevoice/VibeVoice-Tiny"
    model.mkdir(parents=True)
    (model / "config.json").write_text("{}")
    (model / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    (model / "preprocessor_config.json").write_text('{"language_model_pretrained_name": "Qwen/Qwen2.5-1.5B"}')
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)

    running = start_app(start_plainly, base, "--restart=never")
    assert running.line() == "started (hub offline: None)"
    running.popen.terminate()
    running.finish()
    assert faults(running) == ["model-needs-hub"]

    snapshot = tmp_path / "hf/hub/models--Qwen--Qwen2.5-1.5B/snapshots/8faed761"
    snapshot.mkdir(parents=True)
    (snapshot / "tokenizer.json").touch()
    running = start_app(start_plainly, base, "--restart=never", state=tmp_path / "other")
    assert running.line() == "started (hub offline: 1)"
    running.popen.terminate()
    running.finish()
    assert faults(running) == []
    assert [event["remedy"] for event in running.events() if event["kind"] == "remedy"] == ["hub-offline"]
