"""What must not be shown of a setting: passwords in addresses, and what stands behind the name of a secret."""

from __future__ import annotations

import re

MASK = "***"

_LONGEST = 100

_USERINFO = re.compile(r"(?<=://)[^/@\s?#'\"]+(?=@)")
_NAME = (
    r"[\w-]*(?:token|secret|passw(?:or)?d|passphrase|api[-_]?key|access[-_]?key|private[-_]?key|credentials?|authorization)(?![a-z])[\w-]*"
)
_IS_NAME = re.compile(_NAME, re.IGNORECASE)
# Behind such a name: "=", ":" or, after a flag, a space; then a quoted text, "Bearer …" or a word. A file's name is no secret.
_ASSIGNED = re.compile(
    rf"((?:(?<![\w-])(?!{_NAME}[-_]file\b)(?:{_NAME})[\"']?\s*[=:]\s*|(?<!\S)--(?!{_NAME}[-_]file\b)(?:{_NAME})\s+))"
    r"(\"[^\"]*\"|'[^']*'|(?:bearer|basic)\s+\S+|[^\s&;\"']+)",
    re.IGNORECASE,
)


def masked(value: object) -> object:
    """The value, or tables and lists of values, with every secret in it replaced."""
    if isinstance(value, str):
        return _ASSIGNED.sub(rf"\g<1>{MASK}", _USERINFO.sub(MASK, value))
    if isinstance(value, dict):
        return {key: MASK if _hides(str(key), item) else masked(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [masked(item) for item in value]
    return value


def quoted(text: str) -> str:
    """A wrong text as an error shows it: without secrets, and not at length."""
    shown = str(masked(text))
    return repr(shown if len(shown) <= _LONGEST else shown[:_LONGEST] + "…")


def _hides(key: str, value: object) -> bool:
    return isinstance(value, str) and bool(value) and _IS_NAME.fullmatch(key) is not None and not key.endswith(("-file", "_file"))
