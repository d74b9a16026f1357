"""Real faults on a real GPU, one command:

    python3 tests/gpu/suite.py --firstlight "python3 -IS firstlight.pyz" --out DIR

Needs root and one NVIDIA GPU, two for the cases of two; nothing but the standard library. Every case runs on a private machine (see enter.py), and
nothing of the real one changes. DIR gets four files, rewritten after every case, so that a suite that is stopped leaves
what it had: results.json, gpu-results.md (the page docs/reference/gpu-results.md), facts.json (`firstlight facts` of
every machine, by case) and logs.tar.gz (screens and journals). Exit 0 when every case that could be made passed, 1 when one
failed, 2 when there is no GPU or no root to run it with.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import dataclasses
import fnmatch
import json
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import machine as machines
import outcome as outcomes
import page
from box import Box
from cases import CASES, Case
from private import Start, start

HERE = Path(__file__).resolve().parent
SPARE = 15.0  # seconds beyond a case's own limit before its launcher is given up


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """One case's verdict: "pass", "fail" or "not made"."""

    case: Case
    verdict: str
    complaints: tuple[str, ...] = ()
    outcome: outcomes.Outcome | None = None
    doctor: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """The result as JSON-ready data."""
        return {
            "name": self.case.name,
            "story": self.case.story,
            "expected": {
                "exit": list(self.case.exits),
                "cause": self.case.cause,
                "remedy": self.case.remedy,
                "cuda": self.case.cuda,
            },
            "verdict": self.verdict,
            "complaints": list(self.complaints),
            "outcome": outcomes.to_json(self.outcome) if self.outcome else None,
            "doctor": self.doctor,
        }


class Records:
    """What the suite has so far, kept on disk after every case."""

    def __init__(self, out: Path, scratch: Path, machine: machines.Machine) -> None:
        self.out, self.scratch = out, scratch
        self.machine = machines.describe(machine)
        self.results: list[Result] = []
        self.facts: dict[str, Any] = {}
        self.lock = threading.Lock()
        self.begun = time.monotonic()

    def add(self, result: Result, facts: dict[str, Any] | None) -> None:
        """Keep one more result, say it, and write everything anew."""
        with self.lock:
            self.results.append(result)
            if facts is not None:
                self.facts[result.case.name] = facts
            print(f"[{time.monotonic() - self.begun:6.1f} s] {page.line(result)}", flush=True)
            self._write()

    def _write(self) -> None:
        order = {case.name: place for place, case in enumerate(CASES)}
        self.results.sort(key=lambda result: order[result.case.name])
        data = {"machine": self.machine, "results": [result.to_json() for result in self.results]}
        _replace(self.out / "results.json", json.dumps(data, indent=1, sort_keys=True) + "\n")
        _replace(self.out / "facts.json", json.dumps(self.facts, indent=1, sort_keys=True) + "\n")
        _replace(self.out / "gpu-results.md", page.render(self.machine, self.results))
        draft = self.out / "logs.tar.gz.draft"
        with tarfile.open(draft, "w:gz", compresslevel=1) as archive:
            archive.add(self.scratch / "cases", arcname="cases", filter=_without_caches)
        draft.replace(self.out / "logs.tar.gz")


class Suite:
    """Runs cases with one firstlight on one machine."""

    def __init__(self, firstlight: list[str], machine: machines.Machine, scratch: Path) -> None:
        self.firstlight, self.machine, self.scratch = firstlight, machine, scratch

    def run(self, case: Case) -> tuple[Result, dict[str, Any] | None]:
        """Run one case; whatever goes wrong in the making of it is its result."""
        try:
            box = case.make(self.machine)
            with self._neighbour(case):
                starts = self._start_all(case, box)
                facts, doctor = self._examine(case, box)
            return self._judge(case, starts, doctor), facts
        except machines.CannotMake as reason:
            return Result(case=case, verdict="not made", complaints=(str(reason),)), None
        except Exception as error:  # noqa: BLE001 - one broken case must not cost the others their run
            return Result(case=case, verdict="fail", complaints=(f"the suite itself: {type(error).__name__}: {error}",)), None

    def _start_all(self, case: Case, box: Box) -> list[outcomes.Outcome]:
        with concurrent.futures.ThreadPoolExecutor(case.copies) as pool:
            return list(pool.map(lambda copy: self._start(case, box, copy), range(case.copies)))

    def _start(self, case: Case, box: Box, copy: int) -> outcomes.Outcome:
        directory = self.scratch / "cases" / case.name / str(copy)
        state, record = directory / "state", directory / "app.json"
        directory.mkdir(parents=True)
        if box.user is not None:
            os.chown(directory, box.user, box.user)
        app = [self._interpreter(box), str(self.scratch / f"{case.app}_app.py"), str(record)]
        argv = [*self.firstlight, "run", "--state-dir", str(state), *case.options, "--", *app]
        begun = self._enter(box, argv, directory, case.limit)
        (directory / "screen.txt").write_text("".join(f"{at - begun.report['started']:9.3f} {text}\n" for at, text in begun.errors))
        return outcomes.read(begun.report, begun.errors, state, record)

    def _interpreter(self, box: Box) -> str:
        """A Python that the box's user may run: ours, or else the system's."""
        if box.user is None:
            return sys.executable
        plain = self.machine.box(nodes=(), user=box.user)
        for candidate in (sys.executable, "/usr/bin/python3"):
            tried = start(plain, [candidate, "-c", "pass"], environment=_environment(plain, self.scratch), directory=self.scratch)
            if tried.report.get("exit") == 0:
                return candidate
        raise machines.CannotMake(f"user {box.user} may not run any Python here")

    def _examine(self, case: Case, box: Box) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        """`firstlight facts` and `firstlight doctor` on the same machine, as it is at the start."""
        if not case.examined:
            return None, None
        box = dataclasses.replace(box, nodes=tuple(node for node in box.nodes if not node.after))
        directory = self.scratch / "cases" / case.name / "examined"
        directory.mkdir(parents=True)
        answers = []
        for verb in ("facts", "doctor"):
            begun = self._enter(box, [*self.firstlight, verb, "--format", "json"], directory, 60.0)
            (directory / f"{verb}.json").write_text(begun.output)
            try:
                answers.append({"exit": begun.report["exit"], "answer": json.loads(begun.output)})
            except ValueError:
                answers.append({"exit": begun.report["exit"], "error": "\n".join(text for _, text in begun.errors)})
        return answers[0].get("answer"), answers[1]

    def _enter(self, box: Box, argv: list[str], directory: Path, limit: float) -> Start:
        begun = start(box, argv, environment=_environment(box, directory), directory=directory, limit=limit, patience=limit + SPARE)
        if "cannot" in begun.report:
            raise machines.CannotMake(begun.report["cannot"])
        return begun

    def _judge(self, case: Case, starts: list[outcomes.Outcome], doctor: dict[str, Any] | None) -> Result:
        wrong = [complaint for outcome in starts for complaint in outcomes.complaints(case, outcome)]
        if doctor is not None:
            wrong += outcomes.doctors_complaints(case, doctor)
        wrong = list(dict.fromkeys(wrong))
        return Result(
            case=case,
            verdict="fail" if wrong else "pass",
            complaints=tuple(wrong),
            outcome=outcomes.slowest(starts),
            doctor=doctor,
        )

    @contextlib.contextmanager
    def _neighbour(self, case: Case) -> Iterator[None]:
        """Another process that holds the GPU's memory, where the case asks for one."""
        if case.memory_held is None:
            yield
            return
        program = [sys.executable, str(HERE / "hold_memory.py")]
        with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
            assert holder.stdin is not None
            assert holder.stdout is not None
            said = holder.stdout.readline().strip()
            if said != "held":
                raise machines.CannotMake(said or "cannot hold the GPU's memory: the process that should ended")
            release = threading.Timer(case.memory_held, holder.stdin.close)
            release.start()
            try:
                yield
            finally:
                release.cancel()
                with contextlib.suppress(OSError):
                    holder.stdin.close()


def _environment(box: Box, directory: Path) -> dict[str, str]:
    """Ours without what would choose GPUs, with the box's changes; a home that is the case's own."""
    chosen = ("CUDA_", "NVIDIA_", "FIRSTLIGHT_", "RUNPOD_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(chosen)}
    environment["HOME"] = str(directory)
    for name, value in box.environment.items():
        if value is None:
            environment.pop(name, None)
        else:
            environment[name] = value
    return environment


def _command(text: str, scratch: Path) -> list[str]:
    """The words of --firstlight; a one-file build is copied to where every user can read it."""
    words = shlex.split(text)
    for place, word in enumerate(words):
        if word.endswith(".pyz"):
            shutil.copy(word, scratch / "firstlight.pyz")
            words[place] = str(scratch / "firstlight.pyz")
        elif os.sep in word:
            words[place] = os.path.abspath(word)
    return words


def _without_caches(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """All but what CUDA and PyTorch keep in hidden folders of a home."""
    return None if os.path.basename(member.name).startswith(".") else member


def _replace(place: Path, text: str) -> None:
    draft = place.with_name(f"{place.name}.draft")
    draft.write_text(text)
    draft.replace(place)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run firstlight against real faults on a real GPU.")
    parser.add_argument("--firstlight", required=True, help='the command, such as "python3 -IS firstlight.pyz"')
    parser.add_argument("--out", required=True, type=Path, help="where the four files go")
    parser.add_argument("--only", action="append", metavar="PATTERN", help="cases whose name matches; may be repeated")
    parser.add_argument("--jobs", type=int, default=6, help="cases at a time, where they may share the machine (default 6)")
    parser.add_argument("--budget", type=float, default=480.0, help="seconds after which no further case is started (default 480)")
    return parser.parse_args()


def main() -> int:
    """Run the chosen cases; 0 when none failed."""
    arguments = _arguments()
    chosen = [case for case in CASES if not arguments.only or any(fnmatch.fnmatch(case.name, pattern) for pattern in arguments.only)]
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="firstlight-gpu-", ignore_cleanup_errors=True) as name:
        scratch = Path(name)
        scratch.chmod(0o755)
        (scratch / "cases").mkdir()
        for app in ("cuda_app.py", "torch_app.py"):
            shutil.copy(HERE / app, scratch / app)
        machine = machines.examine(name)
        if not machine.nodes or os.geteuid():
            print("cannot run the suite: it needs root and an NVIDIA GPU", file=sys.stderr)
            return 2
        records = Records(arguments.out, scratch, machine)
        suite = Suite(_command(arguments.firstlight, scratch), machine, scratch)
        run_all(suite, records, chosen, arguments.jobs, arguments.budget)
    verdicts = [result.verdict for result in records.results]
    print(", ".join(f"{verdicts.count(word)} {word}" for word in ("pass", "fail", "not made")), flush=True)
    return 1 if "fail" in verdicts else 0


def run_all(suite: Suite, records: Records, chosen: list[Case], jobs: int, budget: float) -> None:
    """First what runs alone, then the rest side by side; the cases that fill the GPU's memory last of all."""
    until = time.monotonic() + budget

    def do(case: Case) -> None:
        if time.monotonic() > until:
            records.add(Result(case=case, verdict="not made", complaints=("the suite's time was over",)), None)
        else:
            records.add(*suite.run(case))

    for case in chosen:
        if case.alone and case.memory_held is None:
            do(case)
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        shared = [case for case in chosen if not case.alone]
        list(pool.map(do, sorted(shared, key=lambda case: not case.waits)))
    for case in chosen:
        if case.memory_held is not None:
            do(case)


if __name__ == "__main__":
    sys.exit(main())
