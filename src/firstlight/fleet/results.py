"""What came of a test, counted. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from firstlight.fleet.cycle import Cycle, Outcome, Subject
from firstlight.fleet.record import Plan, Return
from firstlight.fleet.statistics import Interval, Spread, spread, wilson

# No GPU was given, so nothing can be said of one.
_NO_GPU_GIVEN = frozenset((Outcome.REFUSED, Outcome.ZERO_GPU, Outcome.NOT_STOPPED, Outcome.UNANSWERED))


@dataclass(frozen=True, kw_only=True)
class Host:
    """A host as far as it can be told from another: RunPod's API names none."""

    gpus: tuple[str, ...]
    driver: str | None
    data_center: str | None
    cuda_version: str | None
    cycles: int
    proven: int


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Cycles, counted.

    Attributes:
        planned: how many there were to be.
        interval: of the rate of all cycles that are proven.
        given: cycles in which a GPU was given; `given_interval` is of the rate of those.
        to_ready: seconds from the order to start until the app was ready, of the proven ones.
        legs: of those that went well.
        host_changes: how often a pod came back on other GPUs or another driver.
        cost: USD.
    """

    planned: int
    cycles: int
    outcomes: Mapping[Outcome, int]
    interval: Interval
    given: int
    given_interval: Interval
    to_ready: Spread | None
    legs: Mapping[str, Spread]
    faults: Mapping[str, int]
    host_changes: int
    hosts: tuple[Host, ...]
    cost: float

    @property
    def proven(self) -> int:
        """How many went well."""
        return self.outcomes.get(Outcome.PROVEN, 0)


@dataclass(frozen=True, kw_only=True)
class Results:
    """What came of a test until now.

    Attributes:
        ended: why the last run ended early; None where it did not.
        returned: how each pod was left.
    """

    plan: Plan
    made_at: str
    ended: str | None
    cycles: tuple[Cycle, ...]
    total: Tally
    pods: tuple[tuple[Subject, Tally], ...]
    returned: Mapping[str, Return]

    @property
    def finished(self) -> bool:
        """All that was planned is done."""
        return self.total.cycles == self.total.planned

    @property
    def well(self) -> bool:
        """All that was planned is done and proven, and every pod is as it was."""
        return self.total.proven == self.total.planned and all(one.ok for one in self.returned.values())


def count(plan: Plan, lines: Iterable[Cycle | Return], *, made_at: str, ended: str | None) -> Results:
    """The results out of the record's lines."""
    cycles: list[Cycle] = []
    returned: dict[str, Return] = {}
    extra: dict[str, float] = {subject.id: 0.0 for subject in plan.subjects}
    by_pod: dict[str, list[Cycle]] = {subject.id: [] for subject in plan.subjects}
    for line in lines:
        if isinstance(line, Cycle):
            cycles.append(line)
            by_pod[line.pod].append(line)
        else:
            returned[line.pod] = line
            extra[line.pod] += line.cost
    return Results(
        plan=plan,
        made_at=made_at,
        ended=ended,
        cycles=tuple(cycles),
        total=tally(cycles, plan.cycles * len(plan.subjects), sum(extra.values())),
        pods=tuple((subject, tally(by_pod[subject.id], plan.cycles, extra[subject.id])) for subject in plan.subjects),
        returned=returned,
    )


def tally(cycles: Sequence[Cycle], planned: int, extra: float = 0.0) -> Tally:
    """Count them; `extra` is what was paid between them."""
    outcomes = Counter(cycle.outcome for cycle in cycles)
    given = sum(number for outcome, number in outcomes.items() if outcome not in _NO_GPU_GIVEN)
    proven = outcomes[Outcome.PROVEN]
    times: dict[str, list[float]] = {}
    for cycle in cycles:
        for leg in cycle.legs:
            if leg.ok:
                times.setdefault(leg.name, []).append(leg.seconds)
    return Tally(
        planned=planned,
        cycles=len(cycles),
        outcomes={outcome: outcomes[outcome] for outcome in Outcome if outcomes[outcome]},
        interval=wilson(proven, len(cycles)),
        given=given,
        given_interval=wilson(proven, given),
        to_ready=spread(cycle.to_ready for cycle in cycles if cycle.to_ready is not None),
        legs={name: found for name, values in times.items() if (found := spread(values)) is not None},
        faults=dict(Counter(cycle.fault for cycle in cycles if cycle.fault is not None).most_common()),
        host_changes=sum(cycle.host_changed for cycle in cycles),
        hosts=_hosts(cycles),
        cost=sum(cycle.cost for cycle in cycles) + extra,
    )


def _hosts(cycles: Iterable[Cycle]) -> tuple[Host, ...]:
    """In the order in which they were met."""
    met: dict[tuple[tuple[str, ...], str | None], list[Cycle]] = {}
    for cycle in cycles:
        if cycle.gpus:
            met.setdefault((tuple(sorted(cycle.gpus)), cycle.driver), []).append(cycle)
    return tuple(
        Host(
            gpus=gpus,
            driver=driver,
            data_center=same[-1].data_center,
            cuda_version=same[-1].cuda_version,
            cycles=len(same),
            proven=sum(cycle.outcome is Outcome.PROVEN for cycle in same),
        )
        for (gpus, driver), same in met.items()
    )
