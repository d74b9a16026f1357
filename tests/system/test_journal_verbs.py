"""`status` and `timeline` read what `run` wrote."""

from __future__ import annotations

import json
import subprocess

import pytest

from .conftest import FIRSTLIGHT, Starter


def ask(*words: str) -> subprocess.CompletedProcess[str]:
    """Run another verb to its end."""
    return subprocess.run([FIRSTLIGHT, *words], capture_output=True, text=True, check=False)


def test_they_tell_how_it_ended(start_plainly: Starter) -> None:
    app = start_plainly("sh", "-c", "exit 3")
    assert app.code() == 3
    state = ("--state-dir", str(app.state))
    stands = json.loads(ask("status", *state, "--format", "json").stdout)
    assert (stands["stage"], stands["app_code"], stands["code"]) == ("end", 3, 3)
    assert "with exit code 3" in ask("status", *state).stdout
    line = json.loads(ask("timeline", *state, "--format", "json").stdout)
    assert [span["stage"] for span in line["spans"]] == ["start", "app", "ready", "stop", "end"]
    assert line["boot"] == stands["boot"]
    assert ask("timeline", *state).stdout.count("\n") == 6


@pytest.mark.parametrize("verb", ["status", "timeline"])
def test_without_a_journal_they_say_so(start_plainly: Starter, verb: str) -> None:
    outcome = ask(verb, "--state-dir", str(start_plainly.state))
    assert (outcome.returncode, outcome.stdout) == (64, "")
    assert outcome.stderr.startswith("firstlight: cannot read a journal under ")
