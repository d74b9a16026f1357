"""Settings of `run`: flags and FIRSTLIGHT_* variables become one frozen Settings. The only reader of these variables.

A flag wins over its variable, a variable over the default. This module is read before the first probe starts, so it keeps
its imports few.
"""

from __future__ import annotations

import re

from firstlight import errors

TYPE_CHECKING = False  # `typing` has the same name, and costs two milliseconds before the first probe
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_UNITS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|)")
_LONGEST = 7 * 24 * 3600.0


class Settings:
    """What `run` was told. Durations are seconds."""

    gpus: str  # "all", "any", "none" or a number
    attempts: int
    delay: float
    deadline: float
    probe_timeout: float
    on_failure: str
    grace: float
    holder: float
    state_dir: str
    torch: str
    allow: tuple[str, ...]
    quiet: bool
    dry_run: bool

    def __init__(self, values: Mapping[str, object]) -> None:
        vars(self).update(values)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"settings do not change: {name}")

    def changed(self, **values: object) -> Settings:
        """The same with some values changed."""
        return Settings({**vars(self), **values})


class Option:
    """One setting: the flag --NAME and the variable FIRSTLIGHT_NAME. A switch has no metavar."""

    def __init__(self, name: str, default: str, parse: Callable[[str], object], metavar: str, words: str) -> None:
        self.name = name
        self.default = default
        self.parse = parse
        self.metavar = metavar
        self.words = words

    @property
    def field(self) -> str:
        """Its name in Settings."""
        return self.name.replace("-", "_")

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return "FIRSTLIGHT_" + self.field.upper()


def duration(text: str) -> float:
    """Seconds of "500ms", "3s", "5m", "1h" or a bare number of seconds.

    Raises:
        ValueError: anything else, and more than a week.
    """
    match = _DURATION.fullmatch(text.strip())
    if not match:
        raise ValueError("a duration is a number with ms, s, m or h, such as 3s")
    seconds = float(match[1]) * _UNITS[match[2]]
    if seconds > _LONGEST:
        raise ValueError("a duration is at most 7 days")
    return seconds


def _positive_duration(text: str) -> float:
    seconds = duration(text)
    if seconds <= 0:
        raise ValueError("this duration must be more than nothing")
    return seconds


def _gpus(text: str) -> str:
    if text in ("all", "any", "none") or (text.isascii() and text.isdigit() and int(text) > 0):
        return text
    raise ValueError("it is all, any, none or a number above 0")


def _attempts(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 10_000):
        raise ValueError("it is a whole number from 1 to 10000")
    return int(text)


def _on_failure(text: str) -> str:
    if text not in ("exit", "hold"):
        raise ValueError("it is exit or hold")
    return text


def _switch(text: str) -> bool:
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    if text.lower() in ("", "0", "false", "no", "off"):
        return False
    raise ValueError("it is true or false")


def _remedies(text: str) -> tuple[str, ...]:
    names = tuple(name for name in text.split(",") if name)
    for name in names:
        if name != "drop-preload":
            raise ValueError("the only remedy that must be asked for is drop-preload")
    return names


OPTIONS = (
    Option("gpus", "all", _gpus, "all|any|N|none", "how many of the granted GPUs must be proven before the app starts"),
    Option("attempts", "10", _attempts, "N", "how often to try while a fault may pass; what an event or a remedy calls for is not counted"),
    Option("delay", "3s", _positive_duration, "TIME", "how long to wait between two attempts; a change in /dev ends the wait"),
    Option("deadline", "5m", _positive_duration, "TIME", "when to give up waiting altogether"),
    Option("probe-timeout", "60s", _positive_duration, "TIME", "how long one step of a probe may take before it counts as hung"),
    Option("on-failure", "exit", _on_failure, "exit|hold", "what to do when no GPU can be had: end, or stay up for a person to log in"),
    Option("grace", "8s", duration, "TIME", "how long the app may take to stop before it is killed"),
    Option("holder", "60s", duration, "TIME", "how long to hold the driver open for the app's own start; 0 for not at all"),
    Option("state-dir", "", str, "DIR", "where the journal is kept (default: .firstlight on /workspace where that is a mount)"),
    Option("torch", "", str, "PYTHON", "also ask the PyTorch of this interpreter, when CUDA does not come up"),
    Option("allow", "", _remedies, "REMEDY", "a remedy that is done only when asked for: drop-preload"),
    Option("quiet", "false", _switch, "", "say nothing on the way to the app; giving up is still reported"),
    Option("dry-run", "false", _switch, "", "diagnose and say what would be done first; change and start nothing"),
)


def load(flags: Mapping[str, str | None], environment: Mapping[str, str]) -> Settings:
    """Settings out of the flags that were given and the environment.

    Raises:
        UsageError: a flag's value is wrong.
        SettingsError: a variable's value is wrong.
    """
    values: dict[str, object] = {}
    for option in OPTIONS:
        flag = flags.get(option.field)
        text = flag if flag is not None else environment.get(option.variable, option.default)
        try:
            values[option.field] = option.parse(text)
        except ValueError as error:
            if flag is not None:
                raise errors.UsageError(f"cannot take --{option.name} {text!r}: {error}") from None
            raise errors.SettingsError(f"cannot take {option.variable}={text!r}: {error}") from None
    return Settings(values)
