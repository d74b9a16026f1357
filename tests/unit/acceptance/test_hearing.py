"""From files to samples: WAV of every width here, all else by whoever decodes it."""

from __future__ import annotations

import io
import struct
import sys
import wave

import pytest

from firstlight.acceptance import hearing
from firstlight.errors import UsageError

NOBODY = hearing.Ears(sys.executable, False, "")
# Two channels, three samples each.
LEFT, RIGHT = (0.0, 0.5, -1.0), (0.25, -0.25, 0.75)


def written(width: int) -> bytes:
    """A WAV of these channels, with so many bytes a sample."""
    scale = 1 << (8 * width - 1)
    steps = [int(one * scale) for pair in zip(LEFT, RIGHT, strict=True) for one in pair]
    data = bytes(step + 128 for step in steps) if width == 1 else b"".join(step.to_bytes(width, "little", signed=True) for step in steps)
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(width)
        file.setframerate(8000)
        file.writeframes(data)
    return buffer.getvalue()


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_a_wav_of_each_width(width: int) -> None:
    sound = hearing.decode(NOBODY, written(width))
    assert sound.rate == 8000
    assert [tuple(channel) for channel in sound.channels] == [LEFT, RIGHT]
    assert list(sound.mixed) == [0.125, 0.125, -0.125]


def test_one_that_is_cut_short_gives_what_there_is() -> None:
    sound = hearing.decode(NOBODY, written(2)[:-4])
    assert [tuple(channel) for channel in sound.channels] == [LEFT[:2], RIGHT[:2]]


def test_what_nobody_here_decodes_is_said() -> None:
    floats = (
        b"RIFF"
        + struct.pack("<I4s4sIHHIIHH4sI", 44, b"WAVE", b"fmt ", 16, 3, 1, 8000, 32000, 4, 32, b"data", 8)
        + struct.pack("<2f", 0.5, float("nan"))
    )
    for content in (floats, b"fLaC", b"", b"RIFF"):
        with pytest.raises(hearing.UndecodableError, match="nothing here decodes it"):
            hearing.decode(NOBODY, content)


def test_a_python_that_cannot_be_run_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot run --models /no/such/python: No such file or directory"):
        hearing.find("/no/such/python")
    with pytest.raises(UsageError, match="cannot take --models /bin/false"):
        hearing.find("/bin/false")


def test_where_the_models_are_not_there_that_is_said_of_each() -> None:
    heard = hearing.listen(NOBODY, written(2), None)
    assert not isinstance(heard, str)
    assert heard.speech == heard.words_unknown == heard.similarity == heard.quality == "faster_whisper is not installed there"
    assert hearing.listen(hearing.Ears("/bin/false", False, ""), b"", None) == "its process has ended with 1: "


def test_a_machine_that_lacks_something_says_nothing_about_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(hearing.JudgeError, match="cannot decode it: /no/such/ffmpeg: No such file or directory"):
        hearing.decode(hearing.Ears(sys.executable, False, "/no/such/ffmpeg"), b"fLaC")
    monkeypatch.setattr("tempfile.tempdir", "/no/such/folder")  # as where no file can be written
    with pytest.raises(hearing.JudgeError, match=r"cannot decode it: /no/such/folder/.*: No such file or directory"):
        hearing.decode(hearing.Ears(sys.executable, True, ""), b"fLaC")
    assert str(hearing.listen(NOBODY, b"", None)).startswith("/no/such/folder/")
