"""Watch pods: tell what becomes of them, and move those off a broken host where that is wanted."""

from __future__ import annotations

import argparse
import json
import os

import anyio

from firstlight import errors
from firstlight.cli.pods import asking, relocate, stopping, sweep, verify as verifying
from firstlight.fleet import host_keys, inside, lease, names, watch, watching
from firstlight.providers.runpod import client
from firstlight.report.style import printable
from firstlight.settings import values
from firstlight.system import clock

# Seconds. The account takes sixty questions a minute, and others ask as well.
_SHORTEST = 5.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Which pods, how often, and what to do."""
    parser.add_argument("pods", nargs="*", metavar="POD", help="names or ids of the pods")
    parser.add_argument("--all", action="store_true", help="all pods of the account, those to come as well")
    parser.add_argument("--every", type=_period, default=30.0, metavar="TIME", help="how long from look to look [30s]")
    parser.add_argument("--once", action="store_true", help="look once, and say how they stand: exit 1 where one is not well")
    parser.add_argument(
        "--on-host-fault",
        choices=("report", "relocate"),
        default="report",
        help="only tell, or move the pod as `pod relocate` does [report]",
    )
    parser.add_argument(
        "--max-relocations",
        type=asking.count(20),
        default=3,
        metavar="N",
        help="so many moves a day at most, those of earlier watches included [3]",
    )
    relocate.limits(parser)
    verifying.login(parser)
    sweep.leases_at(parser)
    asking.configure(parser)


def _period(text: str) -> float:
    try:
        period = values.duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if period < _SHORTEST:
        raise argparse.ArgumentTypeError(f"{text!r} is less than {_SHORTEST:g} s, and would use up what RunPod lets an account ask")
    return period


def run(arguments: argparse.Namespace) -> int:
    """Watch, until a signal asks for the end."""
    if arguments.all == bool(arguments.pods):
        raise errors.UsageError("cannot tell what to watch: name pods, or say --all")
    if arguments.once and arguments.on_host_fault == "relocate":
        raise errors.UsageError(f"cannot move a pod with --once: a host is at fault after {watching.LOOKS} looks in a row")
    arguments.stop_first = arguments.even_if_container_disk_is_lost = arguments.from_inside = False
    return anyio.run(stopping.until_stopped, lambda: _watch(arguments))


async def _watch(arguments: argparse.Namespace) -> int:
    ours = asking.access(arguments)
    place = lease.folder(os.environ, arguments.lease_dir)
    if arguments.on_host_fault == "relocate":
        lease.try_folder(place)  # not only in the night in which a host breaks
        host_keys.try_folder(verifying.ssh(arguments))
    async with client.Client(ours) as cloud, inside.client() as http:
        wanted = None if arguments.all else {pod.id for pod in await names.find_all(cloud, arguments.pods)}
        watched = watch.Watch(
            cloud=cloud,
            access=ours,
            http=http,
            wanted=wanted,
            rules=watch.Rules(
                every=arguments.every,
                moves=arguments.on_host_fault == "relocate",
                per_day=arguments.max_relocations,
                wish=lambda pod: relocate.wish(arguments, pod),
                place=place,
            ),
            tell=lambda told: _tell(told, arguments.format),
        )
        if not arguments.once:
            await watched.go_on()
        await watched.look()
    well = [isinstance(seen.inside, inside.Report) and seen.inside.ready for seen in watched.looked.values()]
    return errors.ExitCode.OK if well and all(well) else errors.ExitCode.ILL


def _tell(told: watching.Told, how: str) -> None:
    if how == "json":
        print(json.dumps({"at": clock.wall(), "event": told.event, "pod": told.pod or None, "words": told.words}), flush=True)
    else:
        print(f"{clock.wall()}  {printable(told.pod) or '-'}  {told.event}: {printable(told.words)}", flush=True)
