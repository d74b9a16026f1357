"""firstlight.toml: its keys are the names of the settings, and it may hold tables of checks and companions.

Imported only where there may be such a file. It may lie on a volume that hangs, or that others can write to.
"""

from __future__ import annotations

import errno
import math
import re

from firstlight import errors
from firstlight.settings import toml, values
from firstlight.settings.options import OPTIONS, Option
from firstlight.system import volume

# A file of settings has no business being larger, in bytes.
_LIMIT = 64 << 10

# How long a volume may take to give it, in seconds.
_PATIENCE = 10.0

_TABLES = ("checks", "companions")
_TABLE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


class Content:
    """What a file says.

    Attributes:
        settings: each setting in it, and its text or texts.
        tables: the tables of `checks` and of `companions`, by name.
    """

    def __init__(self, text: str) -> None:
        self.settings: list[tuple[Option, str | list[str]]] = []
        self.tables: dict[str, dict[str, dict[str, object]]] = {}
        self._text = text

    def line(self, key: str) -> str:
        """Where a key stands, as words to append to the path; empty where that cannot be told."""
        return _line(self._text, key)


def read(path: str, *, must_be_there: bool) -> Content | None:
    """Read a file. None where there is none and none must be.

    Raises:
        SettingsError: it cannot be read, or it says what cannot be said. Values are not looked at yet.
    """
    try:
        data = volume.read(path, _LIMIT + 1, _PATIENCE)
    except OSError as error:
        if error.errno == errno.ENOENT and not must_be_there:
            return None
        raise errors.SettingsError(f"cannot read {path}: {error.strerror}") from None
    if len(data) > _LIMIT:
        raise errors.SettingsError(f"cannot take {path}: it is larger than {_LIMIT >> 10} KiB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise errors.SettingsError(f"cannot take {path}, line {line}: it is not UTF-8") from None
    return _content(path, text)


def _content(path: str, text: str) -> Content:
    try:
        data = toml.loads(text)
    except RecursionError:
        raise errors.SettingsError(f"cannot take {path}: it is nested too deeply") from None
    except ValueError as error:  # TOMLDecodeError is one; it names the line
        raise errors.SettingsError(f"cannot take {path}: it is no TOML: {error}") from None
    content = Content(text)
    for key, value in data.items():
        try:
            _take(content, key, value)
        except ValueError as error:
            raise errors.SettingsError(f"cannot take {path}{_line(text, key)}: {error}") from None
    return content


def _take(content: Content, key: str, value: object) -> None:
    if key in _TABLES:
        content.tables[key] = _tables(key, value)
        return
    known = {option.name: option for option in OPTIONS if option.in_file}
    if key not in known:
        raise ValueError(f"unknown key {key!r}{values.nearest(key, (*known, *_TABLES))}")
    content.settings.append((known[key], _texts(known[key], value)))


def _texts(option: Option, value: object) -> str | list[str]:
    """A value of TOML as the text that it would be elsewhere."""
    if option.many and isinstance(value, list):
        return [_text(option, item) for item in value]
    text = _text(option, value)
    return [text] if option.many else text


def _text(option: Option, value: object) -> str:
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError(f"{option.name} holds a NUL character")
        return value
    if isinstance(value, bool):
        if option.kind.switch:
            return "true" if value else "false"
    elif isinstance(value, (int, float)) and option.kind.numbers:
        return f"{value:.9f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
    wanted = "true or false" if option.kind.switch else "a text or a number" if option.kind.numbers else "a text"
    several = f', or an array of such: {option.name} = ["…"]' if option.many else ""
    raise ValueError(f"{option.name} is {wanted}{several}, not {_kind(value)}")


def _tables(room: str, value: object) -> dict[str, dict[str, object]]:
    if not isinstance(value, dict):
        raise ValueError(f"{room} is a table of tables: [{room}.NAME]")
    for name, table in value.items():
        if not _TABLE_NAME.fullmatch(name):
            raise ValueError(
                f"{name!r} in {room} is no name: it is letters, digits, '-', '_' and '.', and begins with one of the first two"
            )
        if not isinstance(table, dict):
            raise ValueError(f"{room}.{name} is not a table: [{room}.{name}]")
        _check_plain(f"{room}.{name}", table)
    return value


def _check_plain(where: str, value: object) -> None:
    """Only what JSON has too: the journal holds all settings."""
    if isinstance(value, dict):
        for key, item in value.items():
            _check_plain(f"{where}.{key}", item)
    elif isinstance(value, list):
        for item in value:
            _check_plain(where, item)
    elif isinstance(value, str):
        if "\0" in value:
            raise ValueError(f"{where} holds a NUL character")
    elif not isinstance(value, (bool, int, float)) or (isinstance(value, float) and not math.isfinite(value)):
        raise ValueError(f"{where} is {_kind(value)}, which no setting is")


def _kind(value: object) -> str:
    """What a value of TOML is."""
    kinds = {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "an array", dict: "a table"}
    if isinstance(value, float) and not math.isfinite(value):
        return f"{value}"
    return kinds.get(type(value), "a date or a time")


def _line(text: str, key: str) -> str:
    # The reader of the standard library tells the line of an error of syntax alone.
    match = re.search(rf"^[ \t]*(?:\[+[ \t]*)?[\"']?{re.escape(key)}[\"']?[ \t]*(?:[=.\]])", text, re.MULTILINE)
    return f", line {text.count(chr(10), 0, match.start()) + 1}" if match else ""
