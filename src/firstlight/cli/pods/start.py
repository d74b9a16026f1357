"""Start stopped pods."""

from __future__ import annotations

import argparse
import functools

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
    from firstlight.providers.runpod import shapes
    from firstlight.providers.runpod.client import Client

    within = turning.patience(arguments)
    async with Client(asking.access(arguments)) as cloud:
        pods = await names.find_all(cloud, arguments.pods)
        if arguments.dry_run:
            return turning.outline(
                arguments,
                pods,
                lambda pod: (
                    "would be left as it is: it runs already"
                    if pod.status == shapes.RUNNING
                    else f"would be started; it is {pod.status}, and keeps its host"
                ),
            )
        return turning.finish(arguments, await power.each(pods, functools.partial(power.start, cloud, within=within, tell=turning.tell)))
