"""Reading a journal that anything may have happened to, and what a person makes of it."""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies

from firstlight.errors import UsageError
from firstlight.journal import read, status as journal_status, timeline as journal_timeline
from firstlight.journal.event import Condition, Stage
from firstlight.report import timeline as report


def line(number: int, kind: str, stage: str, at: float, **data: Any) -> bytes:
    """One line of a journal."""
    head = {"v": 1, "boot": "b", "n": number, "t": "2026-11-23T20:36:07.000Z", "s": at, "stage": stage, "kind": kind}
    return json.dumps({**head, **data}).encode() + b"\n"


COLD_START = [
    ("boot", "start", 0.0, {}),
    ("stage", "probe", 0.1, {"attempt": 1}),
    ("finding", "diagnose", 0.4, {"fault": "uvm-node-missing", "sentence": "it is not there"}),
    ("diagnosis", "diagnose", 0.4, {"usable": 0, "expected": 1, "promised": True}),
    ("remedy", "treat", 0.4, {"remedy": "create-device-nodes", "outcome": "applied"}),
    ("stage", "probe", 0.5, {"attempt": 1}),
    ("diagnosis", "diagnose", 0.9, {"usable": 1, "expected": 1, "promised": True}),
    ("proof", "prove", 0.9, {"seconds": {"init": 0.1}}),
    ("app-started", "app", 1.0, {"pid": 7}),
    ("app-exited", "stop", 5.0, {"code": 3}),
    ("end", "end", 5.0, {"code": 3}),
]


def journal(count: int = len(COLD_START)) -> bytes:
    """The first lines of a cold start."""
    return b"".join(line(number, kind, stage, at, **data) for number, (kind, stage, at, data) in enumerate(COLD_START[:count]))


def test_the_status_of_a_whole_boot() -> None:
    stands = journal_status.status(read.parse("b", journal()).events)
    assert (stands.stage, stands.condition, stands.code, stands.app_code) == (Stage.END, Condition.HEALTHY, 3, 3)
    assert (stands.usable, stands.expected, stands.probes, stands.cause) == (1, 1, 2, None)
    assert stands.remedies == ("create-device-nodes",)


@pytest.mark.parametrize(
    ("count", "stage", "condition", "cause"),
    [
        (1, Stage.START, None, None),
        (2, Stage.PROBE, None, None),
        (4, Stage.DIAGNOSE, Condition.FAILED, "uvm-node-missing"),
        (6, Stage.PROBE, Condition.FAILED, None),
        (9, Stage.APP, Condition.HEALTHY, None),
    ],
)
def test_the_status_on_the_way(count: int, stage: Stage, condition: Condition | None, cause: str | None) -> None:
    stands = journal_status.status(read.parse("b", journal(count)).events)
    assert (stands.stage, stands.condition, stands.cause, stands.code) == (stage, condition, cause, None)


def test_a_boot_with_fewer_gpus_than_expected_is_degraded() -> None:
    content = journal(1) + line(1, "diagnosis", "diagnose", 1.0, usable=1, expected=2)
    assert journal_status.status(read.parse("b", content).events).condition is Condition.DEGRADED


def test_the_timeline_has_no_gaps() -> None:
    spans = journal_timeline.timeline(read.parse("b", journal()).events)
    stages = [span.stage.value for span in spans]
    assert stages == ["start", "probe", "diagnose", "treat", "probe", "diagnose", "prove", "app", "stop", "end"]
    for before, after in itertools.pairwise(spans):
        assert before.start + before.seconds == pytest.approx(after.start)
    assert not spans[-1].unfinished


def test_a_timeline_without_an_end_says_so() -> None:
    spans = journal_timeline.timeline(read.parse("b", journal(9)).events)
    assert [span.unfinished for span in spans] == [False] * (len(spans) - 1) + [True]


def test_a_torn_last_line_is_skipped() -> None:
    record = read.parse("b", journal()[:-10])
    assert (len(record.events), record.skipped) == (len(COLD_START) - 1, 1)


def test_a_line_that_was_torn_and_written_again_counts_once() -> None:
    content = journal(2)[:-20] + b"\n" + line(1, "stage", "probe", 0.1, attempt=1)
    record = read.parse("b", content)
    assert ([event.number for event in record.events], record.skipped) == ([0, 1], 1)


@pytest.mark.parametrize(
    "odd",
    [
        b'{"v":2,"boot":"b"}\n',
        b"[]\n",
        b"null\n",
        b"\xff\xfe\n",
        b"{" * 100_000 + b"\n",
        line(99, "note", "no such stage", 1.0),
        line(99, "note", "probe", float("nan")),
        line(99, "note", "probe", 1e300),
        line(99, "note", "probe", 1.0).replace(b"99", b'"many"'),
        line(99, "note", "probe", 1.0).replace(b"99", b"Infinity"),
        line(99, "note", "probe", 1.5).replace(b"1.5", b"1" + b"0" * 400),
    ],
)
def test_lines_that_make_no_sense_are_skipped(odd: bytes) -> None:
    record = read.parse("b", odd + journal())
    assert (len(record.events), record.skipped) == (len(COLD_START), 1)


@given(strategies.binary(max_size=300), strategies.integers(0, 1500))
def test_no_damage_stops_a_reader(rubbish: bytes, place: int) -> None:
    content = journal()
    events = read.parse("b", content[:place] + rubbish + content[place:]).events
    if events:
        report.status(journal_status.status(events))
        report.timeline(journal_timeline.timeline(events))


def test_no_number_is_too_large_for_a_timeline() -> None:
    content = journal(1) + line(1, "proof", "prove", 1.0, seconds={"context": 10**400, "kernel": float("inf"), "init": 0.5})
    assert "init 0.500 s" in report.timeline(journal_timeline.timeline(read.parse("b", content).events))


def test_rendering_obeys_no_terminal_codes() -> None:
    content = journal(1) + line(1, "finding", "diagnose", 1.0, fault="\x1b[2Jx", sentence="\x9b1m\u202e")
    events = read.parse("b", content).events
    text = report.status(journal_status.status(events)) + report.timeline(journal_timeline.timeline(events))
    assert not [character for character in text if not character.isprintable() and character != "\n"]


def test_of_a_boot_of_many_weeks_the_beginning_and_the_end_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "_SIZE_LIMIT", 4000)
    (tmp_path / "boots").mkdir()
    lines = [line(number, "note", "app", float(number)) for number in range(1000)]
    (tmp_path / "boots/b.jsonl").write_bytes(journal(1) + b"".join(lines[1:]) + line(1000, "end", "end", 1000.0, code=7))
    record = read.read(str(tmp_path), "b")
    assert (record.events[0].number, record.events[-1].number) == (0, 1000)
    assert journal_status.status(record.events).code == 7
    assert len(record.events) < 100


def test_the_latest_boot_is_read(tmp_path: Path) -> None:
    (tmp_path / "boots").mkdir()
    for boot in ("20260101T000000Z-aaaa", "20260102T000000Z-0000"):
        (tmp_path / "boots" / f"{boot}.jsonl").write_bytes(journal())
    assert read.read(str(tmp_path)).boot == "20260102T000000Z-0000"
    assert read.read(str(tmp_path), "20260101T000000Z-aaaa").boot == "20260101T000000Z-aaaa"


@pytest.mark.parametrize("kind", ["nothing", "no boots", "fifo", "link", "folder", "empty", "outside"])
def test_what_is_no_journal_is_refused(tmp_path: Path, kind: str) -> None:
    boots = tmp_path / "boots"
    if kind != "nothing":
        boots.mkdir()
    place = boots / "b.jsonl"
    if kind == "fifo":
        os.mkfifo(place)
    elif kind == "link":
        place.symlink_to("/etc/passwd")
    elif kind == "folder":
        place.mkdir()
    elif kind == "empty":
        place.touch()
    with pytest.raises(UsageError, match=r"^cannot "):
        read.read(str(tmp_path), "../b" if kind == "outside" else None)
