"""A stand-in for wildminder's pack of VibeVoice, which cannot be had here: its class with its inputs, around the real inference. It imports that
at once, so that what does not work is no node at all.
"""

import run_vibevoice  # noqa: F401 - see above
from comfyui_voice import models, speak


class VibeVoiceTTS:
    @classmethod
    def INPUT_TYPES(cls):  # noqa: N802 - ComfyUI calls it so
        return {
            "required": {
                "model_name": (models(),),
                "text": ("STRING", {"multiline": True, "default": "Speaker 1: Hello."}),
                "quantize_llm_4bit": ("BOOLEAN", {"default": False}),
                "attention_mode": (["eager", "sdpa", "flash_attention_2"],),
                "cfg_scale": ("FLOAT", {"default": 1.3}),
                "inference_steps": ("INT", {"default": 10}),
                "seed": ("INT", {"default": 42, "min": 0, "max": 2**64 - 1}),
                "do_sample": ("BOOLEAN", {"default": False}),
                "temperature": ("FLOAT", {"default": 0.95}),
                "top_p": ("FLOAT", {"default": 0.95}),
                "top_k": ("INT", {"default": 0}),
                "force_offload": ("BOOLEAN", {"default": False}),
            },
            "optional": {f"speaker_{number}_voice": ("AUDIO",) for number in range(1, 5)},
        }

    RETURN_TYPES = ("AUDIO",)
    FUNCTION = "generate_audio"
    CATEGORY = "audio/tts"

    def generate_audio(self, model_name, text, seed, inference_steps, cfg_scale, speaker_1_voice=None, **_):
        if speaker_1_voice is None:
            raise ValueError("Voice file for Speaker 1 is required.")
        return speak(model_name, text, speaker_1_voice, seed=seed, steps=inference_steps, scale=cfg_scale)


NODE_CLASS_MAPPINGS = {"VibeVoiceTTS": VibeVoiceTTS}
