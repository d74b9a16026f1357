"""A little chance, so that many containers do not do the same thing at the same moment."""

from __future__ import annotations

import os


def fraction() -> float:
    """A number from 0 to 1. (The module `random` would cost the core half a megabyte.)"""
    return int.from_bytes(os.urandom(2), "little") / 0xFFFF
