"""Move a pod off a broken host: order one like it, prove it, and only then terminate the old one."""

from __future__ import annotations

import argparse
import json
import os

import anyio

from firstlight import errors
from firstlight.cli.pods import asking, stopping, sweep as sweeping, verify as verifying
from firstlight.fleet import cost, cuda, host_keys, inside, lease, like, names, relocation, sweep
from firstlight.providers.runpod import client, shapes
from firstlight.report.style import printable
from firstlight.system import standard_error


def configure(parser: argparse.ArgumentParser) -> None:
    """Which pod, and what the move may take."""
    parser.add_argument("pod", metavar="POD", help="the pod's name or id")
    parser.add_argument("--dry-run", action="store_true", help="say what would be ordered, and order nothing")
    limits(parser)
    parser.add_argument(
        "--stop-first", action="store_true", help="stop the pod before another is ordered, so that its app no longer writes"
    )
    parser.add_argument(
        "--even-if-container-disk-is-lost", action="store_true", help="move a pod without any volume: what is on its disk is gone then"
    )
    parser.add_argument("--from-inside", action="store_true", help=argparse.SUPPRESS)  # the pod asks for itself, and holds meanwhile
    verifying.login(parser)
    sweeping.leases_at(parser)
    asking.configure(parser)


def limits(parser: argparse.ArgumentParser) -> None:
    """What a move may take."""
    parser.add_argument("--tries", type=asking.count(20), default=3, metavar="N", help="how many pods are ordered at most [3]")
    parser.add_argument(
        "--max-cost",
        type=asking.usd,
        default=cost.CAP,
        metavar="USD",
        help=f"what the pods of one move may cost until one is proven [{cost.CAP:g}]",
    )
    parser.add_argument(
        "--min-cuda", type=version, metavar="V", help="what the new host's driver must be able to, such as 12.8 [the image's]"
    )


def version(text: str) -> str:
    """Of CUDA, as a driver has it."""
    major, dot, minor = text.partition(".")
    if not (dot and text.isascii() and major.isdecimal() and minor.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is no version such as 12.8")
    return text


def wish(arguments: argparse.Namespace, pod: shapes.Pod) -> relocation.Wish:
    """What the command line allows for this pod."""
    return relocation.Wish(
        tries=arguments.tries,
        cap=arguments.max_cost,
        min_cuda=arguments.min_cuda or cuda.minimum(pod.image),
        stop_first=arguments.stop_first,
        disk_may_go=arguments.even_if_container_disk_is_lost,
        holds=arguments.from_inside,
        ssh=None if arguments.from_inside else verifying.ssh(arguments),
    )


def run(arguments: argparse.Namespace) -> int:
    """Do it; undo it, or finish it, where a signal comes in between."""
    return anyio.run(stopping.until_stopped, lambda: _relocate(arguments))


async def _relocate(arguments: argparse.Namespace) -> int:
    ours = asking.access(arguments)
    place = lease.folder(os.environ, arguments.lease_dir)
    async with client.Client(ours) as cloud:
        pod = await names.find(cloud, arguments.pod)
        async with inside.client() as http:
            told = await inside.ask(http, ours, pod)
        allowed = wish(arguments, pod)
        why = relocation.refusal(pod, told, allowed)
        if why is not None:
            raise errors.UsageError(f"cannot move {pod.id}: {why}")
        if arguments.dry_run:
            return _show(pod, allowed, arguments.format)
        host_keys.try_folder(allowed.ssh)
        if arguments.from_inside:
            await _finish_before(cloud, place)
        moved = await relocation.begin(cloud, ours, pod, told, allowed, place=place, tell=lambda step: _tell(step, arguments.format))
        print(report(moved, arguments.format), flush=True)
    return errors.ExitCode.OK


def report(moved: relocation.Moved, how: str) -> str:
    """What came of a move, in one line."""
    if how == "text":
        return f"moved: {printable(moved.old)} is {printable(moved.new.id)} now, after {moved.seconds:.0f} s and {moved.usd:.2f} USD"
    told = {"step": "moved", "old": moved.old, "pod": moved.new.id, "tries": moved.tries}
    told |= {"seconds": round(moved.seconds, 3), "usd": round(moved.usd, 4), "owed": [owed.words for owed in moved.left]}
    return json.dumps(told)


async def _finish_before(cloud: client.Client, place: str) -> None:
    """What an earlier run in this container, or a pod before it, has left. What cannot be done now is left again."""
    try:
        await sweep.sweep(cloud, place, act=True)
    except (client.CloudError, lease.LeaseError) as error:
        standard_error.say(str(error))


def _show(pod: shapes.Pod, allowed: relocation.Wish, how: str) -> int:
    """What would be ordered. Values of variables may be secrets: their names are enough."""
    bodies = [{**body, "env": sorted(body["env"])} for body in relocation.orders(pod, allowed.min_cuda)]
    if how == "json":
        print(json.dumps({"version": 1, "pod": pod.id, "orders": bodies, "untold": list(like.UNTOLD)}, indent=2))
        return errors.ExitCode.OK
    for body in bodies:
        print(f"would order, for {printable(pod.id)}:")
        for name, value in body.items():
            print(f"  {printable(name)}: {json.dumps(value)}")
    print("what cannot be read of a pod, and is left to RunPod:")
    for words in like.UNTOLD:
        print(f"  {words}")
    return errors.ExitCode.OK


def _tell(step: relocation.Step, how: str) -> None:
    if how == "json":
        print(json.dumps({"step": step.step, "pod": step.pod, "words": step.words}), flush=True)
    else:
        print(f"{step.step}: {printable(step.words)}", flush=True)
