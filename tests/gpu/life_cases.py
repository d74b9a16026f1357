"""A supervised app on a real GPU: it computes under `firstlight run`, and then its machine falls sick, or it does itself.

    python3 tests/gpu/life_cases.py --firstlight "python3 -IS firstlight.pyz" --out DIR     as root: every case, about two minutes
    python3 tests/gpu/life_cases.py --alone                                            one look after the other, by itself

Needs the standard library; the command under test needs the libraries of its agent, which firstlight.pyz brings. DIR gets life-results.json and, by case, the
journal and the app's lines. Each case is a process of its own, in a mount and PID namespace and a cgroup of its own where it needs one;
nothing of the machine changes. Times are reported and never judged. Exit 0: every case that could be made passed; 1: one failed; 2: no
GPU, or no root.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import glob
import json
import os
import resource
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import device_cgroup
import enter
import kernel
import lives_page
import machine as machines

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "src"))

from firstlight.system.loop import program  # noqa: E402 - the command under test may be the one file

PERIOD = 4.0  # seconds between looks
PATIENCE = 60.0  # seconds after which something is given up
NVIDIA_MAJOR = 195
CLOCK_TICK = os.sysconf("SC_CLK_TCK")
OTHER_HOST = 75


@dataclasses.dataclass
class Result:
    """What came of a case: "pass", "fail" or "not made", why, and what was measured."""

    name: str
    verdict: str = "pass"
    complaints: list[str] = dataclasses.field(default_factory=list)
    measured: dict[str, Any] = dataclasses.field(default_factory=dict)

    def complain(self, words: str) -> None:
        self.verdict = "fail"
        self.complaints.append(words)


class Running:
    """`firstlight run` with an app that computes, what they print, and the journal."""

    def __init__(
        self,
        firstlight: list[str],
        out: Path,
        *,
        group: str | None = None,
        own_pids: bool = False,
        options: tuple[str, ...] = (),
        app: tuple[str, ...] = ("computing_app.py",),
    ) -> None:
        self.app = str(HERE / app[0])
        self.run_dir = out / "run"
        self.state = out / "state"
        self.rounds = 0
        self.words: list[str] = []
        join = ["sh", "-c", f'echo $$ > {shlex.quote(group + "/cgroup.procs")} && exec "$@"', "sh"] if group else []
        pids = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"] if own_pids else []
        run = [
            *firstlight,
            "run",
            "--state-dir",
            str(self.state),
            "--watch",
            f"{PERIOD:g}s",
            "--holder",
            "5s",
            "--run-dir",
            str(self.run_dir),
            *options,
            "--",
        ]
        command = [*join, *pids, *run, sys.executable, self.app, *app[1:]]
        self.popen = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
        )
        for stream, take in ((self.popen.stdout, self._count), (self.popen.stderr, self._hear)):
            threading.Thread(target=self._read, args=(stream, take), daemon=True).start()

    def _read(self, stream: Any, take: Callable[[str], None]) -> None:
        for line in stream:
            take(line.rstrip("\n"))

    def _count(self, line: str) -> None:
        if line.startswith("computed "):
            self.rounds = int(line.split()[1])
        else:
            self.words.append(f"app: {line}")

    def _hear(self, line: str) -> None:
        self.words.append(line)

    def events(self, kind: str) -> list[dict[str, Any]]:
        """The journal's events of a kind so far."""
        found = []
        for file in sorted(self.state.glob("boots/*.jsonl")):
            for line in file.read_text(errors="replace").splitlines():
                with contextlib.suppress(ValueError):
                    found.append(json.loads(line))
        return [event for event in found if event.get("kind") == kind]

    def wait(self, what: str, condition: Callable[[], Any], patience: float = PATIENCE) -> Any:
        """Whatever `condition` gives once it is true. Raises TimeoutError, and RuntimeError where firstlight has ended."""
        until = time.monotonic() + patience
        while not (answer := condition()):
            if time.monotonic() > until:
                raise TimeoutError(f"{what} did not come within {patience:.0f} s; said: {self.words[-5:]}")
            if self.popen.poll() is not None:
                raise RuntimeError(f"firstlight ended with {self.popen.returncode} before {what}; said: {self.words[-5:]}")
            time.sleep(0.02)
        return answer

    def computes(self) -> None:
        """Wait until the app has computed two rounds more, the first of which may have begun before."""
        rounds = self.rounds
        self.wait("a further round of the app", lambda: self.rounds >= rounds + 2)

    def core(self) -> int:
        """The pid of firstlight itself: the parent of the app."""
        for entry in glob.glob("/proc/[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                words = Path(entry).read_bytes().split(b"\0")
                pid = int(entry.split("/")[2])
                if words[1:2] == [self.app.encode()] and self._below(pid):
                    return _parent(pid)
        raise RuntimeError("the app is not among our processes")

    def _below(self, pid: int) -> bool:
        while pid > 1 and pid != self.popen.pid:
            pid = _parent(pid)
        return pid == self.popen.pid

    def end(self) -> int:
        """Stop it; its exit code."""
        with contextlib.suppress(OSError, RuntimeError):
            os.kill(self.core(), 15)
        try:
            return self.popen.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            return self.popen.wait()


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _cpu(pid: int) -> float:
    """CPU seconds of a process and of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / CLOCK_TICK


@contextlib.contextmanager
def running(result: Result, firstlight: list[str], out: Path, **options: Any) -> Iterator[Running]:
    """An app that computes, under a firstlight that watches; both gone afterwards."""
    started = Running(firstlight, out, **options)
    try:
        if "app" not in options:
            started.wait("the app's second round", lambda: started.rounds >= 2)
        yield started
    finally:
        result.measured["rounds"] = started.rounds
        result.measured["said"] = started.words
        result.measured["conditions"] = started.events("condition")
        started.end()


def noticed(result: Result, started: Running, begun: float, condition: str, fault: str) -> None:
    """Wait for the condition, judge it, and see the app go on."""
    event = started.wait(f"the condition {condition}", lambda: started.events("condition"))[0]
    result.measured["noticed after, in periods"] = round((time.monotonic() - begun) / PERIOD, 2)
    names = [found["fault"] for found in event["faults"]]
    if (event["condition"], names[:1]) != (condition, [fault]):
        result.complain(f"said {event['condition']}: {', '.join(names)}; not {condition}: {fault}")
    started.computes()


# --- the cases --------------------------------------------------------------------------------------------------------


def device_rules(result: Result, firstlight: list[str], out: Path) -> None:
    """New processes lose the right to the GPU; the app goes on."""
    group = device_cgroup.create_open(NVIDIA_MAJOR)
    try:
        with running(result, firstlight, out, group=group) as started:
            begun = time.monotonic()
            device_cgroup.deny(group, NVIDIA_MAJOR)
            noticed(result, started, begun, "degraded", "device-cgroup-denies")
    finally:
        device_cgroup.remove(group)


def device_rules_and_leave(result: Result, firstlight: list[str], out: Path) -> None:
    """The same, and the policy is to leave: exit 75."""
    group = device_cgroup.create_open(NVIDIA_MAJOR)
    try:
        with running(result, firstlight, out, group=group, options=("--on-gpu-fault", "exit")) as started:
            device_cgroup.deny(group, NVIDIA_MAJOR)
            code = started.popen.wait(PATIENCE)
            result.measured["exit"] = code
            if code != OTHER_HOST:
                result.complain(f"exit {code}, not {OTHER_HOST}")
    finally:
        device_cgroup.remove(group)


def node_removed(result: Result, firstlight: list[str], out: Path) -> None:
    """The GPU's node goes, in a /dev of our own, and comes again."""
    machine = machines.examine(str(out))
    kernel.unshare(kernel.CLONE_NEWNS)
    enter.keep_mounts_private()
    enter.furnish(machine.box())
    node = machine.node(machine.gpu_node)
    with running(result, firstlight, out) as started:
        begun = time.monotonic()
        os.unlink(f"/dev/{node.name}")
        noticed(result, started, begun, "degraded", "gpu-node-missing")
        os.umask(0)
        enter.make_node("/dev", node)
        event = started.wait("the second condition", lambda: started.events("condition")[1:])[0]
        if event["condition"] != "healthy":
            result.complain(f"the node is there again, and the condition is {event['condition']}")


def healthy(result: Result, firstlight: list[str], out: Path) -> None:
    """Nothing is wrong: nothing is said, and what the looks cost."""
    with running(result, firstlight, out) as started:
        started.wait("the holder's end", lambda: started.events("holder"))
        core = started.core()
        time.sleep(0.5)
        before, begun = _cpu(core), time.monotonic()
        time.sleep(3.2 * PERIOD)
        seconds = time.monotonic() - begun
        spent = _cpu(core) - before
        result.measured["CPU of the core and its looks, ms a look"] = round(spent / (seconds / PERIOD) * 1e3, 1)
        result.measured["at the default period of 30 s, % of one core"] = round(spent / (seconds / PERIOD) / 30 * 100, 4)
        if started.events("condition"):
            result.complain("something was said of a healthy machine")
        started.computes()


def stranger(result: Result, firstlight: list[str], out: Path) -> None:
    """A process outside of the app's PID namespace takes nearly all of the GPU's memory."""
    with running(result, firstlight, out, own_pids=True) as started:
        holder = subprocess.Popen([sys.executable, str(HERE / "hold_memory.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            said = holder.stdout.readline().strip()
            if said != "held":
                raise machines.CannotMake(said or "cannot hold the GPU's memory")
            result.measured["what NVML shows inside"] = _inside(started.core())
            noticed(result, started, time.monotonic(), "degraded", "memory-held-by-strangers")
        finally:
            holder.communicate()


def _inside(pid: int) -> Any:
    """What a look started in the namespaces of a process prints of the first GPU."""
    done = subprocess.run(["nsenter", "-t", str(pid), "-p", "-m", *look_command([])], capture_output=True, text=True, check=False)
    steps = [json.loads(line) for line in done.stdout.splitlines()]
    return next((step for step in steps if step["step"] == "gpu"), done.stderr or steps)


def second_life(result: Result, firstlight: list[str], out: Path, how: str, cause: str) -> None:
    """The first life goes wrong; the GPU is proven again, and the second one computes."""
    app = ("sick_app.py", how)
    with running(result, firstlight, out, app=app, options=("--restart", "on-failure")) as started:
        started.wait("a round of the second life", lambda: started.rounds >= 2)
        restarts = started.events("restart")
        result.measured["restarts"] = [{key: event[key] for key in ("cause", "to", "reason", "s")} for event in restarts]
        result.measured["proofs"] = len(started.events("proof"))
        if [(event["cause"], event["to"]) for event in restarts] != [(cause, "gpu")]:
            result.complain(f"the restarts are {restarts}")
        if len(started.events("proof")) < 2:
            result.complain("the GPU was not proven again")


def cuda_death(result: Result, firstlight: list[str], out: Path) -> None:
    """A kernel of the app fails for good, and the app dies of it."""
    second_life(result, firstlight, out, "dies", "poisoned")


def cuda_poisoned(result: Result, firstlight: list[str], out: Path) -> None:
    """The same, and the app lives on with a broken context."""
    second_life(result, firstlight, out, "stays", "poisoned")


def torch_too_early(result: Result, firstlight: list[str], out: Path) -> None:
    """PyTorch was asked while a node was away: it warns, lives on, and would never see the GPU again."""
    second_life(result, firstlight, out, "too-early", "poisoned")


def hold_and_retry(result: Result, firstlight: list[str], out: Path) -> None:
    """The GPU's node is missing: given up and held, while a companion runs; then it is there, and somebody says retry."""
    machine = machines.examine(str(out))
    kernel.unshare(kernel.CLONE_NEWNS)
    enter.keep_mounts_private()
    enter.furnish(machine.box())
    node = machine.node(machine.gpu_node)
    os.unlink(f"/dev/{node.name}")
    options = ("--on-failure", "hold", "--attempts", "2", "--delay", "0.5s", "--with", "sleep 1000")
    # Without CAP_MKNOD: firstlight would else make the node by itself.
    bare = ["setpriv", "--bounding-set", "-mknod", "--inh-caps", "-mknod", *firstlight]
    with running(result, bare, out, app=("sick_app.py", "busy"), options=options) as started:
        event = started.wait("the hold", lambda: started.events("hold"))[0]
        result.measured["held because"] = event["reason"]
        if not started.events("companion-started"):
            result.complain("the companion does not run")
        started.wait("the control socket", lambda: any(event.get("control") for event in started.events("agent")))
        control = [*firstlight, "ctl", "--run-dir", str(started.run_dir)]
        result.measured["status while held"] = subprocess.run([*control, "status"], capture_output=True, text=True, check=False).stdout
        os.umask(0)
        enter.make_node("/dev", node)
        done = subprocess.run([*control, "retry"], capture_output=True, text=True, check=False)
        if done.returncode:
            result.complain(f"retry ended with {done.returncode}: {done.stderr}")
        started.wait("a round of the app", lambda: started.rounds >= 2)


CASES = {
    case.__name__.replace("_", "-"): case
    for case in (
        healthy,
        device_rules,
        node_removed,
        stranger,
        device_rules_and_leave,
        cuda_death,
        cuda_poisoned,
        torch_too_early,
        hold_and_retry,
    )
}


# --- running them -----------------------------------------------------------------------------------------------------


def run_case(name: str, firstlight: list[str], out: Path) -> Result:
    """One case, in this process."""
    result = Result(name)
    try:
        CASES[name](result, firstlight, out)
    except machines.CannotMake as reason:
        result.verdict, result.complaints = "not made", [str(reason)]
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        result.complain(f"{type(error).__name__}: {error}")
    return result


def in_a_process_of_its_own(name: str, command: list[str], limit: float = 4 * PATIENCE) -> Result:
    """Run a program again for one case, since it may leave namespaces for good; it prints the result last."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=limit)
        if done.returncode:
            return Result(name, "fail", [f"the case itself: {done.stderr[-500:]}"])
        return Result(**json.loads(done.stdout.splitlines()[-1]))
    except subprocess.TimeoutExpired as error:
        return Result(name, "fail", [f"the case itself: {error}"])


def look_command(paths: list[str]) -> list[str]:
    """The command line of one look, as the core starts it."""
    return program("watch_gpu", "-", *paths, confined=True)


def alone(count: int) -> int:
    """Look by itself, and print what each look says and costs."""
    nodes = [path for path in ("/dev/nvidiactl", "/dev/nvidia-uvm", *sorted(glob.glob("/dev/nvidia[0-9]*"))) if os.path.exists(path)]
    for _ in range(count):
        before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        done = subprocess.run(look_command(nodes), capture_output=True, text=True, check=False)
        after, took = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - begun
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(done.stdout + done.stderr, end="")
        print(json.dumps({"exit": done.returncode, "CPU ms": round(cpu * 1e3, 1), "wall ms": round(took * 1e3, 1)}), flush=True)
    return 0


def main() -> int:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description="Lives of an app on a real GPU.")
    parser.add_argument("--firstlight", default=f"{sys.executable} -m firstlight")
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir()) / "firstlight-life-cases")
    parser.add_argument("--only", action="append", choices=CASES)
    parser.add_argument("--alone", action="store_true")
    parser.add_argument("--looks", type=int, default=10)
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    firstlight = [os.path.abspath(word) if os.path.isfile(word) else word for word in shlex.split(arguments.firstlight)]
    if arguments.alone:
        return alone(arguments.looks)
    if arguments.case:
        print(json.dumps(dataclasses.asdict(run_case(arguments.case, firstlight, arguments.out))))
        return 0
    if os.geteuid() or not os.path.exists("/dev/nvidiactl"):
        print("cannot run the cases: they need root and an NVIDIA GPU", file=sys.stderr)
        return 2
    results = []
    for name in arguments.only or CASES:
        out = arguments.out / name
        out.mkdir(parents=True, exist_ok=True)
        again = [sys.executable, str(HERE / "life_cases.py"), "--case", name, "--firstlight", shlex.join(firstlight), "--out", str(out)]
        results.append(in_a_process_of_its_own(name, again))
        shown = {key: value for key, value in results[-1].measured.items() if key not in ("said", "conditions")}
        print(f"{results[-1].verdict:8} {name}: {'; '.join(results[-1].complaints) or shown}", flush=True)
        data = [dataclasses.asdict(result) for result in results]
        (arguments.out / "life-results.json").write_text(json.dumps(data, indent=1) + "\n")
        stories = {case: " ".join((function.__doc__ or "").split()) for case, function in CASES.items()}
        page = lives_page.render(machines.describe(machines.examine(str(arguments.out))), results, stories, PERIOD)
        (arguments.out / "gpu-lives.md").write_text(page)
    return 1 if any(result.verdict == "fail" for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
