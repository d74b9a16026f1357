"""What an acceptance is to make, and how: the options that `firstlight accept` and the words of `run --accept` have in common."""

from __future__ import annotations

import argparse
import shlex
from typing import NoReturn

from firstlight.settings import values

# Each seed is a whole generation: more of them hide a model that is broken.
_MOST_SEEDS = 20


class Whole:
    """A whole number within bounds, for argparse."""

    def __init__(self, most: int, *, least: int) -> None:
        self.least, self.most = least, most

    def __call__(self, text: str) -> int:
        if not (text.isascii() and text.isdigit()) or not self.least <= int(text) <= self.most:
            raise argparse.ArgumentTypeError(f"cannot take {text!r}: it is a whole number from {self.least} to {self.most}")
        return int(text)


def duration(text: str) -> float:
    """A duration in seconds, for argparse."""
    try:
        return values.duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"cannot take {text!r}: {error}") from None


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    parser.add_argument("--voice", metavar="FILE", help="a recording of the voice to speak with (default: what the workflow names)")
    parser.add_argument("--text", metavar="TEXT", help="what to say (default: what the workflow says)")
    parser.add_argument("--seeds", metavar="N", type=Whole(_MOST_SEEDS, least=1), default=3, help="how many seeds to try (default 3)")
    parser.add_argument("--timeout", metavar="TIME", type=duration, default="10m", help="how long one generation may take (default 10m)")
    parser.add_argument("--keep", metavar="DIR", help="put what was made into this folder (ComfyUI keeps it in its own too)")
    parser.add_argument(
        "--models",
        metavar="PYTHON",
        default="",
        help="a Python that has the models that listen: pip install 'firstlight[speech]' (default: our own)",
    )
    parser.add_argument(
        "--sample-rate",
        metavar="N",
        type=Whole(1_000_000, least=0),
        help="the rate in Hz that the audio must have (default: any; 24000 without --workflow)",
    )


def judge(text: str) -> None:
    """Look whether what `--accept` was given is a workflow's file with these options behind it.

    Raises:
        ValueError: no shell would understand it, no file is named, or there is no such option.
    """
    words = shlex.split(text)
    if not words or words[0].startswith("-"):
        raise ValueError("it begins with the name of a workflow's file")
    parser = _Parser(add_help=False, allow_abbrev=False)
    configure(parser)
    parser.parse_args(words[1:])


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(message)
