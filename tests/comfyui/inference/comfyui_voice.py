"""What both stand-ins for a pack of VibeVoice do with ComfyUI's help. VibeVoice itself is not imported before something is to be said."""

import os

import comfy.model_management
import folder_paths
import numpy as np

LOADED = {}


def room():
    return os.path.join(folder_paths.models_dir, "vibevoice")


def models():
    """A folder with a configuration and a file of weights is a model, as it is for the pack."""
    names = os.listdir(room()) if os.path.isdir(room()) else []
    found = [name for name in names if os.path.isfile(os.path.join(room(), name, "config.json"))]
    return sorted(found) or ["No models found"]


def was_interrupted():
    """Whether somebody has interrupted; told once, so that what was said until then is saved."""
    try:
        comfy.model_management.throw_exception_if_processing_interrupted()
    except comfy.model_management.InterruptProcessingException:
        return True
    return False


def speak(model, text, voice, **how):
    """What the real inference makes of it, as ComfyUI passes sound on."""
    from run_vibevoice import RATE, load, say

    device = comfy.model_management.get_torch_device().type
    if model not in LOADED:
        LOADED[model] = load(os.path.join(room(), model), device)
    print(f"[VibeVoice] {model} begins to speak", flush=True)
    samples = say(LOADED[model], text, to_rate(voice, RATE), stop=was_interrupted, **how)
    print(f"[VibeVoice] {model} has made {len(samples) / RATE:.1f} s of sound on {device}", flush=True)
    return ({"waveform": samples[None, None], "sample_rate": RATE},)


def to_rate(voice, rate):
    """One channel of a voice at another rate."""
    if voice is None:
        return None
    samples = voice["waveform"][0].mean(dim=0).numpy()
    there = np.arange(int(len(samples) * rate / voice["sample_rate"])) * voice["sample_rate"] / rate
    return np.interp(there, np.arange(len(samples)), samples).astype("float32")
