"""What firstlight costs and gains, side by side in one run; the README beside this says what each figure means.

    python3 bench/run.py local --firstlight "python3 -IS firstlight.pyz"      any Linux machine
    python3 bench/run.py gpu   --firstlight "python3 -IS firstlight.pyz"      root and one NVIDIA GPU
    python3 bench/run.py fleet --firstlight "python3 -IS firstlight.pyz"      what testing/cloud needs, which `make .venv/ready` brings

Otherwise only the standard library; tini, dumb-init, s6 and supervisord are measured beside us where they are (`make bench` brings them). Results go to bench/results/WORD.json and WORD.md after every figure, so that a run that is
stopped leaves what it had. A figure that cannot be taken is listed with the reason; no figure ever fails.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import platform
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import beside
import fleet
import gpu
import startup
import supervision
import throughput
import watching
from measure import Figure, NotMeasured, interleave, line, ratio, write
from processes import adopt_orphans, wall

HERE = Path(__file__).resolve().parent

# The load average for each core up to which a run's figures are fit to be kept.
QUIET = 0.25


@dataclass
class Bench:
    """One run: the command under test, where things go, and what was measured until now."""

    firstlight: list[str]
    rounds: int
    scratch: Path
    out: Path
    word: str
    machine: dict[str, str]
    figures: list[Figure] = field(default_factory=list)

    def add(self, figures: Sequence[Figure]) -> None:
        """Say and keep."""
        for figure in figures:
            print(f"[{time.strftime('%H:%M:%S')}] {line(figure)}", flush=True)
        self.figures.extend(figures)
        write(self.out, self.word, self.machine, self.figures)


def no_gpu_needed(bench: Bench) -> Iterator[tuple[str, Callable[[], list[Figure]]]]:
    """Figures that any Linux machine gives, in order, each with its name."""
    yield "start-up", lambda: start_up(bench)
    yield "start-up from a slow volume", lambda: slow_start_up(bench)
    yield "a start without a GPU", lambda: bare_start(bench)
    yield "supervising an idle app, beside others", lambda: beside.idle(bench.firstlight, bench.scratch)
    yield "starting an app, beside others", lambda: beside.starts(bench.firstlight, bench.rounds, bench.scratch)
    yield "passing a signal on, beside others", lambda: beside.signals(bench.firstlight, bench.scratch)
    yield "throughput of the app's output", lambda: throughput.compare(bench.firstlight, min(bench.rounds, 3), bench.scratch)
    yield "a look at the GPUs", lambda: watching.looks([*bench.firstlight, "rehearse", "healthy", "--quiet"], "a simulated GPU")


def start_up(bench: Bench) -> list[Figure]:
    """From exec to the first child, warm, beside the same interpreter that starts a child and does nothing else."""
    preload = startup.build("stamp.c", bench.scratch, "-shared", "-fPIC")
    stamps = bench.scratch / "stamps"
    ours = [*bench.firstlight, "run", "--state-dir", str(bench.scratch / "state-startup"), "--", "true"]
    spawn = "import os; os.waitpid(os.posix_spawn('/bin/true', ['true'], os.environ), 0)"
    interpreter = bench.firstlight[:-1] if bench.firstlight[-1].endswith(".pyz") else [sys.executable]
    startup.to_first_child(ours, stamps, preload)  # warms the page cache
    names = (
        "own start-up, exec to the first child, warm",
        "beside it: the same interpreter, starting a child and nothing else",
        "the same with -I -S",
    )
    samples, failed = interleave(
        bench.rounds,
        {
            names[0]: lambda: startup.to_first_child(ours, stamps, preload),
            names[1]: lambda: startup.to_first_child([*interpreter, "-c", spawn], stamps, preload),
            names[2]: lambda: startup.to_first_child([*interpreter, "-I", "-S", "-c", spawn], stamps, preload),
        },
    )
    targets = ("≤ 40 ms", "", "")
    return [
        Figure(name=name, samples=samples[name], unit="ms", target=target, missing=failed[name])
        for name, target in zip(names, targets, strict=True)
    ]


def slow_start_up(bench: Bench) -> list[Figure]:
    """The same from a volume with 1 ms for each metadata operation and each read: freshly mounted, and again."""
    place = next((place for place, word in enumerate(bench.firstlight) if word.endswith(".pyz")), None)
    if place is None:
        raise NotMeasured("only the one-file build is run from a volume")
    preload = startup.build("stamp.c", bench.scratch, "-shared", "-fPIC")
    slowfs = startup.build("slowfs.c", bench.scratch, "-I/usr/include/fuse3", "-lfuse3", "-lpthread")
    file = Path(bench.firstlight[place])
    first, again = [], []
    for _ in range(bench.rounds):
        with startup.slow_volume(slowfs, file.parent) as volume:
            words = [*bench.firstlight[:place], str(volume / file.name), *bench.firstlight[place + 1 :]]
            ours = [*words, "run", "--state-dir", str(bench.scratch / "state-slow"), "--", "true"]
            first.append(startup.to_first_child(ours, bench.scratch / "stamps", preload))
            again.append(startup.to_first_child(ours, bench.scratch / "stamps", preload))
    return [
        Figure(
            name="own start-up from a volume with 1 ms per metadata operation, first start",
            samples=tuple(first),
            unit="ms",
            target="≤ 70 ms",
        ),
        Figure(name="the same, every later start", samples=tuple(again), unit="ms", target="≤ 70 ms"),
    ]


def bare_start(bench: Bench) -> list[Figure]:
    """Whole starts that need no GPU, beside the command alone."""
    ours = [*bench.firstlight, "run", "--state-dir", str(bench.scratch / "state-bare")]
    ways = {
        "`firstlight run --gpus none -- true`, whole": lambda: wall([*ours, "--gpus", "none", "--", "true"], expect=0),
        "beside it: `true`": lambda: wall(["true"], expect=0),
    }
    if not os.path.exists("/proc/driver/nvidia/version"):
        ways["no GPU at all: `firstlight run -- true` to exit 69"] = lambda: wall([*ours, "--", "true"], expect=69)
    samples, failed = interleave(bench.rounds, ways)
    return [
        Figure(name=name, samples=values, target="≤ 3 s" if "69" in name else "", missing=failed[name]) for name, values in samples.items()
    ]


def gpu_needed(bench: Bench) -> Iterator[tuple[str, Callable[[], list[Figure]]]]:
    """Figures that need a GPU, the dearest last."""
    test = gpu.Bed(bench.firstlight, bench.rounds, bench.scratch)
    yield "a healthy start against the floor", test.healthy
    yield "start-up", lambda: start_up(bench)
    yield "naming a permanent fault", test.naming
    yield "from a node's appearance to the app", test.late_nodes
    yield "supervising an idle app", lambda: supervision.idle(bench.firstlight, ["--holder", "1s"], bench.scratch / "state-idle")
    watched = ["run", "--state-dir", str(bench.scratch / "state-watched"), "--holder", "1s", "--quiet"]
    yield "a look at the GPUs", lambda: watching.looks([*bench.firstlight, *watched], "a GPU")
    yield "the usual script, healthy", test.usual_healthy
    yield "the usual script, late node", test.usual_late


def of_a_fleet(bench: Bench) -> Iterator[tuple[str, Callable[[], list[Figure]]]]:
    """Figures of many pods at once, with a cloud on this machine."""
    yield "a fleet tested from one process", lambda: fleet.grow(bench.firstlight, min(bench.rounds, 3), bench.scratch)
    yield "a list of a fleet", lambda: fleet.lists(bench.firstlight, bench.scratch)
    yield "a fleet tested within the quota", lambda: fleet.keep_to_quota(bench.firstlight, bench.scratch)


GROUPS = {"local": no_gpu_needed, "gpu": gpu_needed, "fleet": of_a_fleet}


def take(name: str, group: Callable[[], list[Figure]]) -> list[Figure]:
    """The figures of one group, or the reason why there are none."""
    try:
        return group()
    except NotMeasured as reason:
        return [Figure(name=name, missing=str(reason))]
    except Exception as error:  # noqa: BLE001 - one broken group must not cost the others
        return [Figure(name=name, missing=f"{type(error).__name__}: {error}")]


def built() -> str:
    """The one file where `make build` left it, else the package of this interpreter."""
    one_file = HERE.parent / "dist" / "firstlight.pyz"
    return shlex.join([sys.executable, "-IS", str(one_file)] if one_file.exists() else [sys.executable, "-m", "firstlight"])


def describe(firstlight: Sequence[str], repeat: str) -> dict[str, str]:
    """The machine, without names; how busy it was before, the interpreter that is measured, and how to measure it again."""
    load = os.getloadavg()[0]
    fit = load <= (os.cpu_count() or 1) * QUIET
    return {
        **gpu.describe(),
        "kernel": platform.release(),
        "cores": str(os.cpu_count()),
        "load before": f"{load:.2f}" if fit else f"{load:.2f}: not fit to be kept, others were at work",
        "Python": _version(firstlight[0]),
        "command": f"`{repeat}`",
        "date": dt.datetime.now(dt.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
    }


def _version(interpreter: str) -> str:
    """The version of the Python that runs what is measured; our own where the command is a script."""
    done = subprocess.run(
        [interpreter, "-I", "-c", "import platform; print(platform.python_version())"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() if done.returncode == 0 else platform.python_version()


def ratios(figures: Sequence[Figure]) -> list[Figure]:
    """What is read side by side, from the figures taken so far."""
    named = {figure.name: figure for figure in figures}
    pairs = [pair for pair in gpu.RATIOS if pair[1] in named and pair[2] in named]
    return [ratio(name, named[above], named[below], target) for name, above, below, target in pairs]


def _repeat(arguments: argparse.Namespace) -> str:
    """The command that measures this again, without the paths of this machine."""
    words = shlex.split(arguments.firstlight)
    shown = shlex.join(
        "python3" if word == sys.executable else os.path.relpath(word, HERE.parent) if "/" in word else word for word in words
    )
    return f'python3 bench/run.py {arguments.word} --firstlight "{shown}" --rounds {arguments.rounds}'


def main() -> int:
    """Measure what the word asks for."""
    parser = argparse.ArgumentParser(description="Measure firstlight.")
    parser.add_argument("word", nargs="?", choices=sorted(GROUPS), default="local")
    parser.add_argument("--firstlight", default=built(), help='the command, such as "python3 -IS firstlight.pyz" (default: "%(default)s")')
    parser.add_argument("--rounds", type=int, default=10, help="samples of each figure (default 10)")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--only", metavar="TEXT", help="only the groups of figures whose name contains TEXT")
    parser.add_argument("--budget", type=float, default=900.0, help="seconds after which no further group is begun (default 900)")
    arguments = parser.parse_args()
    words = [os.path.abspath(word) if os.path.isfile(word) else word for word in shlex.split(arguments.firstlight)]
    until = time.monotonic() + arguments.budget
    adopt_orphans()
    with tempfile.TemporaryDirectory(prefix="firstlight-bench-", ignore_cleanup_errors=True) as scratch:
        machine = describe(words, _repeat(arguments))
        bench = Bench(words, arguments.rounds, Path(scratch), arguments.out, arguments.word, machine)
        for name, group in GROUPS[arguments.word](bench):
            if arguments.only and arguments.only not in name:
                continue
            bench.add(take(name, group) if time.monotonic() < until else [Figure(name=name, missing="the time for this run was over")])
        bench.add(ratios(bench.figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
