"""`firstlight pod test` as people run it, against RunPod on localhost."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

FIRSTLIGHT = (sys.executable, "-m", "firstlight", "pod")


@pytest.fixture
def tested(cloud, tmp_path):
    """Runs the command, and gives what came of it."""

    def run(*words, code=0):
        done = subprocess.run([*FIRSTLIGHT, *words], env=environment(cloud, tmp_path), capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        return done

    return run


def environment(cloud, tmp_path):
    return {**cloud.environment, "XDG_STATE_HOME": str(tmp_path / "state")}


def test_a_pod_that_comes_up_each_time(cloud, tested, tmp_path):
    pod = cloud.pod("good", mounts={"persistent": {"size": 20, "path": "/workspace"}})
    began = time.time()
    done = tested("test", "good", "--cycles", "2", "--no-ssh", "--to", str(tmp_path / "out"), "--format", "json")
    print(done.stderr, time.time() - began)
    told = json.loads(done.stdout)
    assert told["total"]["proven"] == 2
    assert 0
