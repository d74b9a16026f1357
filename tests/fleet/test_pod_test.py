"""`firstlight pod test` as people run it, against RunPod on localhost."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest
from cloud.hosts import Host
from cloud.pods import EXITED, RUNNING

FIRSTLIGHT = (sys.executable, "-m", "firstlight", "pod")
VOLUME = {"persistent": {"size": 20, "path": "/workspace"}}


@pytest.fixture
def command(cloud, tmp_path):
    """Starts the command; its errors go where its output goes not."""
    environment = {**cloud.environment, "XDG_STATE_HOME": str(tmp_path / "state")}

    def start(*words):
        return subprocess.Popen([*FIRSTLIGHT, *words], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return start


@pytest.fixture
def done(command):
    """Runs it to its end: what it printed, and what it said."""

    def run(*words, code=0):
        running = command(*words)
        out, err = running.communicate()
        assert running.returncode == code, err
        return out, err

    return run


def settled(cloud, pod, status):
    """Waits until the cloud itself has it so."""
    while pod.status != status:
        time.sleep(0.05)
        cloud.world.settle()


def test_a_pod_is_tested_and_a_report_is_left(cloud, done, tmp_path):
    pod = cloud.pod("good", mounts=VOLUME)
    out, err = done("test", "good", "--cycles", "1", "--no-ssh", "--to", str(tmp_path / "out"), "--format", "json")
    told = json.loads(out)
    assert told["total"]["proven"] == 1
    assert told == json.loads((tmp_path / "out" / "report.json").read_text())
    assert "1 of 1 cold start proven" in (tmp_path / "out" / "report.html").read_text()
    assert "storage not included" in err
    assert (pod.status, pod.starts) == (RUNNING, 2)
    out, err = done("test", "--resume", str(tmp_path / "out"))
    assert "is finished: nothing is left to do" in err
    assert "1 of 1 cold start proven" in out
    assert pod.starts == 2


def test_interrupted_it_brings_the_pod_back_and_goes_on_when_resumed(cloud, command, done, tmp_path):
    pod = cloud.pod("good", mounts=VOLUME)
    cloud.world.act(pod.id, "stop")
    settled(cloud, pod, EXITED)
    cloud.habits(ready_after=3600.0)
    running = command("test", "good", "--cycles", "1", "--no-ssh", "--to", str(tmp_path / "out"))
    settled(cloud, pod, RUNNING)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate()
    assert running.returncode == 128 + signal.SIGINT, err
    assert "is being stopped again" in err
    assert "--resume" in err
    assert pod.status == EXITED
    cloud.habits(ready_after=0.1)
    out, _ = done("test", "--resume", str(tmp_path / "out"))
    assert "1 of 1 cold start proven" in out
    settled(cloud, pod, EXITED)


def test_killed_it_leaves_what_a_sweep_needs(cloud, command, done, tmp_path):
    pod = cloud.pod("good", mounts=VOLUME)
    cloud.world.act(pod.id, "stop")
    settled(cloud, pod, EXITED)
    cloud.habits(ready_after=3600.0)
    running = command("test", "good", "--cycles", "1", "--no-ssh", "--to", str(tmp_path / "out"))
    settled(cloud, pod, RUNNING)
    running.kill()
    running.communicate()
    done("sweep", "--apply", code=1)  # it is being stopped, which is not over yet
    settled(cloud, pod, EXITED)
    done("sweep", "--apply")


@pytest.mark.parametrize(
    ("body", "words", "said"),
    [
        ({"mounts": VOLUME}, ("--cycles", "100", "--max-cost", "1"), "cannot test for at most 1.00 USD: 100 cycles of 1 pod"),
        ({}, (), "it has no volume, and a stop wipes its container disk"),
        ({"mounts": VOLUME}, ("--mode", "recreate", "--keep-running"), "cannot keep pods running that a test creates"),
        ({"mounts": VOLUME}, ("--cycles", "0"), "'0' is no number from 1 to 10000"),
        ({"mounts": VOLUME}, ("--identity", "/nowhere"), "cannot take --identity /nowhere: there is no such file"),
        ({"mounts": VOLUME}, ("--min-cuda", "12.8"), "cannot choose a host by --min-cuda for a pod that keeps its own"),
        ({"mounts": VOLUME, "env": {}}, (), "firstlight is not configured in it, so no start of it could be proven"),
    ],
)
def test_what_may_not_be_tested_is_refused_and_not_touched(cloud, done, tmp_path, body, words, said):
    pod = cloud.pod("good", **body)
    _, err = done("test", "good", *words, "--to", str(tmp_path / "out"), code=64)
    assert said in err
    assert not (tmp_path / "out").exists()
    assert (pod.status, pod.starts) == (RUNNING, 1)


def test_a_locked_pod_is_refused(cloud, done):
    cloud.pod("good", mounts=VOLUME).locked = True
    assert "it is locked" in done("test", "good", code=64)[1]


def test_with_few_files_to_be_open_it_tests_fewer_pods_at_once(cloud, tmp_path):
    names = [f"pod-{number}" for number in range(4)]
    cloud.world.hosts["many"] = Host(name="many", count=len(names))
    for pod in [cloud.pod(name, mounts=VOLUME) for name in names]:
        cloud.world.act(pod.id, "stop")
        settled(cloud, pod, EXITED)
    few = ("sh", "-c", 'ulimit -Sn 12 && ulimit -Hn 88 && exec "$@"', "sh")  # too few to do anything with, unless it takes more
    words = ("test", *names, "--cycles", "1", "--no-ssh", "--to", str(tmp_path / "out"), "--lease-dir", str(tmp_path / "leases"))
    ran = subprocess.run((*few, *FIRSTLIGHT, *words), env=cloud.environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "tests 3 pods at once, not 4: no more than 88 files may be open here" in ran.stderr
    assert "4 of 4 cold starts proven" in ran.stdout


def test_a_dry_run_does_nothing(cloud, done, tmp_path):
    pod = cloud.pod("good", mounts=VOLUME)
    out, err = done("test", "good", "--dry-run", "--to", str(tmp_path / "out"))
    assert f"{pod.id} (good) is stopped and started 10 times" in out
    assert "USD" in err
    assert pod.starts == 1
    assert not (tmp_path / "out").exists()


def test_a_dry_run_of_a_test_that_was_begun_does_nothing_and_says_what_is_left(cloud, command, done, tmp_path):
    pod = cloud.pod("good", mounts=VOLUME)
    cloud.habits(ready_after=3600.0)
    running = command("test", "good", "--cycles", "3", "--no-ssh", "--to", str(tmp_path / "out"))
    while pod.starts < 2:
        time.sleep(0.05)
        cloud.world.settle()
    running.send_signal(signal.SIGINT)
    running.communicate()
    starts, orders = pod.starts, len([call for call in cloud.service.calls if call.method == "POST"])

    out, _ = done("test", "--resume", str(tmp_path / "out"), "--dry-run")
    told = json.loads(done("test", "--resume", str(tmp_path / "out"), "--dry-run", "--format", "json")[0])

    assert f"{pod.id} (good) has 3 of 3 cycles left" in out
    assert told["left"] == {pod.id: [1, 2, 3]}
    assert (pod.starts, len([call for call in cloud.service.calls if call.method == "POST"])) == (starts, orders)


def test_a_plan_that_was_begun_is_not_silently_another(cloud, done, tmp_path):
    cloud.pod("good", mounts=VOLUME)
    done("test", "good", "--cycles", "1", "--no-ssh", "--to", str(tmp_path / "out"))

    _, err = done("test", "--resume", str(tmp_path / "out"), "--max-cost", "50", "--cycles", "9", code=64)

    assert "cannot change a test that was begun: --resume keeps its plan; leave out --cycles, --max-cost" in err


def test_pods_are_created_where_the_driver_is_as_new_as_was_asked_for(cloud, done):
    cloud.pod("good", mounts=VOLUME)

    out, _ = done("test", "good", "--mode", "recreate", "--min-cuda", "12.9", "--dry-run")

    assert "a host must be able to CUDA 12.9" in out


def test_created_pods_are_ordered_with_the_cuda_that_was_asked_for(cloud, done, tmp_path):
    """No host of this cloud has it, and so each order is refused."""
    cloud.pod("good", mounts=VOLUME)
    words = ("--mode", "recreate", "--cycles", "1", "--no-ssh", "--min-cuda", "13.7", "--to", str(tmp_path / "out"))
    out, _ = done("test", "good", *words, code=1)

    asked = [call.body["gpu"]["minCudaVersion"] for call in cloud.service.calls if call.operation == "createPod"]
    assert set(asked) == {"13.7"}, out


def test_a_pod_that_is_tested_is_left_alone_by_others(cloud, command, done, tmp_path):
    pod = cloud.pod("good", mounts=VOLUME)
    cloud.habits(ready_after=3600.0)
    first = command("test", "good", "--cycles", "1", "--no-ssh", "--to", str(tmp_path / "first"))
    while pod.starts < 2:
        time.sleep(0.05)
        cloud.world.settle()
    _, err = done("test", "good", "--cycles", "1", "--no-ssh", "--to", str(tmp_path / "second"), code=64)
    assert f"cannot test: something is done with {pod.id} already (pod test " in err
    assert not (tmp_path / "second").exists()
    _, err = done("test", "--resume", str(tmp_path / "first"), code=64)
    assert "another process is at it" in err
    pod.mounts = {}
    _, err = done("relocate", "good", "--no-ssh", "--stop-first", "--even-if-container-disk-is-lost", code=74)
    assert f"cannot move {pod.id}: something is done with {pod.id} already (pod test " in err
    assert list(cloud.world.pods) == [pod.id]
    first.send_signal(signal.SIGINT)
    _, err = first.communicate()
    assert first.returncode == 128 + signal.SIGINT, err
    assert list((tmp_path / "state/firstlight/leases").iterdir()) == []


def test_of_two_tests_that_begin_at_once_not_both_go_on(cloud, command, tmp_path):
    pod = cloud.pod("good", mounts=VOLUME)
    running = [command("test", "good", "--cycles", "1", "--no-ssh", "--to", str(tmp_path / name)) for name in ("one", "other")]
    for one in running:
        one.communicate()
    codes = sorted(one.returncode for one in running)
    assert codes in ([0, 64], [64, 64], [0, 0])
    assert pod.starts == 1 + codes.count(0)  # one after the other, where the first was quick
    assert pod.status == RUNNING
