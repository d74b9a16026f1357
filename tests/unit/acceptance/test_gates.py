"""The gates that need the samples alone, on clips made here: a voice-like one passes, each kind of failure is refused by its gate."""

from __future__ import annotations

import math
import random
import struct
import zlib
from array import array
from collections.abc import Callable

import pytest

from firstlight.acceptance import gates, picture
from firstlight.acceptance.gates import Outcome, Sound

RATE = 24_000
TEXT = "Hello from the cloned voice. This is the acceptance test for a freshly started machine."


def voice(seconds: float = 5.0, gain: float = 0.2) -> list[float]:
    """Something with the outline of speech: syllables of a few harmonics and a little breath, with short pauses."""
    chance = random.Random(7)
    found = []
    for number in range(int(seconds * RATE)):
        time = number / RATE
        syllable = max(math.sin(2 * math.pi * 2 * time), 0.0) ** 0.5 + max(-math.sin(2 * math.pi * 2 * time), 0.0) * 0.3
        tone = sum(math.sin(2 * math.pi * 120 * harmonic * time) / harmonic for harmonic in range(1, 6))
        found.append(gain * syllable * tone + chance.gauss(0, 0.001))
    return found


def held(samples: list[float], value: float, start: float, seconds: float) -> list[float]:
    first, last = int(start * RATE), int((start + seconds) * RATE)
    return [*samples[:first], *[value] * (last - first), *samples[last:]]


def sound(samples: list[float], *more: list[float]) -> Sound:
    """As it comes out of a file: in 16 bits. What is no number stays none, as in a file of floats."""
    steps = [[max(-1.0, min(1.0, round(one * 32768) / 32768)) if math.isfinite(one) else one for one in each] for each in (samples, *more)]
    return Sound(RATE, tuple(array("f", each) for each in steps))


def failed(clip: Sound, text: str = TEXT, rate: int = RATE) -> set[str]:
    return {found.gate for found in gates.judge_sound(clip, text=text, rate=rate) if found.outcome is Outcome.FAILED}


GOOD = voice()
NOISE = random.Random(11)
CLIPS: dict[str, tuple[Callable[[], Sound], set[str]]] = {
    "a good one": (lambda: sound(GOOD), set()),
    "a good one on two channels": (lambda: sound(GOOD, GOOD), set()),
    "a quiet one that is still heard": (lambda: sound([one * 0.1 for one in GOOD]), set()),
    "a slow one": (lambda: sound(voice(9.0)), set()),
    "cut at 50 %": (lambda: sound(GOOD[: len(GOOD) // 2]), {"duration"}),
    "looped": (lambda: sound(GOOD * 3), {"duration"}),
    "clipped": (lambda: sound([one * 8 for one in GOOD]), {"clipping", "level"}),
    "very quiet": (lambda: sound([one / 3000 for one in GOOD]), {"level"}),
    "NaN, as whole numbers hold it": (lambda: sound(held(GOOD, -1.0, 1.0, 0.1)), {"clipping", "constant"}),
    "NaN all over, as whole numbers hold it": (lambda: sound([-1.0] * len(GOOD)), {"clipping", "constant", "level", "variation"}),
    "one value held for 60 ms": (lambda: sound(held(GOOD, 0.3, 1.01, 0.06)), {"constant"}),
    "one value held for 45 ms": (lambda: sound(held(GOOD, 0.3, 1.01, 0.045)), set()),
    "held on one channel alone": (lambda: sound(GOOD, held(GOOD, 0.3, 1.0, 0.3)), {"constant"}),
    "NaN in a file of floats": (lambda: sound([*GOOD[:-1], math.nan]), {"samples"}),
    "infinite": (lambda: sound([*GOOD[:-2], math.inf, -math.inf]), {"samples"}),
    "half of it silent": (lambda: sound(held(GOOD, 0.0, 2.5, 2.5)), {"silence"}),
    "silence": (lambda: sound([0.0] * len(GOOD)), {"level", "silence", "variation"}),
    "nothing at all": (lambda: sound([]), {"duration"}),
    "a second of zeros": (lambda: sound([0.0] * RATE), {"duration", "level", "silence", "variation"}),
    "white noise": (lambda: sound([NOISE.gauss(0, 0.1) for _ in GOOD]), {"variation"}),
    "a tone": (lambda: sound([0.3 * math.sin(2 * math.pi * 440 * number / RATE) for number in range(len(GOOD))]), {"variation"}),
    "a quiet hum": (lambda: sound([0.012 * math.sin(2 * math.pi * 100 * number / RATE) for number in range(len(GOOD))]), {"variation"}),
}


@pytest.mark.parametrize("name", CLIPS)
def test_each_kind_of_clip(name: str) -> None:
    make, wanted = CLIPS[name]
    assert failed(make()) == wanted


def test_a_failure_carries_its_figure() -> None:
    words = {found.gate: found.words for found in gates.judge_sound(sound(GOOD[:RATE]), text=TEXT, rate=22_050)}
    assert words["rate"] == "24000 Hz, 22050 wanted"
    assert words["duration"] == f"1.0 s, {len(TEXT) / 30:.1f} to {len(TEXT) / 7.5:.1f} wanted for {len(TEXT)} characters"


def test_what_is_not_known_is_not_checked() -> None:
    found = {one.gate: one.outcome for one in gates.judge_sound(sound(GOOD))}
    assert found["rate"] is found["duration"] is Outcome.UNCHECKED
    assert found["level"] is Outcome.PASSED


@pytest.mark.parametrize(
    ("heard", "wrong"),
    [
        (TEXT, 0.0),
        ("hello from the CLONED voice this is the acceptance test for a freshly started machine", 0.0),
        ("Hello from the cloned voice. This is the acceptance test for freshly started machine.", 1 / 15),
        ("", 1.0),
        ("Hello from the cloned voice.", 10 / 15),
        (f"{TEXT} {TEXT} {TEXT}", 2.0),
        ("One two.", 1.0),
    ],
)
def test_word_errors(heard: str, wrong: float) -> None:
    assert gates.word_errors(TEXT, heard) == pytest.approx(wrong)


def test_what_models_have_heard_is_judged_and_quality_is_advice_alone() -> None:
    heard = gates.Heard(speech=0.5, words="something else", words_unknown="", similarity=0.6, quality=1.5)
    assert [(found.gate, found.outcome) for found in gates.judge_heard(heard, text=TEXT)] == [
        ("speech", Outcome.FAILED),
        ("words", Outcome.FAILED),
        ("voice", Outcome.FAILED),
        ("quality", Outcome.ADVICE),
    ]
    absent = gates.Heard(speech="no model", words="", words_unknown="no Whisper", similarity="no voice given", quality="no model")
    assert {found.outcome for found in gates.judge_heard(absent, text=TEXT)} == {Outcome.UNCHECKED}


def png(width: int, height: int, pixel: Callable[[int, int], bytes], colour: int = 2, filters: tuple[int, ...] = (0,)) -> bytes:
    """A picture, whose rows are written with these filters in turn."""
    samples = {0: 1, 2: 3, 6: 4}[colour]
    rows, before = b"", bytes(width * samples)
    for y in range(height):
        line = b"".join(pixel(x, y) for x in range(width))
        kind = filters[y % len(filters)]
        written = bytearray()
        for place, held in enumerate(line):
            left = line[place - samples] if place >= samples else 0
            corner = before[place - samples] if place >= samples else 0
            above = before[place]
            guess = left + above - corner
            nearest = min((left, above, corner), key=lambda one: abs(guess - one))
            written.append((held - (0, left, above, (left + above) // 2, nearest)[kind]) & 255)
        rows += bytes([kind]) + bytes(written)
        before = line

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    return picture._SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_pictures() -> None:
    def outcomes(data: bytes, **wanted: int) -> dict[str, Outcome]:
        return {found.gate: found.outcome for found in picture.judge(data, **wanted)}

    chance = random.Random(3)
    noise = [[bytes(chance.randrange(256) for _ in range(3)) for _ in range(20)] for _ in range(20)]
    painted = png(20, 20, lambda x, y: noise[y][x], filters=(0, 1, 2, 3, 4))
    assert outcomes(painted, width=20, height=20) == dict.fromkeys(("decodable", "size", "blank"), Outcome.PASSED)
    assert outcomes(painted, width=64, height=20)["size"] is Outcome.FAILED
    assert outcomes(painted)["size"] is Outcome.UNCHECKED
    # One colour stays one, however it is written: a filter that is undone wrongly would make it colourful.
    for colour, pixel in ((2, b"\x80\x10\xff"), (6, b"\x00\x00\x00\xff"), (0, b"\x7f")):
        assert outcomes(png(9, 10, lambda x, y, pixel=pixel: pixel, colour, (0, 1, 2, 3, 4)))["blank"] is Outcome.FAILED
    assert outcomes(painted[:-30])["decodable"] is Outcome.FAILED
    assert outcomes(painted[:60] + b"x" + painted[61:])["decodable"] is Outcome.FAILED
    assert outcomes(b"RIFF....WEBP")["decodable"] is Outcome.UNCHECKED
