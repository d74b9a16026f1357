"""(diagnosis, what was tried, what the user wants) → step, as a table."""

from __future__ import annotations

import pytest

from firstlight.boot.prescribe import GiveUp, Policy, Proceed, Progress, Step, Treat, Wait, elsewhere, prescribe
from firstlight.errors import ExitCode
from firstlight.faults.fault import Actor, Diagnosis, Evidence, Fault, Finding, Layer, Persistence, Remedy
from firstlight.probe.facts import Unknown

NOBODY_KNOWS = Unknown("nothing tells how many GPUs this container was given")


def finding(
    persistence: Persistence = Persistence.PERMANENT,
    remedies: tuple[Remedy, ...] = (),
    *,
    host_fault: bool = False,
    stops: bool = True,
    name: str = "some-fault",
) -> Finding:
    fault = Fault(
        id=name,
        symptom="something",
        layer=Layer.DEVICE,
        persistence=persistence,
        actor=Actor.CONTAINER,
        evidence=lambda facts: None,
        remedies=remedies,
        host_fault=host_fault,
    )
    return Finding(fault, Evidence(f"{name} is seen", stops=stops))


def diagnosis(*findings: Finding, usable: int = 0, expected: int | Unknown = 1, promised: bool = True, together: bool = True) -> Diagnosis:
    return Diagnosis(findings=findings, usable=usable, expected=expected, promised=promised, together=together)


def policy(gpus: str = "all") -> Policy:
    allowed = frozenset(Remedy) - {Remedy.REPLACE_INSTANCE, Remedy.DROP_PRELOAD}
    return Policy(gpus=gpus, attempts=10, delay=3.0, deadline=300.0, allowed=allowed)


def progress(attempts: int = 1, elapsed: float = 1.0, tried: frozenset[tuple[str, Remedy]] = frozenset()) -> Progress:
    return Progress(attempts=attempts, elapsed=elapsed, tried=tried)


PERMANENT = finding()
BOUNDED = finding(Persistence.BOUNDED)
TRANSIENT = finding(Persistence.TRANSIENT)
CURABLE = finding(remedies=(Remedy.CREATE_DEVICE_NODES, Remedy.REPLACE_INSTANCE))
ASKED = finding(remedies=(Remedy.DROP_PRELOAD,))
AT_HOST = finding(host_fault=True)
BESIDES = finding(stops=False, name="besides")
TRIED = frozenset({("some-fault is seen", Remedy.CREATE_DEVICE_NODES)})

CASES = {
    "all GPUs proven": (diagnosis(usable=2, expected=2), progress(), "all", Proceed(only_proven=False)),
    "all proven, nobody knows how many there are": (
        diagnosis(usable=1, expected=NOBODY_KNOWS),
        progress(),
        "all",
        Proceed(only_proven=False),
    ),
    "a fault that stops nothing": (diagnosis(BESIDES, usable=1), progress(), "all", Proceed(only_proven=False)),
    "any is content with one of two": (diagnosis(PERMANENT, usable=1, expected=2), progress(), "any", Proceed(only_proven=True)),
    "all is not": (diagnosis(PERMANENT, usable=1, expected=2), progress(), "all", GiveUp),
    "all work alone, but not together": (diagnosis(PERMANENT, usable=2, expected=2, together=False), progress(), "all", GiveUp),
    "any is content with those that work alone": (
        diagnosis(PERMANENT, usable=2, expected=2, together=False),
        progress(),
        "any",
        Proceed(only_proven=True),
    ),
    "a number is reached": (diagnosis(PERMANENT, usable=2, expected=4), progress(), "2", Proceed(only_proven=True)),
    "more is asked for than was granted": (diagnosis(usable=1, expected=1), progress(), "2", GiveUp),
    "more is asked for than was granted, beside a harmless fault": (diagnosis(BESIDES, usable=1, expected=1), progress(), "2", GiveUp),
    "too few GPUs, beside a harmless fault": (diagnosis(BESIDES, usable=1, expected=2), progress(), "all", Wait(None, 3.0)),
    "a harmless fault where no GPU was promised": (diagnosis(BESIDES, promised=False), progress(), "all", GiveUp),
    "none needs no GPU": (diagnosis(PERMANENT), progress(), "none", Proceed(only_proven=True)),
    "a remedy that was not tried": (diagnosis(CURABLE), progress(), "all", Treat(CURABLE, Remedy.CREATE_DEVICE_NODES)),
    "a remedy that was tried and did not help": (diagnosis(CURABLE), progress(tried=TRIED), "all", GiveUp),
    "a remedy for the second finding": (diagnosis(BOUNDED, CURABLE), progress(), "all", Treat(CURABLE, Remedy.CREATE_DEVICE_NODES)),
    "a remedy that nobody asked for": (diagnosis(ASKED), progress(), "all", GiveUp),
    "a permanent fault is never waited for": (diagnosis(PERMANENT), progress(), "all", GiveUp),
    "a permanent fault beside one that may pass": (diagnosis(BOUNDED, PERMANENT), progress(), "all", GiveUp),
    "a harmless permanent fault beside one that may pass": (diagnosis(BOUNDED, BESIDES), progress(), "all", Wait(BOUNDED, 3.0)),
    "a bounded fault where a GPU was promised": (diagnosis(BOUNDED), progress(), "all", Wait(BOUNDED, 3.0)),
    "a bounded fault where none was": (diagnosis(BOUNDED, promised=False), progress(), "all", GiveUp),
    "a bounded fault after the last attempt": (diagnosis(BOUNDED), progress(attempts=10), "all", GiveUp),
    "a transient fault is waited for beyond the attempts": (diagnosis(TRANSIENT), progress(attempts=50), "all", Wait(TRANSIENT, 3.0)),
    "a wait never passes the deadline": (diagnosis(TRANSIENT), progress(elapsed=299.0), "all", Wait(TRANSIENT, 1.0)),
    "the deadline": (diagnosis(TRANSIENT), progress(elapsed=300.0), "all", GiveUp),
    "too few GPUs, and no fault to be seen": (diagnosis(usable=1, expected=2), progress(), "all", Wait(None, 3.0)),
    "nothing at all": (diagnosis(promised=False), progress(), "all", GiveUp),
}


@pytest.mark.parametrize(("seen", "done", "gpus", "wanted"), CASES.values(), ids=CASES.keys())
def test_the_step_for(seen: Diagnosis, done: Progress, gpus: str, wanted: Step | type[GiveUp]) -> None:
    step = prescribe(seen, done, policy(gpus))
    if wanted is GiveUp:
        assert isinstance(step, GiveUp)
    else:
        assert step == wanted


@pytest.mark.parametrize(("cause", "code"), [(AT_HOST, ExitCode.OTHER_HOST), (PERMANENT, ExitCode.NO_GPU)])
def test_the_exit_code_says_whether_another_host_would_help(cause: Finding, code: ExitCode) -> None:
    step = prescribe(diagnosis(cause), progress(), policy())
    assert isinstance(step, GiveUp)
    assert step.code is code
    assert step.finding is cause


NOT_GRANTED = finding(name="gpu-not-granted").fault


@pytest.mark.parametrize(
    ("cause", "code", "helps"),
    [
        (AT_HOST, ExitCode.OTHER_HOST, True),
        (None, ExitCode.OTHER_HOST, True),
        (PERMANENT, ExitCode.NO_GPU, False),
        (None, ExitCode.NO_GPU, False),
        (Finding(NOT_GRANTED, Evidence("RunPod has none for it", (("RUNPOD_GPU_COUNT", "0"),))), ExitCode.NO_GPU, True),
        (Finding(NOT_GRANTED, Evidence("nobody asked for one", (("NVIDIA_VISIBLE_DEVICES", "void"),))), ExitCode.NO_GPU, False),
        (Finding(NOT_GRANTED, Evidence("some are missing", (("RUNPOD_GPU_COUNT", "2"),))), ExitCode.NO_GPU, False),
    ],
)
def test_whether_another_host_may_help(cause: Finding | None, code: ExitCode, helps: bool) -> None:
    assert elsewhere(GiveUp(cause, code, "")) is helps
