"""Every exception that firstlight raises on purpose.

Error                 something cannot be done; the message begins with "cannot"; exit 70 unless said otherwise
├── UsageError        the command line or a file given on it is wrong; nothing was started (exit 64)
├── SettingsError     a FIRSTLIGHT_* variable or firstlight.toml is wrong (exit 78)
├── OutputError       standard output takes no more (exit 74)
├── UpgradeError      another PyTorch could not be made or proven; the environment in use is as it was (exit 1)
└── CommandError      the app's command cannot be started (exit 126 or 127, as a shell would)
Stopped               a signal asked us to stop before the app was started (exit 128 + signal)
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Our own exit codes; every other code that `run` gives is the app's. docs/reference/exit-codes.md is made from this."""

    OK = 0
    ILL = 1  # doctor: CUDA does not work; accept: what was made is not what was asked for
    USABLE = 2  # doctor: CUDA works, yet something is wrong
    USAGE = 64  # the command line, or a file given on it, is wrong; nothing was started
    NO_GPU = 69  # no usable GPU in this container; another start of it will not help
    INTERNAL = 70  # a fault of firstlight itself
    CLOUD = 74  # the provider, a pod or ComfyUI did not do as asked; or what was to be printed or written down could not be
    OTHER_HOST = 75  # the host is at fault: try another one
    DENIED = 77  # the key of the provider's API is wrong, or its rights do not suffice
    SETTINGS = 78  # a FIRSTLIGHT_* variable or firstlight.toml is wrong
    RESTART_LIMIT = 79  # the app was restarted too often
    NOT_READY = 80  # the app did not become ready in time (--ready-timeout)
    NOT_EXECUTABLE = 126  # the command was found but may not be executed
    NOT_FOUND = 127  # the command was not found


class Error(Exception):
    """Something cannot be done. The message is one line, begins with "cannot" and carries its context."""

    exit_code = ExitCode.INTERNAL


class UsageError(Error):
    """The command line, or a file given on it, is wrong."""

    exit_code = ExitCode.USAGE


class SettingsError(Error):
    """A setting from the environment or from firstlight.toml is wrong."""

    exit_code = ExitCode.SETTINGS


class OutputError(Error):
    """Standard output takes no more of what is printed."""

    exit_code = ExitCode.CLOUD


class UpgradeError(Error):
    """Another PyTorch could not be made or proven; the environment in use is as it was."""

    exit_code = ExitCode.ILL


class CommandError(Error):
    """The app's command cannot be started.

    Attributes:
        exit_code: 127 when it does not exist, 126 when it may not be executed.
    """

    def __init__(self, message: str, exit_code: ExitCode) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Stopped(Exception):  # noqa: N818 - not an error: somebody asked for it
    """A signal asked us to stop while no app was running.

    Attributes:
        signal: the signal's number.
    """

    def __init__(self, signal: int) -> None:
        super().__init__(f"stopped by signal {signal}")
        self.signal = signal
