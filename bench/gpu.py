"""The figures that need a GPU. Late and wrong nodes are made in private machines, by the means of tests/gpu."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import startup
from measure import Figure, NotMeasured, interleave
from processes import wall

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "tests" / "gpu"))

from box import Box  # noqa: E402 - beside the suite, whose private machines these are
from machine import CannotMake, Machine, ask_driver, examine  # noqa: E402
from private import Start, start  # noqa: E402

LATE = 1.5  # seconds until a late node appears: long enough for every start to have seen that it is missing
LATE_FOR_USUAL = 2.0

OURS_TRUE = "`firstlight run -- true`, whole"
FLOOR = "C program (cuInit, context, kernel, check), whole"
OURS_APP = "`firstlight run -- C program`, whole"
INIT_ALONE = "cuInit of the C program alone"
INIT_HELD = "cuInit of the C program under firstlight, with the holder"
OURS_HEALTHY = "healthy, to the app's start: firstlight"
USUAL_HEALTHY = "healthy, to the app's start: the usual script"
OURS_LATE = f"GPU node late by {LATE_FOR_USUAL:.0f} s, to the app's start: firstlight"
USUAL_LATE = f"GPU node late by {LATE_FOR_USUAL:.0f} s, to the app's start: the usual script"

# (name, numerator, denominator, target)
RATIOS = (
    ("ratio: firstlight run -- true / C program", OURS_TRUE, FLOOR, "≤ 1.5 x"),
    ("ratio: firstlight run -- C program / C program", OURS_APP, FLOOR, ""),
    ("ratio: cuInit alone / cuInit with the holder", INIT_ALONE, INIT_HELD, ""),
    ("ratio: usual script / firstlight, healthy", USUAL_HEALTHY, OURS_HEALTHY, ""),
    ("ratio: usual script / firstlight, late node", USUAL_LATE, OURS_LATE, ""),
)


class Bed:
    """The test bed: the command under test, the compiled floor, and the machine's nodes."""

    def __init__(self, firstlight: Sequence[str], rounds: int, scratch: Path) -> None:
        self.firstlight, self.rounds, self.scratch = list(firstlight), rounds, scratch
        self.record = scratch / "app.json"
        self.state = scratch / "state"

    def healthy(self) -> list[Figure]:
        """The whole start against the floor, and what the app gets back through the holder."""
        floor = str(self._floor())
        alone: list[float] = []
        held: list[float] = []

        def run(argv: list[str], keep: list[float]) -> float:
            self.record.unlink(missing_ok=True)
            took = wall(argv, expect=0)
            keep.append(float(self._app()["init"]))
            return took

        wall([floor], expect=0)  # warms the page cache for both sides
        samples, failed = interleave(
            self.rounds,
            {
                OURS_TRUE: lambda: wall(self._run("true"), expect=0),
                FLOOR: lambda: run([floor, str(self.record)], alone),
                OURS_APP: lambda: run(self._run(floor, str(self.record)), held),
            },
        )
        figures = [Figure(name=name, samples=values, missing=failed[name]) for name, values in samples.items()]
        figures.append(Figure(name=INIT_ALONE, samples=tuple(alone), unit="ms", missing=failed[FLOOR]))
        figures.append(Figure(name=INIT_HELD, samples=tuple(held), unit="ms", missing=failed[OURS_APP]))
        return figures

    def naming(self) -> list[Figure]:
        """From the start to the printed cause of a permanent fault, and to the end."""
        machine = self._machine()
        gpu_node = machine.node(machine.gpu_node)
        wrong = {
            "gpu-node-wrong": dataclasses.replace(gpu_node, minor=gpu_node.minor + 7),
            "uvm-major-stale": dataclasses.replace(machine.node("nvidia-uvm"), major=511),
        }
        figures = []
        for cause, node in wrong.items():
            box = machine.box(nodes=tuple(node if one.name == node.name else one for one in machine.nodes))
            named, ended = [], []
            for _ in range(self.rounds):
                done = self._enter(box, self._run("true"))
                at = next((at for at, text in done.errors if cause in text), None)
                if at is None:
                    raise NotMeasured(f"{cause} was never named; exit {done.report['exit']}")
                named.append(at - done.report["started"])
                ended.append(done.report["ended"] - done.report["started"])
            figures.append(Figure(name=f"{cause}: to the printed cause", samples=tuple(named), target="≤ 1 s"))
            figures.append(Figure(name=f"{cause}: to the end of the boot", samples=tuple(ended)))
        return figures

    def late_nodes(self) -> list[Figure]:
        """From a node's appearance in /dev to the first statement of the app."""
        machine = self._machine()
        figures = []
        for name in ("nvidiactl", machine.gpu_node, "nvidia-uvm"):
            box = self._late(machine, name, LATE)
            samples = []
            for _ in range(self.rounds):
                done = self._enter(box, self._run(str(self._floor()), str(self.record)))
                if name not in done.report["appeared"]:
                    raise NotMeasured(f"firstlight did not wait for /dev/{name}: exit {done.report['exit']}")
                samples.append(self._app()["started"] - done.report["appeared"][name])
            figures.append(Figure(name=f"/dev/{name} appears, to the app's start", samples=tuple(samples), target="≤ 0.4 s"))
        return figures

    def usual_healthy(self) -> list[Figure]:
        """Both ways to the app's first statement on a healthy machine."""
        return self._against_usual(self._machine().box(), OURS_HEALTHY, USUAL_HEALTHY)

    def usual_late(self) -> list[Figure]:
        """The same while the GPU's node is late."""
        machine = self._machine()
        return self._against_usual(self._late(machine, machine.gpu_node, LATE_FOR_USUAL), OURS_LATE, USUAL_LATE)

    def _against_usual(self, box: Box, ours: str, usual: str) -> list[Figure]:
        app = [str(self._floor()), str(self.record)]

        def way(argv: list[str]) -> Callable[[], float]:
            def run() -> float:
                done = self._enter(box, argv)
                return float(self._app()["started"] - done.report["started"])

            return run

        script = ["/bin/sh", str(HERE / "usual_script.sh"), *app]
        samples, failed = interleave(self.rounds, {ours: way(self._run(*app)), usual: way(script)})
        return [Figure(name=name, samples=values, missing=failed[name]) for name, values in samples.items()]

    def _run(self, *app: str) -> list[str]:
        return [*self.firstlight, "run", "--state-dir", str(self.state), "--", *app]

    def _floor(self) -> Path:
        made = self.scratch / "cold_start"
        return made if made.exists() else startup.build("cold_start.c", self.scratch, "-ldl")

    def _machine(self) -> Machine:
        machine = examine(str(self.scratch))
        if not machine.nodes or os.geteuid():
            raise NotMeasured("it needs root and an NVIDIA GPU")
        return machine

    def _late(self, machine: Machine, name: str, after: float) -> Box:
        late = dataclasses.replace(machine.node(name), after=after)
        return machine.box(nodes=tuple(late if one.name == name else one for one in machine.nodes))

    def _enter(self, box: Box, argv: list[str]) -> Start:
        self.record.unlink(missing_ok=True)
        environment = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
        environment["USUAL_PYTHON"] = sys.executable
        try:
            done = start(box, argv, environment=environment, directory=self.scratch)
        except CannotMake as reason:
            raise NotMeasured(str(reason)) from None
        if "cannot" in done.report:
            raise NotMeasured(done.report["cannot"])
        return done

    def _app(self) -> dict[str, Any]:
        try:
            record: dict[str, Any] = json.loads(self.record.read_text())
        except (OSError, ValueError):
            raise NotMeasured("the app never ran, or had no CUDA") from None
        return record


def describe() -> dict[str, str]:
    """The GPU and its driver; "none" where there is none."""
    answers = ask_driver("name", "driver_version", "persistence_mode")
    return dict(zip(("GPU", "driver", "persistence mode"), answers, strict=True)) if answers else {"GPU": "none"}
