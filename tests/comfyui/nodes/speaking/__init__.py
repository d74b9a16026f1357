"""Nodes that really speak, under the names and with the inputs of both packs of VibeVoice, which cannot be had here. Piper speaks, in a process
and an interpreter of its own (SPEECH_PYTHON). What the text says first, in brackets, is how it fails: "[nan] Hello."; or who speaks instead.

It needs: numpy and torch, which ComfyUI has.
"""

import os
import subprocess
import tempfile
import time
import wave

import numpy as np
import torch

from . import pack_inputs

SAID = {}
BAD_ONCE = []


def by_flite(voice):
    return lambda name, text: ["flite", "-voice", voice, "-o", name, "-t", text]


def by_piper(name, text):
    return [os.environ["SPEECH_PYTHON"], os.path.join(os.path.dirname(__file__), "speak.py"), name, text]


# Other people than the one whose voice is cloned.
OTHERS = {
    "espeak": lambda name, text: ["espeak-ng", "-w", name, text],
    "kal": by_flite("kal"),
    "rms": by_flite("rms"),
    "slt": by_flite("slt"),
}


def speak(text, by=by_piper):
    """The samples and the rate of a sentence; said once, since it costs seconds."""
    if (text, by) not in SAID:
        with tempfile.TemporaryDirectory() as folder:
            name = os.path.join(folder, "said.wav")
            subprocess.run(by(name, text), check=True)
            with wave.open(name) as file:
                samples = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
                SAID[text, by] = samples, file.getframerate()
    return SAID[text, by]


def noise(samples, level):
    return np.random.default_rng(7).normal(0, level, len(samples))


def nan_in(samples, share):
    first = int(len(samples) * (1 - share) / 2)
    return np.concatenate([samples[:first], np.full(int(len(samples) * share), np.nan), samples[first + int(len(samples) * share) :]])


def fail(samples):
    raise RuntimeError("Error generating speech: Model loading failed")


def bad_once(samples):
    """The first time silent, then well."""
    BAD_ONCE.append(samples)
    return samples if len(BAD_ONCE) > 1 else np.zeros_like(samples)


def slow(samples):
    """As a model that takes its time, and looks whether it was interrupted."""
    from comfy.model_management import throw_exception_if_processing_interrupted

    for _ in range(3000):
        throw_exception_if_processing_interrupted()
        time.sleep(0.1)
    return samples


# Each makes of a good clip what comes out of a model that fails in one way.
SPOIL = {
    "": lambda samples: samples,
    "cancelled": lambda samples: np.zeros(22050),
    "clipped": lambda samples: np.clip(samples * 8, -1, 1),
    "cut": lambda samples: samples[: len(samples) // 2],
    "first-bad": bad_once,
    "looped": lambda samples: np.tile(samples, 3),
    "nan": lambda samples: nan_in(samples, 1 / 6),
    "nan-all": lambda samples: np.full_like(samples, np.nan),
    "nan-half": lambda samples: nan_in(samples, 1 / 2),
    "noise": lambda samples: noise(samples, 0.1),
    "noisy": lambda samples: samples + noise(samples, 3 * np.sqrt(np.mean(samples**2))),  # Whisper hears through less
    "quiet": lambda samples: samples * 3e-4,
    "raise": fail,
    "reversed": lambda samples: samples[::-1].copy(),
    "silence": np.zeros_like,
    "slow": slow,
    "tone": lambda samples: 0.3 * np.sin(np.arange(len(samples)) / 8),
    "wrong": lambda samples: speak("Please call Stella, and ask her to bring these things with her from the store.")[0],
}


class VibeVoiceSingleSpeakerNode:
    """Enemyx's."""

    @classmethod
    def INPUT_TYPES(cls):  # noqa: N802 - ComfyUI calls it so
        return pack_inputs.enemyx(["VibeVoice-1.5B", "VibeVoice-Large"])

    RETURN_TYPES = ("AUDIO",)
    FUNCTION = "generate"
    CATEGORY = "speaking"

    def generate(self, text, **_):
        how, _, said = text.strip().removeprefix("[").partition("] ") if text.lstrip().startswith("[") else ("", "", text)
        samples, rate = speak(said, OTHERS.get(how, by_piper))
        spoil = SPOIL["" if how in OTHERS else how]
        return ({"waveform": torch.from_numpy(spoil(samples)).float()[None, None], "sample_rate": rate},)


class VibeVoiceTTS(VibeVoiceSingleSpeakerNode):
    """Wildminder's."""

    @classmethod
    def INPUT_TYPES(cls):  # noqa: N802 - ComfyUI calls it so
        return pack_inputs.wildminder(["VibeVoice-1.5B"])

    def generate(self, text, speaker_1_voice=None, **_):
        if speaker_1_voice is None:
            raise ValueError("Speaker 1 has no voice")
        if not text.startswith("Speaker 1: "):
            raise ValueError("nobody knows who speaks")
        return super().generate(text.removeprefix("Speaker 1: "))


NODE_CLASS_MAPPINGS = {"VibeVoiceSingleSpeakerNode": VibeVoiceSingleSpeakerNode, "VibeVoiceTTS": VibeVoiceTTS}
