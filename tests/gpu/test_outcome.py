"""The suite's judgement, tried on made-up outcomes: what is right passes, and each thing that can be wrong is told."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import outcome
import page
import pytest
from box import Box
from cases import CASES, Case
from outcome import Outcome
from suite import Result

CURED = Case(name="gpu-late-12s", story="late", make=lambda machine: Box(nodes=()), cause="gpu-node-missing")
TREATED = Case(name="stub-first", story="stub", make=lambda machine: Box(nodes=()), cause="stub-libcuda", remedy="fix-library-path")
LASTING = Case(name="gpu-missing", story="gone", make=lambda machine: Box(nodes=()), cause="gpu-node-missing", exits=(75,), cuda=False)
HEALTHY = Case(name="healthy", story="well", make=lambda machine: Box(nodes=()))
WELL = Outcome(exit=0, causes=("gpu-node-missing",), named=0.4, app_started=12.6, proven=1, appeared=12.0, waited=0.6, ended=13.0)
TREATED_WELL = Outcome(exit=0, causes=("stub-libcuda",), remedies=("fix-library-path",), named=0.4, app_started=0.9, proven=1)
LEFT = Outcome(exit=75, causes=("gpu-node-missing",), named=0.4, ended=30.0)


@pytest.mark.parametrize(
    ("case", "seen", "expected"),
    [
        (CURED, WELL, []),
        (TREATED, TREATED_WELL, []),
        (LASTING, LEFT, []),
        (CURED, dataclasses.replace(WELL, exit=41), ["exit 41, not 0"]),
        (CURED, dataclasses.replace(WELL, proven=0, app_error="cuInit gave 100"), ["the app has no CUDA: cuInit gave 100"]),
        (CURED, dataclasses.replace(WELL, proven=2), ["the app computed on 2 GPUs, not on 1"]),
        (CURED, dataclasses.replace(WELL, causes=("probe-hung",)), ["names probe-hung, not gpu-node-missing"]),
        (CURED, dataclasses.replace(WELL, causes=()), ["names no cause, not gpu-node-missing"]),
        (CURED, dataclasses.replace(WELL, named=None), ["gpu-node-missing is in the journal but never on the screen"]),
        (CURED, dataclasses.replace(WELL, named=12.5), ["the cause was named only after the wait"]),
        (CURED, dataclasses.replace(WELL, remedies=("raise-limits",)), ["applied raise-limits"]),
        (CURED, dataclasses.replace(WELL, overdue=True), ["did not end within 90 s"]),
        (TREATED, dataclasses.replace(TREATED_WELL, remedies=()), ["fix-library-path was not applied"]),
        (LASTING, dataclasses.replace(LEFT, app_started=1.0), ["the app was started"]),
        (LASTING, dataclasses.replace(LEFT, exit=69), ["exit 69, not 75"]),
    ],
)
def test_an_outcome_is_judged_by_what_the_case_expects(case: Case, seen: Outcome, expected: list[str]) -> None:
    assert outcome.complaints(case, seen) == expected


@pytest.mark.parametrize(
    ("case", "doctor", "expected"),
    [
        (LASTING, {"exit": 1, "answer": {"findings": [{"fault": "gpu-node-missing"}, {"fault": "probe-hung"}]}}, []),
        (LASTING, {"exit": 1, "answer": {"findings": [{"fault": "probe-hung"}]}}, ["doctor names probe-hung, not gpu-node-missing"]),
        (LASTING, {"exit": 0, "answer": {"findings": []}}, ["doctor exits 0, not 1", "doctor names no cause, not gpu-node-missing"]),
        (HEALTHY, {"exit": 0, "answer": {"findings": []}}, []),
        (HEALTHY, {"exit": 70, "error": "cannot do it"}, ["doctor exits 70, not 0"]),
    ],
)
def test_doctor_must_say_what_the_boot_says(case: Case, doctor: dict[str, object], expected: list[str]) -> None:
    assert outcome.doctors_complaints(case, doctor) == expected


def test_an_outcome_is_read_from_the_journal_the_screen_and_the_app(tmp_path: Path) -> None:
    events = [
        {"kind": "finding", "fault": "stub-libcuda"},
        {"kind": "finding", "fault": "cuda-error-unexplained"},
        {"kind": "diagnosis", "usable": 0},
        {"kind": "remedy", "remedy": "fix-library-path", "outcome": "applied"},
        {"kind": "remedy", "remedy": "raise-limits", "outcome": "refused"},
        {"kind": "diagnosis", "usable": 1},
    ]
    (tmp_path / "boots").mkdir()
    (tmp_path / "boots" / "one.jsonl").write_text("\n".join([*map(json.dumps, events), '{"kind": "torn']))
    record = tmp_path / "app.json"
    record.write_text('{"started": 101.5, "proven": 1}')
    report = {"started": 100.0, "ended": 103.0, "exit": 0, "appeared": {"nvidia0": 101.0}}
    lines = [(100.2, "firstlight: hello"), (100.4, "firstlight: stub-libcuda: the file is a stub")]
    seen = outcome.read(report, lines, tmp_path, record)
    assert (seen.causes, seen.findings) == (("stub-libcuda",), ("stub-libcuda", "cuda-error-unexplained"))
    assert seen.remedies == ("fix-library-path",)
    assert (seen.named, seen.app_started, seen.appeared, seen.waited, seen.ended) == (0.4, 1.5, 1.0, 0.5, 3.0)


def test_a_boot_that_left_nothing_behind_is_an_outcome_too(tmp_path: Path) -> None:
    seen = outcome.read({"started": 1.0, "ended": 2.0, "exit": 70, "appeared": {}}, [], tmp_path, tmp_path / "app.json")
    assert (seen.exit, seen.causes, seen.app_started, seen.proven) == (70, (), None, 0)


def test_case_names_are_unique() -> None:
    names = [case.name for case in CASES]
    assert len(names) == len(set(names))


def test_the_page_has_a_row_for_every_case_and_the_reason_for_each_that_did_not_pass() -> None:
    results = [
        Result(case=CURED, verdict="pass", outcome=WELL),
        Result(case=LASTING, verdict="fail", complaints=("exit 69, not 75",), outcome=dataclasses.replace(LEFT, exit=69)),
        Result(case=TREATED, verdict="not made", complaints=("no stub here",)),
    ]
    text = page.render({"GPU": "none"}, results)
    assert "1 passed, 1 failed, 1 could not be made" in text
    assert [line.split(" | ")[0] for line in text.splitlines() if " | late | " in line or " | gone | " in line or " | stub | " in line] == [
        "| gpu-late-12s",
        "| gpu-missing",
        "| stub-first",
    ]
    assert "- **gpu-missing** (fail): exit 69, not 75" in text
    assert "- **stub-first** (not made): no stub here" in text
