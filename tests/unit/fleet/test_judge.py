"""What was found of a pod, as a table: yes, no, or not yet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies

from firstlight.fleet import inside, judge
from firstlight.fleet.inside import Report, Silence
from firstlight.fleet.judge import App, No, NotYet, Yes
from firstlight.providers.runpod import shapes
from firstlight.providers.runpod.shapes import Pod

KEPT = Path(__file__).parents[3] / "testing/cloud/status"
HEALTHY = json.loads((KEPT / "healthy.json").read_text())
BROKEN = json.loads((KEPT / "uvm-open-fails.json").read_text())


def report(told: dict[str, Any], **changed: Any) -> Report:
    """A report out of what a real firstlight told."""
    found = inside.read(json.dumps({**told, **changed}).encode())
    assert isinstance(found, Report)
    return found


def pod(**told: Any) -> Pod:
    return shapes.pod({"id": "p", "name": "n", "status": "RUNNING", "gpu": {"id": "NVIDIA L40S", "count": 1}, **told})


@pytest.mark.parametrize(
    ("told", "settled", "verdict"),
    [
        ({}, False, Yes),
        ({"status": "PROVISIONING"}, True, NotYet),
        ({"status": "STARTING"}, True, NotYet),
        ({"status": "SOMETHING_NEW"}, True, NotYet),
        ({"status": "EXITED"}, False, NotYet),
        ({"status": "EXITED"}, True, No),
        ({"status": "ERROR"}, False, NotYet),
        ({"status": "ERROR"}, True, No),
        ({"status": "TERMINATED"}, False, No),
        ({"gpu": {"id": "NVIDIA L40S", "count": 0}}, False, No),
        ({"gpu": None}, False, Yes),
    ],
)
def test_the_status(told: dict[str, Any], settled: bool, verdict: type) -> None:
    assert type(judge.status(pod(**told), settled=settled)) is verdict


CAUSE = BROKEN["cause"]
GPU = HEALTHY["gpus"][0]


@pytest.mark.parametrize(
    ("told", "verdict"),
    [
        (report(HEALTHY), Yes),
        (report(HEALTHY, stage="app", ready=False), Yes),
        (report(HEALTHY, stage="backoff", ready=False), Yes),
        (report(HEALTHY, stage="probe", gpus=[]), NotYet),
        (report(BROKEN, stage="wait", hold=None), NotYet),
        (report(BROKEN), No),
        (report(BROKEN, stage="end", hold=None), No),
        (report(HEALTHY, condition="failed"), No),
        (report(HEALTHY, expected=2), No),
        (report(HEALTHY, gpus=[], expected=None), No),
        (report(HEALTHY, gpus=[{**GPU, "proven": None}]), No),
        (report(HEALTHY, gpus=[{**GPU, "proven": False}]), No),
    ],
)
def test_cuda(told: Report, verdict: type) -> None:
    found = judge.cuda(told)

    assert type(found) is verdict, found
    if told.cause and verdict is not Yes:
        assert told.cause.fault in found.words


@pytest.mark.parametrize(
    ("told", "verdict"),
    [
        (report(HEALTHY), Yes),
        (report(HEALTHY, stage="app", ready=False), NotYet),
        (report(HEALTHY, stage="backoff", ready=False), NotYet),
        (report(HEALTHY, stage="hold", ready=False, hold="it was restarted too often"), No),
        (report(HEALTHY, stage="end", ready=False), No),
    ],
)
def test_readiness(told: Report, verdict: type) -> None:
    assert type(judge.ready(told)) is verdict


@pytest.mark.parametrize(
    ("told", "host_fault"),
    [
        (report(HEALTHY), False),
        (report(BROKEN), True),
        (report(BROKEN, hold=None, stage="diagnose"), True),  # waiting never cures it
        (report(BROKEN, hold=None, stage="wait", cause={**CAUSE, "persistence": "bounded"}), False),  # it may pass
        (report(BROKEN, cause={**CAUSE, "persistence": "bounded"}), True),  # it was waited for
        (report(BROKEN, cause={**CAUSE, "actor": "image", "host_fault": False}), False),
        (report(BROKEN, cause={**CAUSE, "actor": "image", "host_fault": False}, asks="relocate"), True),
        (report(BROKEN, cause=None), False),
    ],
)
def test_whose_fault_it_is(told: Report, host_fault: bool) -> None:
    assert told.host_fault is host_fault


def test_nobody_has_given_it_a_gpu() -> None:
    assert report(BROKEN, cause={**CAUSE, "fault": "gpu-not-granted", "host_fault": False}).zero_gpu
    assert not report(BROKEN).zero_gpu


GOOD = {"verdict": "well", "usable": 1, "root_cause": None, "gpus": [{"uuid": "GPU-1", "proven": True}]}


@pytest.mark.parametrize(
    ("code", "told", "proven", "verdict"),
    [
        (0, GOOD, ("GPU-1",), Yes),
        (0, GOOD, (), Yes),
        (2, {**GOOD, "verdict": "usable-but-ill", "root_cause": "xid-reported"}, ("GPU-1",), Yes),
        (0, GOOD, ("GPU-2",), No),
        (1, {**GOOD, "verdict": "ill", "usable": 0, "root_cause": "library-off-path", "gpus": []}, ("GPU-1",), No),
        (1, GOOD, ("GPU-1",), No),  # the code and the words must agree
        (0, {**GOOD, "gpus": [{"uuid": "GPU-1", "proven": {"unknown": "x"}}]}, ("GPU-1",), No),
        (0, {"verdict": "well"}, (), No),
        (0, [], (), No),
        (127, None, (), No),
    ],
)
def test_what_doctor_finds_in_a_session(code: int, told: Any, proven: tuple[str, ...], verdict: type) -> None:
    out = b"" if told is None else json.dumps(told).encode()

    assert type(judge.doctor(code, out, b"sh: not found\n", proven=proven)) is verdict
    assert type(judge.doctor(code, b"Welcome to the pod!\n" + out, b"", proven=proven)) is verdict


def test_the_last_words_of_a_doctor_that_did_not_start_are_told() -> None:
    assert judge.doctor(127, b"", b"bash: line 1: /x/firstlight: No such file\n", proven=()) == No(
        "its doctor gave no diagnosis: exit code 127: bash: line 1: /x/firstlight: No such file"
    )


@pytest.mark.parametrize(
    ("command", "ports", "env", "app"),
    [
        (["run", "--app", "comfyui", "--", "python3", "main.py"], ["8188/http"], {}, App(8188, "/system_stats", promised=True)),
        (["run", "--app=comfyui", "--", "python3", "main.py", "--port", "9000"], [], {}, App(9000, "/system_stats", promised=True)),
        (["run", "--app", "comfyui", "--port", "7000", "--", "x"], [], {}, App(7000, "/system_stats", promised=True)),
        (["run", "--", "x", "--app", "comfyui"], ["5000/http"], {}, App(5000)),
        (["run", "--", "x"], [], {"FIRSTLIGHT_APP": "comfyui", "FIRSTLIGHT_PORT": "7001"}, App(7001, "/system_stats", promised=True)),
        (["run", "--", "x"], ["8421/http", "8888/http", "22/tcp", "5000/http"], {}, App(5000)),
        (["run", "--app", "no-such", "--", "x"], ["8421/http", "22/tcp"], {}, None),
        ([], [], {}, None),
    ],
)
def test_where_the_app_is_to_answer(command: list[str], ports: list[str], env: dict[str, str], app: App | None) -> None:
    told = {"entrypoint": ["/workspace/firstlight/firstlight.pyz"], "cmd": command}

    assert judge.app(pod(args=json.dumps(told), ports=ports, env=env)) == app


@pytest.mark.parametrize(
    ("code", "promised", "verdict"),
    [
        (200, True, Yes),
        (302, True, Yes),
        (404, True, NotYet),
        (404, False, Yes),
        (401, False, Yes),
        (502, False, NotYet),
        (524, True, NotYet),
    ],
)
def test_what_the_proxy_answers(code: int, promised: bool, verdict: type) -> None:
    assert type(judge.answer(code, App(1, promised=promised))) is verdict


@pytest.mark.parametrize(
    ("args", "program"),
    [
        (
            {"entrypoint": ["/bin/sh", "-c", 'exec "$0" "$@"', "/workspace/firstlight/firstlight.pyz"], "cmd": ["run"]},
            "/workspace/firstlight/firstlight.pyz",
        ),
        ({"cmd": ["/usr/local/bin/firstlight", "run", "--", "x"]}, "/usr/local/bin/firstlight"),
        ({"cmd": ["/start.sh"]}, None),
    ],
)
def test_where_firstlight_lies(args: dict[str, Any], program: str | None) -> None:
    assert judge.program(pod(args=json.dumps(args))) == program


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b"{}", b'{"stage": 1}', b"[" * 100_000, b"\xff"])
def test_what_is_no_report_is_none(content: bytes) -> None:
    assert inside.read(content) == Silence("what answers at this port is not firstlight")


def test_what_strangers_are_told_is_no_report() -> None:
    assert isinstance(inside.read(b'{"ready": true, "stage": "ready", "since": null}'), Silence)


json_values: strategies.SearchStrategy[Any] = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.integers() | strategies.text(max_size=5),
    lambda inner: strategies.lists(inner, max_size=3) | strategies.dictionaries(strategies.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(strategies.dictionaries(strategies.sampled_from(sorted(HEALTHY)), json_values))
def test_no_report_is_too_strange_to_be_judged(changed: dict[str, Any]) -> None:
    found = inside.read(json.dumps({**HEALTHY, **changed}).encode())
    if isinstance(found, Report):
        judge.cuda(found)
        judge.ready(found)
        assert isinstance(found.host_fault, bool)


@pytest.mark.parametrize("number", ["9" * 400, "1e999", "NaN", "-Infinity"])
def test_a_number_of_no_size_is_none(number: str) -> None:
    """Python reads what JSON has not, and whole numbers that no float can hold."""
    told = json.dumps({**HEALTHY, "seconds": "HERE", "ready_after": "HERE"}).replace('"HERE"', number)
    found = inside.read(told.encode())
    assert isinstance(found, Report)
    assert (found.seconds, found.ready_after) == (0.0, None)
    code, said = 0, json.dumps({"verdict": "well", "usable": "HERE", "root_cause": None, "gpus": []}).replace('"HERE"', number)
    assert isinstance(judge.doctor(code, said.encode(), b"", proven=()), No)
