"""What runs beside the app: before the GPU is ready, apart from the app's output and readiness, started again by its own policy."""

from __future__ import annotations

import os
import shlex
import signal
from pathlib import Path

import pytest

from .conftest import OBEDIENT, Starter, eventually
from .test_boot import journal, rehearse
from .test_lives import of

NO_GPU = ("--gpus", "none")


def said_by(path: Path) -> str:
    """A companion that writes its words into a file at once, and stays."""
    return f"sh -c 'echo well >{path}.new; mv {path}.new {path}; exec sleep 1000'"


def until(path: Path) -> str:
    """A script that waits for a file."""
    return f"until test -e {path}; do sleep 0.01; done"


def test_a_companion_runs_before_the_gpu_is_ready(tmp_path: Path) -> None:
    # The node comes late, so that the GPU is waited for; the companion is long there when the app comes.
    seen = tmp_path / "seen"
    done = rehearse("uvm-node-late", tmp_path / "state", "--with", said_by(seen), app=("cat", str(seen)))
    assert (done.returncode, done.stdout) == (0, "well\n"), done.stderr
    kinds = [event["kind"] for event in journal(tmp_path / "state")]
    assert kinds.index("companion-started") < kinds.index("wait") < kinds.index("app-started")


def test_a_companion_runs_through_a_hold(start: Starter, tmp_path: Path) -> None:
    # An image's sshd must be there for the person who is to look.
    seen = tmp_path / "seen"
    options = ("--gpus", "all", "--attempts", "1", "--on-failure", "hold", "--with", said_by(seen))
    boot = start("echo", "started", options=options, env={**os.environ, "RUNPOD_GPU_COUNT": "1"})
    boot.says("holding: ")
    eventually(seen.exists)
    assert not of(boot.events(), "companion-exited")
    boot.send(signal.SIGTERM)
    assert boot.finish()[:2] == (143, b"")


def test_its_output_is_apart_from_the_apps(start: Starter, tmp_path: Path) -> None:
    mark, logs = tmp_path / "mark", tmp_path / "logs"
    companion = f"sh -c 'echo beside; echo beside too >&2; touch {mark}; exec sleep 1000'"
    app = start("sh", "-c", f"{until(mark)}; echo app", options=[*NO_GPU, "--with", companion, "--log-dir", str(logs)])
    assert app.finish() == (0, b"app\n", b"")
    assert (logs / "app.log").read_text().splitlines()[-1] == "app"
    assert (logs / "sh.log").read_text() == "beside\nbeside too\n"


def test_each_has_a_name_of_its_own(start: Starter, tmp_path: Path) -> None:
    config = tmp_path / "firstlight.toml"
    config.write_text('[companions.named]\ncommand = ["sleep", "1000"]\n')
    app = start(*OBEDIENT, options=[*NO_GPU, "--config", str(config), "--with", "sleep 1000", "--with", "/bin/sleep 1001"])
    app.line()
    eventually(lambda: len(of(app.events(), "companion-started")) == 3)
    assert [event["name"] for event in of(app.events(), "companion-started")] == ["sleep", "sleep~2", "named"]
    app.send(signal.SIGTERM)
    assert app.code() == 7


def test_one_that_fails_is_started_again_with_pauses_that_grow(start: Starter, tmp_path: Path) -> None:
    count, mark = tmp_path / "count", tmp_path / "mark"
    companion = f"sh -c 'echo x >>{count}; test $(wc -l <{count}) -lt 4 && exit 9; touch {mark}; exec sleep 1000'"
    options = (*NO_GPU, "--restart-delay", "10ms", "--restart-delay-max", "20ms", "--with", companion)
    app = start("sh", "-c", until(mark), options=options)
    code, _, error = app.finish()
    ends = of(app.events(), "companion-exited")[:3]
    assert code == 0
    assert [event["code"] for event in ends] == [9, 9, 9]
    for event, delay in zip(ends, (0.01, 0.02, 0.02), strict=True):
        assert delay <= event["delay"] <= delay * 1.1
    assert error.startswith(b"firstlight: the companion sh has ended with exit code 9; it is started again in 0.0 s\n")


@pytest.mark.parametrize(
    ("policy", "script", "starts"),
    [("never", "exit 9", 1), ("on-failure", "exit 0", 1), ("always", "test $(wc -l <COUNT) -lt 3 || exec sleep 1000", 3)],
)
def test_it_is_started_again_by_its_own_policy(start_plainly: Starter, tmp_path: Path, policy: str, script: str, starts: int) -> None:
    count, config = tmp_path / "count", tmp_path / "firstlight.toml"
    script = f"echo x >>{count}; {script.replace('COUNT', str(count))}"
    config.write_text(f"[companions.one]\ncommand = ['sh', '-c', '''{script}''']\nrestart = '{policy}'\n")
    app = start_plainly(*OBEDIENT, options=[*NO_GPU, "--restart-delay", "10ms", "--config", str(config)])
    app.line()
    eventually(lambda: len(of(app.events(), "companion-started")) == starts)
    eventually(lambda: len(of(app.events(), "companion-exited")) == (starts if policy != "always" else starts - 1))
    app.send(signal.SIGTERM)
    assert app.code() == 7
    assert len(of(app.events(), "companion-started")) == starts
    assert len(count.read_text().split()) == starts


@pytest.mark.parametrize(("command", "code"), [("no-such-command", 127), ("/etc/passwd", 126)])
def test_one_that_cannot_be_started_is_said_and_harms_nothing(start: Starter, command: str, code: int) -> None:
    app = start("echo", "well", options=[*NO_GPU, "--with", command])
    ended, output, error = app.finish()
    assert (ended, output) == (0, b"well\n")
    assert error.startswith(b"firstlight: cannot start ")
    assert error.count(b"\n") == 1
    (exited,) = of(app.events(), "companion-exited")
    assert (exited["code"], exited["delay"]) == (code, None)


def test_it_is_no_part_of_readiness(start: Starter) -> None:
    app = start(*OBEDIENT, options=[*NO_GPU, "--restart-delay", "1h", "--restart-delay-max", "1h", "--with", "sh -c 'exit 1'"])
    app.line()
    eventually(lambda: of(app.events(), "companion-exited") and of(app.events(), "ready"))
    assert not of(app.events(), "unready")
    app.send(signal.SIGTERM)
    assert app.code() == 7


def test_it_is_stopped_after_the_app(start: Starter, tmp_path: Path) -> None:
    # The app, when it is told to stop, still finds its companion; that is told only when the app has ended.
    order = tmp_path / "order"
    companion = f"""sh -c 'trap "echo companion >>{order}; exit 0" TERM; echo up >{order}; while :; do sleep 0.01; done'"""
    script = f"trap 'sleep 0.1; echo app >>{order}; exit 4' TERM; {until(order)}; echo ready; while :; do sleep 0.01; done"
    app = start("sh", "-c", script, options=[*NO_GPU, "--with", companion])
    app.line()
    app.send(signal.SIGTERM)
    assert app.code() == 4
    assert order.read_text() == "up\napp\ncompanion\n"


def test_a_stubborn_one_is_killed_with_its_group(start: Starter, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    stubborn = f"{shlex.join(OBEDIENT)} --stubborn"
    companion = f"sh -c '{stubborn} >>{pids} & {stubborn} >>{pids} & wait'"
    app = start("sh", "-c", f'until test "$(grep -c ready {pids})" = 2; do sleep 0.01; done', options=[*NO_GPU, "--with", companion])
    assert app.code() == 0
    if not app.is_pid1:
        for line in pids.read_text().splitlines():
            if line.startswith("ready"):
                pid = int(line.removeprefix("ready (pid: ").removesuffix(")"))
                eventually(lambda pid=pid: not Path(f"/proc/{pid}").exists())


def test_it_has_no_terminal_and_an_empty_input(start_plainly: Starter, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    companion = f"sh -c 'cat >{seen}.new; test -t 0 || echo none >>{seen}.new; mv {seen}.new {seen}; exec sleep 1000'"
    app = start_plainly("sh", "-c", until(seen), options=[*NO_GPU, "--with", companion], stdin=-1)
    assert app.code() == 0
    assert seen.read_text() == "none\n"
