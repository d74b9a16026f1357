"""`pod relocate` and `pod sweep` by the installed command, with real signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import waiting
from cloud import catalogue, hosts

from firstlight.fleet.lease import MARK

FIRSTLIGHT = str(Path(sys.executable).parent / "firstlight")


@pytest.fixture
def begin(cloud, tmp_path):
    """Starts `firstlight pod VERB …` with leases of its own."""
    begun = []

    def begin(verb, *words):
        argv = [FIRSTLIGHT, "pod", verb, *words, "--lease-dir", str(tmp_path / "leases")]
        begun.append(subprocess.Popen(argv, env=cloud.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return begun[-1]

    yield begin
    for process in begun:
        process.kill()
        process.communicate()


@pytest.fixture
def leases(tmp_path):
    return lambda: sorted((tmp_path / "leases").glob("[!.]*.json"))


def broken(cloud, fault="uvm-open-fails", **body):
    """A pod on a host that is at fault; the only other host is what the test adds."""
    cloud.world.hosts["host-1"].fault = fault
    mounts = {"network": [{"volumeId": catalogue.add_volume(cloud.world, name="v")["id"], "path": "/workspace"}]}
    pod = cloud.pod(**{"mounts": mounts, **body})
    cloud.world.hosts["host-2"].taken = 1
    return pod


def add(cloud, fault=""):
    cloud.world.hosts["other"] = hosts.Host(name="other", fault=fault)


def steps(process, until):
    """The steps that it tells, up to this one."""
    told = []
    for line in process.stdout:
        told.append(json.loads(line))
        if told[-1]["step"] == until:
            return told
    raise AssertionError(f"it ended without {until}: {told} {process.stderr.read()}")


def end(process):
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def marked(cloud):
    return [pod for pod in cloud.world.pods.values() if MARK in pod.env]


def sweep(begin):
    code, out, err = end(begin("sweep", "--apply", "--format", "json"))
    assert err == ""
    return code, json.loads(out)


def test_a_pod_is_moved_and_the_old_one_goes_last(cloud, begin, leases):
    old = broken(cloud)
    add(cloud)
    code, out, err = end(begin("relocate", old.id, "--no-ssh", "--format", "json"))
    assert (code, err) == (0, "")
    moved = json.loads(out.splitlines()[-1])
    assert (moved["step"], moved["old"], moved["owed"]) == ("moved", old.id, [])
    (new,) = marked(cloud)
    assert new.id == moved["pod"]
    assert new.started_at < cloud.world.ended[old.id].ended_at
    assert leases() == []
    assert cloud.service.complaints == []
    order = next(call.body for call in cloud.service.calls if call.operation == "createPod")
    assert order["gpu"] == {"id": old.gpu, "count": 1, "minCudaVersion": "12.8"}


def test_where_none_is_proven_the_old_pod_stays_and_nothing_else_does(cloud, begin, leases):
    old = broken(cloud)
    add(cloud, "uvm-open-fails")
    code, _, err = end(begin("relocate", "pod", "--tries", "1", "--no-ssh"))
    assert code == 74
    assert "uvm-open-fails" in err
    assert list(cloud.world.pods) == [old.id]
    assert leases() == []


@pytest.mark.parametrize(
    ("body", "options", "why"),
    [
        ({"mounts": {"persistent": {"size": 20, "path": "/workspace"}}}, (), "its volume lies on its host"),
        ({"mounts": {}}, (), "--even-if-container-disk-is-lost"),
        ({"env": {}}, (), "two would write to one volume"),
    ],
)
def test_what_would_lose_data_is_refused(cloud, begin, leases, body, options, why):
    old = broken(cloud, **body)
    code, out, err = end(begin("relocate", old.id, "--no-ssh", *options))
    assert (code, out) == (64, "")
    assert err.startswith(f"firstlight: cannot move {old.id}: ")
    assert why in err
    assert list(cloud.world.pods) == [old.id]
    assert leases() == []


def test_a_pod_whose_app_runs_is_refused_unless_it_may_be_stopped_first(cloud, begin):
    old = broken(cloud, fault="")
    add(cloud)
    code, _, err = end(begin("relocate", old.id, "--no-ssh"))
    assert (code, "its app still runs" in err) == (64, True)
    code, out, _ = end(begin("relocate", old.id, "--no-ssh", "--stop-first"))
    assert code == 0, out
    assert "it was given the same GPU as before" in out  # the stop has set it free
    (new,) = cloud.world.pods.values()
    assert new.host.name == "other"


def test_a_dry_run_orders_nothing_and_shows_no_value(cloud, begin, leases):
    old = broken(cloud)
    code, out, _ = end(begin("relocate", old.id, "--dry-run"))
    assert code == 0
    assert "minCudaVersion" in out
    assert "FIRSTLIGHT_TOKEN" in out
    assert cloud.token not in out
    assert [call for call in cloud.service.calls if call.method != "GET"] == []
    assert leases() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_undoes_what_is_not_proven(cloud, begin, leases, number):
    old = broken(cloud)
    add(cloud, hosts.NEVER_STARTS)
    process = begin("relocate", old.id, "--no-ssh", "--format", "json")
    steps(process, "ordered")
    assert len(leases()) == 1
    process.send_signal(number)
    assert end(process)[0] == 128 + number
    assert list(cloud.world.pods) == [old.id]
    assert leases() == []


def test_after_a_kill_the_lease_is_left_alone_while_its_process_lives_and_swept_after(cloud, begin, leases):
    old = broken(cloud)
    add(cloud, hosts.NEVER_STARTS)
    process = begin("relocate", old.id, "--no-ssh", "--format", "json")
    steps(process, "ordered")
    code, swept = sweep(begin)
    assert (code, [lease["state"] for lease in swept["leases"]]) == (0, ["lives"])
    assert len(marked(cloud)) == 1
    process.kill()
    process.wait()
    code, swept = sweep(begin)
    assert (code, [lease["settled"] for lease in swept["leases"]]) == (0, [True])
    assert list(cloud.world.pods) == [old.id]
    assert leases() == []


def test_a_kill_before_the_answer_leaves_no_pod_and_the_lease_until_none_can_come(cloud, begin, leases):
    old = broken(cloud)
    add(cloud)
    cloud.habits(latency=1.0)
    process = begin("relocate", old.id, "--no-ssh", "--format", "json")
    waiting.until(lambda: marked(cloud))
    process.kill()
    process.wait()
    cloud.habits(latency=0.0)
    code, swept = sweep(begin)
    assert code == 1  # a look later
    assert "may still come to be seen" in swept["leases"][0]["owed"][0]["words"]
    assert list(cloud.world.pods) == [old.id]
    (left,) = leases()
    terms = json.loads(left.read_text())
    left.write_text(json.dumps({**terms, "promised_at": "2026-01-01T00:00:00.000Z"}))
    assert sweep(begin)[0] == 0
    assert leases() == []


def test_a_kill_once_the_new_pod_is_proven_is_finished_by_the_sweep(cloud, begin, leases):
    old = broken(cloud)
    add(cloud)
    process = begin("relocate", old.id, "--no-ssh", "--format", "json")
    cloud.habits(latency=0.5)
    steps(process, "proven")
    process.kill()
    process.wait()
    cloud.habits(latency=0.0)
    assert sweep(begin)[0] == 0
    (new,) = cloud.world.pods.values()
    assert new.host.name == "other"
    assert leases() == []


def test_pods_with_a_mark_that_nobody_here_knows_are_shown_and_left(cloud, begin):
    stranger = cloud.pod(env={MARK: "0123456789abcdef"})
    code, swept = sweep(begin)
    assert (code, [one["pod"] for one in swept["strangers"]]) == (0, [stranger.id])
    assert stranger.id in cloud.world.pods


def test_a_lease_is_for_its_owner_alone(cloud, begin, leases):
    old = broken(cloud)
    add(cloud, hosts.NEVER_STARTS)
    process = begin("relocate", old.id, "--no-ssh", "--format", "json")
    steps(process, "ordered")
    (lease,) = leases()
    assert os.stat(lease).st_mode & 0o777 == 0o600
    assert cloud.token not in lease.read_text()


def test_a_pod_that_is_being_moved_is_not_moved_again(cloud, begin):
    old = broken(cloud)
    add(cloud, hosts.NEVER_STARTS)
    steps(begin("relocate", old.id, "--no-ssh", "--format", "json"), "ordered")
    code, _, err = end(begin("relocate", old.id, "--no-ssh"))
    assert (code, "it is being moved already" in err) == (74, True)
    assert len(marked(cloud)) == 1
