"""The command line: from words to a verb's module, and from errors to one line and an exit code.

A verb's module is imported only when it is asked for: the start of a container waits for `run` alone.
"""

from __future__ import annotations

import argparse
import importlib
import io
import os
import signal
import sys

import firstlight
from firstlight import errors
from firstlight.system import standard_error

TYPE_CHECKING = False  # `typing` has the same name, and costs two milliseconds before the first probe
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any, NoReturn, Protocol, TextIO

    class Verb(Protocol):
        """What a verb's module offers."""

        def configure(self, parser: argparse.ArgumentParser) -> None:
            """Add the verb's arguments."""

        def run(self, arguments: argparse.Namespace) -> int:
            """Do it; give the exit code."""


# Verb, what it does. In the order in which a newcomer meets them.
VERBS = (
    ("run", "bring CUDA up, prove it, then start a command and look after it"),
    ("doctor", "say what is wrong with the GPU stack, and who must act"),
    ("facts", "print what is true of the GPU stack"),
    ("explain", "print the page of a fault, by its name or by an error message"),
    ("env", "print the environment that makes CUDA work, for eval"),
    ("status", "say how the last boot stands"),
    ("logs", "print what the app has printed, and follow it"),
    ("ctl", "give a running firstlight an order: restart, stop, retry, rediagnose"),
    ("timeline", "show where the time of the last boot went"),
    ("accept", "have ComfyUI say a sentence in a voice, and judge what comes out"),
    ("install", "put the tool and what goes with it on a volume, or take it off again"),
    ("pod", "configure, test, watch and move pods from outside"),
    ("torch", "find the PyTorch that fits, and change it without breaking what works"),
    ("rehearse", "run a whole cold start on a simulated machine, without a GPU"),
    ("config", "show every setting and where it came from, or check a file of settings"),
    ("completion", "print the completion script of a shell"),
)
_MODULES = {verb: f"firstlight.cli.{verb}" for verb, _ in VERBS}
# Verbs that have verbs of their own: the package that lists them.
GROUPS = {"pod": "firstlight.cli.pods", "torch": "firstlight.cli.torches"}


class Parser(argparse.ArgumentParser):
    """argparse, with our words and our exit code."""

    def error(self, message: str) -> NoReturn:
        """A command line that cannot be understood."""
        raise errors.UsageError(f"cannot understand the command line: {message} (see {self.prog} --help)")


def main(words: Sequence[str], inherited_mask: Iterable[int]) -> int:
    """Run one command line. `inherited_mask` is the signal mask from before ours, which children get back."""
    for stream in ("stdout", "stderr"):
        if getattr(sys, stream) is None:  # it was closed when we were started
            setattr(sys, stream, io.StringIO())
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")  # a stranger's name may hold what this encoding has not
    sys.stdout = _Output(sys.stdout)  # all of it that is used is passed on
    try:
        try:
            return _main(list(words), inherited_mask)
        finally:
            _flush()
    except BaseException as error:  # noqa: BLE001 - what it is, is asked below
        return _tell(_alone(error))


class _Output:
    """Standard output: that it takes no more is an error of its own, whoever prints."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """As of the stream.

        Raises:
            OutputError: it cannot be written.
            BrokenPipeError: nobody reads it any more.
        """
        try:
            return self._stream.write(text)
        except OSError as error:
            raise _unprinted(error) from None

    def flush(self) -> None:
        """As of the stream, with the errors of `write`."""
        try:
            self._stream.flush()
        except OSError as error:
            raise _unprinted(error) from None


def _unprinted(error: OSError) -> Exception:
    if isinstance(error, BrokenPipeError):
        return error
    return errors.OutputError(f"cannot print: {error.strerror or error}")


def _flush() -> None:
    """Bring out what was printed while an error of it can still be told: the interpreter's own flush would complain of it."""
    try:
        sys.stdout.flush()
    except (errors.OutputError, BrokenPipeError):
        sys.stdout = None  # it keeps what it could not write, and would try again
        raise


def _alone(error: BaseException) -> BaseException:
    """What a task group has wrapped because it ended the group; the first, where several did."""
    while parts := getattr(error, "exceptions", None):
        error = parts[0]
    return error


def _tell(error: BaseException) -> int:
    """Say in one line why all has ended; the exit code."""
    if isinstance(error, SystemExit):  # argparse: it has printed what was asked for
        raise error
    if isinstance(error, errors.Error):
        standard_error.say(str(error))
        return int(error.exit_code)
    if isinstance(error, errors.Stopped):
        return 128 + error.signal
    if isinstance(error, KeyboardInterrupt):
        return 128 + signal.SIGINT
    if isinstance(error, BrokenPipeError):
        return 128 + signal.SIGPIPE  # whoever read our output has seen enough
    if isinstance(error, OSError):
        standard_error.say(f"cannot go on: {error}")
        return int(errors.ExitCode.INTERNAL)
    # A fault of our own: whoever reads the exit code must not take it for the app's.
    import traceback

    standard_error.say("cannot go on: this is a fault of firstlight itself")
    standard_error.write("".join(traceback.format_exception(type(error), error, error.__traceback__)))
    return int(errors.ExitCode.INTERNAL)


def _main(words: list[str], inherited_mask: Iterable[int]) -> int:
    options, command = _split(words)
    verb = options[0] if options else ""
    if verb not in _MODULES:
        return _overview(overview(), _MODULES, options)
    if verb in GROUPS:
        return _within(verb, options[1:], command, inherited_mask)
    return _do(verb, importlib.import_module(_MODULES[verb]), options[1:], command, inherited_mask)


def _within(group: str, options: list[str], command: list[str] | None, inherited_mask: Iterable[int]) -> int:
    """A verb of a verb. They need libraries, which the one file keeps apart."""
    from firstlight.programs import bring_libraries

    bring_libraries.bring("libraries.zip", "control.zip")
    package = importlib.import_module(GROUPS[group])
    verbs = [verb for verb, _ in package.VERBS]
    if not options or options[0] not in verbs:
        return _overview(overview(group, package.__doc__, package.VERBS), verbs, options, group)
    return _do(f"{group} {options[0]}", importlib.import_module(f"{GROUPS[group]}.{options[0]}"), options[1:], command, inherited_mask)


def _do(verb: str, module: Verb, options: list[str], command: list[str] | None, inherited_mask: Iterable[int]) -> int:
    arguments = build(verb, module).parse_args(options)
    arguments.command = command
    arguments.inherited_mask = inherited_mask
    if command is not None and not getattr(module, "TAKES_COMMAND", False):
        raise errors.UsageError(f"cannot take a command: {verb} starts nothing")
    if not getattr(module, "TAKES_SIGNALS", False):
        signal.pthread_sigmask(signal.SIG_SETMASK, inherited_mask)
    return int(module.run(arguments))


def build(verb: str, module: Verb) -> Parser:
    """The parser of one verb."""
    takes_command = getattr(module, "TAKES_COMMAND", False)
    parser = Parser(
        prog=f"firstlight {verb}",
        description=(module.__doc__ or "").strip().partition("\n")[0],
        usage=getattr(module, "USAGE", f"firstlight {verb} [options] -- COMMAND [ARGUMENT ...]" if takes_command else None),
        allow_abbrev=False,
        formatter_class=_formatter,
    )
    module.configure(parser)
    return parser


def _formatter(prog: str) -> argparse.HelpFormatter:
    """argparse's own, told how wide the terminal is: to find that out it would import shutil, before the first probe."""
    try:
        width = int(os.environ.get("COLUMNS") or os.get_terminal_size().columns)
    except (ValueError, OSError):
        width = 80
    return argparse.HelpFormatter(prog, width=max(width - 2, 20))


def overview(group: str = "", description: str | None = None, verbs: Sequence[tuple[str, str]] = VERBS) -> Parser:
    """The parser that knows the verbs, or those of one verb, by name alone."""
    width = max(len(verb) for verb, _ in verbs)
    prog = f"firstlight {group}".strip()
    parser = Parser(
        prog=prog,
        usage=f"{prog} VERB [options]",
        description=description or "CUDA that works on every cold start, without anyone looking.",
        epilog="verbs:\n" + "\n".join(f"  {verb:<{width}}  {words}" for verb, words in verbs),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    if not group:
        parser.add_argument("--version", action="version", version=f"firstlight {firstlight.__version__}")
    return parser


def _overview(parser: Parser, verbs: Iterable[str], options: list[str], group: str = "") -> int:
    if options and not options[0].startswith("-"):
        raise errors.UsageError(f"cannot find the verb {f'{group} {options[0]}'.strip()!r}; there are {', '.join(verbs)}")
    parser.parse_args(options)
    parser.print_help(sys.stderr)
    return int(errors.ExitCode.USAGE)


def _split(words: list[str]) -> tuple[list[str], list[str] | None]:
    """Our own words, and the command behind the first `--` (None where there is no `--`)."""
    if "--" not in words:
        return words, None
    place = words.index("--")
    return words[:place], words[place + 1 :]
