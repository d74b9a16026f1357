"""The folder of a test: what was planned, and what came of it, a line for each cycle. Whatever ends a run, the next one goes on from here.

    plan.json      written once, when the test begins
    cycles.jsonl   a line for each cycle, on disk before the next one begins; and one for each pod that was brought back
    report.json, report.html

The folder is locked by the process that tests.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from firstlight import errors
from firstlight.fleet.cycle import Cycle, Outcome, Subject
from firstlight.fleet.verify import Leg

VERSION = 1
PLAN, CYCLES, REPORT, PAGE = "plan.json", "cycles.jsonl", "report.json", "report.html"


class Mode(str, Enum):
    """How a cold start is made."""

    STOP_START = "stop-start"  # the same host, as a rule
    RECREATE = "recreate"  # any host


class RecordError(errors.Error):
    """What came of a cycle cannot be written down: no more of them may be begun."""

    exit_code = errors.ExitCode.CLOUD


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be done; it never changes.

    Attributes:
        id: by which the leases of a run that was killed are found.
        cycles: of each pod.
        cap: USD, for all its runs together.
        expected: USD, as it was estimated.
        min_cuda: what the host of a pod that is created must be able to; None for whatever comes.
    """

    id: str
    made_at: str
    made_by: str
    mode: Mode
    cycles: int
    cap: float
    expected: float
    ssh: bool
    keep_running: bool
    min_cuda: str | None
    subjects: tuple[Subject, ...]


@dataclass(frozen=True, kw_only=True)
class Return:
    """How a pod was left when a run ended, and what it had cost since its last cycle: one that was cut off, and its stop."""

    pod: str
    at: str
    ok: bool
    words: str
    cost: float


class Record:
    """The folder, held by this process alone."""

    def __init__(self, folder: str, plan: Plan, lock: int) -> None:
        self.folder = folder
        self.plan = plan
        self._lock = lock
        self._file = os.open(os.path.join(folder, CYCLES), os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        _cut_torn(self._file)

    @classmethod
    def begin(cls, folder: str, plan: Plan) -> Record:
        """A new test.

        Raises:
            UsageError: there is one in this folder already, or nothing can be written there.
        """
        try:
            os.makedirs(folder, exist_ok=True)
            lock = _hold(folder)
            if os.path.exists(os.path.join(folder, PLAN)):
                os.close(lock)
                raise errors.UsageError(f"cannot begin a test in {folder}: it holds one already; --resume {folder} goes on with it")
            _write(folder, PLAN, json.dumps({"version": VERSION, **asdict(plan)}, indent=2) + "\n")
            return cls(folder, plan, lock)
        except OSError as error:
            raise errors.UsageError(f"cannot keep a test in {folder}: {error.strerror}") from None

    @classmethod
    def resume(cls, folder: str) -> Record:
        """A test that was begun.

        Raises:
            UsageError: there is none in this folder, or another process is at it.
        """
        try:
            lock = _hold(folder)
            with open(os.path.join(folder, PLAN), encoding="utf-8") as file:
                plan = _plan(json.load(file))
            return cls(folder, plan, lock)
        except FileNotFoundError:
            raise errors.UsageError(f"cannot go on with the test in {folder}: there is no {PLAN}") from None
        except OSError as error:
            raise errors.UsageError(f"cannot go on with the test in {folder}: {error.strerror}") from None
        except (ValueError, KeyError, TypeError) as error:
            raise errors.UsageError(f"cannot understand {os.path.join(folder, PLAN)}: {type(error).__name__}: {error}") from None

    def add(self, one: Cycle | Return) -> None:
        """On disk when this returns.

        Raises:
            RecordError: it cannot be written, and nothing of it is.
        """
        kind = "cycle" if isinstance(one, Cycle) else "return"
        data = (json.dumps({"kind": kind, **asdict(one)}, separators=(",", ":")) + "\n").encode()
        end = os.fstat(self._file).st_size
        try:
            while data:
                data = data[os.write(self._file, data) :]
            os.fsync(self._file)
        except OSError as error:
            os.ftruncate(self._file, end)  # half a line would spoil the next one
            raise RecordError(f"cannot write {os.path.join(self.folder, CYCLES)}: {error.strerror}") from None

    def keep(self, name: str, text: str) -> str:
        """A file beside it; where it is.

        Raises:
            RecordError: it cannot be written.
        """
        try:
            return _write(self.folder, name, text)
        except OSError as error:
            raise RecordError(f"cannot write {os.path.join(self.folder, name)}: {error.strerror}") from None

    def lines(self) -> Iterator[Cycle | Return]:
        """What came of it until now, in the order in which it happened.

        Raises:
            UsageError: it cannot be understood.
        """
        place = os.path.join(self.folder, CYCLES)
        with open(place, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                try:
                    yield _line(json.loads(line))
                except (ValueError, KeyError, TypeError) as error:
                    raise errors.UsageError(f"cannot understand line {number} of {place}: {type(error).__name__}: {error}") from None

    def close(self) -> None:
        """Let go of the folder."""
        os.close(self._file)
        os.close(self._lock)


def _write(folder: str, name: str, text: str) -> str:
    """A file of the folder, whole or not at all. Where it is."""
    path = os.path.join(folder, name)
    new = f"{path}.new"
    with open(new, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.rename(new, path)
    return path


def _hold(folder: str) -> int:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise errors.UsageError(f"cannot test in {folder}: another process is at it") from None
    return descriptor


def _cut_torn(file: int) -> None:
    """A line that has no end was being written when the process was killed: it goes, and its cycle is done again."""
    size = os.fstat(file).st_size
    whole = size
    while whole:
        piece = min(whole, 1 << 16)
        found = os.pread(file, piece, whole - piece).rfind(b"\n")
        if found >= 0:
            whole += found + 1 - piece
            break
        whole -= piece
    if whole < size:
        os.ftruncate(file, whole)


def _plan(told: dict[str, Any]) -> Plan:
    if told.pop("version") != VERSION:
        raise ValueError("it is of another version of firstlight")
    return Plan(**{**told, "mode": Mode(told["mode"]), "subjects": tuple(Subject(**subject) for subject in told["subjects"])})


def _line(told: dict[str, Any]) -> Cycle | Return:
    if told.pop("kind") == "return":
        return Return(**told)
    legs = tuple(Leg(**leg) for leg in told["legs"])
    return Cycle(**{**told, "outcome": Outcome(told["outcome"]), "legs": legs, "gpus": tuple(told["gpus"])})
