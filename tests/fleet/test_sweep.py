"""What a lease that was left makes of the account, duty by duty. The hours are the loop's own."""

from __future__ import annotations

import anyio
import orphaning
import pytest
from cloud import virtual
from cloud.habits import Habits
from cloud.hosts import Host
from cloud.pods import EXITED, RUNNING

from firstlight import errors
from firstlight.fleet import inside, lease as leases, relocation, sweep
from firstlight.fleet.lease import MARK, START, STOP, TERMINATE, Duty, Lease
from firstlight.providers.runpod.client import Client


def story(folder, tell, *faults):
    """Tell a story with an account that has one pod of the user's, on the first host."""

    async def main():
        machines = tuple(Host(name=str(number), fault=fault) for number, fault in enumerate(faults or ("", "")))
        account = orphaning.Account(orphaning.Story(machines=machines, habits=Habits(), troubles=(), seed=0), folder)
        wire = orphaning.Wire(account.service, orphaning.Mortal(None))
        async with Client(account.access, wire) as cloud, inside.client(wire) as http:
            await tell(account, cloud, http)

    with orphaning.loops_calendar():
        virtual.run(main)


def left(account, *duties, what="test"):
    """A lease whose process was killed."""
    lease = Lease.take(account.folder, what)
    lease.promise(*duties)
    lease.release()
    return lease


async def successor(account, status):
    """Another pod like the user's, in this status."""
    pod = account.world.create(account.body())
    account.world.hurry(pod, RUNNING)
    if status == EXITED:
        account.world.act(pod.id, "stop")
        account.world.hurry(pod, EXITED)
    elif status is None:
        account.world.terminate(pod.id)
    return pod


@pytest.mark.parametrize(("status", "stays", "owed"), [(RUNNING, False, 0), (EXITED, True, 1), (None, True, 0)])
def test_the_old_pod_goes_only_while_the_one_that_replaces_it_runs(tmp_path, status, stays, owed):
    async def tell(account, cloud, _):
        new = await successor(account, status)
        left(account, Duty(TERMINATE, account.old.id, successor=new.id))
        (found,) = (await sweep.sweep(cloud, account.folder, act=True)).leases
        assert (account.old.id in account.world.pods) == stays
        assert len(found.owed) == owed
        assert len(leases.paths(account.folder)) == owed

    story(str(tmp_path), tell)


@pytest.mark.parametrize(("action", "before", "after"), [(STOP, RUNNING, EXITED), (START, EXITED, RUNNING), (START, RUNNING, RUNNING)])
def test_a_pod_is_brought_back_to_how_it_was(tmp_path, action, before, after):
    async def tell(account, cloud, _):
        if before == EXITED:
            account.world.act(account.old.id, "stop")
            account.world.hurry(account.old, EXITED)
        left(account, Duty(action, account.old.id))
        for _ in range(2):
            await sweep.sweep(cloud, account.folder, act=True)
            await anyio.sleep(300)
        account.world.settle()
        assert account.old.status == after
        assert leases.paths(account.folder) == []

    story(str(tmp_path), tell)


def test_what_is_settled_ends_in_time_though_the_service_hangs(tmp_path):
    async def tell(account, cloud, _):
        async def hang(_):
            await anyio.sleep_forever()

        cloud.pod = hang
        lease = Lease.take(account.folder, "test")
        lease.promise(Duty(TERMINATE, account.old.id))
        began = anyio.current_time()
        (owed,) = await sweep.settle(cloud, lease, 60.0)
        assert anyio.current_time() - began == pytest.approx(60.0)
        assert (owed.duty, owed.words) == (Duty(TERMINATE, account.old.id), f"there was no time left to terminate pod {account.old.id}")
        assert len(leases.paths(account.folder)) == 1

    story(str(tmp_path), tell)


async def move(account, cloud, http):
    pod = await cloud.pod(account.old.id)
    wish = relocation.Wish(patience=orphaning.PATIENCE)
    told = await inside.ask(http, account.access, pod)
    return await relocation.begin(cloud, account.access, pod, told, wish, place=account.folder, tell=lambda _: None, http=http)


def test_of_two_moves_that_begin_at_once_at_most_one_orders(tmp_path):
    async def tell(account, cloud, http):
        refused = []

        async def one():
            try:
                await move(account, cloud, http)
            except errors.Error as error:
                refused.append(str(error))

        async with anyio.create_task_group() as group:
            group.start_soon(one)
            group.start_soon(one)
        assert any("is being moved already" in words for words in refused)
        orders = [call for call in account.service.calls if call.operation == "createPod"]
        assert len(orders) <= 1
        assert len(account.world.pods) == 1
        assert leases.paths(account.folder) == []

    story(str(tmp_path), tell, "uvm-open-fails", "")


def test_what_an_interrupted_move_has_left_is_undone_before_another_begins(tmp_path):
    async def tell(account, cloud, http):
        unproven = await successor(account, RUNNING)
        left(account, Duty(TERMINATE, unproven.id), what=f"move {account.old.id}")
        moved = await move(account, cloud, http)
        assert list(account.world.pods) == [moved.new.id]
        assert moved.new.env[MARK]
        assert leases.paths(account.folder) == []

    story(str(tmp_path), tell, "uvm-open-fails", "", "")


def test_a_move_that_had_turned_is_finished_and_none_begins(tmp_path):
    async def tell(account, cloud, http):
        new = await successor(account, RUNNING)
        left(account, Duty(TERMINATE, account.old.id, successor=new.id), what=f"move {account.old.id}")
        with pytest.raises(relocation.NotMovedError, match="interrupted, and is finished now"):
            await move(account, cloud, http)
        assert list(account.world.pods) == [new.id]
        assert leases.paths(account.folder) == []

    story(str(tmp_path), tell, "uvm-open-fails", "")
