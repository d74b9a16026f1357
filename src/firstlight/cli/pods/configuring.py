"""What `configure` and `restore` share: from plans to what is shown and done."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence

from firstlight import errors
from firstlight.cli import screen
from firstlight.cli.pods import asking
from firstlight.fleet import apply, names
from firstlight.fleet.plan import Plan
from firstlight.providers.runpod.client import Client
from firstlight.providers.runpod.shapes import Container
from firstlight.report.pods import plan as report
from firstlight.report.style import printable


def configure(parser: argparse.ArgumentParser) -> None:
    """Which pod, which template, and whether to do it."""
    parser.add_argument("pod", nargs="?", metavar="POD", help="the pod, by its name or its id")
    parser.add_argument("--template", metavar="T", help="a template of the account, by its name or its id; beside a pod or alone")
    parser.add_argument("--apply", action="store_true", help="do it; without this the difference is shown and nothing changed")
    parser.add_argument(
        "--even-if-container-disk-is-lost",
        action="store_true",
        help="do it to a running pod without any volume: what is on its disk is gone then",
    )
    parser.add_argument(
        "--restart-pod",
        action="store_true",
        help="then restart a running pod's container, lest RunPod has not done so; what it computes ends",
    )
    asking.configure(parser)


async def carry_out(arguments: argparse.Namespace, verb: str, wanted: Callable[[Container], Plan]) -> int:
    """Plan for whatever is named, show it, and do it where that is asked for. Nothing is changed before all plans are made.

    Raises:
        UsageError: nothing is named, or what is named is refused.
        CloudError, NotDoneError: RunPod did not do as asked.
    """
    if not (arguments.pod or arguments.template):
        raise errors.UsageError(f"cannot {verb} without a pod or a template: firstlight pod {verb} POD, or --template T")
    async with Client(asking.access(arguments)) as cloud:
        found: list[Container] = []
        if arguments.template:
            found.append(await names.find_template(cloud, arguments.template))
        if arguments.pod:
            found.append(await names.find(cloud, arguments.pod))
        plans = [wanted(await apply.read(cloud, container)) for container in found]
        for plan in plans:
            if plan.refusals:
                raise errors.UsageError(f"cannot {verb} {plan.title}: {'; '.join(plan.refusals)}")
        as_json = arguments.format == "json"
        if not as_json:
            for plan in plans:
                print(report.render(plan, screen.style()), flush=True)
        done: list[Plan] = []
        try:
            if arguments.apply:
                await _do(cloud, plans, done, restart=arguments.restart_pod, say=(lambda _: None) if as_json else print)
            elif not as_json and any(plan.body for plan in plans):
                print("nothing was changed: --apply does it")
        finally:
            # One of two may be done when the other fails: that is told too.
            if as_json:
                print(json.dumps({"version": 1, "plans": [report.plain(plan, applied=plan in done) for plan in plans]}, indent=2))
    return errors.ExitCode.OK


async def _do(cloud: Client, plans: Sequence[Plan], done: list[Plan], *, restart: bool, say: Callable[[str], None]) -> None:
    """A template first: it disturbs nobody."""
    for plan in plans:
        now = await apply.apply(cloud, plan)
        done.append(plan)
        if plan.body:
            say(f"{printable(plan.title)} is changed, and RunPod has it as it was sent")
        if restart and await apply.restart(cloud, now):
            say(f"{printable(plan.title)} restarts")
