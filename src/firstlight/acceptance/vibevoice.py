"""The workflow that is run where no file is named: one sentence, by whichever pack of VibeVoice ComfyUI has. Pure.

The values are those with which the real packs were seen to work: `sdpa` needs no library that has to be compiled, and a model
that stays in memory after the sentence is there for the first user.
"""

from __future__ import annotations

from firstlight.acceptance.workflow import Classes, Nodes
from firstlight.errors import UsageError

SENTENCE = "Hello from the cloned voice. This is the acceptance test for a freshly started machine."
NAME = "the workflow for VibeVoice"
RATE = 24_000  # Hz, whatever the model

_ENEMYX = "VibeVoiceSingleSpeakerNode"
_WILDMINDER = "VibeVoiceTTS"


def nodes(classes: Classes, *, voice: bool) -> Nodes:
    """The workflow for the pack that is there; `voice` says whether one will be given.

    Raises:
        UsageError: there is none, it has no model, or it cannot speak without a voice.
    """
    if _ENEMYX in classes:
        speaker, name, inputs = _ENEMYX, "voice_to_clone", {"model": _model(classes, _ENEMYX, "model"), **_ENEMYX_INPUTS}
    elif _WILDMINDER in classes:
        if not voice:
            raise UsageError(f"cannot let {_WILDMINDER} speak without a voice: give one with --voice")
        speaker, name, inputs = (
            _WILDMINDER,
            "speaker_1_voice",
            {"model_name": _model(classes, _WILDMINDER, "model_name"), **_WILDMINDER_INPUTS},
        )
    else:
        raise UsageError(
            f"cannot find a node that speaks: ComfyUI has neither {_ENEMYX} nor {_WILDMINDER}; name a workflow of your own with --workflow"
        )
    found: Nodes = {
        "2": {"class_type": speaker, "inputs": inputs},
        "3": {"class_type": "SaveAudio", "inputs": {"audio": ["2", 0], "filename_prefix": "firstlight"}},
    }
    if voice:
        found["1"] = {"class_type": "LoadAudio", "inputs": {"audio": ""}}
        inputs[name] = ["1", 0]
    return found


def _model(classes: Classes, class_type: str, key: str) -> str:
    """The first model in the list of a node."""
    described = classes[class_type]["input"]["required"].get(key) or [[]]
    offered = described[0] if isinstance(described[0], list) else (described[1] if len(described) > 1 else {}).get("options") or []
    # So does one of the packs say that its folder is empty.
    if not offered or str(offered[0]).lower().startswith("no models"):
        raise UsageError(f"cannot find a model of VibeVoice: the list of {class_type} is empty")
    return str(offered[0])


_ENEMYX_INPUTS = {
    "text": SENTENCE,
    "attention_type": "sdpa",
    "quantize_llm": "full precision",
    "free_memory_after_generate": False,
    "diffusion_steps": 10,
    "seed": 42,
    "cfg_scale": 1.3,
    "use_sampling": False,
}
_WILDMINDER_INPUTS = {
    "text": f"Speaker 1: {SENTENCE}",
    "quantize_llm_4bit": False,
    "attention_mode": "sdpa",
    "cfg_scale": 1.3,
    "inference_steps": 10,
    "seed": 42,
    "do_sample": False,
    "temperature": 0.95,
    "top_p": 0.95,
    "top_k": 0,
    "force_offload": False,
}
