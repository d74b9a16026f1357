"""Start stopped pods."""

from __future__ import annotations

import argparse

from firstlight.cli.pods import turning

TYPE_CHECKING = False  # what is imported below costs a fifth of a second, and --help needs none of it
if TYPE_CHECKING:
    from firstlight.providers.runpod.shapes import Pod


def configure(parser: argparse.ArgumentParser) -> None:
    """Which, and whether to wait."""
    turning.configure(parser, "runs")


def run(arguments: argparse.Namespace) -> int:
    """Start them."""
    from firstlight.fleet import power
    from firstlight.providers.runpod import shapes

    def would(pod: Pod) -> str:
        if pod.status == shapes.RUNNING:
            return "would be left as it is: it runs already"
        return f"would be started; it is {pod.status}, and keeps its host"

    return turning.turn(arguments, power.start, would)
