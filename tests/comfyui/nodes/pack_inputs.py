"""The inputs of both packs of VibeVoice, as ComfyUI asks for them. `ComfyUI` puts this file into the folder of each node that it brings."""


def enemyx(models):
    """Of VibeVoiceSingleSpeakerNode, which offers these models."""
    return {
        "required": {
            "text": ("STRING", {"multiline": True, "default": "Hello."}),
            "model": (models,),
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


def wildminder(models):
    """Of VibeVoiceTTS, which offers these models."""
    return {
        "required": {
            "model_name": (models,),
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
