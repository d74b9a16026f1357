"""A stand-in for Enemyx's pack of VibeVoice, which cannot be had here: its class for one speaker, with its inputs and its ways, around the real
inference. What does not work shows when it first speaks and not before: it imports nothing until then, and wraps whatever goes wrong.
"""

from comfyui_voice import models, speak

from . import pack_inputs


class VibeVoiceSingleSpeakerNode:
    @classmethod
    def INPUT_TYPES(cls):  # noqa: N802 - ComfyUI calls it so
        return pack_inputs.enemyx(models())

    RETURN_TYPES = ("AUDIO",)
    FUNCTION = "generate_speech"
    CATEGORY = "VibeVoiceWrapper"

    def generate_speech(self, text, model, seed, diffusion_steps, cfg_scale, voice_to_clone=None, **_):
        try:
            return speak(model, f"Speaker 1: {text}", voice_to_clone, seed=seed, steps=diffusion_steps, scale=cfg_scale)
        except Exception as error:
            raise Exception(f"Error generating speech: Model loading failed: {error}") from error  # noqa: TRY002 - as the pack does


NODE_CLASS_MAPPINGS = {"VibeVoiceSingleSpeakerNode": VibeVoiceSingleSpeakerNode}
