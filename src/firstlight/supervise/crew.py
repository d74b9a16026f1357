"""What works beside the app: its output's way out, its checks, its companions, the watch over its GPUs, the agent, and who is notified."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from firstlight import settings as own_settings
from firstlight.apps import app as apps, cuda_lines
from firstlight.supervise import leftovers, notify, restart
from firstlight.supervise.checker import Checker
from firstlight.supervise.pace import Pace
from firstlight.system import clock, instance as instances

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from firstlight.journal.journal import Journal
    from firstlight.probe.facts import Facts
    from firstlight.settings import Settings
    from firstlight.supervise.agent import Agent
    from firstlight.supervise.chosen import Chosen
    from firstlight.supervise.companions import Companions
    from firstlight.supervise.output import Output
    from firstlight.supervise.sessions import Sessions
    from firstlight.supervise.symptoms import Symptoms
    from firstlight.supervise.watch import Watch
    from firstlight.system.loop import Loop

# How long may take, in seconds, what the app and its companions have left.
_ORPHANS_GRACE = 0.5


def build(
    loop: Loop,
    journal: Journal,
    settings: Settings,
    variables: Mapping[str, str],
    tell: Callable[[str], None],
    chosen: Chosen | None,
    started: float,
) -> Crew:
    """Build all that the settings ask for, and start nothing. `variables` is the environment that we were started with,
    `started` when the run began."""
    checks = () if chosen is None else chosen.checks
    companions = () if chosen is None else chosen.companions
    theirs = {*notify.OURS, *notify.PASSED, *own_settings.NOT_FOR_APPS}
    environment = {name: value for name, value in variables.items() if name and "=" not in name and name not in theirs}
    patterns = cuda_lines.PATTERNS if chosen is None or chosen.recipe is None else chosen.recipe.patterns
    instance = None if settings.dry_run else instances.create(journal.boot, settings.run_dir, variables)
    if any(check.tells for check in checks):
        from firstlight.supervise.chosen import with_control

        control = os.path.join(instance, instances.CONTROL) if instance else ""
        checks = tuple(with_control(check, control) for check in checks)
    checker = Checker(loop, journal, environment, checks, patterns, ready_timeout=settings.ready_timeout, tell=tell)
    crew = Crew(loop, journal, settings, checker, tell, started_with=frozenset(variables))
    if settings.dry_run:
        return crew
    if instance is None and settings.run_dir:
        tell(f"cannot make a directory under {settings.run_dir}: there will be no control socket and no local copy of the output")
    manager = notify.manager(loop, variables, settings.probe_timeout)
    if manager is not None:
        journal.listeners.append(manager.hear)
    if any(check.kind.value == "notify" for check in checks):
        crew.inbox = notify.Inbox(loop, instance, journal.boot, checker.notified)
    ends = {} if chosen is None or chosen.recipe is None else chosen.recipe.legs
    if ends or settings.budget:
        crew.pace = Pace(loop, journal, ends, budget=settings.budget, started=started, tell=tell)
    if chosen is not None and chosen.recipe is not None and chosen.recipe.look:
        from firstlight.supervise.symptoms import Symptoms

        crew.symptoms = Symptoms(loop, journal, chosen.recipe, chosen.command, port=chosen.port, model=settings.model, tell=tell)
    if _captures(settings):
        from firstlight.supervise.output import Output

        crew.output = Output(
            loop,
            journal,
            environment,
            settings,
            instance=instance,
            companions=[companion.name for companion in companions],
            patterns=apps.patterns_json(patterns, checks),
            matched=crew.printed,
            tell=tell,
        )
    if settings.publish_env:
        from firstlight.supervise.sessions import Sessions

        crew.sessions = Sessions(loop, journal, environment, tell)
    if companions:
        from firstlight.supervise.companions import Companions

        pauses = restart.Policy(delay=settings.restart_delay, delay_max=settings.restart_delay_max, reset=settings.restart_reset)
        output = crew.output.companion if crew.output is not None else None
        crew.companions = Companions(loop, journal, environment, companions, pauses=pauses, output=output, tell=tell)
    if settings.serve != "off" or instance is not None:
        from firstlight.supervise.agent import Agent

        token = variables.get(own_settings.TOKEN)
        crew.agent = Agent(loop, journal, environment, settings, instance=instance, token=token, tell=tell)
    return crew


def _captures(settings: Settings) -> bool:
    """Whether what is printed goes through us. A terminal is the app's own, unless we are told otherwise."""
    if settings.capture == "auto":
        return not (os.isatty(0) or os.isatty(1))
    return settings.capture == "on"


class Crew:
    """All of them. Each can be missing but the checker, which knows how the app is even where no check is asked for."""

    def __init__(
        self,
        loop: Loop,
        journal: Journal,
        settings: Settings,
        checker: Checker,
        tell: Callable[[str], None],
        *,
        started_with: frozenset[str],
    ) -> None:
        """`started_with` are the names of the variables that we were started with."""
        self.output: Output | None = None
        self.companions: Companions | None = None
        self.agent: Agent | None = None
        self.inbox: notify.Inbox | None = None
        self.sessions: Sessions | None = None
        self.symptoms: Symptoms | None = None
        self.pace: Pace | None = None
        self._loop = loop
        self._journal = journal
        self._settings = settings
        self._checker = checker
        self._tell = tell
        self._started_with = started_with
        self._watch: Watch | None = None

    def app_output(self, number: int) -> tuple[int | None, int | None]:
        """The app's stdout and stderr in the life of this number, which is about to begin; None for our own."""
        if self.output is None:
            return None, None
        self.output.begin_life(number)
        return self.output.app()

    @property
    def checks(self) -> list[dict[str, str]]:
        """The checks of the app, for the journal."""
        return self._checker.names

    @property
    def good(self) -> float:
        """For how many seconds the app was ready in this life."""
        return self._checker.good

    def environment(self, environment: Mapping[str, str]) -> dict[str, str]:
        """The app's environment, with what is ours taken out and what is for the app put in."""
        ours = {*notify.OURS, *own_settings.NOT_FOR_APPS}
        theirs = {name: value for name, value in environment.items() if name not in ours}
        if self.inbox is not None:
            theirs["NOTIFY_SOCKET"] = self.inbox.address
        return theirs

    def begin(self) -> None:
        """The run begins: start what the app is not waited for with."""
        if self.companions is not None:
            self._call(self.companions.start)
            if self.output is not None:
                self._call(self.output.start)

    def before_life(self, number: int, environment: dict[str, str]) -> str:
        """Look at what the app will find. Give why it is not to be started now, empty where it is; a variable that cures is set."""
        reasons: list[str] = []
        if self.symptoms is not None:
            symptoms = self.symptoms
            self._call(lambda: reasons.append(symptoms.before_life(number, environment)))
        return "".join(reasons)

    def printed(self, name: str, line: str) -> None:
        """The pump has found the line of a pattern or of a log check."""
        self._checker.printed(name, line)
        if self.pace is not None:
            pace = self.pace
            self._call(lambda: pace.printed(name))
        if self.symptoms is not None:
            symptoms = self.symptoms
            self._call(lambda: symptoms.printed(name, line))

    def begin_life(self, number: int, environment: Mapping[str, str], facts: Facts | None) -> None:
        """The app was started, in this environment. `facts` are those of the proof; None where no GPU was asked for."""
        if self.output is not None:
            self._call(self.output.start)
        self._call(lambda: self._checker.begin_life(number))
        if self.sessions is not None:
            self._call(lambda: self._publish(environment))
        if facts is not None and self._settings.watch:
            self._call(lambda: self._begin_watch(environment, facts))

    def _publish(self, environment: Mapping[str, str]) -> None:
        """Let SSH sessions have what the app has, and nothing that was taken from it: a cure is one for them too."""
        assert self.sessions is not None
        theirs = {name: value for name, value in self.environment(environment).items() if name not in (*notify.OURS, *notify.PASSED)}
        self.sessions.publish(theirs, self._started_with - theirs.keys())

    def stop(self, reason: str) -> None:
        """The app is about to be stopped."""
        self._call(lambda: self._checker.stop(reason))
        self._call(self._end_watch)

    def end_life(self, status: int, *, stopped: bool) -> tuple[restart.Cause, str]:
        """The app has ended. Why, and in words; where somebody has stopped it, nobody needs to know more."""
        self._end_watch()
        if self.output is not None:
            self.output.end_life(wait=status != 0 and not stopped)
        cause, words = self._checker.end_life(status)
        if self.symptoms is not None and not stopped:
            explained: list[str] = []
            symptoms = self.symptoms
            self._call(lambda: explained.append(symptoms.end_life(status, cause, words)))
            words = "".join(explained) or words
        return cause, words

    def look(self) -> None:
        """Look at the GPUs now."""
        if self._watch is not None:
            self._watch.look()

    def _begin_watch(self, environment: Mapping[str, str], facts: Facts) -> None:
        from firstlight.supervise import vigil, watch

        self._watch = watch.Watch(
            self._loop,
            environment,
            facts,
            period=self._settings.watch,
            deadline=self._settings.probe_timeout,
            policy=vigil.Policy(self._settings.on_gpu_fault),
            journal=self._journal,
            tell=self._tell,
        )

    def _end_watch(self) -> None:
        if self._watch is not None:
            self._watch.end()
            self._watch = None

    def close(self) -> None:
        """The run is over: let all of them end, and everything that was printed go out."""
        self._call(self._checker.close)
        if self.companions is not None:
            self._call(self.companions.stop)
        if os.getpid() == 1:
            # All that has lost its parent is ours to end; elsewhere a daemon may well outlive the command that started it.
            until = clock.now() + _ORPHANS_GRACE
            leftovers.Leftovers(self._loop, None, leftovers.anybody).end(lambda: until, asked=True)
        if self.output is not None:
            self._call(self.output.drain)
        if self.agent is not None:
            self._call(self.agent.close)

    def _call(self, what: Callable[[], object]) -> None:
        """What fails in here is no reason for the app to end."""
        self._loop.guard.call(what)
