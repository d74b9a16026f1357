"""Make an environment with another PyTorch beside the old one, prove it there, and put it into its place."""

from __future__ import annotations

import argparse
import contextlib
import json
import os

from firstlight import entrypoint, errors, settings
from firstlight.cli import examining
from firstlight.pytorch import builds, choosing, places, planning, space, upgrade
from firstlight.pytorch.asking import Surroundings
from firstlight.pytorch.builds import Advice
from firstlight.pytorch.choosing import Choice
from firstlight.pytorch.places import Place
from firstlight.system import standard_error
from firstlight.system.loop import Loop

TAKES_SIGNALS = True

_INDEX = "https://download.pytorch.org/whl"


def configure(parser: argparse.ArgumentParser) -> None:
    """What to install, where from, and what must hold before the swap."""
    parser.add_argument("--venv", metavar="PATH", required=True, help="the virtual environment, or a link to one")
    parser.add_argument("--to", metavar="VERSION", default="", help="the torch to install, as 2.9.0+cu128 [the nearest to the old one]")
    parser.add_argument("--build", metavar="BUILD", default="", help="the build to install, as cu128 [the one that fits best]")
    parser.add_argument("--index-url", metavar="URL", help=f"the index to install from [{_INDEX}/BUILD, unless there is --find-links]")
    parser.add_argument(
        "--find-links", metavar="DIR", help="a folder of wheels to install from; without --index-url beside the installer's own index"
    )
    parser.add_argument(
        "--also", metavar="NAME", action="append", default=[], help="a package that may change with torch, as xformers; can be repeated"
    )
    parser.add_argument(
        "--import", dest="modules", metavar="NAME", action="append", default=[],
        help="a module that must import; can be repeated [torch, and all that requires it and imported before]",
    )  # fmt: skip
    parser.add_argument(
        "--hard-links", action="store_true", help="share the files that stay with the old environment instead of copying them"
    )
    parser.add_argument(
        "--allow-gap", action="store_true", help="let PATH be missing for a moment, where the file system cannot exchange two names"
    )
    parser.add_argument("--no-gpu", action="store_true", help="do not ask whether it fits this machine, and prove no kernel")
    parser.add_argument("--keep", metavar="N", type=int, help="keep N environments of before, and remove older ones [all]")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and change nothing")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="text for people, json for programs")
    parser.add_argument("--probe-timeout", metavar="TIME", default="10m", help="how long one step may be silent before it counts as hung")


def run(arguments: argparse.Namespace) -> int:
    """Do it."""
    if arguments.keep is not None and arguments.keep < 1:
        raise errors.UsageError("cannot keep fewer than one environment: rollback would have none to go back to")
    for word in arguments.modules:
        if not all(part.isidentifier() for part in word.split(".")):
            raise errors.UsageError(f"cannot import {word!r}: it is no name of a module")
    place = places.find(arguments.venv)
    places.refuse_mount_point(place)
    arguments.find_links = os.path.abspath(arguments.find_links) if arguments.find_links else None
    if not os.path.lexists(place.path):
        with places.locked(place):
            pass  # taking the lock heals what a killed swap has left
        places.refuse_unless_environment(place.path)
    arguments.torch, arguments.file = place.python, None
    advice = builds.advise(examining.facts(arguments))
    choice = choosing.choose(advice, to=arguments.to, build=arguments.build, gpu=not arguments.no_gpu)
    if choice is None:
        return _print(arguments, {"changed": False, "torch": advice.installed}, f"torch {advice.installed} fits: {advice.fit.reason}")
    if arguments.dry_run:
        return _do(arguments, place, advice, choice, None)
    with places.locked(place) as lock:
        return _do(arguments, place, advice, choice, lock)


def _do(arguments: argparse.Namespace, place: Place, advice: Advice, choice: Choice, lock: int | None) -> int:
    """Plan it and do it; without the lock only say what would be done."""
    tell = standard_error.say
    loop = Loop(arguments.inherited_mask)
    around = Surroundings(
        loop=loop,
        variables=entrypoint.app_environment(os.environ),
        lock=lock,
        timeout=settings.duration(arguments.probe_timeout),
        tell=tell,
    )
    try:
        found = planning.plan(around, place, _request(arguments, choice))
        if lock is None:
            return _print(arguments, {"changed": False, "plan": _encode(found, choice)}, _words(found, choice))
        tell(f"torch {choice.version}, {choice.reason}")
        done = upgrade.upgrade(around, found, advice.machine)
    finally:
        for process in list(loop.children.running.values()):
            loop.end(process)
        loop.close()
    removed = upgrade.prune(place, done, arguments.keep) if arguments.keep is not None else []
    if done.users:
        tell(
            f"processes of the old environment still run, and load what they load from now on out of the new one: start them again ({_pids(done.users)})"
        )
    if arguments.hard_links:
        tell("the two environments share files: what is edited in place in one changes in the other")
    told = {
        "changed": True,
        "torch": done.version,
        "before": done.before,
        "now": done.now,
        "proven": done.proven,
        "imported": list(done.modules),
        "running": list(done.users),
        "removed": removed,
        "resumed": done.resumed,
    }
    return _print(
        arguments,
        told,
        f"{place.path} has torch {done.version} now; `firstlight torch rollback --venv {place.path}` brings {done.before} back",
    )


def _request(arguments: argparse.Namespace, choice: Choice) -> planning.Request:
    index = arguments.index_url or ("" if arguments.find_links else f"{_INDEX}/{choice.build}")
    return planning.Request(
        version=choice.version,
        find_links=arguments.find_links or "",
        index=index,
        also=tuple(arguments.also),
        modules=tuple(arguments.modules),
        hard_links=arguments.hard_links,
        gap=arguments.allow_gap,
        gpu=not arguments.no_gpu,
    )


def _encode(found: planning.Plan, choice: Choice) -> dict[str, object]:
    return {
        "from": found.torch or None,
        "to": choice.version,
        "reason": choice.reason,
        "installer": found.installer.name,
        "changing": sorted(found.changing),
        "importing": list(found.modules),
        "copy": {"files": len(found.entries), "bytes": found.files},
        "space": {
            "needed": found.space.beside,
            "free": found.space.free,
            "downloads": {"folder": found.space.folder, "needed": found.space.downloads, "free": found.space.downloads_free},
        },
    }


def _words(found: planning.Plan, choice: Choice) -> str:
    need = found.space
    return "\n".join(
        (
            f"torch {found.torch or 'none'} would become {choice.version}, {choice.reason}",
            f"installed by {found.installer.name}: {' '.join(found.wanted)}",
            f"changing with it: {', '.join(sorted(found.changing)) or 'nothing'}",
            f"copied: {len(found.entries)} files, {space.size(found.files)}",
            f"space: {space.size(need.beside)} needed, {space.size(need.free)} free",
            f"downloads: {space.size(need.downloads)} needed in {need.folder}, {space.size(need.downloads_free)} free",
            f"must import: {', '.join(found.modules)}",
        )
    )


def _pids(users: tuple[int, ...]) -> str:
    return ", ".join(f"pid {pid}" for pid in users[:5]) + (" and others" if len(users) > 5 else "")


def _print(arguments: argparse.Namespace, told: dict[str, object], words: str) -> int:
    with contextlib.suppress(BrokenPipeError):  # it is done, whoever reads of it
        print(
            json.dumps({"version": 1, "venv": os.path.abspath(arguments.venv), **told}, indent=2) if arguments.format == "json" else words,
            flush=True,
        )
    return errors.ExitCode.OK
