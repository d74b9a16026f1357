"""Stop running pods: they keep their volumes, and give their GPUs back."""

from __future__ import annotations

import argparse

from firstlight.cli.pods import turning

TYPE_CHECKING = False  # what is imported below costs a fifth of a second, and --help needs none of it
if TYPE_CHECKING:
    from firstlight.providers.runpod.shapes import Pod


def configure(parser: argparse.ArgumentParser) -> None:
    """Which, and whether to wait."""
    turning.configure(parser, "has stopped")


def run(arguments: argparse.Namespace) -> int:
    """Stop them."""
    from firstlight.fleet import power
    from firstlight.providers.runpod import shapes

    def over(pod: Pod) -> bool:
        return pod.status in (shapes.EXITED, shapes.TERMINATED)

    def would(pod: Pod) -> str:
        return f"would be left as it is: it is {pod.status}" if over(pod) else f"would be stopped; {power.losses(pod)}"

    def begin(pod: Pod) -> None:
        if not over(pod):
            turning.tell(pod, f"is being stopped; {power.losses(pod)}")

    return turning.turn(arguments, power.stop, would, power.check_stop, begin)
