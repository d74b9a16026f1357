"""Put the tool and what goes with it on a volume, or take it off again."""

from __future__ import annotations

import argparse
import json
import os

from firstlight import errors
from firstlight.install import look, perform, plan, tool, wanted
from firstlight.report import style, troubleshooting

_PAGE = "TROUBLESHOOTING.md"


def configure(parser: argparse.ArgumentParser) -> None:
    """Where, and whether to or from."""
    parser.add_argument("--dir", metavar="DIR", default="/workspace", help="the volume's folder (default /workspace)")
    parser.add_argument("--uninstall", action="store_true", help="put back what was there before; what somebody has edited stays")
    parser.add_argument("--purge", action="store_true", help="with --uninstall: also remove the journal, DIR/.firstlight")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    parser.add_argument(
        "--while-running", action="store_true", help="replace or remove the tool although a firstlight runs from it; start that again soon"
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="text for people, json for programs")


def run(arguments: argparse.Namespace) -> int:
    """Do it, and say what was done. A second time, there is nothing to do."""
    if arguments.purge and not arguments.uninstall:
        raise errors.UsageError("cannot take --purge without --uninstall")
    if not arguments.dir:  # a variable of a shell that is not set: we would be installed wherever somebody happens to be
        raise errors.UsageError("cannot use --dir: it names no folder")
    folder = os.path.abspath(arguments.dir)
    if any(not character.isprintable() and not 0xDC80 <= ord(character) <= 0xDCFF for character in folder):
        raise errors.UsageError(f"cannot use {style.printable(folder)}: there is a control character in its name")
    try:
        if arguments.dry_run:
            chosen = _plan(folder, arguments)
        else:
            look.check(folder)
            with perform.alone(folder):
                chosen = _plan(folder, arguments)
                if chosen.to_do:
                    perform.perform(folder, chosen)
    except OSError as error:
        raise errors.UsageError(f"cannot use {error.filename or folder}: {error.strerror}") from None
    print(_json(folder, chosen, arguments) if arguments.format == "json" else _text(folder, chosen, arguments))
    return errors.ExitCode.OK


def _plan(folder: str, arguments: argparse.Namespace) -> plan.Plan:
    if arguments.uninstall:
        there = look.look(folder, [plan.JOURNAL], ())
        chosen = plan.uninstall(there, purge=arguments.purge)
    else:
        files = wanted.files(folder, tool.read(), {_PAGE: troubleshooting.render()})
        sections = wanted.sections(folder)
        there = look.look(folder, [file.name for file in files], [file.name for file in sections])
        chosen = plan.install(files, sections, there)
    if there.running and chosen.touches(wanted.TOOL) and not arguments.while_running:
        pids = ", ".join(map(str, there.running))
        raise errors.UsageError(
            f"cannot replace {folder}/{wanted.TOOL}: firstlight runs from it (pid {pids}), and reads on in it; "
            "stop that first, or say --while-running and start it again soon"
        )
    return chosen


def _json(folder: str, chosen: plan.Plan, arguments: argparse.Namespace) -> str:
    changes = [{"name": change.name, "what": change.what, "words": change.words} for change in chosen.changes]
    return json.dumps({"version": 1, "dir": folder, "done": not arguments.dry_run, "changes": changes}, indent=2)


def _text(folder: str, chosen: plan.Plan, arguments: argparse.Namespace) -> str:
    width = max((len(change.what) for change in chosen.changes), default=0)
    lines = [f"{change.what:{width}}  {folder}/{change.name}{change.words and f' ({change.words})'}" for change in chosen.changes]
    if arguments.dry_run:
        lines.append("nothing was changed: this was a dry run")
    elif not chosen.to_do:
        what = "nothing of firstlight is left in" if arguments.uninstall else "firstlight is installed in"
        lines.append(f"nothing to do: {what} {folder}")
    return "\n".join(map(style.printable, lines))
