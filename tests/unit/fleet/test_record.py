"""The folder of a test."""

import json
import subprocess
import sys

import pytest

from firstlight import errors
from firstlight.fleet.cycle import Cycle, Outcome, Subject
from firstlight.fleet.record import Mode, Plan, Record, Return
from firstlight.fleet.verify import Leg

SUBJECT = Subject(id="p1", name="a \N{SNOWMAN} pod", gpu="NVIDIA L4", gpu_count=1, hourly=0.39, was_running=True)
PLAN = Plan(
    id="abc",
    made_at="2026-11-24T08:00:00.000Z",
    made_by="0.1.0",
    mode=Mode.STOP_START,
    cycles=3,
    cap=5.0,
    expected=0.1,
    ssh=True,
    keep_running=False,
    min_cuda=None,
    subjects=(SUBJECT,),
)


def cycle(number, **more):
    return Cycle(
        pod="p1",
        number=number,
        instance="p1",
        began_at="2026-11-24T08:00:01.000Z",
        outcome=Outcome.PROVEN,
        words="it \u2028 serves",
        legs=(Leg(name="stop", began=-3.0, seconds=3.0, ok=True, words=""), Leg(name="ready", began=4.0, seconds=1.0, ok=True, words="\n")),
        gpus=("GPU-1",),
        driver="580.65",
        cost=0.01,
        **more,
    )


def test_what_was_written_is_read(tmp_path):
    record = Record.begin(str(tmp_path / "new" / "dir"), PLAN)
    written = [cycle(1), Return(pod="p1", at="now", ok=True, words="runs again", cost=0.0), cycle(2, host_changed=True, fault="gpu-lost")]
    for one in written:
        record.add(one)
    record.close()
    record = Record.resume(record.folder)
    assert record.plan == PLAN
    assert list(record.lines()) == written


@pytest.mark.parametrize("torn", [b'{"kind":"cyc', b"x" * 200_000, b""])
def test_a_line_that_was_torn_is_cut(tmp_path, torn):
    record = Record.begin(str(tmp_path), PLAN)
    record.add(cycle(1))
    record.close()
    with (tmp_path / "cycles.jsonl").open("ab") as file:
        file.write(torn)
    record = Record.resume(str(tmp_path))
    record.add(cycle(2))
    assert [one.number for one in record.lines()] == [1, 2]


def test_the_first_line_too_may_be_torn(tmp_path):
    Record.begin(str(tmp_path), PLAN).close()
    (tmp_path / "cycles.jsonl").write_bytes(b'{"kind"')
    assert list(Record.resume(str(tmp_path)).lines()) == []


def test_a_whole_line_that_makes_no_sense_is_an_error(tmp_path):
    record = Record.begin(str(tmp_path), PLAN)
    record.add(cycle(1))
    (tmp_path / "cycles.jsonl").write_text((tmp_path / "cycles.jsonl").read_text() + '{"kind": "cycle"}\n')
    with pytest.raises(errors.UsageError, match=r"cannot understand line 2 of .*cycles.jsonl"):
        list(record.lines())


def test_a_folder_that_holds_a_test_takes_no_other(tmp_path):
    Record.begin(str(tmp_path), PLAN).close()
    with pytest.raises(errors.UsageError, match=r"cannot begin a test in .*--resume"):
        Record.begin(str(tmp_path), PLAN)


def test_there_must_be_a_test_to_go_on_with(tmp_path):
    with pytest.raises(errors.UsageError, match=r"cannot go on with the test in .*: there is no plan.json"):
        Record.resume(str(tmp_path))
    with pytest.raises(errors.UsageError, match="cannot go on with the test in"):
        Record.resume(str(tmp_path / "absent"))


@pytest.mark.parametrize("text", ["", "{}", "[]", json.dumps({"version": 2})])
def test_a_plan_that_is_none_is_an_error(tmp_path, text):
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(errors.UsageError, match=r"cannot understand .*plan.json"):
        Record.resume(str(tmp_path))


def test_two_processes_are_not_at_one_test(tmp_path):
    record = Record.begin(str(tmp_path), PLAN)
    other = "import sys; from firstlight.fleet.record import Record; Record.resume(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", other, str(tmp_path)], capture_output=True, text=True, check=False)
    assert "cannot test in" in done.stderr
    assert "another process is at it" in done.stderr
    record.close()
    assert subprocess.run([sys.executable, "-c", other, str(tmp_path)], check=False).returncode == 0
