"""A stand-in for Enemyx's pack of VibeVoice, which cannot be had here: its class for one speaker, with its inputs and its ways, around the real
inference. What does not work shows when it first speaks and not before: it imports nothing until then, and wraps whatever goes wrong.
"""

from comfyui_voice import models, speak


class VibeVoiceSingleSpeakerNode:
    @classmethod
    def INPUT_TYPES(cls):  # noqa: N802 - ComfyUI calls it so
        return {
            "required": {
                "text": ("STRING", {"multiline": True, "default": "Hello."}),
                "model": (models(),),
                "attention_type": (["auto", "eager", "sdpa", "flash_attention_2", "sage"], {"default": "auto"}),
                "quantize_llm": (["full precision", "4bit", "8bit"],),
                "free_memory_after_generate": ("BOOLEAN", {"default": True}),
                "diffusion_steps": ("INT", {"default": 20, "min": 1, "max": 100}),
                "seed": ("INT", {"default": 42, "min": 0, "max": 2**32 - 1}),
                "cfg_scale": ("FLOAT", {"default": 1.3, "min": 0.5, "max": 3.5}),
                "use_sampling": ("BOOLEAN", {"default": False}),
            },
            "optional": {"voice_to_clone": ("AUDIO",)},
        }

    RETURN_TYPES = ("AUDIO",)
    FUNCTION = "generate_speech"
    CATEGORY = "VibeVoiceWrapper"

    def generate_speech(self, text, model, seed, diffusion_steps, cfg_scale, voice_to_clone=None, **_):
        try:
            return speak(model, f"Speaker 1: {text}", voice_to_clone, seed=seed, steps=diffusion_steps, scale=cfg_scale)
        except Exception as error:
            raise Exception(f"Error generating speech: Model loading failed: {error}") from error  # noqa: TRY002 - as the pack does


NODE_CLASS_MAPPINGS = {"VibeVoiceSingleSpeakerNode": VibeVoiceSingleSpeakerNode}
