"""Print a pod's log, and follow it."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict

from firstlight import errors, settings
from firstlight.cli.pods import asking
from firstlight.system import clock

TYPE_CHECKING = False  # what is imported below costs a fifth of a second, and --help needs none of it
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from firstlight.providers.runpod.shapes import LogLine

# The service's own bounds.
_LINES = 100
_MOST_LINES = 5000


def configure(parser: argparse.ArgumentParser) -> None:
    """Which lines."""
    parser.add_argument("pod", metavar="POD", help="the pod's name or id")
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what comes, also after the connection was lost")
    parser.add_argument("--source", choices=("container", "system"), help="what the container printed, or what RunPod did (default: both)")
    parser.add_argument("--tail", metavar="N", type=_count, help=f"begin with the last N lines, at most {_MOST_LINES} (default: {_LINES})")
    parser.add_argument("--since", metavar="TIME", help="begin with those of the last TIME (such as 10m), or from a time as of RFC 3339")
    asking.configure(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print them."""
    if arguments.tail is not None and arguments.since is not None:
        raise errors.UsageError("cannot take both --tail and --since: RunPod follows the second alone")
    arguments.begin = None if arguments.since is None else _since(arguments.since)
    import anyio

    return anyio.run(_run, arguments)


async def _run(arguments: argparse.Namespace) -> int:
    from contextlib import aclosing

    from firstlight.fleet import names
    from firstlight.providers.runpod.client import Client

    async with Client(asking.access(arguments)) as cloud:
        pod = await names.find(cloud, arguments.pod)
        lines = cloud.logs(pod.id, source=arguments.source, tail=arguments.tail, since=arguments.begin, follow=arguments.follow)
        async with aclosing(lines):
            await _print(arguments, lines)
    return errors.ExitCode.OK


async def _print(arguments: argparse.Namespace, lines: AsyncGenerator[LogLine, None]) -> None:
    from firstlight.cli import screen
    from firstlight.report.pods import listing as report

    style, terminal = screen.style(), sys.stdout.isatty()
    left = None if arguments.follow or arguments.begin else _LINES if arguments.tail is None else arguments.tail
    while left != 0 and (line := await anext(lines, None)) is not None:
        left = None if left is None else left - 1
        print(json.dumps(asdict(line)) if arguments.format == "json" else report.log_line(line, style, terminal=terminal), flush=True)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) > _MOST_LINES:
        raise argparse.ArgumentTypeError(f"cannot take {text!r}: it is a whole number of at most {_MOST_LINES}")
    return int(text)


def _since(text: str) -> str:
    """A time as the service takes it.

    Raises:
        UsageError: it is none.
    """
    try:
        moment: float | None = clock.epoch() - settings.duration(text)
    except ValueError:
        moment = clock.moment(text)
    if moment is None:
        raise errors.UsageError(f"cannot take --since {text!r}: it is a time such as 10m, or 2026-06-01T12:02:03Z")
    return clock.stamp(moment)
