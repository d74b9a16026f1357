"""What is wrong with the app itself: a look before each start, then its lines and its end go into `faults`, what they mean into the journal.

app-look     the faults of the start before are over; these are those that the look has found (`life`)
app-fault    one more (`fault`, `sentence`, `quotes`, `persistence`, `actor`, `stops`), once in a life
"""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from typing import TYPE_CHECKING

from firstlight.apps import app as apps
from firstlight.errors import CommandError
from firstlight.faults import diagnose
from firstlight.faults.fault import Persistence
from firstlight.faults.start import LINES_KEPT, Model, Start
from firstlight.probe import answers
from firstlight.supervise import command as app_command, restart
from firstlight.system import clock, process
from firstlight.system.loop import program

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from firstlight.faults.fault import Finding
    from firstlight.journal.event import Event
    from firstlight.journal.journal import Journal
    from firstlight.supervise.restart import Cause
    from firstlight.system.loop import Loop
    from firstlight.system.process import Process

# How long the start waits for the look, in seconds: what lies on a volume that hangs is not waited for any longer.
_PATIENCE = 5.0

# With it, what is in the hub's cache is used and the hub never asked.
_OFFLINE = "HF_HUB_OFFLINE"


class Symptoms:
    """What was seen of the start that is under way."""

    def __init__(
        self, loop: Loop, journal: Journal, recipe: apps.App, command: Sequence[str], *, port: int, model: str, tell: Callable[[str], None]
    ) -> None:
        self._loop = loop
        self._journal = journal
        self._recipe = recipe
        self._command = list(command)
        self._port = port
        self._model = model
        self._tell = tell
        self._told: set[str] = set()  # faults of this life
        self._said: set[tuple[str, str]] = set()  # what was said to the person who looks on, which no life makes new
        self._start = Start()
        self._of_the_worker = frozenset(check.name for check in recipe.checks if check.means is apps.Meaning.ZOMBIE)
        journal.listeners.append(self._hear)

    def before_life(self, life: int, environment: dict[str, str]) -> str:
        """Look, cure what a variable can cure, and give why the app is not to be started now; empty where it is.

        What waiting never cures is told, and holds nothing up: then the app fails by itself, if it does.
        """
        self._start = self._look(environment)
        self._told = set()
        self._journal.note("app-look", life=life)
        self._cure(environment)
        findings = self._note()
        held = [item for item in findings if item.evidence.stops and item.persistence is not Persistence.PERMANENT]
        return f"{held[0].fault.id}: {held[0].evidence.sentence}" if held else ""

    def printed(self, name: str, line: str) -> None:
        """The pump has found the line of a pattern."""
        lines = (*self._start.printed.get(name, ()), line.strip())[-LINES_KEPT:]
        self._start = replace(self._start, printed={**self._start.printed, name: lines})
        self._note()

    def end_life(self, status: int, cause: Cause, words: str) -> str:
        """It has ended, with this exit code or minus the signal that killed it. Give why, with the fault that explains it where one does."""
        self._start = replace(self._start, code=process.shell_code(status))
        stopping = [item for item in self._note() if item.evidence.stops]
        return f"{words} ({stopping[0].fault.id})" if stopping and cause is restart.Cause.APP else words

    def _hear(self, event: Event) -> None:
        """A check of the app has turned: it serves, or what does its work is dead."""
        if event.kind == "check" and event.data.get("ok") is True:
            self._start = replace(self._start, served=True)
        elif event.kind == "check" and event.data.get("check") in self._of_the_worker:
            words = f"check {event.data.get('check')} failed: {event.data.get('words')}"
            self._loop.call_at(clock.now(), lambda: self.printed("comfyui-worker-died", words))  # this event first, for all who listen

    def _look(self, environment: Mapping[str, str]) -> Start:
        begun = clock.now()
        process = self._ask(environment)
        if process is None:
            return self._known(environment)
        self._loop.linger(lambda: process.ended, begun + _PATIENCE, until_stopped=True)
        said = {step["step"]: step for step in answers.steps(process)}
        waited = clock.now() - begun
        if not process.ended:
            self._loop.children.send(process, signal.SIGKILL)
        silent = {
            step: answers.silence(process, f"the look at the app's {step}", waited) for step in ("port", "packages", "folders", "models")
        }
        packages, folders, models = said.get("packages"), said.get("folders"), said.get("models")
        cuda = packages["torch_cuda"] if packages else None
        found = [Model(**{**model, "lacks": tuple(model["lacks"])}) for model in models["models"]] if models else []
        return replace(
            self._known(environment),
            holder=said["port"]["holder"] if "port" in said else silent["port"],
            packages=packages["packages"] if packages else silent["packages"],
            torch_cuda=cuda if cuda is not None else silent["packages"],
            missing=tuple((folder, named) for folder, named in folders["missing"]) if folders else silent["folders"],
            needs_frontend=bool(folders and folders["needs_frontend"]),
            manager_online=folders["manager_online"] if folders else "",
            speaks=bool(found) or any("vibevoice" in name.lower() for name in (folders["packs"] if folders else ())),
            models=tuple(found) if models else silent["models"],
        )

    def _known(self, environment: Mapping[str, str]) -> Start:
        """What is known without a look."""
        return Start(
            port=self._port,
            wants_gpu=not self._recipe.without_gpu(self._command),
            offline=environment.get(_OFFLINE, "").upper() in ("1", "TRUE", "YES", "ON"),
            interpreter=apps.interpreter_of(self._command) or "python",
        )

    def _ask(self, environment: Mapping[str, str]) -> Process | None:
        """Start the look, in the app's own interpreter where there is one, else in ours, which knows nothing of the app's packages."""
        for interpreter in dict.fromkeys([self._interpreter(environment), None]):
            order = {"command": self._command, "port": self._port, "model": self._model, "interpreter": interpreter is not None}
            try:
                return self._loop.start(program(self._recipe.look, json.dumps(order), interpreter=interpreter), environment, name="look")
            except OSError:
                continue
        return None

    def _interpreter(self, environment: Mapping[str, str]) -> str | None:
        """The app's Python; None where the command names none, or a shell is to find it."""
        try:
            return app_command.find(apps.interpreter_of(self._command), environment)
        except CommandError:
            return None

    def _cure(self, environment: dict[str, str]) -> None:
        """Where every model that names a repository is whole and finds it in the hub's cache, the hub has nothing to say."""
        models = self._start.models if isinstance(self._start.models, tuple) else ()
        reaching = [model for model in models if model.reaches_for]
        if not reaching or _OFFLINE in environment or any(model.lacks or (model.reaches_for and not model.cached) for model in models):
            return
        environment[_OFFLINE] = "1"
        self._start = replace(self._start, offline=True)
        words = (
            f"{_OFFLINE}=1 for the app: {reaching[0].reaches_for} is in the hub's cache, and a hub that does not answer would be waited for"
        )
        self._journal.note("remedy", fault="model-needs-hub", remedy="hub-offline", outcome="applied", words=words, risk="none")
        self._tell(words)

    def _note(self) -> tuple[Finding, ...]:
        """Write down what is new, and say it once."""
        findings = diagnose.of_app(self._start)
        for finding in findings:
            fault, evidence = finding.fault, finding.evidence
            if fault.id in self._told:
                continue
            self._told.add(fault.id)
            self._journal.note(
                "app-fault",
                fault=fault.id,
                sentence=evidence.sentence,
                quotes=dict(evidence.quotes),
                persistence=finding.persistence.value,
                actor=fault.actor.value,
                stops=evidence.stops,
            )
            if (fault.id, evidence.sentence) not in self._said:
                self._said.add((fault.id, evidence.sentence))
                self._tell(f"{fault.id}: {evidence.sentence} {fault.advice}")
        return findings
