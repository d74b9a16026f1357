"""What a setting may be: from its text to its value. Each function raises ValueError, with words for whoever wrote the text.

No regular expressions: to compile those that the defaults alone need would take a millisecond before the first probe.
"""

from __future__ import annotations

import signal

TYPE_CHECKING = False  # `typing` has the same name, and costs two milliseconds before the first probe
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_UNITS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}
_LONGEST = 7 * 24 * 3600.0

_SIZES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}

# Signals whose meaning nobody can change.
_ABSOLUTE: dict[int, str] = {signal.SIGKILL: "KILL", signal.SIGSTOP: "STOP"}

# The C library keeps them for itself.
_RESERVED = (32, 33)

CHECKS = ("http", "https", "tcp", "exec", "log", "notify")


class Kind:
    """A kind of value.

    Attributes:
        parse: from text to the value.
        numbers: a number in firstlight.toml will do as well as its text.
        switch: it is true or false; its flag takes no value.
    """

    __slots__ = ("numbers", "parse", "switch")

    def __init__(self, parse: Callable[[str], object], *, numbers: bool = False, switch: bool = False) -> None:
        self.parse = parse
        self.numbers = numbers
        self.switch = switch


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that was probably meant, as words to append to a message; empty where none is near."""
    import difflib  # slow to import, and nobody needs it who made no mistake

    found = difflib.get_close_matches(word, list(known), 1)
    return f" (did you mean {found[0]!r}?)" if found else ""


def _digits(text: str, most: int = 18) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= most


def duration(text: str) -> float:
    """Seconds of "500ms", "3s", "5m", "1h" or a bare number of seconds.

    Raises:
        ValueError: anything else, and more than a week.
    """
    text = text.strip()
    number = text.rstrip("hms")
    before, point, behind = number.partition(".")
    unit = text[len(number) :]
    if unit not in _UNITS or not _digits(before) or (point and not _digits(behind)):
        raise ValueError("a duration is a number with ms, s, m or h, such as 3s")
    seconds = float(number) * _UNITS[unit]
    if seconds > _LONGEST:
        raise ValueError("a duration is at most 7 days")
    return seconds


def _positive_duration(text: str) -> float:
    seconds = duration(text)
    if seconds <= 0:
        raise ValueError("this duration must be more than nothing")
    return seconds


def _duration_or_off(text: str) -> float:
    return 0.0 if text.strip() == "off" else duration(text)


def size(text: str) -> int:
    """Bytes of "10M", "64K", "1G", "10MiB" or a bare number. K is 1024."""
    text = text.strip().upper()
    number = text.rstrip("KMGIB")
    unit = text[len(number) :].removesuffix("B").removesuffix("I")
    if unit not in _SIZES or not _digits(number):
        raise ValueError("a size is a number with K, M or G, such as 10M")
    found = int(number) * _SIZES[unit]
    if not 1 << 12 <= found <= 1 << 40:
        raise ValueError("a size is from 4K to 1024G")
    return found


def whole(least: int, most: int) -> Kind:
    """A whole number."""

    def parse(text: str) -> int:
        text = text.strip()
        if not (_digits(text) and least <= int(text) <= most):
            raise ValueError(f"it is a whole number from {least} to {most}")
        return int(text)

    return Kind(parse, numbers=True)


def choice(*words: str) -> Kind:
    """One of some words."""

    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"it is {', '.join(words[:-1])} or {words[-1]}{nearest(text, words)}")
        return text

    return Kind(parse)


def signal_number(text: str) -> int:
    """The number of a signal by its name, with or without SIG, or by its number. RTMIN+n and RTMAX-n are names too."""
    name = text.strip().upper().removeprefix("SIG")
    if name.isdigit():
        number = int(name) if _digits(name, 3) else 0
    else:
        base, sign, offset = name.partition("+") if "+" in name else name.partition("-")
        number = int(getattr(signal, f"SIG{base}", 0)) if base.isascii() and base.isalnum() else 0
        if sign:
            fits = (base, sign) in (("RTMIN", "+"), ("RTMAX", "-")) and _digits(offset, 2)
            number = (number + int(sign + offset)) if fits else 0
    if not 0 < number < signal.NSIG or number in _RESERVED:
        names = (item.name.removeprefix("SIG") for item in signal.Signals)
        raise ValueError(f"it is no signal{nearest(name, names)}; a signal is a name such as TERM, or a number")
    return number


def _stop_signal(text: str) -> int:
    number = signal_number(text)
    if number == signal.SIGSTOP:
        raise ValueError("STOP only suspends the app")
    return number


def _rewrite(text: str) -> tuple[int, int]:
    source, colon, target = text.partition(":")
    if not colon:
        raise ValueError("it is FROM:TO, such as TERM:INT; a TO of none drops the signal")
    caught = signal_number(source)
    if caught in _ABSOLUTE:
        raise ValueError(f"{_ABSOLUTE[caught]} reaches nobody but the kernel, so it cannot be rewritten")
    return caught, 0 if target.strip() in ("0", "none") else signal_number(target)


def _host(text: str) -> str:
    name = text.removeprefix("*.")
    if not all(part and part.isascii() and part.replace("-", "").isalnum() for part in name.split(".")):
        raise ValueError('a host is a name such as pod.example.org, or "*.example.org" for all below it')
    return text.lower()


def _exit_code(text: str) -> int:
    if not (_digits(text, 3) and int(text) <= 255):
        raise ValueError("an exit code is a number from 0 to 255; a death by signal N is 128 + N")
    return int(text)


def _gpus(text: str) -> str:
    if text in ("all", "any", "none") or (_digits(text) and int(text) > 0):
        return text
    raise ValueError("it is all, any, none or a number above 0")


def _switch(text: str) -> bool:
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    if text.lower() in ("", "0", "false", "no", "off"):
        return False
    raise ValueError("it is true or false")


def _remedy(text: str) -> str:
    if text != "drop-preload":
        raise ValueError("the only remedy that must be asked for is drop-preload")
    return text


def _recipe(text: str) -> str:
    if text and not (text.isascii() and text == text.lower() and text.replace("-", "").isalnum()):
        raise ValueError("the name of a recipe is lower-case letters, digits and dashes")
    return text


def _port(text: str) -> int:
    text = text.strip()
    if text and not (_digits(text) and 0 < int(text) < 1 << 16):
        raise ValueError("a port is a number from 1 to 65535")
    return int(text or 0)


def _address(text: str) -> str:
    text = text.strip()
    if text == "off":
        return text
    host, colon, port = text.rpartition(":")
    if not (colon and _digits(port) and int(port) < 1 << 16 and (_is_ipv6(host) if host.startswith("[") else _is_name(host))):
        raise ValueError("it is off or HOST:PORT, such as 127.0.0.1:8421, 0.0.0.0:8421 or [::1]:8421")
    return text


def _is_ipv6(host: str) -> bool:
    address, _, zone = host.removeprefix("[").removesuffix("]").partition("%")
    return host.endswith("]") and ":" in address and not set(address) - set("0123456789abcdefABCDEF:.") and zone.isprintable()


def _is_name(host: str) -> bool:
    """A host's name, or an IPv4 address: what ends in a number is that or nothing."""
    parts = host.split(".")
    if parts[-1].isdigit():
        return len(parts) == 4 and all(_digits(part, 3) and int(part) < 256 for part in parts)
    return host.isascii() and all(part.replace("-", "").isalnum() for part in parts)


def _acceptance(text: str) -> str:
    """The words of --accept; empty for none."""
    if text:
        from firstlight.settings import accepting  # it takes argparse, which a run has no other use for

        accepting.judge(text)
    return text


def _check(text: str) -> str:
    kind, colon, rest = text.partition(":")
    if kind not in CHECKS:
        raise ValueError(f"a check begins with http:, https:, tcp:, exec: or log:, or is notify{nearest(kind, CHECKS)}")
    if kind == "notify":
        if colon:
            raise ValueError("notify takes nothing behind it")
    elif (kind in ("http", "https") and not rest.startswith("//")) or not rest.strip("/ "):
        raise ValueError("it is http://HOST:PORT/PATH, tcp:HOST:PORT, exec:COMMAND, log:REGEX or notify")
    return text


def _command(text: str) -> str:
    if not text.strip():
        raise ValueError("there is no command in it")
    return text


DURATION = Kind(duration, numbers=True)
POSITIVE_DURATION = Kind(_positive_duration, numbers=True)
DURATION_OR_OFF = Kind(_duration_or_off, numbers=True)
SIZE = Kind(size, numbers=True)
SWITCH = Kind(_switch, switch=True)
TEXT = Kind(str)
ACCEPTANCE = Kind(_acceptance)
GPUS = Kind(_gpus, numbers=True)
REMEDY = Kind(_remedy)
RECIPE = Kind(_recipe)
PORT = Kind(_port, numbers=True)
ADDRESS = Kind(_address)
HOST = Kind(_host)
SIGNAL = Kind(_stop_signal, numbers=True)
REWRITE = Kind(_rewrite)
EXIT_CODE = Kind(_exit_code, numbers=True)
CHECK = Kind(_check)
COMMAND = Kind(_command)
