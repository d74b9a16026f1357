"""What is owed to the account if we die now: a file for each undertaking that makes or starts pods, written before the act that needs it.

As long as its process lives, the file is locked; whoever gets the lock has found an undertaking that was left, and may do what it owes
(sweep.py). The lock goes with the file: each new content is a new file, locked before it takes the name of the last one.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import socket
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from firstlight import errors, settings
from firstlight.fleet import state
from firstlight.system import clock

# The variable by which a pod tells under which lease it was made, and like which pod: LEASE:POD.
MARK = settings.LEASE

START, STOP, TERMINATE = "start", "stop", "terminate"

_SUFFIX = ".json"


def made_under(variables: Mapping[str, str]) -> str:
    """The lease under which a pod with these variables was made; empty for none. Pure."""
    return variables.get(MARK, "").partition(":")[0]


def made_like(variables: Mapping[str, str]) -> str:
    """The pod like which it was made under a lease: it is on trial as long as that one is there. Empty for none. Pure."""
    return variables.get(MARK, "").partition(":")[2]


class LeaseError(errors.Error):
    """A lease cannot be written or read: nothing may be done that it would have to tell of."""

    exit_code = errors.ExitCode.CLOUD


class FolderError(LeaseError):
    """No lease can be kept in the folder that was chosen for them; nothing was begun."""

    exit_code = errors.ExitCode.USAGE


@dataclass(frozen=True)
class Duty:
    """One thing that is owed. `successor` is the pod that makes it right: where that is gone, nothing is owed any more."""

    action: str  # start | stop | terminate
    pod: str | None  # id; None: whatever carries this lease's mark
    successor: str | None = None


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What the file holds."""

    id: str
    what: str  # what is undertaken, for people
    about: tuple[str, ...]  # the pods that are to be left alone by others meanwhile
    host: str  # where: only there the lock tells whether it lives
    home: str | None  # the pod in which it was taken; None outside of any
    taken_at: str
    promised_at: str
    duties: tuple[Duty, ...]

    @property
    def age(self) -> float:
        """Seconds since the last promise."""
        return _moment(clock.wall()) - _moment(self.promised_at)


class Lease:
    """One undertaking. Take it, promise before each act, close it when nothing is owed; one that is neither closed nor held is swept."""

    def __init__(self, path: str, terms: Terms, descriptor: int) -> None:
        self.path = path
        self.terms = terms
        self.made: set[str] = set()  # the pods that were made under it, by this process
        self._descriptor = descriptor

    @property
    def id(self) -> str:
        """Its name, and the mark of what is made under it."""
        return self.terms.id

    @property
    def duties(self) -> tuple[Duty, ...]:
        """What is owed now."""
        return self.terms.duties

    @classmethod
    def take(cls, folder: str, what: str, about: Collection[str] = ()) -> Lease:
        """Begin an undertaking, `about` pods that are to be left alone by others. Nothing is owed yet.

        Raises:
            FolderError: the folder cannot be written.
        """
        now = clock.wall()
        name = secrets.token_hex(8)
        terms = Terms(
            id=name,
            what=what,
            about=tuple(about),
            host=socket.gethostname(),
            home=os.environ.get("RUNPOD_POD_ID") or None,
            taken_at=now,
            promised_at=now,
            duties=(),
        )
        path = os.path.join(folder, name + _SUFFIX)
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)
            descriptor = _write(path, terms)
        except OSError as error:
            raise FolderError(f"cannot take a lease in {folder}: {error.strerror} (--lease-dir names another folder)") from None
        return cls(path, terms, descriptor)

    @classmethod
    def adopt(cls, path: str) -> Lease | None:
        """Hold a lease that somebody has left; None where its process lives, or it is gone.

        Raises:
            LeaseError: it cannot be read.
        """
        while True:
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError:
                return None
            except OSError as error:
                raise LeaseError(f"cannot open the lease {path}: {error.strerror}") from None
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _same(path, descriptor) and (terms := read(path)) is not None:
                    return cls(path, terms, descriptor)
            except BlockingIOError:
                os.close(descriptor)
                return None
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)  # it was replaced while we waited for it

    def promise(self, *duties: Duty) -> None:
        """Owe this, and nothing else, from now on. On disk when it returns: only then may be done what makes it owed.

        Raises:
            LeaseError: it cannot be written; what was owed before is.
        """
        self._replace(duties, clock.wall())

    def settle(self, duty: Duty) -> None:
        """One of them is done."""
        self._replace(tuple(other for other in self.duties if other != duty), self.terms.promised_at)

    def close(self) -> None:
        """Nothing is owed any more: the file goes."""
        try:
            os.unlink(self.path)
            _sync_folder(self.path)
        except OSError as error:
            raise LeaseError(f"cannot remove the lease {self.path}: {error.strerror}") from None
        self.release()

    def release(self) -> None:
        """Let go of it. What is owed still is left to a sweep."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _replace(self, duties: tuple[Duty, ...], promised_at: str) -> None:
        old = self.terms
        terms = Terms(
            id=old.id,
            what=old.what,
            about=old.about,
            host=old.host,
            home=old.home,
            taken_at=old.taken_at,
            promised_at=promised_at,
            duties=tuple(dict.fromkeys(duties)),
        )
        try:
            descriptor = _write(self.path, terms)
        except OSError as error:
            raise LeaseError(f"cannot write the lease {self.path}: {error.strerror}") from None
        os.close(self._descriptor)
        self._descriptor, self.terms = descriptor, terms


def folder(environment: Mapping[str, str], given: str | None = None) -> str:
    """Where leases are kept: `given`, or the user's directory of state.

    Raises:
        UsageError: `given` is empty, or nothing tells where the user keeps his state.
    """
    if given == "":  # a variable of a shell that is not set
        raise errors.UsageError("cannot keep leases: --lease-dir names no folder")
    return os.path.abspath(given) if given else state.folder(environment, "leases")


def try_folder(place: str) -> None:
    """Find out that leases can be kept there before anything is begun that needs one.

    Raises:
        FolderError: they cannot.
    """
    Lease.take(place, "find out whether leases can be kept here").close()


def paths(place: str) -> list[str]:
    """The files of all leases in a folder, oldest name first; none where there is no folder.

    Raises:
        FolderError: the folder cannot be listed.
    """
    try:
        return [os.path.join(place, name) for name in sorted(os.listdir(place)) if name.endswith(_SUFFIX) and not name.startswith(".")]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise FolderError(f"cannot list the leases in {place}: {error.strerror}") from None


def read(path: str) -> Terms | None:
    """What a lease says, whoever holds it; None where it is gone.

    Raises:
        LeaseError: it cannot be read, or is none.
    """
    try:
        with open(path, encoding="utf-8") as file:
            told = json.load(file)
        if told["version"] != 1:
            raise LeaseError(f"cannot understand the lease {path}: it is of version {told['version']}")
        duties = tuple(Duty(str(duty["action"]), duty["pod"], duty.get("successor")) for duty in told["duties"])
        _moment(told["promised_at"])
        return Terms(
            id=str(told["id"]),
            what=str(told["what"]),
            about=tuple(map(str, told.get("about", ()))),
            host=str(told["host"]),
            home=told["home"],
            taken_at=str(told["taken_at"]),
            promised_at=str(told["promised_at"]),
            duties=duties,
        )
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LeaseError(f"cannot read the lease {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise LeaseError(f"cannot understand the lease {path}: {type(error).__name__}: {error}") from None


def _write(path: str, terms: Terms) -> int:
    """Bring it to the disk under its name, whole or not at all; its locked descriptor."""
    place, name = os.path.split(path)
    new = os.path.join(place, f".{name}.new")
    descriptor = os.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        data = (json.dumps(_plain(terms), indent=2) + "\n").encode()
        while data:
            data = data[os.write(descriptor, data) :]
        os.fsync(descriptor)
        os.rename(new, path)
        _sync_folder(path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _sync_folder(path: str) -> None:
    descriptor = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _same(path: str, descriptor: int) -> bool:
    """Whether the file that was opened still has the name."""
    try:
        named = os.stat(path)
    except FileNotFoundError:
        return False
    opened = os.fstat(descriptor)
    return (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)


def _plain(terms: Terms) -> dict[str, Any]:
    return {
        "version": 1,
        "id": terms.id,
        "what": terms.what,
        "about": list(terms.about),
        "host": terms.host,
        "home": terms.home,
        "taken_at": terms.taken_at,
        "promised_at": terms.promised_at,
        "duties": [{"action": duty.action, "pod": duty.pod, "successor": duty.successor} for duty in terms.duties],
    }


def _moment(stamp: str) -> float:
    seconds = clock.moment(stamp)
    if seconds is None:
        raise ValueError(f"{stamp!r} is no time")
    return seconds
