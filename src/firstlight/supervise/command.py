"""From the words of a command to a running child."""

from __future__ import annotations

import errno
import os

from firstlight.errors import CommandError, ExitCode

TYPE_CHECKING = False  # `typing` has the same name, and costs two milliseconds before the first probe
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from firstlight.system.process import Children, Process


def find(command: str, environment: Mapping[str, str]) -> str:
    """The file that `command` names: itself when it contains a slash, else the first fit along the environment's PATH.

    Raises:
        CommandError: there is none (127), or none that we may execute (126).
    """
    if "/" in command:
        candidates = [command]
    else:
        directories = environment.get("PATH", os.defpath).split(os.pathsep)
        candidates = [os.path.join(directory or ".", command) for directory in directories] if command else []
    denied = ""
    for candidate in candidates:
        if os.path.isfile(candidate) and os.access(candidate, os.X_OK):
            return candidate
        if not denied and os.path.lexists(candidate):
            denied = candidate
    if denied and ("/" in command or not os.path.isdir(denied)):
        raise CommandError(f"cannot start {denied}: {_why_not(denied)}", ExitCode.NOT_EXECUTABLE)
    where = "" if "/" in command else " in PATH"
    raise CommandError(f"cannot start {command!r}: no such command{where}", ExitCode.NOT_FOUND)


def _why_not(path: str) -> str:
    if os.path.isdir(path):
        return "it is a directory"
    if not os.path.exists(path):
        return "it is a link that leads nowhere"
    if not os.path.isfile(path):
        return "it is not a regular file"
    return "it may not be executed (chmod +x?)"


def start(
    children: Children,
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    name: str = "app",
    stdin: int | None = None,
    stdout: int | None = None,
    stderr: int | None = None,
) -> Process:
    """Start a command in a process group of its own. A descriptor of None is inherited.

    Raises:
        CommandError: it cannot be started (126 or 127).
    """
    path = find(command[0], environment)
    try:
        try:
            argv = list(command)
            if environment.get("LISTEN_PID") == str(os.getpid()):
                path, argv = _listening(path, argv)
            return children.spawn(argv, environment, name=name, path=path, stdin=stdin, stdout=stdout, stderr=stderr)
        except OSError as error:
            if error.errno != errno.ENOEXEC:
                raise
        # A script without a #! line: shells and execvp give it to sh.
        script = ["/bin/sh", path, *command[1:]]
        return children.spawn(script, environment, name=name, stdin=stdin, stdout=stdout, stderr=stderr)
    except OSError as error:
        why = error.strerror
        if error.errno == errno.ENOENT:
            why = "it is there, but the interpreter or the loader that it names is not"
        raise CommandError(f"cannot start {path}: {why}", ExitCode.NOT_EXECUTABLE) from None


def _listening(path: str, argv: list[str]) -> tuple[str, list[str]]:
    """Sockets were passed to us by number (sd_listen_fds(3)): they are the command's, whose own pid LISTEN_PID must then be.

    Only the process itself knows that in time, so a shell writes it down and becomes the command.
    """
    return "/bin/sh", ["sh", "-c", 'LISTEN_PID=$$; export LISTEN_PID; program=$1; shift; exec "$program" "$@"', "sh", path, *argv[1:]]
