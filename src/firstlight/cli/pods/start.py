"""Start stopped pods."""

from __future__ import annotations

import argparse
import functools

from firstlight import errors
from firstlight.cli.pods import asking, turning


def configure(parser: argparse.ArgumentParser) -> None:
    """Which, and whether to wait."""
    turning.configure(parser, "runs")


def run(arguments: argparse.Namespace) -> int:
    """Start them."""
    import anyio

    return anyio.run(_run, arguments)


async def _run(arguments: argparse.Namespace) -> int:
    from firstlight.fleet import names, power
    from firstlight.providers.runpod.client import Client

    within = turning.patience(arguments)
    async with Client(asking.access(arguments)) as cloud:
        pods = await names.find_all(cloud, arguments.pods)
        if arguments.dry_run:
            for pod in pods:
                turning.tell(pod, f"would be started; it is {pod.status}, and keeps its host")
            return errors.ExitCode.OK
        return turning.finish(arguments, await power.each(pods, functools.partial(power.start, cloud, within=within, tell=turning.tell)))
