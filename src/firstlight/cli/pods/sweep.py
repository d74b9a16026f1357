"""Show what interrupted tests and moves still owe to the account, and do it."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict
from typing import Any

import anyio

from firstlight import errors
from firstlight.cli.pods import asking
from firstlight.fleet import lease, sweep
from firstlight.providers.runpod import client
from firstlight.report.style import printable


def configure(parser: argparse.ArgumentParser) -> None:
    """Whether to act, and where the leases lie."""
    parser.add_argument("--apply", action="store_true", help="do what is owed; without it, it is only shown")
    leases_at(parser)
    asking.configure(parser)


def leases_at(parser: argparse.ArgumentParser) -> None:
    """Where the leases lie."""
    parser.add_argument(
        "--lease-dir", metavar="DIR", help="where what is owed to the account is written down [$XDG_STATE_HOME/firstlight/leases]"
    )


def run(arguments: argparse.Namespace) -> int:
    """Do it."""
    return anyio.run(_run, arguments)


async def _run(arguments: argparse.Namespace) -> int:
    place = lease.folder(os.environ, arguments.lease_dir)
    async with client.Client(asking.access(arguments)) as cloud:
        swept = await sweep.sweep(cloud, place, act=arguments.apply)
    print(json.dumps(_plain(swept, place), indent=2) if arguments.format == "json" else "\n".join(map(printable, _lines(swept, place))))
    owed = [owed for one in swept.leases for owed in one.owed]
    if any(one.state == "unreadable" for one in swept.leases) or (arguments.apply and not all(one.waits for one in owed)):
        return errors.ExitCode.CLOUD
    return errors.ExitCode.ILL if owed else errors.ExitCode.OK


def _lines(swept: sweep.Swept, place: str) -> list[str]:
    lines = [] if swept.leases else [f"nothing is owed: there is no lease in {place}"]
    for one in swept.leases:
        name = f"lease {one.terms.id} ({one.terms.what}, taken {one.terms.taken_at})" if one.terms else one.path
        lines.append(f"{name}: {'done, and closed' if one.settled else one.words}")
        lines += [f"  owed: {owed.words}" for owed in one.owed]
        if one.state == "left" and not one.owed and not one.settled:
            lines.append("  owed: nothing; --apply removes it")
    for pod in swept.strangers:
        lines.append(
            f"pod {pod.id} ({pod.name}, {pod.status}) carries the mark of lease {lease.made_under(pod.env)}, which is not here: left alone"
        )
    return lines


def _plain(swept: sweep.Swept, place: str) -> dict[str, Any]:
    return {
        "version": 1,
        "folder": place,
        "leases": [asdict(one) for one in swept.leases],
        "strangers": [
            {"pod": pod.id, "name": pod.name, "status": pod.status, "lease": lease.made_under(pod.env)} for pod in swept.strangers
        ],
    }
