"""What `pod start` and `pod stop` share: which pods, whether to wait, and how to tell what came of it."""

from __future__ import annotations

import argparse
import functools
import json
from collections.abc import Awaitable, Callable, Sequence

from firstlight import errors, settings
from firstlight.cli.pods import asking

TYPE_CHECKING = False  # what is imported below costs a fifth of a second, and --help needs none of it
if TYPE_CHECKING:
    from firstlight.fleet.power import Turned
    from firstlight.providers.runpod.shapes import Pod


def configure(parser: argparse.ArgumentParser, done: str) -> None:
    """Their options."""
    parser.add_argument("pods", metavar="POD", nargs="+", help="a pod's name or id")
    parser.add_argument("--wait", action="store_true", help=f"wait until it {done}, as the service sees it")
    parser.add_argument("--timeout", metavar="TIME", default="15m", help="how long to wait at most (default: 15m)")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    asking.configure(parser)


def patience(arguments: argparse.Namespace) -> float | None:
    """Seconds to wait; None for not at all.

    Raises:
        UsageError: --timeout is no time.
    """
    try:
        seconds = settings.duration(arguments.timeout)
    except ValueError as error:
        raise errors.UsageError(f"cannot take --timeout {arguments.timeout!r}: {error}") from None
    return seconds if arguments.wait else None


def tell(pod: Pod, words: str) -> None:
    """Progress, on standard error."""
    from firstlight.system import standard_error

    standard_error.say(f"pod {pod.id} ({pod.name}): {words}")


def turn(
    arguments: argparse.Namespace,
    act: Callable[..., Awaitable[Turned]],
    would: Callable[[Pod], str],
    before: Callable[[Sequence[Pod]], None] = lambda _: None,
    begin: Callable[[Pod], None] = lambda _: None,
) -> int:
    """Do it with each, or say what would be done; the exit code. `before` may refuse, `begin` tells of a pod that is about to be turned."""
    import anyio

    return anyio.run(_turn, arguments, act, would, before, begin)


async def _turn(
    arguments: argparse.Namespace,
    act: Callable[..., Awaitable[Turned]],
    would: Callable[[Pod], str],
    before: Callable[[Sequence[Pod]], None],
    begin: Callable[[Pod], None],
) -> int:
    from firstlight.fleet import names, power
    from firstlight.providers.runpod.client import Client

    within = patience(arguments)
    async with Client(asking.access(arguments)) as cloud:
        pods = await names.find_all(cloud, arguments.pods)
        before(pods)
        if arguments.dry_run:
            return outline(arguments, pods, would)
        for pod in pods:
            begin(pod)
        return finish(arguments, await power.each(pods, functools.partial(act, cloud, within=within, tell=tell)))


def outline(arguments: argparse.Namespace, pods: Sequence[Pod], would: Callable[[Pod], str]) -> int:
    """Print what would be done with each, for a dry run; the exit code. A program gets it on standard output, as all else."""
    if arguments.format == "json":
        told = [{"id": pod.id, "name": pod.name, "ok": True, "status": pod.status, "words": would(pod)} for pod in pods]
        print(json.dumps({"version": 1, "dry_run": True, "pods": told}, indent=2))
    else:
        for pod in pods:
            tell(pod, would(pod))
    return errors.ExitCode.OK


def finish(arguments: argparse.Namespace, turned: Sequence[Turned]) -> int:
    """Print what came of each; the exit code."""
    from firstlight.fleet import power
    from firstlight.report.style import printable
    from firstlight.system import standard_error

    if arguments.format == "json":
        told = [{"id": one.pod.id, "name": one.pod.name, "ok": one.ok, "status": one.pod.status, "words": one.words} for one in turned]
        print(json.dumps({"version": 1, "pods": told}, indent=2))
    for one in turned:
        if not one.ok:
            standard_error.say(one.words)
        elif arguments.format == "text":
            print(f"{printable(one.pod.id)} ({printable(one.pod.name)}) {printable(one.words)}")
    return power.exit_code(turned)
