"""The way to the first verified generation: its legs, what an acceptance tells, and the budget, with the installed command."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from firstlight.system.control import tell

from .conftest import FIRSTLIGHT, Starter, eventually


def test_an_app_that_is_late_degrades_the_boot_and_the_slowest_leg_is_named(start_plainly: Starter) -> None:
    options = ("--gpus=none", "--budget=100ms", "--ready=log:up", "--serve=off")
    running = start_plainly("sh", "-c", "read line; echo up; read line", options=options, stdin=subprocess.PIPE)

    said = running.says("the app was not ready within the budget of 0.1 s; the slowest leg is ")
    assert said.endswith(" so far\n")
    running.popen.stdin.write(b"go on\n")
    running.popen.stdin.flush()

    eventually(lambda: [event["kind"] for event in running.events()].count("over-budget") == 2)
    status = json.loads(
        subprocess.run([FIRSTLIGHT, "status", "--format=json", f"--state-dir={running.state}"], capture_output=True, check=True).stdout
    )
    assert status["condition"] == "degraded"
    assert [leg["name"] for leg in status["legs"]] == ["process", "ready"]
    assert status["late"].startswith("the app was not ready within the budget of 0.1 s; the slowest leg is '")
    assert not status["late"].endswith("so far")
    running.finish()


def test_an_app_within_its_budget_and_one_without_a_budget_are_not_late(start_plainly: Starter) -> None:
    for budget in ("1h", "off"):
        running = start_plainly("true", options=("--gpus=none", f"--budget={budget}", "--serve=off"), state=start_plainly.state / budget)
        assert running.code() == 0
        assert "over-budget" not in [event["kind"] for event in running.events()]


def test_what_an_acceptance_tells_is_in_the_journal_and_in_the_status(start_plainly: Starter, tmp_path: Path) -> None:
    running = start_plainly("cat", options=("--gpus=none", f"--run-dir={tmp_path / 'run'}", "--serve=off"), stdin=subprocess.PIPE)
    eventually(lambda: [event for event in running.events() if event["kind"] == "agent" and event.get("control")])
    control = next(event["control"] for event in running.events() if event["kind"] == "agent")

    assert tell(control, {"leg": "prompt"}) == ""
    assert tell(control, {"leg": "executed"}) == ""
    verdict = {"accepted": {"ok": True, "cold": True, "seconds": 3.5, "gates": [{"gate": "rate", "ok": True}], "words": "well"}}
    assert tell(control, verdict) == ""
    assert tell(control, {"accepted": {"ok": "perhaps"}}).startswith('cannot take this: "ok" is true or false')
    assert tell(f"{control}-of-nobody", {"leg": "prompt"}).startswith("cannot tell ")

    eventually(lambda: "accepted" in [event["kind"] for event in running.events()])
    text = subprocess.run([FIRSTLIGHT, "status", f"--state-dir={running.state}"], capture_output=True, text=True, check=True).stdout
    assert "Accepted   yes, " in text
    assert ", cold: well" in text
    status = json.loads(
        subprocess.run(
            [FIRSTLIGHT, "ctl", "status", "--format=json", f"--run-dir={tmp_path / 'run'}"], capture_output=True, check=True
        ).stdout
    )
    assert [leg["name"] for leg in status["legs"]] == ["process", "ready", "prompt", "executed", "verified"]
    assert status["accepted"]["gates"] == [["rate", True]]
    assert status["verified_after"] == status["legs"][-1]["at"]
    assert running.code() == 0
