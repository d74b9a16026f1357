"""Installs a real ComfyUI once (tools/bring_comfyui.sh), and starts it under the installed command."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from comfyui import FIRSTLIGHT, HERE, ComfyUI

REHEARSED = (FIRSTLIGHT, "rehearse", "healthy")
PID1 = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child", FIRSTLIGHT, "run", "--gpus=none")


@pytest.fixture(scope="session")
def installed(pytestconfig: pytest.Config) -> None:
    """ComfyUI lies in .tools/comfyui."""
    with pytestconfig.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():  # it says how far it is
        brought = subprocess.run(["sh", "tools/bring_comfyui.sh"], cwd=HERE.parents[1], check=False)
    if brought.returncode:
        log = HERE.parents[1] / ".tools/comfyui/log"
        pytest.skip(f"ComfyUI cannot be installed here: {log.read_text().strip()[-300:] if log.exists() else 'no uv'}")


@pytest.fixture
def start(installed: None, tmp_path: Path) -> Iterator[Callable[..., ComfyUI]]:
    """Starts ComfyUI, on a simulated machine with a GPU unless told otherwise."""
    started: list[ComfyUI] = []

    def start_one(firstlight: tuple[str, ...] = REHEARSED, **more) -> ComfyUI:
        started.append(ComfyUI(firstlight, tmp_path, **more))
        return started[-1]

    yield start_one
    for comfyui in started:
        comfyui.end()


@pytest.fixture
def start_as_pid1(start: Callable[..., ComfyUI]) -> Callable[..., ComfyUI]:
    """Starts ComfyUI under firstlight as PID 1, with no GPU."""
    refused = subprocess.run([*PID1[:5], "true"], capture_output=True, text=True, check=False)
    if refused.returncode:
        pytest.skip(f"no PID namespace: {refused.stderr.strip()}")
    return lambda **more: start(PID1, **more)
