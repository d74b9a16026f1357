"""`pod watch`: what it tells, when it moves a pod, and that it never does so for what it cannot know. The hours are the loop's own."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import orphaning
import pytest
from cloud import virtual
from cloud.habits import Habits
from cloud.hosts import Host

from firstlight.fleet import inside, lease as leases, relocation, watch
from firstlight.providers.runpod.client import Client

FIRSTLIGHT = str(Path(sys.executable).parent / "firstlight")


def watched(folder, machines, script, habits=None, **rules):
    """What is told while a script goes on in the account's world. Rules: as in watch.Rules."""
    random.seed(0)
    told = []

    async def tell():
        usual = {"provisioning": 5, "starting": 10, "agent_after": 3, "ready_after": 20}
        chosen = Habits(**{**usual, **(habits or {})})
        account = orphaning.Account(orphaning.Story(machines=machines, habits=chosen, troubles=(), seed=0), folder)
        wire = orphaning.Wire(account.service, orphaning.Mortal(None))
        async with Client(account.access, wire) as cloud, inside.client(wire) as http, anyio.create_task_group() as group:
            chosen = {"moves": False, "per_day": 3, **rules}
            how = watch.Rules(every=30.0, wish=lambda _: relocation.Wish(patience=orphaning.PATIENCE), place=folder, **chosen)
            one = watch.Watch(cloud=cloud, access=account.access, http=http, wanted={account.old.id}, rules=how, tell=told.append)
            group.start_soon(one.go_on)
            await script(account)
            group.cancel_scope.cancel()
        return account

    with orphaning.loops_calendar():
        account = virtual.run(tell)
    return account, [event.event for event in told]


BROKEN = (Host(name="old", fault="uvm-open-fails"), Host(name="good"))


def later(seconds):
    async def script(_):
        await anyio.sleep(seconds)

    return script


def test_by_default_it_only_tells(tmp_path):
    account, told = watched(str(tmp_path), BROKEN, later(600))
    assert told == ["unreachable", "fault", "host-fault"]
    assert list(account.world.pods) == [account.old.id]


def test_it_moves_a_pod_after_two_looks_and_follows_it(tmp_path):
    account, told = watched(str(tmp_path), BROKEN, later(600), moves=True)
    assert told[:4] == ["unreachable", "fault", "host-fault", "ordering"]
    assert told[-2:] == ["moved", "came-up"]
    (new,) = account.world.pods.values()
    assert new.host.name == "good"


# A pod that was stopped and started again, while its host gave its GPU to somebody else.
async def given_away(account):
    await anyio.sleep(100)
    account.world.act(account.old.id, "stop")
    await anyio.sleep(60)
    account.old.host.taken = 1
    account.world.act(account.old.id, "start")
    await anyio.sleep(600)


def test_a_pod_that_was_started_without_its_gpu_is_told_as_one(tmp_path):
    account, told = watched(str(tmp_path), (Host(name="old"), Host(name="good")), given_away, habits={"no_gpu": "zero"})
    assert [event for event in told if event != "unreachable"] == ["came-up", "stopped", "fault", "zero-gpu"]
    assert list(account.world.pods) == [account.old.id]


def test_a_pod_that_was_started_without_its_gpu_is_moved(tmp_path):
    account, told = watched(str(tmp_path), (Host(name="old"), Host(name="good")), given_away, moves=True, habits={"no_gpu": "zero"})
    assert told[-2:] == ["moved", "came-up"]
    (new,) = account.world.pods.values()
    assert new.host.name == "good"


def test_a_pod_that_does_not_answer_is_never_moved(tmp_path):
    account, told = watched(str(tmp_path), (Host(name="old", fault="dark"), Host(name="good")), later(3600), moves=True)
    assert told == ["unreachable"]
    assert list(account.world.pods) == [account.old.id]


def test_so_many_moves_a_day_and_no_more(tmp_path):
    machines = tuple(Host(name=name, fault="uvm-open-fails") for name in ("old", "a", "b", "c"))
    account, told = watched(str(tmp_path), machines, later(12 * 3600), moves=True, per_day=2)
    assert told.count("not-moved") == 3  # two that failed, and the word that there will be no more
    assert list(account.world.pods) == [account.old.id]
    _, told = watched(str(tmp_path), machines, later(3600), moves=True, per_day=2)  # another process, on the same day
    assert told.count("ordering") == 0
    assert told.count("not-moved") == 1


def test_a_watch_that_is_ended_undoes_the_move_that_is_under_way(tmp_path):
    async def script(account):
        while not account.marked():  # noqa: ASYNC110 - the world has no events
            await anyio.sleep(1)

    account, told = watched(str(tmp_path), BROKEN, script, moves=True)
    assert told[-1] == "ordered"
    assert list(account.world.pods) == [account.old.id]
    assert leases.paths(str(tmp_path)) == []


def test_what_comes_and_goes_is_told_once(tmp_path):
    async def script(account):
        await anyio.sleep(100)
        account.world.act(account.old.id, "stop")
        await anyio.sleep(100)
        account.world.act(account.old.id, "start")
        await anyio.sleep(200)
        account.world.terminate(account.old.id)
        await anyio.sleep(100)

    _, told = watched(str(tmp_path), (Host(name="old"),), script)
    assert [event for event in told if event != "unreachable"] == ["came-up", "stopped", "recovered", "lost"]


def test_a_signal_ends_it(cloud):
    pod = cloud.pod()
    argv = [FIRSTLIGHT, "pod", "watch", pod.id, "--every", "5s"]
    process = subprocess.Popen(argv, env=cloud.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert "came-up" in process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=30)[1] == ""
    assert process.returncode == 128 + signal.SIGTERM


@pytest.mark.parametrize(("fault", "code"), [("", 0), ("uvm-open-fails", 1)])
def test_one_look_says_whether_all_is_well(cloud, fault, code):
    cloud.world.hosts["host-1"].fault = fault
    cloud.habits(agent_after=0, ready_after=0)
    cloud.pod()
    argv = [FIRSTLIGHT, "pod", "watch", "--all", "--once"]
    done = subprocess.run(argv, env=cloud.environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (code, "")


@pytest.mark.parametrize("words", [(), ("a", "--all"), ("a", "--every", "1s"), ("a", "--once", "--on-host-fault", "relocate")])
def test_what_cannot_be_watched_is_refused(cloud, words):
    done = subprocess.run([FIRSTLIGHT, "pod", "watch", *words], env=cloud.environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (64, "")
