"""Let firstlight live through a hard hour, as PID 1 of a namespace, and look at what must hold throughout and at the end.

    soak.py [--time 1h] [--seed N] [--to FOLDER]        root; SOAK=10m make soak

In the first half everything is hit: the app, its companion, and our own processes beside PID 1. In the second half our own are left alone, so
that it can be seen in its last two thirds whether they grow. The seed, which is printed, fixes the choices of both, not the moments at which they fall.

Ten minutes are the least: all that keeps a bounded part of the journal in memory must have filled up in the first half, and some of our own
may wait a minute for their next start.

FOLDER (build/soak) gets soak.json, soak.txt and the journal. It ends with 1 where something did not hold. docs/reference/soak.md is made from
tests/soak/soak.json: copy the one there that is to be kept.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import observed
import report
from harm import Harm
from printed import Printed

ROOT = Path(__file__).resolve().parents[2]
APP = ROOT / "testing/soaking_app.py"
FIRSTLIGHT = [str(Path(sys.executable).parent / "firstlight")]
GRACE = 8.0  # seconds: the default of --grace
PERIOD = 0.25  # seconds from one look, and one harm, to the next; in the first half four times as fast
VOLUME_SIZE = "256m"
UNITS = {"s": 1, "m": 60, "h": 3600}

SETTINGS = """
restart = "always"
restart-delay = "0.05s"
restart-delay-max = "0.05s"
restart-limit = 0
log-size = "1M"
log-files = 3

[checks.health]
http = "http://127.0.0.1:{port}/"
level = "ready"
period = "0.2s"
start-interval = "0.05s"
threshold = 2

[companions.beside]
command = ["sh", "-c", "while :; do echo companion-of-the-soak; sleep 0.1; done"]
restart = "always"
"""


class Load(threading.Thread):
    """Asks the agent without a pause, and keeps what it answers."""

    PATHS = ("/readyz", "/livez", "/startupz", "/healthz", "/metrics", "/status.json", "/")

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.port = port
        self.answers: Counter[str] = Counter()
        self.seconds: list[float] = []
        self.ready: list[float] = []  # when /readyz said yes, monotonic
        self.stopped = threading.Event()

    def run(self) -> None:
        while not self.stopped.is_set():
            for path in self.PATHS:
                begun = time.monotonic()
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as response:
                        response.read()
                        self.answers[f"{path} {response.status}"] += 1
                        if path == "/readyz":
                            self.ready.append(begun)
                except urllib.error.HTTPError as error:
                    self.answers[f"{path} {error.code}"] += 1
                except (OSError, http.client.HTTPException):  # it was killed
                    self.answers["no answer"] += 1
                    self.stopped.wait(0.1)
                    continue
                self.seconds.append(time.monotonic() - begun)
            self.stopped.wait(0.05)


class Soak:
    """One soak. `folder` is for what it needs meanwhile."""

    def __init__(self, seconds: float, seed: int, folder: Path) -> None:
        self.seconds = seconds
        self.folder = folder
        self.counts = folder / "counts"
        self.volume = folder / "volume"
        self.chance = random.Random(seed)
        self.harm = Harm(self.chance, self.volume, self.counts)
        self.observed = observed.Observed()
        self.streams = [Printed(1), Printed(2)]
        self.complaints: list[str] = []
        self.result: dict[str, Any] = {"seed": seed, "seconds": seconds}

    def prepare(self) -> dict[str, str]:
        """A volume, and the environment in which it can hang."""
        self.counts.mkdir(parents=True)
        self.volume.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={VOLUME_SIZE}", "tmpfs", self.volume], check=True)
        library = self.folder / "hanging_volume.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", ROOT / "testing/hanging_volume.c", "-o", library, "-ldl"], check=True)
        return {"LD_PRELOAD": str(library), "HANGING": str(self.volume)}

    def run(self) -> None:
        """From the start to the end."""
        environment = self.prepare()
        ports = [free_port(), free_port()]
        file = self.folder / "firstlight.toml"
        file.write_text(SETTINGS.format(port=ports[0]))
        command = [
            *("unshare", "--pid", "--fork", "--mount-proc", "--kill-child"),
            *(*FIRSTLIGHT, "run", "--gpus=none", "--quiet", f"--config={file}", f"--serve=127.0.0.1:{ports[1]}"),
            *(f"--state-dir={self.volume / 'state'}", f"--log-dir={self.volume / 'logs'}", f"--run-dir={self.folder / 'run'}"),
            *("--", sys.executable, "-I", "-S", str(APP), str(ports[0]), str(self.counts)),
        ]
        popen = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **environment}
        )
        readers = [
            threading.Thread(target=stream.read, args=(pipe,), daemon=True)
            for stream, pipe in zip(self.streams, (popen.stdout, popen.stderr), strict=True)
        ]
        load = Load(ports[1])
        for thread in (*readers, load):
            thread.start()
        try:
            self.live(popen)
            load.stopped.set()
            self.end(popen)
        finally:
            popen.kill()
            popen.wait()
        for thread in readers:
            thread.join()
        self.judge(load)

    def live(self, popen: subprocess.Popen[bytes]) -> None:
        """Harm and look, until the time is over."""
        begun = time.monotonic()
        while (at := time.monotonic() - begun) < self.seconds:
            if popen.poll() is not None:
                raise SystemExit(f"firstlight has ended with exit code {popen.returncode}: {self.streams[1].complaints}")
            roles = self.observed.look(popen.pid, at)
            self.harm.strike(roles, residents=at < self.seconds / 2)
            time.sleep(PERIOD / 4 if at < self.seconds / 2 else PERIOD)
        self.harm.recover()

    def end(self, popen: subprocess.Popen[bytes]) -> None:
        """Stop it once the app is ready, as it must become."""
        deadline = time.monotonic() + 60
        while not self.is_ready() and time.monotonic() < deadline:
            time.sleep(PERIOD)
        if not self.is_ready():
            self.complaints.append("the app did not become ready within 60 s after the last harm")
        asked = time.monotonic()
        os.kill(self.observed.core, signal.SIGTERM)
        try:
            code = popen.wait(GRACE + 20)
        except subprocess.TimeoutExpired:
            self.complaints.append(f"it did not stop within {GRACE + 20:g} s")
            return
        self.result["stop"] = {"code": code, "seconds": round(time.monotonic() - asked, 3)}
        if code != 0:
            self.complaints.append(f"it ended with exit code {code}, not with the app's 0")
        if self.result["stop"]["seconds"] > GRACE:
            self.complaints.append(f"it took {self.result['stop']['seconds']} s to stop")

    def events(self) -> list[dict[str, Any]]:
        """The journal, each event once, by its number."""
        found: dict[int, dict[str, Any]] = {}
        for file in self.volume.glob("state/boots/*.jsonl"):
            for line in file.read_bytes().splitlines():
                try:
                    event = json.loads(line)
                except ValueError:
                    continue  # a writer was killed while it wrote, or the volume was full: the next one has written it again
                found[event["n"]] = event
        return [found[number] for number in sorted(found)]

    def is_ready(self) -> bool:
        """Whether the journal says that the app is ready."""
        last = [event["kind"] for event in self.events() if event["kind"] in ("app-started", "ready", "unready")]
        return last[-1:] == ["ready"]

    def judge(self, load: Load) -> None:
        """Say what did not hold."""
        events = self.events()
        missing = sorted(set(range(events[-1]["n"] + 1)) - {event["n"] for event in events})
        if missing:
            self.complaints.append(f"{len(missing)} events are missing from the journal, such as {missing[:5]}")
        if events[-1]["kind"] != "end":
            self.complaints.append(f"the last event is {events[-1]['kind']}, not end")
        self.complaints += report.untrue_readiness(events, self.counts)
        self.complaints += report.untrue_answers(load.ready, self.harm.sick)
        for stream in self.streams:
            stream.compare(self.counts)
            self.complaints += stream.complaints
        self.complaints += self.observed.complaints
        growths = observed.growths(self.observed, self.seconds * 2 / 3, self.seconds / 4)
        self.complaints += report.leaks(growths)
        self.result |= {
            "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            "machine": {"cores": os.cpu_count(), "kernel": platform.release(), "Python": platform.python_version()},
            "harm": dict(sorted(self.harm.done.items())),
            "events": len(events),
            "kinds": dict(Counter(event["kind"] for event in events)),
            "lives": sum(event["kind"] == "app-started" for event in events),
            "lines": [stream.lines for stream in self.streams],
            "bytes": [stream.bytes for stream in self.streams],
            "orphans": next((event["orphans_reaped"] for event in reversed(events) if event["kind"] == "app-exited"), 0),
            "processes": self.observed.most,
            "growth": [asdict(growth) for growth in growths],
            "answers": dict(sorted(load.answers.items())),
            "answer_seconds": report.percentiles(load.seconds),
            "complaints": self.complaints,
        }


def free_port() -> int:
    """A port that is free."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def duration(text: str) -> float:
    """Seconds out of 10m, 1h, 90s."""
    return float(text[:-1]) * UNITS[text[-1]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--time", type=duration, default="1h", metavar="TIME", help="how long, as 90s, 10m or 1h (the default)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32), help="repeats the choices of another soak")
    parser.add_argument("--to", type=Path, default=ROOT / "build/soak", metavar="FOLDER", help="where the results go")
    options = parser.parse_args()
    print(f"soak: {options.time:g} s, --seed {options.seed}", file=sys.stderr, flush=True)
    shutil.rmtree(options.to, ignore_errors=True)
    folder = options.to / "meanwhile"
    soak = Soak(options.time, options.seed, folder.resolve())
    try:
        soak.run()
    finally:
        for journal in soak.volume.glob("state/boots/*.jsonl"):
            shutil.copy(journal, options.to / "journal.jsonl")
        subprocess.run(["umount", "-l", soak.volume], check=False)
    (options.to / "soak.json").write_text(json.dumps(soak.result, indent=1) + "\n")
    text = report.text(soak.result)
    (options.to / "soak.txt").write_text(text)
    print(text)
    return 1 if soak.complaints else 0


if __name__ == "__main__":
    sys.exit(main())
