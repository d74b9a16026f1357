"""Put checks to the app, each on its own schedule, and tell when the answer to one changes.

    first line in    {"checks": [{"name": …, "kind": "http"|"tcp"|"exec", …}, …]}      as firstlight/apps/app.py writes them
    orders           {"order": "start", "life": N} · {"order": "stop"} · the end of the input: end, and what runs with it
    answers          {"step": "checked", "check": NAME, "ok": true|false, "words": …, "seconds": …, "life": N}
                     {"step": "waiting", "check": NAME, "words": …, "life": N}

`checked` comes when a check has first been judged in this life of the app and when it turns: well after one success, failed after `threshold`
failures in a row. Until the first success, and for `start_period` at most, failures do not count, and a check is put every `start_interval`, more slowly
the longer that lasts: the end of a cold start is noticed at most a hundredth of its time too late. `waiting` says how far a check came that is not judged yet,
once for each change of words. A check that is `last` is put while all the others are well, and not before.

Each check has a thread, which sleeps until it is told to ask (put_check.py). That costs 20 KiB, and what blocks there, such as a name that is
not resolved or a program on a dead disk, blocks nobody else. The main thread keeps the time. At its timeout an attempt is cut: its connection is
shut down, or the process group of its program killed. A check whose last attempt still hangs is not put again, but fails again.
"""

import contextlib
import json
import os
import queue
import select
import signal
import threading
import time
from typing import Any, Callable, Dict, List, Optional, Tuple

from .put_check import QUOTED, Attempt, failure, put

LATENESS = 0.01  # how much later than it happened the first success may be noticed, as a share of the time that it took
WAITING_PERIOD = 1.0  # seconds from one `waiting` of a check to the next
END_PATIENCE = 1.0  # seconds that what was cut may take to go, when we end


class Course:
    """A check in the course of a life: when it is put next, and how it stands."""

    def __init__(self, check: Dict[str, Any], done: "Callable[[Course, Attempt, Optional[bool], str], None]") -> None:
        self.check = check
        self.done = done
        self.work: "queue.SimpleQueue[Attempt]" = queue.SimpleQueue()
        self.thread: Optional[threading.Thread] = None
        self.attempt: Optional[Attempt] = None
        self.life: Optional[int] = None
        self.before: List[Course] = []  # those that must be well first
        self.begin(None)

    def begin(self, life: Optional[int]) -> None:
        """A new life; None: no app runs, and nothing is asked."""
        if self.attempt is not None:
            self.attempt.cut()
        self.life = life
        self.born = time.monotonic()
        self.due = self.born + (self.check["timeout"] if self.attempt is not None else 0.0)  # one that was cut ends soon, or hangs
        self.known: Optional[bool] = None
        self.succeeded = False
        self.failures = 0
        self.told: Tuple[str, float] = ("", 0.0)

    def next_event(self) -> Optional[float]:
        """When the main thread must look at it again."""
        if self.life is None or (self.succeeded and self.check.get("once")):
            return None
        if self.attempt is not None and not self.attempt.judged:
            return self.attempt.deadline
        if self.attempt is None and not all(other.known for other in self.before):
            return None
        return self.due

    def look(self) -> None:
        """Put it when it is due, cut it when it is late."""
        now, event = time.monotonic(), self.next_event()
        if event is None or now < event:
            return
        if self.attempt is None:
            self.put()
        elif self.attempt.judged:
            self.judge(failure(self.check), "the attempt before still hangs", 0.0)
        else:
            self.attempt.cut()
            self.judge(failure(self.check), "no answer within {:g} s".format(self.check["timeout"]), now - self.attempt.begun)

    def put(self) -> None:
        """Have the check's own thread put it."""
        try:
            if self.thread is None:
                thread = threading.Thread(target=self.run, daemon=True)
                thread.start()
                self.thread = thread
        except RuntimeError as error:
            return self.judge(None, str(error), 0.0)
        self.attempt = Attempt(self.check, self.life)
        self.work.put(self.attempt)

    def run(self) -> None:
        """The thread: ask whenever told to."""
        while True:
            attempt = self.work.get()
            self.done(self, attempt, *put(attempt))

    def take(self, attempt: Attempt, ok: Optional[bool], words: str) -> None:
        """The thread is through with an attempt."""
        self.attempt = None
        if attempt.life != self.life:
            self.due = time.monotonic()
        elif not attempt.judged:
            self.judge(ok, words, time.monotonic() - attempt.begun)

    def judge(self, ok: Optional[bool], words: str, seconds: float) -> None:
        """What one attempt means for the check."""
        now = time.monotonic()
        if ok:
            self.succeeded, self.failures = True, 0
        interval, age = self.check["period"], now - self.born
        if not self.succeeded and age < self.check["start_period"]:
            interval = min(interval, max(self.check["start_interval"], age * LATENESS))
        elif ok is False:
            self.failures += 1
        self.due = now + interval
        turned = ok or (False if self.failures >= self.check["threshold"] else self.known)
        if turned is not self.known:
            self.known = turned
            say(step="checked", check=self.check["name"], ok=turned, words=words, seconds=round(seconds, 3), life=self.life)
        elif self.known is None and words != self.told[0] and now - self.told[1] >= WAITING_PERIOD:
            self.told = (words, now)
            say(step="waiting", check=self.check["name"], words=words, life=self.life)


def say(**words: Any) -> None:
    """Tell whoever started us."""
    with contextlib.suppress(OSError):  # nobody listens any more: the end of the input comes next
        os.write(1, (json.dumps(words) + "\n").encode("ascii"))


class Checker:
    """All checks, and what comes in for them."""

    def __init__(self) -> None:
        self.courses: List[Course] = []
        self.results: "queue.SimpleQueue[Tuple[Course, Attempt, Optional[bool], str]]" = queue.SimpleQueue()
        self.wake, self.awaken = os.pipe()
        os.set_blocking(self.awaken, False)
        self.unfinished = b""

    def done(self, course: Course, attempt: Attempt, ok: Optional[bool], words: str) -> None:
        """Called by a check's thread with what it has found."""
        self.results.put((course, attempt, ok, words))
        with contextlib.suppress(BlockingIOError):  # as many as fit wake us just as well
            os.write(self.awaken, b"x")

    def take_results(self) -> None:
        os.read(self.wake, 1 << 16)
        while not self.results.empty():
            course, attempt, ok, words = self.results.get()
            course.take(attempt, ok, words)

    def turn(self) -> bool:
        """Sleep until something is to be done, and do it. False at the end of the input."""
        events = [event for event in (course.next_event() for course in self.courses) if event is not None]
        ready = select.select([0, self.wake], [], [], max(min(events) - time.monotonic(), 0) if events else None)[0]
        if self.wake in ready:
            self.take_results()
        if 0 in ready:
            piece = os.read(0, 1 << 16)
            if not piece:
                return False
            *lines, self.unfinished = (self.unfinished + piece).split(b"\n")
            for line in lines:
                self.obey(line)
        for course in self.courses:
            course.look()
        return True

    def obey(self, line: bytes) -> None:
        """Do what a line asks for."""
        try:
            order = json.loads(line)
            if "checks" in order:
                self.courses = self.courses or [Course(check, self.done) for check in order["checks"]]
                first = [course for course in self.courses if not course.check.get("last")]
                for course in self.courses:
                    course.before = [] if course in first else first
            elif order["order"] in ("start", "stop"):
                life = order["life"] if order["order"] == "start" else None
                for course in self.courses:
                    course.begin(life)
        except (ValueError, TypeError, KeyError) as error:
            os.write(2, "cannot obey {!r}: {!r}\n".format(line[:QUOTED], error).encode("ascii", "backslashreplace"))

    def end(self) -> None:
        """Cut what runs, and see it end, for a moment: a program that is just being started is killed by its own thread."""
        for course in self.courses:
            course.begin(None)
        patience = time.monotonic() + END_PATIENCE
        while any(course.attempt for course in self.courses) and time.monotonic() < patience:
            if select.select([self.wake], [], [], END_PATIENCE)[0]:
                self.take_results()


def main() -> int:
    """Check until the input ends."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)  # not ignored: programs that we start would inherit that
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # where it is ignored, every program seems to end with 0
    checker = Checker()
    while checker.turn():
        pass
    checker.end()
    return 0
