"""The shape of a fault, of the evidence for it, and of a diagnosis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from firstlight.probe.facts import Unknown


class Layer(Enum):
    """Where in the stack a fault sits. In the order of diagnosis: causes stand before what they cause."""

    HARDWARE = "hardware"
    DRIVER = "driver"
    DEVICE = "device"
    LIBRARY = "library"
    ENVIRONMENT = "environment"
    CUDA = "cuda"
    FRAMEWORK = "framework"
    APP = "app"


class Persistence(Enum):
    """Whether time can cure it."""

    TRANSIENT = "transient"  # waiting cures it
    BOUNDED = "bounded"  # waiting may cure it: worth the retry policy where a GPU was promised
    PERMANENT = "permanent"  # waiting never cures it


class Actor(Enum):
    """Who must act when firstlight cannot."""

    CONTAINER = "container"  # from inside: firstlight, or whoever starts the app
    IMAGE = "image"  # whoever builds the image
    PROVIDER = "provider"  # whoever runs the host


class Remedy(Enum):
    """Every cure that firstlight knows. `remedies.apply` does them; `REPLACE_INSTANCE` is advice, done by nobody in here."""

    REWRITE_VISIBLE_DEVICES = "rewrite-visible-devices"
    FIX_LIBRARY_PATH = "fix-library-path"
    CREATE_DEVICE_NODES = "create-device-nodes"
    RAISE_LIMITS = "raise-limits"
    DROP_PRELOAD = "drop-preload"
    REPLACE_INSTANCE = "replace-instance"


@dataclass(frozen=True)
class Evidence:
    """Why we believe a fault: one sentence, and the facts that it quotes as (name, value) pairs for the report.

    `persistence` overrides the fault's own where the facts tell more (a busy GPU whose holder is dying, say).
    `stops` is False where CUDA works on every GPU all the same, and where the app serves all the same: usable, but ill.
    """

    sentence: str
    quotes: tuple[tuple[str, str], ...] = ()
    persistence: Persistence | None = None
    stops: bool = True


# Evidence: the fault is there. None: it is not. Unknown: the facts cannot tell.
Verdict = Evidence | Unknown | None


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A named cause. Its module's docstring is its page: You see / Why / Cure.

    `host_fault` is True where only another host can help: `run` then ends with 75 instead of 69.
    `evidence` reads the facts of the machine; in the layer `app`, what was seen of the app's start (faults/start.py).
    """

    id: str
    symptom: str
    layer: Layer
    persistence: Persistence
    actor: Actor
    evidence: Callable[..., Verdict]
    remedies: tuple[Remedy, ...] = ()
    host_fault: bool = False
    advice: str = ""  # what the actor must do, one sentence


@dataclass(frozen=True)
class Finding:
    """A fault and the evidence for it."""

    fault: Fault
    evidence: Evidence

    @property
    def persistence(self) -> Persistence:
        """Whether time can cure it, as far as these facts tell."""
        return self.evidence.persistence or self.fault.persistence


@dataclass(frozen=True)
class Diagnosis:
    """All findings, in the order of the catalogue: causes before what they cause.

    `usable` is the number of GPUs whose kernel was proven; `expected` how many were granted, Unknown when nothing tells.
    `together` is False where they were proven only one by one, because CUDA fails in a process that sees all of them.
    `undecided` lists faults whose evidence the facts could not settle, with the reason.
    """

    findings: tuple[Finding, ...]
    usable: int
    expected: int | Unknown
    promised: bool  # somebody said that this container has a GPU
    together: bool = True
    undecided: tuple[tuple[str, Unknown], ...] = ()

    @property
    def root_cause(self) -> Finding | None:
        """The first finding that stops CUDA, else the first of the others; None when nothing is wrong."""
        stopping = [finding for finding in self.findings if finding.evidence.stops]
        return next(iter(stopping or self.findings), None)
