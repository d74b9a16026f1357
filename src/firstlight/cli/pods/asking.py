"""What every verb of `pod` shares: the key, and how to print."""

from __future__ import annotations

import argparse
import os

from firstlight.providers.runpod import access as runpod


def configure(parser: argparse.ArgumentParser) -> None:
    """Their options."""
    parser.add_argument(
        "--key-file", metavar="FILE", help="the file of RunPod's API key [RUNPOD_API_KEY_FILE, or the key in RUNPOD_API_KEY]"
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="text for people, json for programs")


def access(arguments: argparse.Namespace) -> runpod.Access:
    """Where to ask, and with which key.

    Raises:
        UsageError: there is no key, or it cannot be one; or an address is none.
    """
    return runpod.access(os.environ, arguments.key_file)
