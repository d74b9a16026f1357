"""`firstlight explain`, as a command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping

import pytest

from firstlight.faults.catalogue import CATALOGUE


def explain(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment: Mapping[str, str] = {**os.environ, "PYTHONIOENCODING": "utf-8", **variables}
    command = [sys.executable, "-m", "firstlight", "explain", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_without_a_name_every_fault_is_listed() -> None:
    result = explain()
    assert result.returncode == 0
    assert [line.split()[0] for line in result.stdout.splitlines()] == [fault.id for fault in CATALOGUE]


def test_a_name_prints_its_page() -> None:
    result = explain("uvm-node-missing")
    assert result.stdout.startswith("uvm-node-missing\nThe container has no /dev/nvidia-uvm.\n")
    assert all(heading in result.stdout for heading in ("You see", "Why", "Cure", "Who must act"))


def test_a_message_lists_what_can_show_it_and_prints_the_likeliest_page() -> None:
    result = explain("RuntimeError:", "No CUDA GPUs are available")
    assert "most likely first" in result.stdout
    assert result.stdout.index("visible-devices-invalid") < result.stdout.index("gpu-node-missing")
    assert "CUDA_VISIBLE_DEVICES hides GPUs" in result.stdout


def test_json_carries_the_page_in_parts() -> None:
    data = json.loads(explain("fabric-in-progress", "--format", "json").stdout)
    assert [fault["id"] for fault in data["faults"]] == ["fabric-in-progress"]
    assert set(data["faults"][0]["sections"]) == {"You see", "Why", "Cure"}


@pytest.mark.parametrize(
    ("text", "advice"), [("uvm-node-mising", "did you mean uvm-node-missing?"), ("segmentation\nfault", "lists every fault")]
)
def test_a_text_that_means_nothing_is_one_line_and_exit_64(text: str, advice: str) -> None:
    result = explain(text)
    assert (result.returncode, result.stdout) == (64, "")
    assert result.stderr.startswith("firstlight: cannot explain ")
    assert advice in result.stderr
    assert result.stderr.count("\n") == 1


def test_colour_is_forced_and_forbidden_by_the_environment() -> None:
    assert "\x1b[1m" in explain(FORCE_COLOR="1", NO_COLOR="").stdout
    assert "\x1b" not in explain(FORCE_COLOR="", NO_COLOR="").stdout


def test_an_ascii_terminal_gets_ascii() -> None:
    result = explain("uvm-node-missing", PYTHONIOENCODING="ascii")
    assert result.returncode == 0
    assert result.stdout.isascii()
