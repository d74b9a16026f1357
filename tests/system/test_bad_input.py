"""Bad input, through the installed command: one line that begins with "cannot", the documented exit code, nothing started."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FIRSTLIGHT = str(Path(sys.executable).parent / "firstlight")

CASES = {
    "no command": (["run"], {}, 64),
    "an empty command": (["run", "--"], {}, 64),
    "a command without the dashes": (["run", "true"], {}, 64),
    "an unknown option": (["run", "--gpu", "1", "--", "true"], {}, 64),
    "an abbreviated option": (["run", "--attempt", "1", "--", "true"], {}, 64),
    "an unknown verb": (["fly"], {}, 64),
    "an acceptance of another app": (["run", "--accept", "tts.json", "--", "true"], {}, 64),
    "an acceptance without a workflow": (["run", "--app", "comfyui", "--accept", "--text=Hi.", "--", "true"], {}, 64),
    "an acceptance that no shell understands": (["run", "--app", "comfyui", "--accept", "tts.json 'x", "--", "true"], {}, 64),
    "an acceptance with an option that there is not": (["run", "--app", "comfyui", "--accept", "tts.json --sedes 3", "--", "true"], {}, 64),
    "an acceptance with an option that is ours": (["run", "--app", "comfyui", "--accept", "tts.json --format=text", "--", "true"], {}, 64),
    "an acceptance with an abbreviated option": (["run", "--app", "comfyui", "--accept", "tts.json --seed 3", "--", "true"], {}, 64),
    "an acceptance by a variable, of no seed": (["run", "--app", "comfyui", "--", "true"], {"FIRSTLIGHT_ACCEPT": "tts.json --seeds=0"}, 78),
    "an acceptance by a variable": (["run", "--", "true"], {"FIRSTLIGHT_ACCEPT": "tts.json"}, 78),
    "no such number of GPUs": (["run", "--gpus", "0", "--", "true"], {}, 64),
    "GPUs that are no number": (["run", "--gpus", "some", "--", "true"], {}, 64),
    "a duration of nothing": (["run", "--delay", "0s", "--", "true"], {}, 64),
    "a negative duration": (["run", "--deadline", "-1s", "--", "true"], {}, 64),
    "a duration in fortnights": (["run", "--deadline", "1fortnight", "--", "true"], {}, 64),
    "a duration without end": (["run", "--deadline", "1e400", "--", "true"], {}, 64),
    "a duration of years": (["run", "--deadline", "99999h", "--", "true"], {}, 64),
    "no attempts": (["run", "--attempts", "0", "--", "true"], {}, 64),
    "attempts in other digits": (["run", "--attempts", "١٠", "--", "true"], {}, 64),
    "no such ending": (["run", "--on-failure", "shrug", "--", "true"], {}, 64),
    "a remedy that need not be asked for": (["run", "--allow", "raise-limits", "--", "true"], {}, 64),
    "a wrong variable": (["run", "--", "true"], {"FIRSTLIGHT_ATTEMPTS": "many"}, 78),
    "a wrong variable for env": (["env"], {"FIRSTLIGHT_GPUS": "some"}, 78),
    "a command that does not exist": (["run", "--", "no-such-command"], {}, 127),
    "a path that does not exist": (["run", "--", "/no/such/command"], {}, 127),
    "a command that may not be executed": (["run", "--", "/etc/passwd"], {}, 126),
    "a folder as command": (["run", "--", "/etc"], {}, 126),
    "facts that are not there": (["doctor", "--from", "/no/such/file"], {}, 64),
    "facts that are no JSON": (["doctor", "--from", "/etc/passwd"], {}, 64),
    "a verb that takes no command": (["doctor", "--", "true"], {}, 64),
    "an unknown scenario": (["rehearse", "sunshine", "--", "true"], {}, 64),
    "a fault that nobody knows": (["explain", "my sock has a hole"], {}, 64),
}


def ask(words: list[str], **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command to its end."""
    environment = {**os.environ, **variables}
    return subprocess.run([FIRSTLIGHT, *words], env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(("words", "variables", "code"), CASES.values(), ids=CASES.keys())
def test_bad_input_is_refused(words: list[str], variables: dict[str, str], code: int) -> None:
    outcome = ask(words, **variables)
    assert outcome.returncode == code, outcome.stderr
    assert outcome.stdout == ""
    assert outcome.stderr.startswith("firstlight: cannot ")
    assert outcome.stderr.count("\n") == 1


def test_facts_without_a_bottom_are_refused(tmp_path: Path) -> None:
    recorded = tmp_path / "facts.json"
    recorded.write_text("[" * 100_000)
    outcome = ask(["doctor", "--from", str(recorded)])
    assert (outcome.returncode, outcome.stderr.count("\n")) == (64, 1), outcome.stderr
    assert outcome.stderr.startswith("firstlight: cannot read")


@pytest.mark.parametrize("version", ["2", '"1"', "null"])
def test_facts_of_another_version_are_refused(tmp_path: Path, version: str) -> None:
    recorded = tmp_path / "facts.json"
    recorded.write_text(f'{{"version": {version}}}')
    outcome = ask(["doctor", "--from", str(recorded)])
    assert outcome.returncode == 64
    assert outcome.stderr.startswith("firstlight: cannot read the facts: they are of version")


def test_env_follows_the_variables_of_run() -> None:
    outcome = ask(["env"], FIRSTLIGHT_GPUS="none", CUDA_DEVICE_ORDER="PCI_BUS_ID")
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, "", "")


def test_refused_input_starts_nothing(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    ask(["run", "--gpus", "none", "--attempts", "0", "--", "touch", str(mark)])
    assert not mark.exists()
    ask(["run", "--gpus", "none", "--", "touch", str(mark)], FIRSTLIGHT_STATE_DIR=str(tmp_path))
    assert mark.exists()


def test_control_characters_do_not_reach_the_terminal() -> None:
    outcome = ask(["\x1b[2Jfly"])
    assert "\x1b" not in outcome.stderr


def test_recorded_facts_are_diagnosed_offline() -> None:
    recorded = Path(__file__).parents[1] / "data/facts/h200-healthy.json"
    outcome = ask(["doctor", "--from", str(recorded)])
    assert outcome.returncode == 0, outcome.stdout
    assert "NVIDIA H200" in outcome.stdout


def test_a_machine_without_a_gpu_is_told_so_by_doctor_and_run(tmp_path: Path) -> None:
    if Path("/dev/nvidiactl").exists():
        pytest.skip("this machine has a GPU")
    outcome = ask(["doctor"])
    assert outcome.returncode == 1
    assert "driver-not-injected" in outcome.stdout
    outcome = ask(["run", "--", "touch", str(tmp_path / "mark")], FIRSTLIGHT_STATE_DIR=str(tmp_path))
    assert outcome.returncode == 69
    assert "driver-not-injected" in outcome.stderr
    assert not (tmp_path / "mark").exists()
