"""Make firstlight the start command of a pod, of a template, or of both; show what that changes, and change it with --apply.

Any option of `run` becomes part of the start command. Where the command is firstlight's already, what is not given stays as it is.
"""

from __future__ import annotations

import argparse
import secrets

import anyio

from firstlight import errors, settings
from firstlight.cli import run as run_verb
from firstlight.cli.pods import configuring
from firstlight.fleet import configure as fleet, start
from firstlight.fleet.plan import Plan
from firstlight.providers.runpod.shapes import Container
from firstlight.system import files

TAKES_COMMAND = True
USAGE = "firstlight pod configure [POD] [--template T] [options] [-- COMMAND [ARGUMENT ...]]"

# Whoever asks the pod from outside relies on where the page is; and a start command that starts nothing is none.
_NOT_OFFERED = ("serve", "dry-run")


def configure(parser: argparse.ArgumentParser) -> None:
    """What to change, and every option of `run`."""
    configuring.configure(parser)
    container = parser.add_argument_group("container")
    container.add_argument("--env", metavar="NAME=VALUE", action="append", default=[], help="a variable to set; can be repeated")
    container.add_argument("--env-file", metavar="FILE", help="a file of such lines, for values that are secret: `ps` shows a command line")
    container.add_argument("--unset", metavar="NAME", action="append", default=[], help="a variable to take out; can be repeated")
    container.add_argument(
        "--expose",
        metavar="PORT",
        action="append",
        default=[],
        help=f"a port to expose, such as 8188/http; can be repeated; {start.PORT}/http and 22/tcp are always",
    )
    container.add_argument("--program", metavar="PATH", help=f"where firstlight lies in the pod (default {start.PROGRAM})")
    container.add_argument("--in-image", action="store_true", help="it lies in the image, and on no volume")
    container.add_argument("--no-with", action="store_true", help=f"keep nothing running beside the app, not even {start.IMAGE_START}")
    container.add_argument(
        "--no-publish-env", action="store_true", help="keep the app's environment from SSH sessions, which get it otherwise"
    )
    for group, options in settings.GROUPS.items():
        within = parser.add_argument_group(f"of run: {group}")
        for option in options:
            if option.name not in _NOT_OFFERED:
                default = " ".join(start.DEFAULTS.get(option.name, ())) or option.default
                shown = f" (default {default})" if default and option.metavar else ""
                run_verb.add(within, option, f"{option.words}{'; can be repeated' if option.many else ''}{shown}")


def run(arguments: argparse.Namespace) -> int:
    """Plan, show, and do."""
    wishes = _wishes(arguments)

    def wanted(container: Container) -> Plan:
        return fleet.configure(container, wishes, token=secrets.token_urlsafe(32))

    return anyio.run(configuring.carry_out, arguments, "configure", wanted)


def _wishes(arguments: argparse.Namespace) -> fleet.Wishes:
    """What was asked for.

    Raises:
        UsageError: a variable or an option of `run` makes no sense.
    """
    options = {}
    for option in settings.OPTIONS:
        told = getattr(arguments, option.field, None)
        if told is not None:
            options[option.name] = tuple(told) if isinstance(told, list) else (told,)
    if arguments.command is not None and not arguments.command:
        raise errors.UsageError('cannot take an empty command: give it after "--", or leave out the "--" to keep the one that is there')
    return fleet.Wishes(
        command=tuple(arguments.command or ()),
        options=options,
        without=arguments.no_with,
        unpublished=arguments.no_publish_env,
        env={**_from_file(arguments.env_file), **dict(_pair(text, "--env") for text in arguments.env)},
        unset=tuple(arguments.unset),
        ports=tuple(arguments.expose),
        program=arguments.program or "",
        in_image=arguments.in_image,
        lose_disk=arguments.even_if_container_disk_is_lost,
    )


def _from_file(path: str | None) -> dict[str, str]:
    """NAME=VALUE lines; empty ones and those that begin with # say nothing."""
    if not path:
        return {}
    try:
        lines = [line.removesuffix("\r") for line in files.read_text(path).split("\n")]
    except OSError as error:
        raise errors.UsageError(f"cannot read the variables from {path}: {error.strerror}") from None
    told = enumerate(lines, 1)
    return dict(_pair(line, f"line {number} of {path}") for number, line in told if line.strip() and not line.lstrip().startswith("#"))


def _pair(text: str, where: str) -> tuple[str, str]:
    """The name and the value; an error does not show the text, which may be a secret alone."""
    name, equals, value = text.partition("=")
    if not equals:
        raise errors.UsageError(f"cannot take {where}: it is not NAME=VALUE")
    return name.strip(), value
