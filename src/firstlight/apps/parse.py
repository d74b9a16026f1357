"""From what a person wrote to a Check: a SPEC of the command line, or a table [checks.NAME] of firstlight.toml.

    parse.spec("http://127.0.0.1:8188/system_stats devices.0.type equals cuda", Level.READY, "ready-1")
    parse.table("queue", {"http": "http://127.0.0.1:8188/queue", "level": "alive", "period": "5s"})

Both raise ValueError with words that stand after "cannot take …: ", for a flag (exit 64) and for a setting (exit 78) alike.
"""

from __future__ import annotations

import json
import re
import shlex
import warnings
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from firstlight.apps.app import Check, Kind, Level, OnFailure, Relation, Rule, Scalar
from firstlight.settings import duration

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")
_URL = re.compile(r"(https?)://(?:\[([0-9a-fA-F:.]+)\]|([^\[\]/?#:@\s]+))(?::(\d{1,5}))?([/?][^\s#]*)?")
_ADDRESS = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([^\[\]/?#:@\s]+)):(\d{1,5})")
_RULE = re.compile(r"(\S+)\s+(equals|offers|empty|not-empty|present)(?:\s+(\S.*))?")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

_SPECS = "http://HOST:PORT/PATH, tcp:HOST:PORT, exec:COMMAND, log:REGEX or notify"
_SHORTEST = 0.05  # seconds; a period below this would be a load, not a check
_PROGRAM_INTERVAL = 1.0  # seconds; to start a program costs more than to ask a server, and the app needs the processor to start


def spec(text: str, level: Level, name: str) -> Check:
    """The check that a SPEC of --alive or --ready means.

    After the URL of an HTTP check may stand what its JSON must be, several rules with commas between them.

    Raises:
        ValueError: it is no SPEC.
    """
    text = text.strip()
    scheme, _, rest = text.partition(":")
    if scheme in ("http", "https"):
        url, _, rules = text.partition(" ")
        return table(name, {"level": level.value, "http": url, "expect": [rule for rule in rules.split(",") if rule.strip()]})
    if scheme in ("tcp", "exec", "log"):
        return table(name, {"level": level.value, scheme: rest})
    if text == "notify":
        return table(name, {"level": level.value, "notify": True})
    raise ValueError(f"a check is {_SPECS}")


def table(name: str, values: Mapping[str, Any]) -> Check:
    """The check that a table [checks.NAME] means: one of http, tcp, exec, log and notify, and what belongs to it.

    Raises:
        ValueError: the table is wrong; the words name the key.
    """
    if not _NAME.fullmatch(name):
        raise ValueError("the name of a check is made of a-z, 0-9, '-', '_' and '.', and begins with a letter or a digit")
    kinds = [kind for kind in Kind if kind.value in values]
    if len(kinds) != 1:
        raise ValueError("a check has one of http, tcp, exec, log and notify")
    kind = kinds[0]
    level = _one_of(Level, "level", values.get("level", Level.READY.value))
    given: dict[str, Any] = _KINDS[kind](values[kind.value])
    for key, value in values.items():
        if key in (kind.value, "level"):
            continue
        if key not in _KEYS:
            raise ValueError(f"there is no key {key!r}{_nearest(key)}")
        if kind not in _KEYS[key].kinds:
            raise ValueError(f"{key} is not for a check of the kind {kind.value}")
        given[key.replace("-", "_")] = _KEYS[key].parse(key, value)
    given.setdefault("on_failure", OnFailure.RESTART if level is Level.ALIVE else OnFailure.NOTE)
    if kind is Kind.EXEC:
        given.setdefault("start_interval", _PROGRAM_INTERVAL)
    check = Check(name=name, level=level, kind=kind, **given)
    if kind is Kind.NOTIFY and level is Level.ALIVE:
        raise ValueError("notify tells when an app is ready, and nothing about whether it is alive")
    return check


# The kinds


def _http(value: Any) -> dict[str, Any]:
    url = _text("http", value)
    match = _URL.fullmatch(url)
    if not match:
        raise ValueError(f"http is a URL such as http://127.0.0.1:8188/health, not {url!r}")
    if match[4] is not None:
        _port("http", match[4])
    return {"target": url}


def _tcp(value: Any) -> dict[str, Any]:
    address = _text("tcp", value)
    match = _ADDRESS.fullmatch(address)
    if not match:
        raise ValueError(f"tcp is HOST:PORT, with [ ] around the host of an IPv6 address, not {address!r}")
    _port("tcp", match[3])
    return {"target": address}


def _exec(value: Any) -> dict[str, Any]:
    if isinstance(value, list) and value and all(isinstance(word, str) for word in value):
        words = list(value)
    else:
        try:
            words = shlex.split(_text("exec", value))
        except ValueError as error:
            raise ValueError(f"exec is a command line whose words are told apart as a shell does: {error}") from None
    if not words or not words[0] or any("\0" in word for word in words):
        raise ValueError("exec is a command and its arguments")
    return {"command": tuple(words)}


def _log(value: Any) -> dict[str, Any]:
    regex = _text("log", value)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a doubtful one is a wrong one
            re.compile(regex.encode())
    except (re.error, FutureWarning, OverflowError, RecursionError) as error:
        raise ValueError(f"log is a regular expression: {error}") from None
    if re.search(regex.encode(), b""):
        raise ValueError("log is a regular expression that an empty line does not fit")
    return {"target": regex}


def _notify(value: Any) -> dict[str, Any]:
    if value is not True:
        raise ValueError("notify is true, or left out")
    return {}


_KINDS: dict[Kind, Callable[[Any], dict[str, Any]]] = {
    Kind.HTTP: _http,
    Kind.TCP: _tcp,
    Kind.EXEC: _exec,
    Kind.LOG: _log,
    Kind.NOTIFY: _notify,
}


# The other keys


def _text(key: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{key} is a text that is not empty")
    return value.strip()


def _port(key: str, text: str) -> None:
    if not 0 < int(text) <= 65535:
        raise ValueError(f"{key} names the port {text}, and ports go from 1 to 65535")


def _seconds(key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError(f"{key} is a duration such as 3s")
    try:
        return duration(str(value))
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None


def _positive_seconds(key: str, value: Any) -> float:
    seconds = _seconds(key, value)
    if seconds < _SHORTEST:
        raise ValueError(f"{key} is at least {_SHORTEST * 1000:g}ms")
    return seconds


def _count(key: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= 1000:
        raise ValueError(f"{key} is a whole number from 1 to 1000")
    return value


def _one_of(kind: Any, key: str, value: Any) -> Any:
    choices = [choice.value for choice in kind]
    if value not in choices:
        raise ValueError(f"{key} is {' or '.join(choices)}, not {value!r}")
    return kind(value)


def _on_failure(key: str, value: Any) -> OnFailure:
    chosen: OnFailure = _one_of(OnFailure, key, value)
    return chosen


def _status(key: str, value: Any) -> tuple[int, ...]:
    codes = value if isinstance(value, list) else [value]
    if not codes or not all(isinstance(code, int) and not isinstance(code, bool) and 100 <= code <= 599 for code in codes):
        raise ValueError(f"{key} is a status code such as 200, or a list of them")
    return tuple(codes)


def _rules(key: str, value: Any) -> tuple[Rule, ...]:
    texts = value if isinstance(value, list) else [value]
    return tuple(rule(text) for text in texts if text or not isinstance(text, str) or _text(key, text))


def rule(text: Any) -> Rule:
    """A rule out of its words, such as "devices.0.type equals cuda" or "queue_pending not-empty".

    Raises:
        ValueError: it is no rule.
    """
    match = _RULE.fullmatch(text.strip()) if isinstance(text, str) else None
    if not match or (match[2] in (Relation.EQUALS.value, Relation.OFFERS.value)) != (match[3] is not None):
        raise ValueError(f"a rule is PATH equals VALUE, PATH offers TEXT, PATH empty, PATH not-empty or PATH present, not {text!r}")
    relation = Relation(match[2])
    return Rule(match[1], relation, _scalar(match[3]) if relation is Relation.EQUALS else match[3])


def _scalar(text: str) -> Scalar:
    """A value as JSON writes it; what is no JSON is a text, so that most need no quotes."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    if isinstance(value, (dict, list)):
        raise ValueError(f"a rule compares with a text, a number, true, false or null, not with {text}")
    scalar: Scalar = value
    return scalar


def _headers(key: str, value: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{key} is a table of names and values")
    for name, words in value.items():
        if not _HEADER.fullmatch(name) or not isinstance(words, str) or not words.isprintable() or not words.isascii():
            raise ValueError(f"{key} holds names and values of HTTP headers, and {name!r} is none")
    return tuple(value.items())


class _Key:
    """A key beside the kind and the level: how its value is read, and the kinds that it belongs to."""

    def __init__(self, parse: Callable[[str, Any], Any], *kinds: Kind) -> None:
        self.parse = parse
        self.kinds = kinds


_ASKED = (Kind.HTTP, Kind.TCP, Kind.EXEC)
_KEYS = {
    "period": _Key(_positive_seconds, *_ASKED),
    "timeout": _Key(_positive_seconds, *_ASKED),
    "threshold": _Key(_count, *_ASKED),
    "start-period": _Key(_seconds, *_ASKED),
    "start-interval": _Key(_positive_seconds, *_ASKED),
    "on-failure": _Key(_on_failure, *Kind),
    "status": _Key(_status, Kind.HTTP),
    "expect": _Key(_rules, Kind.HTTP),
    "fail-when": _Key(_rules, Kind.HTTP),
    "headers": _Key(_headers, Kind.HTTP),
}
assert {key.replace("-", "_") for key in _KEYS} <= {field.name for field in fields(Check)}


def _nearest(key: str) -> str:
    import difflib  # a wrong key pays for it

    near = difflib.get_close_matches(key, [*_KEYS, "level", *(kind.value for kind in Kind)], n=1)
    return f" (did you mean {near[0]}?)" if near else ""
