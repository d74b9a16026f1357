"""VibeVoice's own inference, as the node packs call it: a model's folder, a text and a voice in, samples out.

For an interpreter that has the packages of requirements/comfyui.txt and requirements/vibevoice.txt, and PyTorch.
"""

import numpy as np
import torch
from vibevoice.modular.modeling_vibevoice_inference import VibeVoiceForConditionalGenerationInference
from vibevoice.processor.vibevoice_processor import VibeVoiceProcessor

RATE = 24000


def load(folder, device):
    """The processor and the model of a folder, as the packs load them."""
    processor = VibeVoiceProcessor.from_pretrained(folder)
    model = VibeVoiceForConditionalGenerationInference.from_pretrained(
        folder, torch_dtype=torch.bfloat16, device_map=device, attn_implementation="sdpa"
    )
    return processor, model.eval()


def say(loaded, text, voice, *, seed, steps, scale, stop=None):
    """What the model makes of a text: samples at RATE. `voice` is samples at RATE; without one a made-up voice is cloned, as Enemyx's pack does.
    `stop` is asked before each token, and ends the sound where it says yes."""
    processor, model = loaded
    if voice is None:
        voice = np.random.default_rng(seed).normal(0, 0.1, 3 * RATE).astype("float32")
    inputs = processor(text=[text], voice_samples=[[voice]], padding=True, return_tensors="pt", return_attention_mask=True)
    inputs = {name: value.to(model.device) if torch.is_tensor(value) else value for name, value in inputs.items()}
    model.set_ddpm_inference_steps(num_steps=steps)
    torch.manual_seed(seed)
    made = model.generate(
        **inputs,
        max_new_tokens=None,
        cfg_scale=scale,
        tokenizer=processor.tokenizer,
        generation_config={"do_sample": False},
        verbose=False,
        show_progress_bar=False,
        stop_check_fn=stop,
    )
    return made.speech_outputs[0].float().cpu().reshape(-1)
