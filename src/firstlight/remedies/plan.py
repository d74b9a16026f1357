"""The shapes of a cure: the actions that it would take, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Risk(Enum):
    """What a remedy may cost, and so whether it is done unasked."""

    NONE = "none"  # only the app's own environment or limits change
    MACHINE = "machine"  # something in the container changes; done unasked, since the app could not run without it
    ASKED_ONLY = "asked only"  # somebody may have wanted it as it is: --allow


@dataclass(frozen=True)
class SetVariable:
    """Set an environment variable for the app, or take it away (None)."""

    name: str
    value: str | None

    def __str__(self) -> str:
        return f"unset {self.name}" if self.value is None else f"{self.name}={self.value}"


@dataclass(frozen=True)
class MakeNode:
    """Make a character device node, in place of whatever is there."""

    path: str
    major: int
    minor: int
    replace: bool = False

    def __str__(self) -> str:
        return f"{'rm; ' if self.replace else ''}mknod -m 666 {self.path} c {self.major} {self.minor}"


@dataclass(frozen=True)
class LinkLibraries:
    """Make a directory of links for driver files that have none, and put it first on LD_LIBRARY_PATH."""

    directory: str  # where the files are
    version: str  # the files that end with this version are linked

    def __str__(self) -> str:
        return f"link {self.directory}/lib*.so.{self.version} under their sonames, first on LD_LIBRARY_PATH"


@dataclass(frozen=True)
class RaiseLimit:
    """Raise a soft resource limit, for us and so for the app."""

    name: str  # "RLIMIT_AS"
    soft: int | None  # None: unlimited

    def __str__(self) -> str:
        return f"{self.name} soft limit to {'unlimited' if self.soft is None else self.soft}"


Action = SetVariable | MakeNode | LinkLibraries | RaiseLimit


@dataclass(frozen=True)
class Plan:
    """What a remedy would do."""

    actions: tuple[Action, ...]

    def __str__(self) -> str:
        return "; ".join(str(action) for action in self.actions)


@dataclass(frozen=True)
class Refused:
    """The remedy does not fit here, and why."""

    reason: str


@dataclass(frozen=True)
class Failed:
    """The remedy was tried and did not work, and why."""

    reason: str


@dataclass(frozen=True)
class Applied:
    """The remedy was done, all of it or in part. Whether it helped, only the next probe can say."""

    done: tuple[str, ...]
    environment: dict[str, str | None]  # for the app and for every probe from now on; None takes a variable away
    failures: tuple[str, ...] = ()  # the part that could not be done


Outcome = Applied | Refused | Failed
