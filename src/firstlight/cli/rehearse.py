"""Run a whole cold start on a simulated machine, without a GPU: `firstlight rehearse sick-pod -- python3 main.py`."""

from __future__ import annotations

import argparse
import json
import os
import sys

from firstlight import errors, settings
from firstlight.cli import run as run_verb
from firstlight.rehearse import scenario, stage
from firstlight.system.loop import Loop

TAKES_COMMAND = True
TAKES_SIGNALS = True

# What can be done on a simulated machine, and whether it takes a command.
_VERBS = {"run": True, "doctor": False, "facts": False, "env": False}


def configure(parser: argparse.ArgumentParser) -> None:
    """The scenario, what to do on its machine, and every option of `run`."""
    parser.add_argument("scenario", nargs="?", metavar="SCENARIO", help="a scenario's name, or a file that ends in .toml")
    parser.add_argument("--list", action="store_true", help="list the scenarios")
    parser.add_argument("--verb", choices=sorted(_VERBS), default="run", help="what to do on the machine (default run)")
    parser.add_argument("--format", choices=("text", "json"), help="of the list, or of what doctor and facts print")
    parser.add_argument("--keep", metavar="DIR", help="build the machine in this new folder and leave it there")
    for option in settings.OPTIONS:
        run_verb.add(parser, option, "as of run")


def run(arguments: argparse.Namespace) -> int:
    """Build the machine, run the installed firstlight on it, unchanged, and end with its exit code."""
    if arguments.list:
        return _list(arguments.format)
    if not arguments.scenario:
        raise errors.UsageError("cannot rehearse without a scenario: firstlight rehearse --list names them")
    if _VERBS[arguments.verb] and not arguments.command:
        raise errors.UsageError('cannot rehearse without a command: give it after "--", as in: firstlight rehearse healthy -- true')
    chosen = scenario.load(arguments.scenario)
    loop = Loop(arguments.inherited_mask)
    with stage.set_up(loop, chosen, os.environ, arguments.keep) as machine:
        state = str(machine.folder / "journal")
        return stage.play(loop, machine, [*_firstlight(), *_words(arguments, state)], os.environ)


def _words(arguments: argparse.Namespace, state: str) -> list[str]:
    """The command line of the rehearsed firstlight; its journal stays on the machine unless told otherwise."""
    if arguments.verb != "run":
        words = [arguments.verb]
        if arguments.format and arguments.verb in ("doctor", "facts"):
            words += ["--format", arguments.format]
        return words
    words = ["run"]
    for option in settings.OPTIONS:
        value = getattr(arguments, option.field)
        if option.name == "state-dir":
            value = value or state
        if option.kind.switch:
            words += [f"--{option.name}"] if value else []
        elif value is not None:
            words += [f"--{option.name}={text}" for text in (value if option.many else [value])]
    return [*words, "--", *arguments.command]


def _firstlight() -> list[str]:
    """How we were started ourselves: as the module, as the installed script, or as the one file."""
    started = sys.argv[0]
    python = [sys.executable, *(["-I"] if sys.flags.isolated else []), *(["-S"] if sys.flags.no_site else [])]
    if os.path.basename(started) == "__main__.py" or not os.path.isfile(started):
        return [*python, "-m", "firstlight"]
    return [*python, os.path.abspath(started)]


def _list(form: str | None) -> int:
    found = [scenario.load(name) for name in scenario.names()]
    if form == "json":
        print(json.dumps([{"name": item.name, "description": item.description} for item in found], indent=2))
        return errors.ExitCode.OK
    width = max(len(item.name) for item in found)
    for item in found:
        print(f"{item.name:{width}}  {item.description}")
    return errors.ExitCode.OK
