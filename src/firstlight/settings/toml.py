"""The TOML reader: in the standard library since Python 3.11."""

from __future__ import annotations

import sys
from typing import Any


def loads(text: str) -> dict[str, Any]:
    """What a text in TOML says.

    Raises:
        ValueError: it is no TOML, or there is no reader for it.
        RecursionError: it is nested too deeply.
    """
    if sys.version_info >= (3, 11):
        import tomllib

        return tomllib.loads(text)
    else:  # noqa: RET505 - the type checker reads one branch for each version
        try:
            import tomli
        except ImportError:
            raise ValueError("Python 3.10 has no TOML reader; install the package tomli") from None
        found: dict[str, Any] = tomli.loads(text)
        return found
