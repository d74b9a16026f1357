"""Prove that a pod came up: its status, its own report, CUDA in it and in an SSH session, its app, from outside."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import replace

import anyio

from firstlight import errors, settings
from firstlight.cli import screen
from firstlight.cli.pods import asking
from firstlight.fleet import host_keys, names, ssh as openssh, verify
from firstlight.fleet.ssh import Ssh
from firstlight.fleet.verify import Leg, Patience
from firstlight.providers.runpod import client
from firstlight.report.pods import verified as report


def configure(parser: argparse.ArgumentParser) -> None:
    """Which pod, and how to log in."""
    parser.add_argument("pod", metavar="POD", help="the pod, by its name or its id")
    asking.configure(parser)
    login(parser)
    parser.add_argument("--ssh-timeout", metavar="TIME", default="3m", help="how long its sshd may take to let us in")
    parser.add_argument("--ready-timeout", metavar="TIME", default="15m", help="how long the app may take to become ready")


def login(parser: argparse.ArgumentParser) -> None:
    """How to log in."""
    parser.add_argument("--identity", metavar="FILE", help="the private key for SSH (default: the agent's keys, and ~/.ssh/id_*)")
    parser.add_argument("--no-ssh", action="store_true", help="do not log in")


def run(arguments: argparse.Namespace) -> int:
    """Print each leg as it ends: exit 0 proven, 1 not."""
    return anyio.run(_run, arguments)


async def _run(arguments: argparse.Namespace) -> int:
    patience = replace(
        Patience(), ssh=_time("--ssh-timeout", arguments.ssh_timeout), ready=_time("--ready-timeout", arguments.ready_timeout)
    )
    for_programs = arguments.format == "json"
    style = screen.style()

    def tell(leg: Leg) -> None:
        print(report.leg(leg, style), file=sys.stderr if for_programs else sys.stdout, flush=True)

    login = ssh(arguments)
    host_keys.try_folder(login)
    access = asking.access(arguments)
    async with client.Client(access) as cloud:
        pod = await names.find(cloud, arguments.pod)
        verified = await verify.verify(cloud, access, pod.id, ssh=login, patience=patience, tell=tell)
    print(json.dumps(report.encode(verified), indent=2) if for_programs else report.verdict(verified, style))
    return int(errors.ExitCode.OK if verified.ok else errors.ExitCode.ILL)


def _time(flag: str, text: str) -> float:
    try:
        return settings.duration(text)
    except ValueError as error:
        raise errors.UsageError(f"cannot take {flag} {text!r}: {error}") from None


def ssh(arguments: argparse.Namespace) -> Ssh | None:
    """What logs in; None where nobody is to.

    Raises:
        UsageError: there is no such key.
    """
    if arguments.no_ssh:
        return None
    if arguments.identity is not None and not os.path.isfile(arguments.identity):
        raise errors.UsageError(f"cannot take --identity {arguments.identity}: there is no such file")
    return Ssh(known_hosts=openssh.default_folder(os.environ), identity=arguments.identity)
