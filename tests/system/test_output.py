"""What the verbs print when standard output or standard error is not as usual: full, closed, or read by nobody."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FIRSTLIGHT = str(Path(sys.executable).parent / "firstlight")
RECORDED = str(Path(__file__).parents[1] / "data/facts/h200-healthy.json")

VERBS = {
    "explain": (["explain"], 0),
    "completion": (["completion", "bash"], 0),
    "doctor": (["doctor", "--from", RECORDED], 0),
    "facts": (["facts", "--from", RECORDED], 0),
    "version": (["--version"], 0),
    "help": (["run", "--help"], 0),
    "bad input": (["run", "--gpus", "some", "--", "true"], 64),
    "a boot that gives up": (["rehearse", "driver-not-injected", "--", "true"], 69),
}
# Verb, whether Python writes at once. What argparse prints is not among the latter: it hides the error of a write.
PRINTING = [(verb, "") for verb, (_, code) in VERBS.items() if code == 0]
PRINTING += [(verb, "1") for verb in ("explain", "completion", "doctor", "facts")]


@pytest.mark.parametrize(("verb", "unbuffered"), PRINTING)
def test_a_full_disk_is_told_in_one_line(verb: str, unbuffered: str) -> None:
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with open("/dev/full", "w") as full:
        outcome = subprocess.run(
            [FIRSTLIGHT, *VERBS[verb][0]], stdout=full, stderr=subprocess.PIPE, text=True, env=environment, check=False
        )
    assert outcome.stderr == "firstlight: cannot print: No space left on device\n"
    assert outcome.returncode == 74


@pytest.mark.parametrize(("verb", "unbuffered"), PRINTING)
def test_a_reader_that_has_gone_ends_it_quietly(verb: str, unbuffered: str) -> None:
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    reader, writer = os.pipe()
    os.close(reader)
    outcome = subprocess.run([FIRSTLIGHT, *VERBS[verb][0]], stdout=writer, stderr=subprocess.PIPE, text=True, env=environment, check=False)
    os.close(writer)
    assert (outcome.returncode, outcome.stderr) == (141, "")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("verb", VERBS)
def test_closed_streams_change_no_exit_code(verb: str, closed: str) -> None:
    words, code = VERBS[verb]
    outcome = subprocess.run(["sh", "-c", f'exec "$@" {closed}', "sh", FIRSTLIGHT, *words], capture_output=True, text=True, check=False)
    assert outcome.returncode == code
    assert "Traceback" not in outcome.stderr
