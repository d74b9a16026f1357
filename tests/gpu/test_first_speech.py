"""first_speech.py where there is no GPU: the same cases on a simulated machine, with a real ComfyUI and VibeVoice on the CPU."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


@pytest.mark.speech
@pytest.mark.slow
@pytest.mark.timeout(2700)
def test_every_case_passes_on_a_simulated_machine(tmp_path: Path) -> None:
    for script in ("bring_comfyui.sh", "bring_vibevoice.sh"):
        if subprocess.run(["sh", f"tools/{script}"], cwd=ROOT, check=False).returncode:
            pytest.skip("ComfyUI or VibeVoice cannot be installed here")
    order = [sys.executable, str(HERE / "first_speech.py"), "--simulated", f"--out={tmp_path}"]
    done = subprocess.run(order, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    results = json.loads((tmp_path / "speech-results.json").read_text())["results"]
    assert [(result["name"], result["verdict"]) for result in results] == [
        ("uvm-late", "pass"),
        ("only-hums", "pass"),
        ("worker-dead", "pass"),
        ("app-killed", "pass"),
        ("device-rules", "pass"),
    ]
    page = (tmp_path / "gpu-speech.md").read_text()
    assert "## Cases: 5 of 5 passed" in page
    assert page.count("refused (variation: its level varies by 0 dB, 10 wanted of speech)") == 7
