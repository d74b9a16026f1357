"""What tests of `firstlight accept` share: the workflows of both packs of VibeVoice, the command, and how its answer is read."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from comfyui import FIRSTLIGHT, HERE, INSTALLED, ComfyUI

SPEECH = HERE.parents[1] / ".tools/speech"
# It has PyAV, and no model that listens.
DECODES = str(INSTALLED / "venv/bin/python")
LISTENS = str(SPEECH / "bin/python")
SENTENCE = "Hello from the cloned voice. This is the acceptance test for a freshly started machine."


def run_accept(comfyui: ComfyUI, *options: str, models: str = DECODES) -> tuple[int, dict[str, Any], str]:
    """The installed command against a ComfyUI: its exit code, what it tells as JSON, and what it says on standard error."""
    order = [FIRSTLIGHT, "accept", f"--url=http://127.0.0.1:{comfyui.port}", f"--models={models}", "--format=json", *options]
    done = subprocess.run(order, capture_output=True, text=True, check=False, cwd=comfyui.folder)
    return done.returncode, json.loads(done.stdout) if done.stdout else {}, done.stderr


def gates(told: dict[str, Any], outcome: str) -> set[str]:
    """The gates that said this of the last attempt."""
    return {gate["gate"] for gate in told["attempts"][-1]["gates"] if gate["outcome"] == outcome}


def workflow(folder: Path, nodes: dict[str, Any]) -> str:
    """The option that names these nodes, written into a folder."""
    file = folder / "workflow.json"
    file.write_text(json.dumps(nodes))
    return f"--workflow={file}"


def enemyx(**inputs: Any) -> dict[str, Any]:
    """As a user has exported it."""
    return {
        "1": {"class_type": "LoadAudio", "inputs": {"audio": "ref.wav"}},
        "2": {
            "class_type": "VibeVoiceSingleSpeakerNode",
            "inputs": {
                "text": SENTENCE,
                "model": "VibeVoice-1.5B",
                "attention_type": "sdpa",
                "quantize_llm": "full precision",
                "free_memory_after_generate": False,
                "diffusion_steps": 4,
                "seed": 42,
                "cfg_scale": 1.3,
                "use_sampling": False,
                "voice_to_clone": ["1", 0],
                **inputs,
            },
        },
        "3": {"class_type": "SaveAudio", "inputs": {"audio": ["2", 0], "filename_prefix": "acceptance/tts"}},
    }


def wildminder(**inputs: Any) -> dict[str, Any]:
    """The same, with the other pack."""
    nodes = enemyx()
    nodes["2"] = {
        "class_type": "VibeVoiceTTS",
        "inputs": {
            "model_name": "VibeVoice-1.5B",
            "text": f"Speaker 1: {SENTENCE}",
            "quantize_llm_4bit": False,
            "attention_mode": "sdpa",
            "cfg_scale": 1.3,
            "inference_steps": 4,
            "seed": 42,
            "do_sample": False,
            "temperature": 0.95,
            "top_p": 0.95,
            "top_k": 0,
            "force_offload": False,
            "speaker_1_voice": ["1", 0],
            **inputs,
        },
    }
    return nodes
