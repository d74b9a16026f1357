"""What a clip must be like to count as the sentence that was asked for. Pure: numbers in, findings out.

No single gate catches all: a clip can be loud, long enough and full of speech, and say something else. The figures were found on clips of eight
voices and of every kind of failure that was seen (noise, tone, hum, cut, looped, reversed, clipped, NaN, silence).
"""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

# Characters of text that are said in a second: seen were 14 to 19, and a slow voice takes its time.
CHARACTERS_A_SECOND = 15.0
DURATION = (0.5, 2.0)  # as a share of what the text should take

LEVEL = (-45.0, -6.0)  # dBFS, root mean square
FULL_SCALE = 0.999
CLIPPED = 0.01  # share of samples at full scale
# A voice never holds one value this long, in seconds. NaN does: a file of whole numbers holds it as -1.0, again and again.
CONSTANT = 0.05
CONSTANT_LEVEL = 0.01  # -40 dBFS: quieter than that it may be a pause
SOUNDING = 0.6  # share of windows that are not silent
SILENT = 40.0  # dB below the loudest window
WINDOW = 0.02  # seconds

# By how much the level of windows varies, from the tenth part that is quietest to the loudest, in dB. Syllables came to 44 and more, over noise at
# a tenth of their power to 16; noise, tones and hum stay below 1.
VARIATION = 10.0

SPEECH = 0.6  # share of the clip that is speech
WORD_ERRORS = 0.3
SIMILARITY = 0.75  # cosine: the same voice gave 0.93, others 0.66 at most
QUALITY = 2.2  # DNSMOS


class Outcome(Enum):
    """What a gate says."""

    PASSED = "passed"
    FAILED = "failed"
    ADVICE = "advice"  # it would have failed, and decides nothing
    UNCHECKED = "not checked"


@dataclass(frozen=True)
class Finding:
    """One gate on one clip. `words` has the figure and the bounds, or why it was not checked."""

    gate: str
    outcome: Outcome
    words: str


@dataclass(frozen=True)
class Sound:
    """A decoded clip: samples from -1.0 to 1.0 for each channel, all of the same length."""

    rate: int
    channels: tuple[array[float], ...]

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.channels[0]) / self.rate if self.channels and self.rate else 0.0

    @property
    def mixed(self) -> array[float]:
        """All channels in one."""
        if len(self.channels) == 1:
            return self.channels[0]
        return array("f", (sum(frame) / len(frame) for frame in zip(*self.channels, strict=True)))


@dataclass(frozen=True)
class Heard:
    """What models say of a clip; a text in place of a figure says why there is none."""

    speech: float | str
    words: str
    words_unknown: str  # why nobody has listened; empty where somebody has
    similarity: float | str
    quality: float | str


def judge_sound(sound: Sound, *, text: str = "", rate: int = 0) -> list[Finding]:
    """All that the samples alone tell. `text` is what should be heard, empty where that is not known; `rate` is the wanted one, 0 for any."""
    if not sound.duration:
        return [_found("duration", False, "there is not one sample in it")]
    finite = [_finite(channel) for channel in sound.channels]
    found = [_rate(sound.rate, rate), _duration(sound.duration, text)]
    lost = sum(len(channel) - len(kept) for channel, kept in zip(sound.channels, finite, strict=True))
    if lost:
        total = sum(map(len, sound.channels))
        return [*found, _found("samples", False, f"{lost} of {total} samples are no numbers (NaN or infinite)")]
    mixed = sound.mixed
    level = _decibels(_power(mixed))
    clipped = max(sum(abs(sample) >= FULL_SCALE for sample in channel) / len(channel) for channel in sound.channels)
    run, held = max(_longest_run(channel, sound.rate) for channel in sound.channels)
    powers = _powers(mixed, sound.rate)
    sounding, varies = _sounding(powers), _variation(powers)
    spoken = (
        [_found("variation", varies >= VARIATION, f"its level varies by {varies:.0f} dB, {VARIATION:.0f} wanted of speech")] if text else []
    )
    return [
        *found,
        _found("level", LEVEL[0] <= level <= LEVEL[1], f"{level:.0f} dBFS, {LEVEL[0]:.0f} to {LEVEL[1]:.0f} wanted"),
        _found("clipping", clipped < CLIPPED, f"{clipped:.1%} of samples at full scale, less than {CLIPPED:.0%} wanted"),
        _found(
            "constant",
            run <= CONSTANT,
            f"it holds {held:.2f} for {run:.2f} s, as NaN does in a file; {CONSTANT:g} s at most wanted"
            if run > CONSTANT
            else f"it holds one value for {run * 1000:.0f} ms at most, {CONSTANT * 1000:.0f} ms wanted",
        ),
        _found("silence", sounding >= SOUNDING, f"{sounding:.0%} of it sounds, {SOUNDING:.0%} wanted"),
        *spoken,
    ]


def judge_heard(heard: Heard, *, text: str = "") -> list[Finding]:
    """What models have heard, against what should be heard."""
    return [
        _measured("speech", heard.speech, SPEECH, f"of it is speech, {SPEECH:.0%} wanted", percent=True),
        _words(heard, text),
        _measured("voice", heard.similarity, SIMILARITY, f"alike the reference, {SIMILARITY:g} wanted"),
        _measured("quality", heard.quality, QUALITY, f"DNSMOS, {QUALITY:g} would be well", advice=True),
    ]


def unheard(reason: str) -> list[Finding]:
    """Where no model could be asked."""
    return [Finding(gate, Outcome.UNCHECKED, reason) for gate in ("speech", "words", "voice", "quality")]


def word_errors(wanted: str, heard: str) -> float:
    """Words that are missing, wrong or too many, as a share of those wanted. Case and punctuation do not count."""
    reference, hypothesis = _plain(wanted), _plain(heard)
    if not reference:
        return float(len(hypothesis))
    row = list(range(len(hypothesis) + 1))
    for number, word in enumerate(reference, 1):
        corner, row[0] = row[0], number
        for place, other in enumerate(hypothesis, 1):
            corner, row[place] = row[place], min(corner + (word != other), row[place] + 1, row[place - 1] + 1)
    return row[-1] / len(reference)


def _words(heard: Heard, text: str) -> Finding:
    if heard.words_unknown or not text:
        return Finding("words", Outcome.UNCHECKED, heard.words_unknown or "it is not known what should be heard; say it with --text")
    wrong = word_errors(text, heard.words)
    quoted = heard.words if len(heard.words) <= 120 else heard.words[:120] + "…"
    return _found("words", wrong <= WORD_ERRORS, f"{wrong:.0%} of words wrong, {WORD_ERRORS:.0%} at most wanted; heard: {quoted!r}")


def _measured(gate: str, figure: float | str, least: float, words: str, *, percent: bool = False, advice: bool = False) -> Finding:
    if isinstance(figure, str):
        return Finding(gate, Outcome.UNCHECKED, figure)
    found = _found(gate, figure >= least, f"{figure:.0%} {words}" if percent else f"{figure:.2f} {words}")
    return Finding(gate, Outcome.ADVICE, found.words) if advice and found.outcome is Outcome.FAILED else found


def _found(gate: str, well: bool, words: str) -> Finding:
    return Finding(gate, Outcome.PASSED if well else Outcome.FAILED, words)


def _rate(found: int, wanted: int) -> Finding:
    if not wanted:
        return Finding("rate", Outcome.UNCHECKED, f"{found} Hz; name the wanted one with --sample-rate")
    return _found("rate", found == wanted, f"{found} Hz, {wanted} wanted")


def _duration(seconds: float, text: str) -> Finding:
    if not text:
        return Finding("duration", Outcome.UNCHECKED, f"{seconds:.1f} s; it is not known what should be heard")
    # A word or two are said with pauses around them.
    usual = max(len(text) / CHARACTERS_A_SECOND, 1.0)
    least, most = usual * DURATION[0], usual * DURATION[1]
    return _found("duration", least <= seconds <= most, f"{seconds:.1f} s, {least:.1f} to {most:.1f} wanted for {len(text)} characters")


def _finite(channel: array[float]) -> array[float]:
    # A sum is finite where all of its parts are: most clips are looked through once.
    return channel if math.isfinite(sum(channel)) else array("f", filter(math.isfinite, channel))


def _power(samples: Sequence[float]) -> float:
    return sum(sample * sample for sample in samples) / len(samples)


def _decibels(power: float) -> float:
    return 10 * math.log10(power) if power > 1e-18 else -180.0


def _longest_run(channel: array[float], rate: int) -> tuple[float, float]:
    """For how many seconds the channel holds one value that is no pause, and which value."""
    step = max(int(rate * CONSTANT) // 2, 1)
    longest, held = 0, 0.0
    # A run longer than twice the step covers two neighbours of this grid: only there is it measured.
    for place in range(0, len(channel) - step, step):
        sample = channel[place]
        if abs(sample) <= CONSTANT_LEVEL or channel[place + step] != sample:
            continue
        first, last = place, place
        while first > 0 and channel[first - 1] == sample:
            first -= 1
        while last + 1 < len(channel) and channel[last + 1] == sample:
            last += 1
        if last + 1 - first > longest and last >= place + step:
            longest, held = last + 1 - first, sample
    return longest / rate, held


def _powers(samples: array[float], rate: int) -> list[float]:
    size = max(int(rate * WINDOW), 1)
    return [_power(samples[place : place + size]) for place in range(0, len(samples), size)]


def _sounding(powers: Sequence[float]) -> float:
    """The share of windows that are not silent beside the loudest one."""
    loudest = max(powers)
    if loudest < 1e-9:
        return 0.0
    least = loudest / 10 ** (SILENT / 10)
    return sum(power >= least for power in powers) / len(powers)


def _variation(powers: Sequence[float]) -> float:
    """In dB, from the quiet windows to the loud ones."""
    ordered = sorted(powers)
    return _decibels(ordered[len(ordered) * 9 // 10]) - _decibels(ordered[len(ordered) // 10])


def _plain(text: str) -> list[str]:
    return re.findall(r"[^\W_]+(?:'[^\W_]+)?", text.lower().replace("\u2019", "'"))
