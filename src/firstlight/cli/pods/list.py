"""List the account's pods, and what they cost."""

from __future__ import annotations

import argparse
import json
import os

from firstlight import errors
from firstlight.cli.pods import asking
from firstlight.providers.runpod import access as runpod


def configure(parser: argparse.ArgumentParser) -> None:
    """How to print them."""
    asking.configure(parser)
    parser.add_argument("--names", action="store_true", help=argparse.SUPPRESS)  # for completion scripts


def run(arguments: argparse.Namespace) -> int:
    """Print them."""
    if arguments.names:
        return _names(arguments)
    import anyio

    return anyio.run(_run, arguments)


def _names(arguments: argparse.Namespace) -> int:
    try:
        access = runpod.access(os.environ, arguments.key_file)
    except errors.Error:
        return errors.ExitCode.OK
    from firstlight.cli.pods import completing

    for word in completing.words(access, dict(os.environ)):
        print(word)
    return errors.ExitCode.OK


async def _run(arguments: argparse.Namespace) -> int:
    from firstlight.cli import screen
    from firstlight.fleet import listing
    from firstlight.providers.runpod.client import Client
    from firstlight.report.pods import listing as report
    from firstlight.system import clock

    async with Client(asking.access(arguments)) as cloud:
        pods = [listing.listed(pod) for pod in await cloud.pods()]
    if arguments.format == "json":
        print(json.dumps(listing.plain(pods), indent=2))
    else:
        pods.sort(key=lambda pod: (pod.name, pod.id))
        print(report.table(pods, clock.wall(), screen.style(), screen.width()))
    return errors.ExitCode.OK
