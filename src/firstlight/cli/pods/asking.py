"""What verbs of `pod` share: the key, how to print, and kinds of options."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Callable

from firstlight.providers.runpod import access as runpod
from firstlight.system import standard_error


def configure(parser: argparse.ArgumentParser) -> None:
    """Their options."""
    parser.add_argument(
        "--key-file", metavar="FILE", help="the file of RunPod's API key [RUNPOD_API_KEY_FILE, or the key in RUNPOD_API_KEY]"
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="text for people, json for programs")


def access(arguments: argparse.Namespace) -> runpod.Access:
    """Where to ask, and with which key. A key that others can read is used, and told of.

    Raises:
        UsageError: there is no key, or it cannot be one; or an address is none.
    """
    found = runpod.access(os.environ, arguments.key_file)
    if (others := runpod.open_to_others(os.environ, arguments.key_file)) is not None:
        path, mode = others
        standard_error.say(f"the file of the key can be read by others than you (mode {mode:04o}): chmod 600 {shlex.quote(path)}")
    return found


def count(most: int) -> Callable[[str], int]:
    """The type of an option that is a number from 1 on."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdecimal()) or not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {most}")
        return int(text)

    return read


def usd(text: str) -> float:
    """The type of an option that is an amount of money."""
    return positive(text, "amount of USD")


def positive(text: str, what: str) -> float:
    """A number that is more than nothing, and of this world."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 < number < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is no {what}")
    return number
