"""The agent: a process of its own that shows how we stand (firstlight.serve) and takes orders over its control socket.

It is fed with the journal, from the first event on, so it can die and be started again at any time. Nothing here waits for it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from firstlight.journal import journal as boot_journal, legs
from firstlight.supervise.resident import Resident, line
from firstlight.system import clock, instance as instances
from firstlight.system.loop import Requested, module

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from firstlight.journal.event import Event
    from firstlight.journal.journal import Journal
    from firstlight.settings import Settings
    from firstlight.system.loop import Loop, Timer

# How long after these events it is started, in seconds. After the app, which so has the machine to itself for a moment: a command that is
# over by then never needs the agent. And in a boot that has not come to its app by then: CUDA hangs, and somebody may want to know.
_AFTER = {"boot": 5.0, "app-started": 0.3}

# What the journal has of an acceptance.
_OF_ACCEPTANCE = ("ok", "cold", "seconds", "gates", "words")

# What is said of an order that was taken. What comes of it the next events tell.
_TAKEN = {
    "restart": "the app is started anew, where one runs or waits to",
    "stop": "everything ends",
    "retry": "the GPU is tried again, where that is given up or waits",
    "rediagnose": "the GPUs are looked at now, where they are watched",
}


class Agent:
    """The agent as the core sees it."""

    def __init__(
        self,
        loop: Loop,
        journal: Journal,
        environment: Mapping[str, str],
        settings: Settings,
        *,
        instance: str | None,
        token: str | None,
        tell: Callable[[str], None],
    ) -> None:
        self._loop = loop
        self._journal = journal
        self._tell = tell
        self._told: set[str] = set()
        self._asked_for = settings.origin("serve").source != "default"
        self._configuration = {
            "step": "configure",
            "boot": journal.boot,
            "serve": settings.serve,
            "control": os.path.join(instance, instances.CONTROL) if instance else None,
            "token_file": settings.token_file or None,
            "token": token,  # over a pipe: no command line, file or environment shows it
            "metrics_token_file": settings.metrics_token_file or None,
            "logs": os.path.join(instance, "app.log") if instance else None,
            "state_dir": journal.directory,
            "hosts": [*settings.serve_host, *_public_hosts(settings, environment)],
        }
        self._resident = Resident(
            loop, "agent", lambda: module("firstlight.serve.agent"), environment, greet=self._greet, answer=self._answer, ended=self._ended
        )
        self._pending: Timer | None = None
        journal.listeners.append(self._hear)

    def close(self) -> None:
        """Let it end."""
        if self._hear in self._journal.listeners:  # the guard takes out one that has failed
            self._journal.listeners.remove(self._hear)
        if self._pending is not None:
            self._pending.cancel()
        self._resident.close()

    def _greet(self) -> bytes:
        events = self._journal.events
        return line({**self._configuration, "greeting": len(events)}) + b"".join(map(boot_journal.line, events))

    def _hear(self, event: Event) -> None:
        """Pass the journal on; and start the agent as soon as that holds nobody up: at the first wait, when CUDA hangs, at a hold, or after the app."""
        if self._resident.running:
            if not self._resident.feed(boot_journal.line(event)):
                self._resident.restart()  # it is behind, and would miss this one: a new one begins with all of them
        elif event.kind in ("wait", "hold"):
            self._resident.start()
        elif event.kind in _AFTER:
            if self._pending is not None:
                self._pending.cancel()
            self._pending = self._loop.call_at(clock.now() + _AFTER[event.kind], self._resident.start)

    def _answer(self, said: Mapping[str, Any]) -> None:
        step = said.get("step")
        order = str(said.get("order"))
        if step == "order" and order in _TAKEN:
            by = str(said.get("by", "somebody"))
            self._journal.note("order", order=order, by=by, words=_TAKEN[order])
            self._loop.post(Requested(order, "order", f"{order}, ordered by {by}"))
        elif step == "told" and isinstance(said.get("event"), dict):
            event = dict(said["event"])
            if event.pop("kind", None) == "leg":
                # The way to the first generation is gone once, however often one is put to the test later.
                if event.get("name") not in {leg.name for leg in legs.legs(self._journal.events)}:
                    self._journal.note("leg", name=str(event.get("name")))
            else:
                self._journal.note("accepted", **{name: event.get(name) for name in _OF_ACCEPTANCE})
        elif step == "listening":
            self._journal.note("agent", listening=said.get("address"), control=said.get("control"))
            if self._asked_for and said.get("address"):
                self._say(f"the status page is at http://{said['address']}/")
        elif step == "token" and self._asked_for:
            self._say(f"the token of the status page is in {said.get('file')}")
        elif step == "trouble":
            self._journal.note("agent", trouble=said.get("words"))
            if self._asked_for:
                self._say(str(said.get("words")))

    def _ended(self, how: str) -> None:
        self._journal.note("agent", ended=how)

    def _say(self, words: str) -> None:
        """Say once what a new agent would say again."""
        if words not in self._told:
            self._told.add(words)
            self._tell(words)


def _public_hosts(settings: Settings, environment: Mapping[str, str]) -> list[str]:
    """The name under which RunPod's proxy brings the page to the public, on a pod."""
    pod, port = environment.get("RUNPOD_POD_ID", ""), settings.serve.rpartition(":")[2]
    return [f"{pod}-{port}.proxy.runpod.net"] if pod and port.isdigit() else []
