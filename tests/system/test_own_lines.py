"""What firstlight says for itself, as text and as JSON lines."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .conftest import OBEDIENT, Starter, eventually
from .test_boot import rehearse

JSON = ("--gpus", "none", "--log-format", "json")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def said(error: bytes | str) -> list[dict[str, Any]]:
    """Every line of standard error as the object that it must be."""
    return [json.loads(line) for line in error.splitlines()]


def test_each_line_is_an_object_with_time_level_message_and_boot(start: Starter) -> None:
    app = start(*OBEDIENT, "--stubborn", options=[*JSON, "--grace", "10ms"])
    app.line()
    app.send(signal.SIGTERM)
    code, _, error = app.finish()
    (line,) = said(error)
    assert code == 137
    assert MOMENT.fullmatch(line.pop("ts"))
    assert line == {"level": "info", "message": "the app has not stopped in time: killing it", "boot": app.events()[0]["boot"]}


def test_what_the_app_prints_stays_as_it_is(start_plainly: Starter) -> None:
    code, output, error = start_plainly("sh", "-c", "echo '{'; echo plain >&2", options=JSON).finish()
    assert (code, output, error) == (0, b"{\n", b"plain\n")


def test_an_error_has_the_level_of_one(start_plainly: Starter) -> None:
    code, _, error = start_plainly("no-such-command", options=JSON).finish()
    (line,) = said(error)
    assert (code, line["level"]) == (127, "error")
    assert line["message"] == "cannot start 'no-such-command': no such command in PATH"


def test_what_a_stranger_wrote_stays_within_its_object(start_plainly: Starter) -> None:
    odd = b"no\n\x1b[2J\xff"
    _, _, error = start_plainly(odd, options=JSON).finish()
    (line,) = said(error)
    assert r"'no\n\x1b[2J" in line["message"]


def test_the_variable_and_the_flag_are_one(start_plainly: Starter) -> None:
    code, _, error = start_plainly("no-such-command", before=("env", "FIRSTLIGHT_LOG_FORMAT=json")).finish()
    assert (code, len(said(error))) == (127, 1)


IN_WORDS = """
import os, socket
manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
manager.connect(os.environ["NOTIFY_SOCKET"].replace("@", "\\0"))
for words in (b"READY=1", b"RELOADING=1", b"READY=1"):
    manager.send(words)
input()
"""


def test_whether_the_app_is_ready_is_said_where_that_is_checked(start_plainly: Starter) -> None:
    app = start_plainly(sys.executable, "-ISc", IN_WORDS, options=[*JSON, "--ready", "notify"], stdin=subprocess.PIPE)
    eventually(lambda: [event["kind"] for event in app.events()].count("ready") == 2)
    app.popen.stdin.write(b"\n")
    code, _, error = app.finish()
    first, *others = [line["message"] for line in said(error)]
    assert code == 0
    assert re.fullmatch(r"the app is ready after \d+\.\d s", first)
    assert others == ["the app is no longer ready: check ready-1: RELOADING=1", "the app is ready again"]


def test_giving_up_is_one_object(tmp_path: Path) -> None:
    done = rehearse("gpu-lost", tmp_path, "--log-format", "json")
    *before, report = said(done.stderr)
    assert done.returncode == report["code"] == 75
    assert (report["level"], report["fault"], report["actor"]) == ("error", "gpu-lost", "provider")
    assert report["message"].startswith("the command was not started: gpu-lost: ")
    assert report["quotes"]
    assert report["advice"]
    assert {line["boot"] for line in before} == {report["boot"]}


@pytest.mark.parametrize("options", [("--log-format", "xml"), ("--log-format", "")])
def test_a_format_that_there_is_not_is_refused_in_text(start_plainly: Starter, options: tuple[str, ...]) -> None:
    code, _, error = start_plainly("true", options=options).finish()
    assert code == 64
    assert error.startswith(b"firstlight: cannot take --log-format ")
