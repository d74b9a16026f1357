"""Turn a file into samples, and let models listen to it, each in a child: libraries of that size have no business in our process."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import tempfile
import wave
from array import array
from dataclasses import dataclass
from typing import Any

from firstlight.acceptance.gates import Heard, Sound
from firstlight.errors import Error, UsageError
from firstlight.system import asking, process

# Loading Whisper from a cold disk takes most of it, in seconds.
_PATIENCE = 300.0
_BYTES = 4  # of one sample


class UndecodableError(Exception):
    """A file is no sound, in words."""


class JudgeError(Error):
    """What was made cannot be looked at on this machine."""


@dataclass(frozen=True)
class Ears:
    """What can decode and listen on this machine.

    Attributes:
        interpreter: a Python that may have PyAV and the models; our own where none was named.
        has_av: it has PyAV.
        ffmpeg: the program's path, empty where there is none.
    """

    interpreter: str
    has_av: bool
    ffmpeg: str

    @property
    def can_decode(self) -> bool:
        """More than WAV, which needs nobody."""
        return self.has_av or bool(self.ffmpeg)


def find(models: str) -> Ears:
    """Look for what is there; `models` is the interpreter that was named, empty for none.

    Raises:
        UsageError: it cannot be run.
    """
    interpreter = models or sys.executable
    try:
        answer = asking.ask([interpreter, "-c", "import av"], timeout=_PATIENCE)
        if models and answer.code and b"ModuleNotFoundError" not in answer.err:
            raise UsageError(f"cannot take --models {models}: it is no Python that can import: {_last(answer.err)}")
        return Ears(interpreter, answer.code == 0, shutil.which("ffmpeg") or "")
    except OSError as error:
        raise UsageError(f"cannot run --models {models}: {error.strerror}") from None


def decode(ears: Ears, content: bytes) -> Sound:
    """The samples of a file.

    Raises:
        UndecodableError: it is none that can be decoded here.
        JudgeError: nobody could look at it.
    """
    found = _wave(content)
    if found is not None:
        return found
    try:
        with tempfile.TemporaryDirectory(prefix="firstlight-") as folder:
            source, target = os.path.join(folder, "clip"), os.path.join(folder, "samples")
            with open(source, "wb") as file:
                file.write(content)
            if ears.has_av:
                return _decoded(ears.interpreter, source, target)
            if ears.ffmpeg:
                return _by_ffmpeg(ears.ffmpeg, source)
    except OSError as error:
        raise JudgeError(f"cannot decode it: {_of_files(error)}") from None
    raise UndecodableError("nothing here decodes it")


def listen(ears: Ears, clip: bytes, voice: bytes | None) -> Heard | str:
    """What models hear in a clip, beside a reference of the voice; a text says why none could be asked."""
    try:
        with tempfile.TemporaryDirectory(prefix="firstlight-") as folder:
            files = []
            for name, content in (("clip", clip), ("voice", voice)):
                if content is not None:
                    files.append(os.path.join(folder, name))
                    with open(files[-1], "wb") as file:
                        file.write(content)
            answer = asking.ask(process.program("judge_speech", *files, interpreter=ears.interpreter), timeout=_PATIENCE)
    except OSError as error:
        return _of_files(error)
    if answer.code is None:
        return f"no answer within {_PATIENCE:.0f} s"
    said = _said(answer)
    if said is None:
        return f"its process has ended with {answer.code}: {_last(answer.err)}"
    words = said.get("words")
    return Heard(
        speech=_figure(said.get("speech")),
        words=words if isinstance(words, str) else "",
        words_unknown="" if isinstance(words, str) else str(_figure(words)),
        similarity=_figure(said.get("similarity")),
        quality=_figure(said.get("quality")),
    )


def _of_files(error: OSError) -> str:
    """What the machine does not do for us: a full disk, a program that is gone."""
    return f"{error.filename or tempfile.gettempdir()}: {error.strerror}"


def _figure(answer: Any) -> float | str:
    """A model's answer, or why there is none."""
    if isinstance(answer, (int, float)):
        return float(answer)
    return str(answer.get("unknown")) if isinstance(answer, dict) else "it gave no answer"


def _wave(content: bytes) -> Sound | None:
    """The samples of a WAV of whole numbers; None where it is something else."""
    if content[:4] != b"RIFF":
        return None
    try:
        with wave.open(io.BytesIO(content)) as file:
            rate, width, count = file.getframerate(), file.getsampwidth(), file.getnchannels()
            data = file.readframes(file.getnframes())
    except (wave.Error, EOFError):
        return None  # of floats, or compressed
    if width == 1:
        samples = array("f", ((byte - 128) / 128 for byte in data))
    elif width in (2, 4):
        whole = array("h" if width == 2 else "i", data[: len(data) // width * width])
        if sys.byteorder == "big":
            whole.byteswap()
        scale = float(1 << (8 * width - 1))
        samples = array("f", (step / scale for step in whole))
    else:
        scale = float(1 << (8 * width - 1))
        samples = array("f", (int.from_bytes(data[at : at + width], "little", signed=True) / scale for at in range(0, len(data), width)))
    return Sound(rate, tuple(samples[channel::count] for channel in range(count)))


def _decoded(interpreter: str, source: str, target: str) -> Sound:
    answer = asking.ask(process.program("decode_audio", source, target, interpreter=interpreter), timeout=_PATIENCE)
    said = _said(answer) or {"broken": _last(answer.err) or "the decoder gave no answer"}
    if "unknown" in said:
        raise JudgeError(f"cannot decode it: {said['unknown']}")
    if "rate" not in said:
        raise UndecodableError(str(said.get("broken")))
    with open(target, "rb") as file:
        planes = tuple(_floats(file.read(said["samples"] * _BYTES)) for _ in range(said["channels"]))
    return Sound(said["rate"], planes)


def _by_ffmpeg(ffmpeg: str, source: str) -> Sound:
    """As a WAV of floats, whose header tells the rate and the channels."""
    order = [ffmpeg, "-v", "error", "-i", source, "-map", "0:a:0", "-c:a", "pcm_f32le", "-f", "wav", "-"]
    answer = asking.ask(order, timeout=_PATIENCE)
    if answer.code != 0:
        raise UndecodableError(_last(answer.err) or f"ffmpeg has ended with {answer.code}")
    place = answer.out.find(b"fmt ")
    start = answer.out.find(b"data", place)
    if place < 0 or start < 0:
        raise UndecodableError("ffmpeg has written no WAV")
    count = int.from_bytes(answer.out[place + 10 : place + 12], "little")
    rate = int.from_bytes(answer.out[place + 12 : place + 16], "little")
    samples = _floats(answer.out[start + 8 :])
    frames = len(samples) // count
    return Sound(rate, tuple(samples[channel : frames * count : count] for channel in range(count)))


def _floats(data: bytes) -> array[float]:
    return array("f", data[: len(data) // _BYTES * _BYTES])


def _said(answer: asking.Finished) -> dict[str, Any] | None:
    """The line of JSON that a program has printed."""
    try:
        found = json.loads(answer.out.strip().rpartition(b"\n")[2])
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _last(text: bytes) -> str:
    """The last line of what was complained of."""
    return text.decode("utf-8", "replace").strip().rpartition("\n")[2][:200]
