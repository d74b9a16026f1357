"""What `run` would take, and where each value came from, as text. Secrets are masked."""

from __future__ import annotations

import json
import signal
from collections.abc import Sequence

from firstlight.report.style import PLAIN, Style, fit, printable
from firstlight.settings import OPTIONS, Option, Origin, Settings, masking, values

_NAME_WIDTH = 17
_VALUE_WIDTH = 27
_WIDTH = 80


def render(settings: Settings, style: Style = PLAIN) -> str:
    """What was set first, then the defaults."""
    told = [option for option in OPTIONS if settings.origin(option.name).source != "default"]
    lines = [style.paint("Set here", "bold")]
    for option in told:
        lines += _lines(option.name, texts(settings, option), settings.origin(option.name), style)
    for room, tables in (("checks", settings.checks), ("companions", settings.companions)):
        for name, table in tables.items():
            lines += _lines(f"{room}.{name}", _table(table), Origin("file", settings.config), style)
    if len(lines) == 1:
        lines.append("  nothing")
    lines += ["", style.paint("Defaults", "bold")]
    for option in OPTIONS:
        if option not in told:
            lines += _lines(option.name, texts(settings, option), None, style)
    return fit("\n".join(lines), style)


def plain(settings: Settings) -> dict[str, object]:
    """The same for JSON."""
    shown = settings.shown()
    found = {}
    for option in OPTIONS:
        origin = settings.origin(option.name)
        found[option.name] = {
            "value": shown[option.field],
            "text": texts(settings, option),
            "source": origin.source,
            "from": origin.name or None,
        }
    return {"version": 1, "settings": found, "checks": shown["checks"], "companions": shown["companions"]}


def texts(settings: Settings, option: Option) -> list[str]:
    """A setting's values as one would write them in a variable, one each; none where nothing is set."""
    value = getattr(settings, option.field)
    several = value if option.many else () if value in ("", 0) and not option.default else (value,)
    return [str(masking.masked(_text(option.kind, item))) for item in several]


def _text(kind: values.Kind, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return "off" if kind is values.DURATION_OR_OFF and not value else _duration(value)
    if isinstance(value, tuple):
        return ":".join(_signal(number) if number else "none" for number in value)
    if isinstance(value, int) and kind is values.SIZE:
        return _size(value)
    return _signal(value) if isinstance(value, int) and kind is values.SIGNAL else str(value)


def _duration(seconds: float) -> str:
    for unit, length in (("h", 3600), ("m", 60)):
        if seconds and seconds % length == 0:
            return f"{seconds / length:.0f}{unit}"
    return f"{seconds:.9f}".rstrip("0").rstrip(".") + "s"


def _size(size: int) -> str:
    for unit, length in (("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)):
        if size % length == 0:
            return f"{size // length}{unit}"
    return str(size)


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name.removeprefix("SIG")
    except ValueError:
        return f"RTMIN+{number - signal.SIGRTMIN}"


def _table(table: object) -> list[str]:
    masked = masking.masked(table)
    return [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in masked.items()] if isinstance(masked, dict) else []


def _lines(name: str, shown: Sequence[str], origin: Origin | None, style: Style) -> list[str]:
    """One line for each value, and where they came from behind the first, or below them where it would be too far right."""
    shown = [printable(text) for text in shown] or ["-"]
    whence = "" if origin is None else f"recipe {origin.name}" if origin.source == "recipe" else printable(origin.name)
    lines = [f"  {name if place == 0 else '':<{_NAME_WIDTH}}  {text}" for place, text in enumerate(shown)]
    if not whence:
        return lines
    first = f"{lines[0]:<{_NAME_WIDTH + 4 + _VALUE_WIDTH}}  "
    if len(first) + len(whence) <= _WIDTH:
        return [first + style.paint(whence, "dim"), *lines[1:]]
    return [*lines, " " * (_NAME_WIDTH + 4) + style.paint(f"from {whence}", "dim")]
