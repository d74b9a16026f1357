"""List the account's pods."""

from __future__ import annotations

import argparse
import json
import os
from typing import Any

import anyio

from firstlight import errors
from firstlight.providers.runpod import access, client


def configure(parser: argparse.ArgumentParser) -> None:
    """How to print them."""
    parser.add_argument(
        "--key-file", metavar="FILE", help="the file of RunPod's API key [RUNPOD_API_KEY_FILE, or the key in RUNPOD_API_KEY]"
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="text for people, json for programs")


def run(arguments: argparse.Namespace) -> int:
    """Print them."""
    return anyio.run(_run, arguments)


async def _run(arguments: argparse.Namespace) -> int:
    async with client.Client(access.access(os.environ, arguments.key_file)) as cloud:
        pods = await cloud.pods()
    if arguments.format == "json":
        print(json.dumps({"version": 1, "pods": [_plain(pod.raw) for pod in pods]}, indent=2))
    else:
        for pod in pods:
            print(f"{pod.id}  {pod.status:<12}  {pod.name}")
    return errors.ExitCode.OK


def _plain(raw: Any) -> Any:
    return raw
