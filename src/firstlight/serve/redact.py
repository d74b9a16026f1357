"""Secrets taken out of what is shown: by the name that they stand under, by their value, and by their look.

A secret's value is known from our own environment, which is the app's. It is looked for as it is and in the forms that it
takes inside other text: JSON, URL, hexadecimal, base64 at each of its three alignments.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

HIDDEN = "[redacted]"

# Shorter values are words that stand in every other line.
_SHORTEST = 8

_NAMES = r"pass(?:wd|word|phrase)?|pwd|secret|token|api[-_.]?key|apikey|access[-_.]?key|private[-_.]?key|auth(?:orization)?|credentials?|cookie|session[-_.]?id"
_SECRET_NAME = re.compile(rf"(?:^|[-_.\s]|(?<=[a-z]))(?:{_NAMES})s?(?:$|[-_.\s\d])", re.IGNORECASE)

# What a name is made of, read from its end, and how much of it is looked at.
_BACKWARDS = re.compile(r"[\w.-]*")
_LONGEST_NAME = 100

# A file with a secret and the number of a file descriptor are named like secrets, and are none.
_NO_SECRET = re.compile(r"(?:[-_.](?:file|path|dir|fd|name|id|limit|count|size|timeout|type|url))$", re.IGNORECASE)

# The text is the app's, and may be one line of a hundred thousand dashes: none of these looks at a place more often than a few
# times. So they begin with what is rare, and what may stand before that is looked for from there, backwards.
_PATTERNS = (
    # --api-key X, API_KEY=X, "password": "X", password: X; JSON inside other text has \" for "
    (
        re.compile(
            rf"""((?:{_NAMES})s?(?:\\*["'])?(?:\s*[=:]\s*|\s+(?=\S)))(?!\[redacted)(\\*"[^"]*"|\\*'[^']*'|(?:Bearer|Basic)\s+\S+|[^\s"',;&}}\]]+)""",
            re.IGNORECASE,
        ),
        None,
    ),
    (re.compile(r"\b((?:Bearer|Basic)\s+)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE), r"\1" + HIDDEN),
    (re.compile(r"([a-z0-9+.-]://)[^\s/@]*@", re.IGNORECASE), r"\1" + HIDDEN + "@"),
    (
        re.compile(
            r"\b(?:rpa_[A-Za-z0-9]{8,}|hf_[A-Za-z0-9]{8,}|gh[pousr]_[A-Za-z0-9]{16,}|github_pat_\w{16,}|glpat-[\w-]{16,}|sk-[\w-]{16,}"
            r"|xox[abprs]-[\w-]{8,}|(?:AKIA|ASIA)[A-Z0-9]{16}|AIza[\w-]{30,}|eyJ[\w-]{8,1000}\.eyJ[\w-]{8,}\.[\w-]*)"
        ),
        HIDDEN,
    ),
)


class Redactor:
    """Takes out the secrets of one environment."""

    def __init__(self, environment: Mapping[str, str], secrets: Iterable[str] = ()) -> None:
        """`secrets` are values that are secret whatever they are called."""
        values = {value for name, value in environment.items() if secret_name(name)} | set(secrets)
        forms = {form for value in values if len(value) >= _SHORTEST for form in _forms(value)}
        # The longest first: what holds another must not be cut by it.
        self._values = (
            re.compile("|".join(re.escape(form) for form in sorted(forms, key=lambda form: (-len(form), form)))) if forms else None
        )

    def text(self, text: str) -> str:
        """The text without secrets, and without half characters, which no encoding takes."""
        if not text.isascii():
            text = text.encode("utf-8", "replace").decode("utf-8")
        if self._values is not None:
            text = self._values.sub(HIDDEN, text)
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(_hide_named if replacement is None else replacement, text)
        return text

    def data(self, value: Any, name: str = "") -> Any:
        """JSON data without secrets, however deep they lie."""
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.data(item, str(key)) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return self._words(value)
        if value and secret_name(name) and isinstance(value, (str, int)) and not isinstance(value, bool):
            return HIDDEN
        return self.text(value) if isinstance(value, str) else value

    def _words(self, words: Iterable[Any]) -> list[Any]:
        """A list, which may be a command line: what follows a flag that is named like a secret is one."""
        result: list[Any] = []
        before = ""
        for word in words:
            follows = before.startswith("-") and "=" not in before and secret_name(before.lstrip("-"))
            hidden = follows and isinstance(word, str) and not word.startswith("--")
            result.append(HIDDEN if hidden else self.data(word))
            before = word if isinstance(word, str) else ""
        return result


def secret_name(name: str) -> bool:
    """Whether what stands under this name is a secret."""
    return bool(_SECRET_NAME.search(name)) and not _NO_SECRET.search(name)


def _hide_named(match: re.Match[str]) -> str:
    before = match.string[max(0, match.start() - _LONGEST_NAME) : match.start()]
    begins = _BACKWARDS.match(before[::-1])
    whole = (begins[0][::-1] if begins else "") + match[1]
    name = whole.strip().rstrip("=:").strip("\\\"' -")
    flag = whole.startswith("-")
    # "the token is wrong" is a sentence; "--token is" and "token: is" are not.
    if not (flag or "=" in match[1] or ":" in match[1]) or not secret_name(name):
        return match[0]
    return match[1] + HIDDEN


def _forms(value: str) -> Iterable[str]:
    raw = value.encode("utf-8", "surrogateescape")
    yield value
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield quote(raw, safe="")
    yield quote(raw)
    yield raw.hex()
    yield raw.hex().upper()
    for alignment in range(3):
        # The characters at both ends depend on the neighbours; those between do not.
        encoded = base64.b64encode(bytes(alignment) + raw).decode("ascii").rstrip("=")
        core = encoded[(0, 2, 3)[alignment] : len(encoded) - ((alignment + len(raw)) % 3 != 0)]
        yield core
        yield core.replace("+", "-").replace("/", "_")
