"""A `View` as metrics. One boot is one process: nothing is labelled by boot."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TypeVar

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from firstlight.faults import catalogue
from firstlight.journal.event import Condition, Stage
from firstlight.serve.view import View

# Values of a metric's labels, in the order of their names.
_Labels = TypeVar("_Labels", bound=tuple[str, ...])

# Why the app is started again. Each is there from the first scrape on: a counter that appears only with its first event shows no rate.
_CAUSES = ("app", "check", "cuda", "late", "order", "poisoned", "watch", "zombie")

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Boot:
    """A collector of one view."""

    def __init__(self, view: View | None, version: str) -> None:
        self._view = view
        self._version = version

    def collect(self) -> Iterator[Metric]:
        """Every metric."""
        yield _gauge("build_info", "Which firstlight this is.", ("version", "python"), {(self._version, platform.python_version()): 1})
        view = self._view
        yield _gauge("ready", "Whether the app is ready.", (), {(): float(view is not None and view.status.ready)})
        if view is None:
            return
        yield from _boot(view)
        yield from _app(view)
        yield from _gpus(view)


def render(view: View | None, version: str) -> bytes:
    """The metrics as text."""
    registry = CollectorRegistry()
    registry.register(Boot(view, version))
    return generate_latest(registry)


def _boot(view: View) -> Iterator[Metric]:
    yield _gauge("stage_info", "Where the boot is.", ("stage",), {(view.status.stage.value,): 1})
    durations: dict[tuple[str, ...], float] = {}
    for span in view.spans:
        durations[span.stage.value,] = durations.get((span.stage.value,), 0.0) + span.seconds
    yield _gauge("stage_duration_seconds", "How long the boot was in each stage, up to the last event.", ("stage",), durations)
    if view.ready_after is not None:
        yield _gauge("boot_duration_seconds", "How long it took from the start until the app was ready.", (), {(): view.ready_after})
    legs = {(leg.name,): leg.seconds for leg in view.status.legs}
    yield _gauge("leg_duration_seconds", "How long each leg of the way to the first verified generation took.", ("leg",), legs)
    if view.status.verified_after is not None:
        models = {None: "unknown", True: "cold", False: "cached"}[view.status.verified_cold]
        yield _gauge(
            "first_generation_seconds",
            "From the start to the first generation that was found good.",
            ("models",),
            {(models,): view.status.verified_after},
        )
    if view.status.accepted is not None:
        yield _gauge("accepted", "Whether the last acceptance was passed.", (), {(): float(view.status.accepted.ok)})
    yield _gauge("over_budget", "Whether the app was not ready within its budget.", (), {(): float(view.status.late is not None)})
    yield _gauge("boot_start_timestamp_seconds", "When the boot began.", (), {(): _seconds(view.status.started_at)})
    condition = {(one.value,): float(view.status.condition is one) for one in Condition}
    yield _gauge("condition", "How well the GPUs are: 1 for the one that holds.", ("condition",), condition)
    found = {finding.fault for finding in view.findings}
    known = {(fault.id,): float(fault.id in found) for fault in catalogue.CATALOGUE}
    yield _gauge("fault_active", "Which faults stand now.", ("fault",), known)
    yield _gauge("held", "Whether the boot holds for somebody to look.", (), {(): float(view.status.stage is Stage.HOLD)})


def _app(view: View) -> Iterator[Metric]:
    restarts = {(cause,): float(count) for cause, count in view.restarts.items()}
    for cause in _CAUSES:
        restarts.setdefault((cause,), 0.0)
    yield _counter("app_restarts", "How often the app was started again, by cause.", ("cause",), restarts)
    if view.app_started is not None:
        yield _gauge("app_start_timestamp_seconds", "When the app was started last.", (), {(): _seconds(view.app_started)})
    checks = {(check.check, check.level): float(check.ok is True) for check in view.status.checks}
    yield _gauge("check_ok", "Whether a check of the app passes.", ("check", "level"), checks)
    running = {(companion.name,): float(companion.pid is not None) for companion in view.status.companions}
    yield _gauge("companion_running", "Whether a companion of the app runs.", ("name",), running)
    yield _counter("zombies_reaped", "Dead processes of others that were reaped.", (), {(): float(view.orphans_reaped)})


def _gpus(view: View) -> Iterator[Metric]:
    if view.status.expected is not None:
        yield _gauge("gpus_expected", "How many GPUs were granted.", (), {(): float(view.status.expected)})
    if view.status.usable is not None:
        yield _gauge("gpus_usable", "On how many GPUs a kernel was proven.", (), {(): float(view.status.usable)})
    named = [(str(place), gpu) for place, gpu in enumerate(view.gpus)]
    yield _gauge("gpu_info", "What a GPU is.", ("gpu", "uuid", "model"), {(place, gpu.uuid, gpu.name): 1 for place, gpu in named})
    proven = {(place, gpu.uuid): float(gpu.proven) for place, gpu in named if gpu.proven is not None}
    yield _gauge("gpu_proven", "Whether a kernel ran on a GPU and its result was right.", ("gpu", "uuid"), proven)
    memory = {(place, gpu.uuid): float(gpu.memory) for place, gpu in named if gpu.memory is not None}
    yield _gauge("gpu_memory_bytes", "How much memory a GPU has.", ("gpu", "uuid"), memory)


def _gauge(name: str, words: str, labels: tuple[str, ...], values: Mapping[_Labels, float]) -> Metric:
    family = GaugeMetricFamily(f"firstlight_{name}", words, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family


def _counter(name: str, words: str, labels: tuple[str, ...], values: Mapping[_Labels, float]) -> Metric:
    family = CounterMetricFamily(f"firstlight_{name}", words, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family


def _seconds(at: str) -> float:
    try:
        return datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return 0.0
