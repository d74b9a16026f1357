"""A stand-in for wildminder's pack of VibeVoice, which cannot be had here: its class with its inputs, around the real inference. It imports that
at once, so that what does not work is no node at all.
"""

import run_vibevoice  # noqa: F401 - see above
from comfyui_voice import models, speak

from . import pack_inputs


class VibeVoiceTTS:
    @classmethod
    def INPUT_TYPES(cls):  # noqa: N802 - ComfyUI calls it so
        return pack_inputs.wildminder(models())

    RETURN_TYPES = ("AUDIO",)
    FUNCTION = "generate_audio"
    CATEGORY = "audio/tts"

    def generate_audio(self, model_name, text, seed, inference_steps, cfg_scale, speaker_1_voice=None, **_):
        if speaker_1_voice is None:
            raise ValueError("Voice file for Speaker 1 is required.")
        return speak(model_name, text, speaker_1_voice, seed=seed, steps=inference_steps, scale=cfg_scale)


NODE_CLASS_MAPPINGS = {"VibeVoiceTTS": VibeVoiceTTS}
