"""Stop running pods: they keep their volumes, and give their GPUs back."""

from __future__ import annotations

import argparse
import functools

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
        over = (shapes.EXITED, shapes.TERMINATED)
        if arguments.dry_run:
            return turning.outline(
                arguments,
                pods,
                lambda pod: (
                    f"would be left as it is: it is {pod.status}" if pod.status in over else f"would be stopped; {power.losses(pod)}"
                ),
            )
        for pod in pods:
            if pod.status not in over:
                turning.tell(pod, f"is being stopped; {power.losses(pod)}")
        return turning.finish(arguments, await power.each(pods, functools.partial(power.stop, cloud, within=within, tell=turning.tell)))
