"""What `facts` and `doctor` share: their options, and the facts that they speak of."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from firstlight import entrypoint, errors, settings
from firstlight.probe import children, collect
from firstlight.probe.facts import Facts, decode
from firstlight.system import standard_error
from firstlight.system.loop import Loop


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of every verb that probes this machine or reads recorded facts."""
    parser.add_argument("--format", choices=("text", "json"), default="text", help="text for people, json for programs")
    parser.add_argument("--from", dest="file", metavar="FILE", help="take recorded facts instead of probing this machine")
    parser.add_argument("--torch", metavar="PYTHON", default="", help="also ask the PyTorch of this interpreter")
    parser.add_argument("--probe-timeout", metavar="TIME", default="60s", help="how long one step may take before it counts as hung")


def facts(arguments: argparse.Namespace) -> Facts:
    """Recorded facts, or those of this machine, all probes included.

    Raises:
        UsageError: the file is no facts file, or of another version.
    """
    if arguments.file is not None:
        return _recorded(arguments.file)
    try:
        timeout = settings.duration(arguments.probe_timeout)
    except ValueError as error:
        raise errors.UsageError(f"cannot take --probe-timeout {arguments.probe_timeout!r}: {error}") from None
    variables = entrypoint.app_environment(os.environ)
    loop = Loop(arguments.inherited_mask)
    try:
        prover = children.prover(loop, variables, hold=0)
        found = collect.with_prover(loop, variables, prover, timeout, standard_error.say)
        loop.end(prover)
        return collect.complete(loop, variables, found, timeout, standard_error.say, interpreter=arguments.torch)
    finally:
        for process in list(loop.children.running.values()):
            loop.end(process)
        loop.close()


def _recorded(name: str) -> Facts:
    try:
        return decode(json.loads(Path(name).read_text(encoding="utf-8")))
    except OSError as error:
        raise errors.UsageError(f"cannot read {name}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # JSON and text errors are ValueErrors too
        reason = str(error)
        raise errors.UsageError(reason if reason.startswith("cannot") else f"cannot read {name}: it is no JSON: {reason}") from None
