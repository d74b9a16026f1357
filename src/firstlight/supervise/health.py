"""How the app is: alive, ready, and why not. Pure: what was seen goes in, a new Health and the news come out.

    health = health.begin(checks, patterns)                       # for each life of the app anew
    health, news = health.started(health)
    health, news = health.answered(health, "queue", False, "…")   # the checker's `checked`; ok=None for its `waiting`
    health, news = health.printed(health, "cuda-sticky", line, at=clock.now())    # the pump's match
    health, news = health.notified(health, True, "READY=1")       # READY=1; False for RELOADING=1
    health, news = health.stopping(health, "signal 15")           # before the app is sent anything
    cause, words = health.cause_of_end(health, status, at=clock.now())
    health, news = health.ended(health, words)                    # from here on nothing is news of this life

The news are for the journal, in their order: Turned (`check`), Ready (`ready`), Unready (`unready`); and RestartAsked, at most once in a life,
for whoever may stop the app (supervise/restart.py, `wanted`).

alive:  it has been started and has not ended, no check of the level alive has failed, and it printed nothing that says it is poisoned or a zombie.
ready:  it is alive, no stop has begun, and every check of either level has succeeded. With no check at all it is ready once started.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from firstlight.apps.app import Check, Kind, Level, Meaning, OnFailure, Pattern
from firstlight.supervise.restart import Cause

# An error of CUDA's explains the end of the app when it was printed shortly before, in seconds. One from an hour ago was survived.
CUDA_EXPLAINS = 30.0

# Bytes of a printed line that go into a sentence.
_QUOTED = 200

_CAUSES: Mapping[Meaning | None, Cause] = {Meaning.POISONED: Cause.POISONED, Meaning.ZOMBIE: Cause.ZOMBIE}
_SAYS = {Meaning.POISONED: "its CUDA context is broken for good", Meaning.ZOMBIE: "what does its work is dead"}


@dataclass(frozen=True)
class Answer:
    """How a check stands: well, failed, or nothing known yet; and in words."""

    ok: bool | None
    words: str


@dataclass(frozen=True)
class Turned:
    """A check became known, or changed its mind."""

    check: Check
    ok: bool
    words: str


@dataclass(frozen=True)
class Ready:
    """The app became ready."""

    words: str


@dataclass(frozen=True)
class Unready:
    """The app is no longer ready."""

    reason: str


@dataclass(frozen=True)
class RestartAsked:
    """The app must be started anew to be well again."""

    cause: Cause
    words: str


News = Turned | Ready | Unready | RestartAsked


@dataclass(frozen=True, kw_only=True)
class Health:
    """How one life of the app is.

    Attributes:
        answers: how each check stands, by its name.
        asked: the restart that this life was found to need; the first one counts.
    """

    checks: Mapping[str, Check]
    meanings: Mapping[str, Meaning]  # of the patterns, by name
    answers: Mapping[str, Answer]
    is_started: bool = False
    stops: str = ""  # why a stop has begun
    over: str = ""  # how it has ended
    broken: str = ""  # what it printed that says that it is poisoned or a zombie
    asked: RestartAsked | None = None
    cuda: tuple[float, str] | None = None  # when CUDA failed it last, and the line

    @property
    def alive(self) -> bool:
        """The app works at all, as far as is known."""
        return self.is_started and not self.over and not self.broken and self._failed(Level.ALIVE) is None

    @property
    def ready(self) -> bool:
        """The app can be given work."""
        return not self.why_not_ready

    @property
    def why_not_ready(self) -> str:
        """In words, what is missing; empty when it is ready."""
        if not self.is_started:
            return "the app has not been started"
        if self.over:
            return self.over
        if self.stops:
            return f"the app is being stopped: {self.stops}"
        if self.broken:
            return self.broken
        name = self._failed(Level.ALIVE) or next((name for name, answer in self.answers.items() if not answer.ok), None)
        return f"check {name}: {self.answers[name].words}" if name is not None else ""

    def _failed(self, level: Level) -> str | None:
        return next((name for name, check in self.checks.items() if check.level is level and self.answers[name].ok is False), None)


def begin(checks: Iterable[Check], patterns: Iterable[Pattern] = ()) -> Health:
    """The health of an app that is about to be started."""
    by_name = {check.name: check for check in checks}
    return Health(
        checks=by_name,
        meanings={pattern.name: pattern.meaning for pattern in patterns},
        answers={name: _first_answer(check) for name, check in by_name.items()},
    )


def started(health: Health) -> tuple[Health, tuple[News, ...]]:
    """The app runs."""
    return _told(health, replace(health, is_started=True))


def answered(health: Health, name: str, ok: bool | None, words: str) -> tuple[Health, tuple[News, ...]]:
    """The checker has judged a check; `ok` is None where it has not yet, and only tells how far it came."""
    before = health.answers.get(name)
    if before is None or (ok is None and before.ok is not None):
        return health, ()
    after = replace(health, answers={**health.answers, name: Answer(ok, words)})
    check = health.checks[name]
    news: list[News] = []
    if ok is not None and ok is not before.ok:
        news.append(Turned(check, ok, words))
        if not ok and check.on_failure is OnFailure.RESTART:
            after = _ask(after, _CAUSES.get(check.means, Cause.CHECK), f"check {name} failed: {words}")
    return _told(health, after, *news)


def printed(health: Health, name: str, line: str, *, at: float) -> tuple[Health, tuple[News, ...]]:
    """The app has printed a line that a pattern, or a log check, of this name looks for. `at` is monotonic, in seconds."""
    check = health.checks.get(name)
    quoted = line.strip()[:_QUOTED]
    if check is not None and check.kind is Kind.LOG:
        # A line proves that the app is ready, and stays true; or it is the line of an app that has failed.
        return answered(health, name, check.level is Level.READY, f"printed {quoted!r}")
    meaning = health.meanings.get(name)
    if meaning is None:
        return health, ()
    after = replace(health, cuda=(at, quoted)) if meaning in (Meaning.CUDA, Meaning.POISONED) else health
    if meaning in _CAUSES:
        words = f"{_SAYS[meaning]}: it printed {quoted!r}"
        after = _ask(replace(after, broken=after.broken or words), _CAUSES[meaning], words)
    return _told(health, after)


def notified(health: Health, ready: bool, words: str) -> tuple[Health, tuple[News, ...]]:
    """The app has said on its notify socket that it is ready, or for a while is not."""
    after = health
    news: list[News] = []
    for name, check in health.checks.items():
        if check.kind is Kind.NOTIFY:
            after, more = answered(after, name, ready, words)
            news += more
    return after, tuple(news)


def stopping(health: Health, reason: str) -> tuple[Health, tuple[News, ...]]:
    """A stop begins: from here on the app gets no work, whatever its checks say."""
    return _told(health, replace(health, stops=health.stops or reason))


def ended(health: Health, words: str) -> tuple[Health, tuple[News, ...]]:
    """It has ended. What is still heard of it, such as an answer that was under way, would make a dead app ready."""
    return _told(health, replace(health, over=words))


def cause_of_end(health: Health, status: int, *, at: float) -> tuple[Cause, str]:
    """Why this life has ended, and in words. `status` is its exit code, or minus the signal that killed it."""
    if health.asked is not None:
        return health.asked.cause, health.asked.words
    words = f"the app ended with exit code {status}" if status >= 0 else f"the app was killed by signal {-status}"
    if status != 0 and health.cuda is not None and at - health.cuda[0] <= CUDA_EXPLAINS:
        return Cause.CUDA, f"{words} after it had printed {health.cuda[1]!r}"
    return Cause.APP, words


def _told(before: Health, after: Health, *news: News) -> tuple[Health, tuple[News, ...]]:
    """`after`, with the news that it makes beside those given."""
    if before.over:
        return before, ()
    told = list(news)
    if after.ready and not before.ready:
        told.append(Ready("; ".join(f"{name}: {answer.words}" for name, answer in after.answers.items()) or "the app has been started"))
    elif before.ready and not after.ready:
        told.append(Unready(after.why_not_ready))
    if after.asked is not None and before.asked is None:
        told.append(after.asked)
    return after, tuple(told)


def _ask(health: Health, cause: Cause, words: str) -> Health:
    return health if health.asked is not None else replace(health, asked=RestartAsked(cause, words))


def _first_answer(check: Check) -> Answer:
    """How a check stands before anything was seen."""
    if check.kind is Kind.LOG:
        return Answer(True, "has not printed it") if check.level is Level.ALIVE else Answer(None, "has not printed it yet")
    return Answer(None, "has not said READY=1 yet" if check.kind is Kind.NOTIFY else "no answer yet")
