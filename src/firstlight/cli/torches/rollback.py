"""Put the environment of before back into its place; a second rollback goes forward again."""

from __future__ import annotations

import argparse
import json

from firstlight import errors
from firstlight.pytorch import places


def configure(parser: argparse.ArgumentParser) -> None:
    """Which environment, and which of its versions."""
    parser.add_argument("--venv", metavar="PATH", required=True, help="the virtual environment, as upgrade was told it")
    parser.add_argument(
        "--to", metavar="NAME", default="", help="one of the kept environments, by its folder in PATH.versions [the one of before]"
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="text for people, json for programs")


def run(arguments: argparse.Namespace) -> int:
    """Swap them."""
    place = places.find(arguments.venv)
    if not places.kept(place):
        raise errors.UsageError(f"cannot roll back {place.path}: it was never upgraded, and nothing is kept beside it")
    with places.locked(place):
        now = places.in_use(place)
        if not now:
            raise errors.UsageError(f"cannot roll back {place.path}: it is a folder of its own, and no link to one of {place.versions}")
        target = _target(arguments, place)
        places.refuse_unless_environment(places.target_of(place, target))
        if target != now:
            try:
                places.swap(place, target, "", gap=False)
            except OSError as error:
                raise errors.UpgradeError(f"cannot put {target} into the place of {place.path}: {error.strerror}") from None
    if arguments.format == "json":
        print(json.dumps({"version": 1, "venv": place.path, "changed": target != now, "before": now, "now": target}, indent=2))
    else:
        print(f"{place.path} is {target} now; it was {now}" if target != now else f"{place.path} is {target}, as before")
    return errors.ExitCode.OK


def _target(arguments: argparse.Namespace, place: places.Place) -> str:
    """What the link is to say."""
    if arguments.to:
        if arguments.to not in places.kept(place):
            raise errors.UsageError(f"cannot find {arguments.to!r} in {place.versions}; there are {', '.join(places.kept(place))}")
        return place.text(arguments.to)
    last = places.last_swap(place)
    if last is None:
        raise errors.UsageError(f"cannot tell what was before: name one with --to; there are {', '.join(places.kept(place))}")
    return last[0]
