"""What the verbs of `pod` make of a cloud and of pods that mean ill, and of people who are careless: one line, and nothing lost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from firstlight.fleet.lease import MARK

FIRSTLIGHT = str(Path(sys.executable).parent / "firstlight")
VOLUME = {"persistent": {"size": 20, "path": "/workspace"}}
EVIL = "evil\x1b[2J\x9b2J\nname"


@pytest.fixture
def asked(cloud, tmp_path):
    """Runs `firstlight pod …`: exit code, standard output and standard error."""
    environment = {**cloud.environment, "XDG_STATE_HOME": str(tmp_path / "state")}

    def ask(*words, **more):
        argv = [FIRSTLIGHT, "pod", *words]
        done = subprocess.run(argv, env={**environment, **more}, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout, done.stderr

    return ask


# Names that a terminal would obey


@pytest.mark.parametrize(
    "words",
    [
        ("sweep",),
        ("test", EVIL, "--dry-run"),
        ("start", EVIL),
        ("stop", EVIL, "--dry-run"),
        ("relocate", EVIL, "--dry-run", "--no-ssh", "--even-if-container-disk-is-lost"),
        ("watch", EVIL, "--once"),
        ("configure", EVIL),
        ("verify", EVIL + "?"),
    ],
)
def test_no_name_reaches_the_terminal(cloud, asked, words):
    mounts = {} if words[0] == "relocate" else VOLUME
    cloud.pod(EVIL, env={"FIRSTLIGHT_TOKEN": cloud.token, MARK: EVIL}, mounts=mounts)
    _, out, err = asked(*words)
    assert out + err
    assert not set(out + err) & set("\x1b\x9b")
    assert "evil\nname" not in out + err


def test_what_a_pod_tells_of_itself_reaches_no_terminal(cloud, asked, monkeypatch):
    told = json.loads((Path(__file__).parents[2] / "testing/cloud/status/uvm-open-fails.json").read_text())
    told["cause"]["sentence"] = EVIL
    monkeypatch.setattr("cloud.inside.template", lambda _: json.dumps(told))
    cloud.pod("one", mounts=VOLUME)
    cloud.world.hosts["host-1"].fault = "uvm-open-fails"
    cloud.habits(agent_after=0)
    code, out, err = asked("watch", "one", "--once")
    assert code == 1
    assert "fault: uvm-open-fails: evil\\x1b[2J" in out
    assert not set(out + err) & set("\x1b\x9b")
