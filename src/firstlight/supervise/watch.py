"""The watch over the GPUs of an app that runs: one look every period, in a child that can be killed, and what comes of it.

A look is a new process on purpose: rights to a device that were lost show in nothing else, since what is open stays open.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from firstlight.faults import diagnose
from firstlight.journal.event import Condition
from firstlight.probe import look
from firstlight.probe.facts import NOT_ASKED, Unknown
from firstlight.probe.unread import unread
from firstlight.supervise import vigil
from firstlight.supervise.vigil import Act, Harm, Policy, Vigil
from firstlight.system import chance, clock, files
from firstlight.system.loop import Exited, Requested

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from firstlight.faults.fault import Finding
    from firstlight.journal.journal import Journal
    from firstlight.probe.facts import Facts
    from firstlight.system.loop import Happening, Loop, Timer
    from firstlight.system.process import Process

SIGKILL = 9

# Each wait differs by up to this part, so that the containers of a host do not look in step.
_JITTER = 0.1


class Watch:
    """The watch of one life of the app, from its start to its end.

    It writes `condition` into the journal whenever what holds changes, says it in a line for each finding, and posts `Requested`, with
    the cause "watch", where the policy wants more than a note.

    Attributes:
        vigil: what the looks have amounted to until now.
        looks: how many were made.
    """

    def __init__(
        self,
        loop: Loop,
        environment: Mapping[str, str],
        facts: Facts,
        *,
        period: float,
        deadline: float,
        policy: Policy,
        journal: Journal,
        tell: Callable[[str], None],
    ) -> None:
        """Begin: the first look comes one period from now.

        Args:
            facts: those of the probe that proved CUDA for this app; `environment` is the app's.
            period: seconds from one look to the next.
            deadline: seconds after which a look has hung.
        """
        self.looks = 0
        self._loop = loop
        self._environment = environment
        self._period = period
        self._deadline = deadline
        self._policy = policy
        self._journal = journal
        self._tell = tell
        self._kernel_log = _open_kernel_log()
        self._facts = look.before_the_first(facts)
        self.vigil = vigil.begin(diagnose.diagnose(self._facts))
        self._look: Process | None = None
        self._begun = 0.0
        self._overdue: Timer | None = None
        self._due = self._after_a_period()
        loop.listeners.append(self._listen)

    def look(self) -> None:
        """Look now, unless a look is under way."""
        if self._look is None:
            self._due.cancel()
            self._start()

    def end(self) -> None:
        """Look no more. A look under way is killed and not waited for."""
        if self._listen in self._loop.listeners:  # the guard takes out one that has failed
            self._loop.listeners.remove(self._listen)
        self._due.cancel()
        if self._overdue is not None:
            self._overdue.cancel()
        if self._look is not None:
            self._loop.children.send(self._look, SIGKILL)
        if isinstance(self._kernel_log, int):
            os.close(self._kernel_log)
            self._kernel_log = NOT_ASKED

    def _after_a_period(self) -> Timer:
        return self._loop.call_at(clock.now() + self._period * (1 + _JITTER * (2 * chance.fraction() - 1)), self._start)

    def _start(self) -> None:
        """Begin a look, unless the one before hangs where not even SIGKILL reaches it: that is an answer as well, and the same one."""
        self._due = self._after_a_period()
        if self._look is not None:
            if self._overdue is None:  # it was judged, and killed in vain
                self._judge(self._facts)
            return
        self._begun = clock.now()
        log = self._kernel_log if isinstance(self._kernel_log, int) else None
        self._look = look.start(self._loop, self._environment, self._facts, log)
        if self._look.ended:  # it could not be started
            self._take(self._look)
        else:
            self._overdue = self._loop.call_at(self._begun + self._deadline, self._give_up)

    def _listen(self, happening: Happening) -> None:
        if not isinstance(happening, Exited) or happening.process is not self._look:
            return
        if self._overdue is None:
            self._look = None  # it was judged when it was overdue, and is gone at last
        else:
            self._overdue.cancel()
            self._take(happening.process)

    def _give_up(self) -> None:
        """A look has hung: read what it said, then kill it. Until it is gone there is no other."""
        self._overdue = None
        if self._look is not None:
            self._read(self._look)
            self._loop.children.send(self._look, SIGKILL)

    def _take(self, process: Process) -> None:
        self._overdue = self._look = None
        self._read(process)

    def _read(self, process: Process) -> None:
        self._judge(look.read(self._facts, process, clock.now() - self._begun, self._kernel_log))

    def _judge(self, facts: Facts) -> None:
        self.looks += 1
        self._facts = facts
        before = self.vigil
        self.vigil = vigil.after(before, diagnose.diagnose(facts))
        if vigil.changed(before, self.vigil):
            self._announce(before)

    def _announce(self, before: Vigil) -> None:
        """Say what holds now, write it down, and ask for what the policy wants about the worst of what is new."""
        findings = self.vigil.findings
        new = vigil.new(before, self.vigil)
        cause = vigil.worst(new)
        action = Act.NOTE if cause is None else vigil.act(self._policy, cause)
        self._journal.note(
            "condition",
            condition=condition(findings).value,
            faults=[_encode(finding) for finding in findings],
            action=action.value,
        )
        for finding in new:
            self._tell(f"{_SPOKEN[vigil.harm(finding)]}: {finding.fault.id}: {finding.evidence.sentence}")
        if not findings:
            self._tell("the GPUs are well again")
        if cause is not None and action is not Act.NOTE:
            self._loop.post(Requested(action.value, "watch", f"{cause.fault.id}: {cause.evidence.sentence}"))


_SPOKEN = {
    Harm.ILL: "the GPUs can be used, but are not well",
    Harm.NEW: "the app goes on, but a new process gets no CUDA",
    Harm.RUNNING: "a GPU has failed under the app",
}


def condition(findings: tuple[Finding, ...]) -> Condition:
    """How the GPUs of a running app are: failed where what runs is stopped."""
    if not findings:
        return Condition.HEALTHY
    return Condition.FAILED if max(map(vigil.harm, findings)) is Harm.RUNNING else Condition.DEGRADED


def _encode(finding: Finding) -> dict[str, object]:
    return {
        "fault": finding.fault.id,
        "sentence": finding.evidence.sentence,
        "quotes": dict(finding.evidence.quotes),
        "persistence": finding.persistence.value,
        "actor": finding.fault.actor.value,
    }


def _open_kernel_log() -> int | Unknown:
    try:
        return files.open_kernel_log()
    except OSError as error:
        return unread("/dev/kmsg", error)
