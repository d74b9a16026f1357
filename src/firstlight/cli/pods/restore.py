"""Put back the start command, the variables and the ports that a pod or a template had before `pod configure`."""

from __future__ import annotations

import argparse

import anyio

from firstlight.cli.pods import configuring
from firstlight.fleet import configure as fleet


def configure(parser: argparse.ArgumentParser) -> None:
    """Of what, and whether to do it."""
    configuring.configure(parser)


def run(arguments: argparse.Namespace) -> int:
    """Plan, show, and do."""
    lose_disk = arguments.even_if_container_disk_is_lost
    return anyio.run(configuring.carry_out, arguments, "restore", lambda container: fleet.restore(container, lose_disk=lose_disk))
