"""A whole boot on a simulated machine, through the installed command: what it says, what the app gets, what the journal keeps."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FIRSTLIGHT = str(Path(sys.executable).parent / "firstlight")
SHOW_ENVIRONMENT = ("sh", "-c", 'echo "${CUDA_DEVICE_ORDER-none} ${CUDA_VISIBLE_DEVICES-none} ${LD_PRELOAD:+preload}"')


def rehearse(
    scenario: str, folder: Path, *options: str, app: tuple[str, ...] = ("true",), **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run `app` on the scenario's machine; the journal lies in `folder`."""
    words = [FIRSTLIGHT, "rehearse", scenario, "--state-dir", str(folder), *options, "--", *app]
    return subprocess.run(words, env={**os.environ, **variables}, capture_output=True, text=True, check=False, timeout=100)


def journal(folder: Path) -> list[dict[str, Any]]:
    (boot,) = (folder / "boots").iterdir()
    return [json.loads(line) for line in boot.read_text().splitlines()]


def test_a_healthy_boot_says_one_line_and_keeps_every_event(tmp_path: Path) -> None:
    done = rehearse("healthy", tmp_path)
    assert done.returncode == 0
    assert done.stderr.count("\n") == 1, done.stderr
    events = journal(tmp_path)
    assert [event["n"] for event in events] == list(range(len(events)))
    assert [event["kind"] for event in events] == [
        "boot",
        "stage",
        "diagnosis",
        "proof",
        "app-started",
        "ready",
        "unready",
        "app-exited",
        "end",
    ]


def test_a_quiet_boot_says_nothing(tmp_path: Path) -> None:
    assert rehearse("healthy", tmp_path, "--quiet").stderr == ""


def test_the_holder_lets_go_when_its_time_is_over(tmp_path: Path) -> None:
    # The app runs until the journal has the holder's line.
    wait = f'until grep -q \'"kind":"holder"\' {tmp_path}/boots/*.jsonl; do sleep 0.1; done'
    rehearse("healthy", tmp_path, "--holder", "100ms", app=("sh", "-c", wait))
    assert [event["released"] for event in journal(tmp_path) if event["kind"] == "holder"] == ["time"]


def test_the_device_order_is_that_of_nvidia_smi(tmp_path: Path) -> None:
    assert rehearse("healthy", tmp_path, app=SHOW_ENVIRONMENT).stdout.split()[0] == "PCI_BUS_ID"


def test_a_device_order_that_the_user_chose_stays(tmp_path: Path) -> None:
    scenario = tmp_path / "chosen.toml"
    scenario.write_text(
        'description = "Well, and the user chose an order."\n[environment]\nCUDA_DEVICE_ORDER = "FASTEST_FIRST"\n[expect]\nexit = 0\n'
    )
    assert rehearse(str(scenario), tmp_path, app=SHOW_ENVIRONMENT).stdout.split()[0] == "FASTEST_FIRST"


def test_a_healthy_machine_of_several_gpus_hides_none(tmp_path: Path) -> None:
    assert rehearse("healthy-4-gpus", tmp_path, app=SHOW_ENVIRONMENT).stdout.split()[1] == "none"


@pytest.mark.parametrize(("gpus", "code", "shown"), [("any", 0, 3), ("3", 0, 3), ("4", 75, 0), ("all", 75, 0)])
def test_one_lost_gpu_of_four_is_left_out_where_the_user_lets_it(tmp_path: Path, gpus: str, code: int, shown: int) -> None:
    done = rehearse("one-lost-gpu-of-four", tmp_path, "--gpus", gpus, app=SHOW_ENVIRONMENT)
    assert done.returncode == code, done.stderr
    assert done.stdout.count("GPU-") == shown


def test_a_number_of_gpus_above_what_was_granted_is_given_up_at_once(tmp_path: Path) -> None:
    done = rehearse("healthy-4-gpus", tmp_path, "--gpus", "5")
    assert done.returncode == 69
    assert "asks for more" in done.stderr


def test_none_starts_the_app_on_a_sick_machine_and_asks_nothing(tmp_path: Path) -> None:
    done = rehearse("driver-not-injected", tmp_path, "--gpus", "none", app=SHOW_ENVIRONMENT)
    assert done.returncode == 0
    assert not {"stage", "facts", "proof"} & {event["kind"] for event in journal(tmp_path)}


def test_the_retry_policy_counts_the_attempts(tmp_path: Path) -> None:
    done = rehearse("gpu-busy", tmp_path, "--attempts", "3", "--delay", "10ms")
    assert done.returncode == 75
    assert "3 attempts" in done.stderr
    assert [event["attempt"] for event in journal(tmp_path) if event["kind"] == "stage"] == [1, 2, 3]


def test_a_late_node_ends_the_wait_without_costing_an_attempt(tmp_path: Path) -> None:
    # The delay is far longer than the test may take: only the event can have ended the wait.
    done = rehearse("uvm-node-late", tmp_path, "--attempts", "2", "--delay", "1h", "--deadline", "2h")
    assert done.returncode == 0, done.stderr
    assert {event["attempt"] for event in journal(tmp_path) if event["kind"] == "stage"} == {1}
    assert "the devices changed" in [event.get("words") for event in journal(tmp_path)]


def test_a_treatment_costs_no_attempt(tmp_path: Path) -> None:
    assert rehearse("uvm-node-missing", tmp_path, "--attempts", "1").returncode == 0
    assert [event["attempt"] for event in journal(tmp_path) if event["kind"] == "stage"] == [1, 1]


def test_a_remedy_that_does_not_fit_costs_no_probe(tmp_path: Path) -> None:
    rehearse("uvm-node-missing-for-good", tmp_path, "--attempts", "1")
    assert [event["outcome"] for event in journal(tmp_path) if event["kind"] == "remedy"] == ["refused"]
    assert [event["attempt"] for event in journal(tmp_path) if event["kind"] == "stage"] == [1]


def test_the_deadline_ends_even_a_wait_for_what_will_pass(tmp_path: Path) -> None:
    done = rehearse("fabric-in-progress", tmp_path, "--deadline", "1ms")
    assert done.returncode == 75
    assert "the deadline of 0.001 s has passed" in done.stderr


def test_the_cause_is_said_before_the_wait_and_the_wait_is_said_too(tmp_path: Path) -> None:
    said = rehearse("sick-pod", tmp_path).stderr.splitlines()
    first = next(place for place, line in enumerate(said) if "uvm-module-absent" in line)
    waiting = next(place for place, line in enumerate(said) if "waiting for" in line)
    proven = next(place for place, line in enumerate(said) if "CUDA proven" in line)
    assert first < waiting < proven
    assert sum("waiting for" in line for line in said) == 2  # the module, and the fabric


# Each kind of step that can be prescribed, with the words that announce it.
DRY_RUNS = {
    "start": ("healthy", 0, "would start touch"),
    "treat, making a node": ("gpu-node-missing", 0, "would create-device-nodes: mknod -m 666 /dev/nvidia0 c 195 0"),
    "treat, in the environment": ("stub-libcuda", 0, "would fix-library-path: "),
    "wait": ("fabric-in-progress", 0, "would wait for fabric-in-progress to pass, up to 300 s"),
    "wait, since the remedy does not fit": ("uvm-node-missing-for-good", 0, "would wait for uvm-node-missing to pass, up to 2 attempts"),
    "give up": ("driver-not-injected", 69, "so the command was not started"),
}


@pytest.mark.parametrize(("scenario", "code", "words"), DRY_RUNS.values(), ids=DRY_RUNS.keys())
def test_a_dry_run_says_what_it_would_do_and_does_nothing(tmp_path: Path, scenario: str, code: int, words: str) -> None:
    machine, mark, state = tmp_path / "machine", tmp_path / "mark", tmp_path / "state"
    done = rehearse(scenario, state, "--keep", str(machine), "--dry-run", "--attempts", "2", app=("touch", str(mark)))
    assert done.returncode == code
    assert words in done.stderr
    assert not mark.exists()
    assert not state.exists()
    assert (machine / "dev/nvidia0").exists() == (scenario not in ("gpu-node-missing", "driver-not-injected"))


@pytest.mark.parametrize("options", [(), ("--allow", "drop-preload")], ids=["not asked for", "asked for"])
def test_a_preload_is_dropped_only_when_asked_for(tmp_path: Path, options: tuple[str, ...]) -> None:
    done = rehearse("cuda-error-unexplained", tmp_path, "--dry-run", *options)
    assert ("would drop-preload: unset LD_PRELOAD" in done.stderr) == bool(options)


def test_a_limit_that_lets_no_child_be_started_is_named_and_raised(tmp_path: Path) -> None:
    scenario = tmp_path / "few.toml"
    scenario.write_text('description = "A soft limit of 11 open files."\n[limits]\ndescriptors = 11\n[expect]\nexit = 0\n')
    done = rehearse(str(scenario), tmp_path)
    assert done.returncode == 0, done.stderr
    assert "descriptor-limit" in done.stderr


def test_an_environment_entry_without_a_name_is_left_out(tmp_path: Path) -> None:
    words = [FIRSTLIGHT, "run", "--gpus", "none", "--state-dir", str(tmp_path), "--", "true"]
    # Python refuses to make such an entry; the C library does not.
    start = f"import ctypes, os; ctypes.CDLL(None).putenv(b'==odd'); os.execv({FIRSTLIGHT!r}, {words!r})"
    done = subprocess.run([sys.executable, "-c", start], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def test_giving_up_ends_on_one_screen(tmp_path: Path) -> None:
    done = rehearse("gpu-lost", tmp_path)
    report = done.stderr[done.stderr.index("──") :]
    assert done.returncode == 75
    assert len(report.splitlines()) <= 24
    assert all(len(line) <= 100 for line in report.splitlines())
