"""Print the environment that makes CUDA work here, for `eval "$(firstlight env --shell)"`."""

from __future__ import annotations

import argparse
import json
import os
import shlex

from firstlight import entrypoint

TAKES_SIGNALS = True


def configure(parser: argparse.ArgumentParser) -> None:
    """How to print it."""
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--shell", dest="format", action="store_const", const="shell", default="shell", help="as export and unset lines (default)"
    )
    how.add_argument("--format", choices=("shell", "json"), help="shell lines, or one JSON object (null: unset)")
    parser.add_argument(
        "--wait", action="store_true", help="wait for CUDA and prove it as run does, and make device nodes that are missing"
    )
    parser.add_argument("--quiet", action="store_true", help="say nothing on standard error")


def run(arguments: argparse.Namespace) -> int:
    """Probe and cure what the environment alone can cure; print what changed. Exit as `run` would."""
    code, changes = entrypoint.cured_environment(os.environ, arguments.inherited_mask, quiet=arguments.quiet, wait=arguments.wait)
    if arguments.format == "json":
        print(json.dumps(changes))
    else:
        for name, value in changes.items():
            print(f"unset {name}" if value is None else f"export {name}={shlex.quote(value)}")
    return code
