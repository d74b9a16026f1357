"""A fleet tested from one process: `firstlight pod test`, one cold start of each pod, against the cloud of testing/cloud in a process of its own.

What is measured is the one process. How long a pod takes is a habit of that cloud, so the wall time has a floor; what it asks, computes
and keeps for each pod is ours. Every answer of the cloud is held against RunPod's document, where that is here.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measure import Figure, NotMeasured, ratio

HERE = Path(__file__).resolve().parent
CLOUD = HERE.parent / "testing/cloud"
COST_OF = HERE / "cost_of.py"

SIZES = (10, 100, 1000)

# A pod's way, in seconds: it stops for 2, is provisioned and created for 5, its agent answers after 0.5 more and its app after 2.
HABITS = {"stopping": 2.0, "provisioning": 2.0, "starting": 3.0, "agent_after": 0.5, "ready_after": 2.0}
FLOOR = 9.0

# What RunPod's document names; a test of this many pods is to keep to it.
QUOTAS = {"minute": 60, "hour": 3000, "day": 50000}
QUOTA_PODS = 100

LISTS = 3  # of `pod list`, which is cheap

_GPU = "NVIDIA GeForce RTX 4090"
_GPUS_OF_A_HOST = 8


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What one process took."""

    wall: float
    cpu: float  # seconds, of user and system
    rss: float  # MB at its peak
    output: bytes


@dataclass(frozen=True, kw_only=True)
class Run:
    """One test, and what the cloud saw of it."""

    taken: Taken
    asked: int  # of the API
    looked: int  # at the pods, through the proxy
    refused: int  # with 429


class Cloud:
    """RunPod on localhost, in a process of its own."""

    def __init__(self, addresses: Mapping[str, str]) -> None:
        self._addresses = addresses

    @property
    def environment(self) -> dict[str, str]:
        """What a command asks it with."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("RUNPOD_", "FIRSTLIGHT_"))}
        told = {"KEY": self._addresses["key"], "URL": self._addresses["api"]}
        return {**kept, **{f"RUNPOD_API_{name}": value for name, value in told.items()}, "RUNPOD_PROXY_URL": self._addresses["proxy"]}

    def control(self, name: str, body: Any = None) -> Any:
        """Tell it something, or ask it."""
        return self._ask(f"{self._addresses['control']}/{name}", body)

    def fill(self, pods: int) -> None:
        """This many pods as `pod configure` leaves them, all running, on hosts enough for all."""
        hosts = [{"name": f"machine-{number}", "count": _GPUS_OF_A_HOST} for number in range(-(-pods // _GPUS_OF_A_HOST))]
        self.control("hosts", hosts)
        for number in range(pods):
            self._ask(f"{self._addresses['api']}/pods", _body(f"pod-{number:04}"))
        while any(pod["status"] != "RUNNING" for pod in self.control("pods")):
            time.sleep(0.2)

    def asked(self) -> Counter[int]:
        """The requests to the API until now, by their status."""
        return Counter(call["status"] for call in self.control("requests"))

    def _ask(self, url: str, body: Any) -> Any:
        headers = {"Authorization": f"Bearer {self._addresses['key']}", "Content-Type": "application/json", "User-Agent": "bench"}
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=60.0) as answer:
            return json.load(answer)


def _body(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "image": "runpod/pytorch:1.0.2-cu1281-torch280-ubuntu2404",
        "gpu": {"id": _GPU, "count": 1},
        "mounts": {"persistent": {"size": 20, "path": "/workspace"}},
        "ports": ["8188/http", "8421/http", "22/tcp"],
        "env": {"FIRSTLIGHT_TOKEN": "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"},
        "entrypoint": ["/workspace/firstlight/firstlight.pyz"],
        "cmd": ["run", "--serve", "0.0.0.0:8421", "--with", "/start.sh", "--on-failure", "hold", "--", "python3", "main.py"],
    }


@contextlib.contextmanager
def cloud(pods: int) -> Iterator[Cloud]:
    """One with this many pods, that takes its time as HABITS says once they run.

    Raises:
        NotMeasured: it cannot run here.
    """
    with tempfile.TemporaryFile() as said, subprocess.Popen([sys.executable, str(CLOUD)], stdout=subprocess.PIPE, stderr=said) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                said.seek(0)
                lines = said.read().decode(errors="replace").strip().splitlines()
                raise NotMeasured(f"testing/cloud does not run here: {lines[-1] if lines else 'it said nothing'}")
            found = Cloud(json.loads(line))
            found.fill(pods)
            found.control("habits", HABITS)
            yield found
            broken = found.control("violations")
            if broken["ours"] or broken["client"]:
                raise NotMeasured(f"a request or an answer is not as RunPod's document has it: {(broken['client'] + broken['ours'])[0]}")
        finally:
            process.terminate()


def take(argv: Sequence[str], environment: Mapping[str, str], folder: Path) -> Taken:
    """Run a command to its end.

    Raises:
        NotMeasured: it did not end well, or not within 15 minutes.
    """
    result = folder / "taken"
    command = [sys.executable, "-IS", str(COST_OF), str(result), *argv]
    done = subprocess.run(command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise NotMeasured(f"exit {done.returncode}: {lines[-1] if lines else 'it said nothing'}")
    return Taken(**json.loads(result.read_text()), output=done.stdout)


def cold_starts(firstlight: Sequence[str], pods: int, scratch: Path, quotas: Mapping[str, int]) -> Run:
    """One cold start of each of this many pods, all at once.

    Raises:
        NotMeasured: not every one of them was proven.
    """
    with cloud(pods) as runpod, tempfile.TemporaryDirectory(dir=scratch) as place:
        folder = Path(place)
        runpod.control("habits", {"quotas": quotas})
        before, looked = runpod.asked(), runpod.control("proxied")
        names = [f"pod-{number:04}" for number in range(pods)]
        options = ["--cycles", "1", "--parallel", str(pods), "--no-ssh", "--max-cost", "10000", "--to", str(folder / "report")]
        options += ["--lease-dir", str(folder / "leases"), "--format", "json"]
        taken = take([*firstlight, "pod", "test", *names, *options], runpod.environment, folder)
        proven = json.loads(taken.output)["total"]["proven"]
        if proven != pods:
            raise NotMeasured(f"{proven} of {pods} pods were proven")
        asked = runpod.asked() - before
        return Run(taken=taken, asked=asked.total(), looked=runpod.control("proxied") - looked, refused=asked[429])


def grow(firstlight: Sequence[str], rounds: int, scratch: Path) -> list[Figure]:
    """What a test takes at each size, and how that grows; the sizes in turn, so that what changes with time changes for all."""
    runs: dict[int, list[Run]] = {size: [] for size in SIZES}
    for _ in range(rounds):
        for size in SIZES:
            runs[size].append(cold_starts(firstlight, size, scratch, {}))
    figures = {size: _of(size, runs[size]) for size in SIZES}
    growth = [
        ratio(f"pod test, {above:,} pods against {below:,}: {_WORDS[place]}", figures[above][place], figures[below][place], target)
        for place, target in ((0, ""), (1, "≤ 10 x"), (2, "≤ 10 x"))
        for below, above in itertools.pairwise(SIZES)
    ]
    return [*(figure for size in SIZES for figure in figures[size]), *growth]


_WORDS = ("wall time", "CPU time", "peak RSS", "requests to the API for each pod", "looks at each pod through the proxy")


def _of(size: int, runs: Sequence[Run]) -> list[Figure]:
    samples = (
        tuple(run.taken.wall for run in runs),
        tuple(run.taken.cpu for run in runs),
        tuple(run.taken.rss for run in runs),
        tuple(run.asked / size for run in runs),
        tuple(run.looked / size for run in runs),
    )
    units = ("s", "s", "MB", "times", "times")
    return [
        Figure(name=f"pod test, {size:,} pods at once: {words}", samples=values, unit=unit)
        for words, values, unit in zip(_WORDS, samples, units, strict=True)
    ]


def keep_to_quota(firstlight: Sequence[str], scratch: Path) -> list[Figure]:
    """The same where RunPod takes sixty requests a minute."""
    run = cold_starts(firstlight, QUOTA_PODS, scratch, QUOTAS)
    words = f"pod test, {QUOTA_PODS} pods at once, {QUOTAS['minute']} requests a minute"
    return [
        Figure(name=f"{words}: refused with 429", samples=(run.refused,), unit="times", target="0"),
        Figure(name=f"{words}: wall time", samples=(run.taken.wall,)),
        Figure(name=f"{words}: CPU time", samples=(run.taken.cpu,)),
        Figure(name=f"{words}: requests to the API for each pod", samples=(run.asked / QUOTA_PODS,), unit="times"),
    ]


def lists(firstlight: Sequence[str], scratch: Path) -> list[Figure]:
    """`pod list` of the largest fleet."""
    with cloud(SIZES[-1]) as runpod, tempfile.TemporaryDirectory(dir=scratch) as place:
        taken = [take([*firstlight, "pod", "list"], runpod.environment, Path(place)) for _ in range(LISTS)]
    words = f"pod list, {SIZES[-1]:,} pods"
    return [
        Figure(name=f"{words}: wall time", samples=tuple(one.wall for one in taken)),
        Figure(name=f"{words}: CPU time", samples=tuple(one.cpu for one in taken)),
        Figure(name=f"{words}: peak RSS", samples=tuple(one.rss for one in taken), unit="MB"),
    ]
