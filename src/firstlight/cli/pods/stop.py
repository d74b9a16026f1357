"""Stop running pods: they keep their volumes, and give their GPUs back."""

from __future__ import annotations

import argparse
import functools

from firstlight import errors
from firstlight.cli.pods import asking, turning


def configure(parser: argparse.ArgumentParser) -> None:
    """Which, and whether to wait."""
    turning.configure(parser, "has stopped")


def run(arguments: argparse.Namespace) -> int:
    """Stop them."""
    import anyio

    return anyio.run(_run, arguments)


async def _run(arguments: argparse.Namespace) -> int:
    from firstlight.fleet import names, power
    from firstlight.providers.runpod import shapes
    from firstlight.providers.runpod.client import Client

    within = turning.patience(arguments)
    async with Client(asking.access(arguments)) as cloud:
        pods = await names.find_all(cloud, arguments.pods)
        power.check_stop(pods)
        for pod in pods:
            if pod.status not in (shapes.EXITED, shapes.TERMINATED):
                turning.tell(pod, f"{'would be stopped' if arguments.dry_run else 'is being stopped'}; {power.losses(pod)}")
        if arguments.dry_run:
            return errors.ExitCode.OK
        return turning.finish(arguments, await power.each(pods, functools.partial(power.stop, cloud, within=within, tell=turning.tell)))
