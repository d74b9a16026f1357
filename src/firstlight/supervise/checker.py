"""How the app is, on the loop: the checker's answers, the pump's lines and the app's own word go into `health`, what follows comes out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from firstlight.apps import app as apps
from firstlight.journal.event import Stage
from firstlight.supervise import health
from firstlight.supervise.resident import Resident, line
from firstlight.supervise.restart import Cause
from firstlight.system import clock
from firstlight.system.loop import Requested, program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from firstlight.journal.journal import Journal
    from firstlight.system.loop import Loop, Timer

# How often what the app says of itself goes into the journal at most, in seconds: some say something with every request.
_STATUS_PAUSE = 10.0


class Checker:
    """The health of one life of the app after the other.

    Attributes:
        ready_since: since when the app is ready, monotonic; None while it is not.
    """

    def __init__(
        self,
        loop: Loop,
        journal: Journal,
        environment: Mapping[str, str],
        checks: Sequence[apps.Check],
        patterns: Iterable[apps.Pattern],
        *,
        ready_timeout: float,
        tell: Callable[[str], None],
    ) -> None:
        """`ready_timeout` is how long a life may take to become ready, in seconds; 0 for as long as it likes."""
        self.ready_since: float | None = None
        self._was_ready = False  # ever
        self._tell = tell
        self._good = 0.0  # how long it was ready in this life, as far as that is over
        self._loop = loop
        self._journal = journal
        self._checks = checks
        self._patterns = tuple(patterns)
        self._ready_timeout = ready_timeout
        self._timer: Timer | None = None
        self._status: str | None = None  # what the app has said of itself last, where that is not in the journal yet
        self._status_timer: Timer | None = None  # until it runs out, nothing of that goes into the journal
        self._life = 0
        self._health = health.begin(checks, self._patterns)
        asked = [apps.check_json(check) for check in checks if check.asked]
        self._order: dict[str, Any] = {"order": "stop"}
        self._configuration = line({"checks": asked})
        self._resident = (
            Resident(loop, "checker", lambda: program("check_app"), environment, greet=self._greet, answer=self._answer, ended=self._ended)
            if asked
            else None
        )

    @property
    def names(self) -> list[dict[str, str]]:
        """The checks, for the journal."""
        return [{"check": check.name, "level": check.level.value} for check in self._checks]

    @property
    def good(self) -> float:
        """For how many seconds the app was ready in this life."""
        return self._good + (0.0 if self.ready_since is None else clock.now() - self.ready_since)

    def begin_life(self, number: int) -> None:
        """The app was started."""
        self._life = number
        self._good = 0.0
        self._health = health.begin(self._checks, self._patterns)
        self._take(*health.started(self._health))
        if self._ready_timeout and not self._health.ready:
            self._timer = self._loop.call_at(clock.now() + self._ready_timeout, self._late)
        if self._resident is not None:
            self._order = {"order": "start", "life": number}
            self._resident.start()
            self._resident.order(**self._order)

    def stop(self, reason: str) -> None:
        """The app is about to be stopped."""
        self._take(*health.stopping(self._health, reason))

    def end_life(self, status: int) -> tuple[Cause, str]:
        """The app has ended: why, and in words."""
        if self._timer is not None:
            self._timer.cancel()
        self._note_status()
        cause, words = health.cause_of_end(self._health, status, at=clock.now())
        self._take(*health.ended(self._health, words))
        if self._resident is not None:
            self._order = {"order": "stop"}
            self._resident.order(**self._order)
        return cause, words

    def close(self) -> None:
        """Let the checker end."""
        if self._resident is not None:
            self._resident.close()

    def printed(self, name: str, text: str) -> None:
        """The pump has found the line of a pattern or of a log check."""
        self._take(*health.printed(self._health, name, text, at=clock.now()))

    def notified(self, variables: Mapping[str, str]) -> None:
        """The app has sent a message to its notify socket."""
        if "STATUS" in variables:
            self._status = variables["STATUS"][:500]
            if self._status_timer is None:
                self._note_status()
        if variables.get("READY") == "1":
            self._take(*health.notified(self._health, True, "READY=1"))
        elif variables.get("RELOADING") == "1":
            self._take(*health.notified(self._health, False, "RELOADING=1"))

    def _note_status(self) -> None:
        """Put the latest word of the app into the journal, where it is not in there, and then no other for a while."""
        if self._status_timer is not None:
            self._status_timer.cancel()
            self._status_timer = None
        if self._status is not None:
            self._journal.note("notify", status=self._status)
            self._status = None
            self._status_timer = self._loop.call_at(clock.now() + _STATUS_PAUSE, self._note_status)

    def _greet(self) -> bytes:
        return self._configuration + line(self._order)

    def _answer(self, said: Mapping[str, Any]) -> None:
        if said.get("life") == self._life and said.get("step") in ("checked", "waiting"):
            ok = bool(said.get("ok")) if said["step"] == "checked" else None
            name, words = str(said.get("check")), str(said.get("words"))
            if ok is not None and any(check.tells for check in self._checks if check.name == name):
                words = self._told(ok, words)
            self._take(*health.answered(self._health, name, ok, words))

    def _told(self, ok: bool, words: str) -> str:
        """Write down what the acceptance has found, and give its words. One that came to no verdict has said why in plain words."""
        try:
            found = json.loads(words)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            found = {"words": words}
        words = str(found.get("words"))
        self._journal.note("accepted", **{**{name: found.get(name) for name in ("cold", "seconds", "gates")}, "ok": ok, "words": words})
        self._tell(words)
        return words

    def _ended(self, how: str) -> None:
        self._journal.note("log", words=f"the checker has ended ({how}); a new one goes on")

    def _late(self) -> None:
        if not self._health.ready:
            words = f"it was not ready within {self._ready_timeout:g} s: {self._health.why_not_ready}"
            self._loop.post(Requested("restart", Cause.LATE.value, words))

    def _take(self, after: health.Health, news: Sequence[health.News]) -> None:
        self._health = after
        for item in news:
            if isinstance(item, health.Turned):
                check = item.check
                self._journal.note("check", check=check.name, level=check.level.value, ok=item.ok, words=item.words)
            elif isinstance(item, health.Ready):
                self.ready_since = clock.now()
                event = self._journal.write("ready", Stage.READY, words=item.words)
                if self._checks:  # else it is ready once it is started, and nothing was found out
                    self._tell("the app is ready again" if self._was_ready else f"the app is ready after {event.since_start:.1f} s")
                    self._was_ready = True
            elif isinstance(item, health.Unready):
                self._good = self.good
                self.ready_since = None
                ends = bool(after.stops or after.over)
                self._journal.write("unready", Stage.STOP if ends else Stage.APP, reason=item.reason)
                if not ends:
                    self._tell(f"the app is no longer ready: {item.reason}")
            else:
                self._loop.post(Requested("restart", item.cause.value, item.words))
