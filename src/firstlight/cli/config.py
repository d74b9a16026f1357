"""Show what `run` would take and where each value came from, or check a file of settings."""

from __future__ import annotations

import argparse
import json

from firstlight import errors, settings
from firstlight.cli import run as run_verb, screen
from firstlight.report import settings as report, words
from firstlight.supervise import chosen


def configure(parser: argparse.ArgumentParser) -> None:
    """What to do, and every option of `run`."""
    parser.add_argument("what", choices=("show", "check"), help="show all settings as run would take them, or check one file alone")
    parser.add_argument("file", nargs="?", metavar="FILE", help="the file to check")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="text for people, json for programs")
    run_verb.configure(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print it. A wrong value ends with the exit code that `run` would give."""
    if arguments.what == "check":
        return _check(arguments)
    if arguments.file is not None:
        raise errors.UsageError(f"cannot show {arguments.file}: give it as --config, as to run")
    found = chosen.choose(run_verb.load(arguments), ()).settings
    print(json.dumps(report.plain(found), indent=2) if arguments.format == "json" else report.render(found, screen.style()))
    return errors.ExitCode.OK


def _check(arguments: argparse.Namespace) -> int:
    name = arguments.file
    if not name or name == "none":
        raise errors.UsageError("cannot check without a file: firstlight config check FILE")
    given = [option.name for option in settings.OPTIONS if getattr(arguments, option.field) is not None]
    if given:
        raise errors.UsageError(f"cannot take --{given[0]}: check looks at {name} alone")
    found = settings.load({"config": name}, {})
    chosen.choose(found, ())
    told = sum(found.origin(option.name).source == "file" for option in settings.OPTIONS)
    counts = {"setting": told, "check": len(found.checks), "companion": len(found.companions)}
    if arguments.format == "json":
        print(json.dumps({"version": 1, "file": name, **{f"{what}s": number for what, number in counts.items()}}, indent=2))
    else:
        print(f"{name} is in order: {', '.join(words.count(number, what) for what, number in counts.items())}")
    return errors.ExitCode.OK
