"""Cycles, their outcomes, and what is left behind: against RunPod in the test's own process, where waiting takes no time."""

from __future__ import annotations

import json
from dataclasses import dataclass

import anyio
import pytest
from cloud import contract, service, virtual
from cloud.habits import Habits, Trouble
from cloud.hosts import Host
from cloud.pods import EXITED, RUNNING
from cloud.transport import Transport
from cloud.world import World

from firstlight.fleet import cost, inside, lease, planning, results, sweep, trial
from firstlight.fleet.cycle import Ground, Outcome
from firstlight.fleet.like import like
from firstlight.fleet.record import Mode, Record
from firstlight.fleet.standing import Standing
from firstlight.fleet.verify import Patience
from firstlight.providers.runpod import access, client
from firstlight.providers.runpod.client import CloudError

SLOW = {
    "provisioning": 8.0,
    "starting": 12.0,
    "stopping": 6.0,
    "agent_after": 3.0,
    "ready_after": 20.0,
    "quotas": {"minute": 60},
}
BODY = {
    "image": "runpod/pytorch:1.0.2-cu1281-torch280-ubuntu2404",
    "gpu": {"id": "NVIDIA GeForce RTX 4090", "count": 1},
    "ports": ["8188/http", "8421/http", "22/tcp"],
    "env": {"FIRSTLIGHT_TOKEN": "t" * 43},
    "cmd": ["run", "--serve", "0.0.0.0:8421", "--on-failure", "hold", "--", "python3", "main.py"],
    "entrypoint": ["/workspace/firstlight/firstlight.pyz"],
    "mounts": {"persistent": {"size": 20, "path": "/workspace"}},
}


@dataclass
class Laid:
    """All that a test of trials needs, in one event loop."""

    world: World
    cloud: client.Client
    http: object
    ours: access.Access
    folder: object
    told: list
    calls: list  # what was asked of the service, and how it answered

    async def pod(self, name="pod", *, running=True, **body):
        made = self.world.create({"name": name, **BODY, **body})
        self.world.hurry(made, RUNNING)
        if not running:
            await self.cloud.act(made.id, "stop")
            await anyio.sleep(self.world.habits.stopping)
            self.world.settle()
            assert made.status == EXITED
        return made

    async def settled(self):
        """Whatever was ordered has come about."""
        await anyio.sleep(60)
        self.world.settle()

    async def trial(self, *, pods=None, cycles=3, mode=Mode.STOP_START, cap=50.0, parallel=4, keep_running=False, resume=False, pause=30.0):
        if resume:
            record = Record.resume(str(self.folder / "out"))
        else:
            seen = [pod for pod in await self.cloud.pods() if pods is None or pod.id in pods]
            prices = {seen[0].gpu: await self.cloud.price(seen[0].gpu)}
            plan = planning.plan(seen, prices, mode=mode, cycles=cycles, cap=cap, ssh=False, keep_running=keep_running, disk_may_go=False)
            record = Record.begin(str(self.folder / "out"), plan)
        stands, spent = trial.stands(record, resumed=resume)
        on = Ground(
            cloud=self.cloud,
            http=self.http,
            standing=Standing(self.cloud),
            access=self.ours,
            ssh=None,
            patience=Patience(),
            meter=cost.Meter(cap=record.plan.cap, before=spent),
            tell=lambda subject, number, words, *, leg: self.told.append((subject.id, number, words)),
        )
        kept = {}
        if resume:
            _, kept = await trial.settle_last(on, str(self.folder / "leases"), record.plan.id, stands)
        bodies = (
            {one.id: like(await self.cloud.pod(one.id), min_cuda=None) for one in record.plan.subjects} if mode is Mode.RECREATE else {}
        )
        place = str(self.folder / "leases")
        return trial.Trial(on=on, record=record, leases=place, parallel=parallel, pause=pause, stands=stands, bodies=bodies, kept=kept)

    def results(self, work):
        return results.count(work.record.plan, work.record.lines(), made_at="now", ended=work.ended)

    def owed(self):
        return lease.paths(str(self.folder / "leases"))


@pytest.fixture
def laid(tmp_path):
    """Runs a coroutine on a cloud of its own; every answer is held against RunPod's document, and time stands still while it works."""

    def run(story, *hosts, **habits):
        async def main():
            world = World(hosts or [Host(name="one")], habits=Habits(**{**SLOW, **habits}), clock=anyio.current_time)
            place = contract.path()
            serves = service.application(world, contract.Contract.read(place) if place else None)
            ours = access.Access(key=world.key, api="http://cloud/v2", proxy="http://cloud/proxy/{pod}/{port}")
            async with client.Client(ours, Transport(serves)) as cloud, inside.client(Transport(serves)) as http:
                await story(Laid(world, cloud, http, ours, tmp_path, [], serves.calls))
            assert serves.violations == []
            assert serves.complaints == []

        virtual.run(main)

    return run


def test_a_running_pod_is_stopped_and_started_and_goes_on_running(laid):
    async def story(on):
        pod = await on.pod()
        work = await on.trial(cycles=3)
        await work.run()
        found = on.results(work)
        assert found.well
        assert found.total.outcomes == {Outcome.PROVEN: 3}
        assert (pod.status, pod.starts) == (RUNNING, 4)
        assert [round(one.to_ready) for one in found.cycles] == [40, 40, 40]
        assert [leg.name for leg in found.cycles[0].legs] == ["stop", "start", "status", "health", "cuda", "ready", "proxy"]
        assert found.cycles[0].gpus == pod.gpus
        assert found.returned[pod.id].words == "goes on running, as before"
        assert on.owed() == []

    laid(story)


def test_a_stopped_pod_is_stopped_again(laid):
    async def story(on):
        pod = await on.pod(running=False)
        work = await on.trial(cycles=2)
        await work.run()
        assert on.results(work).well
        assert (pod.status, pod.starts) == (EXITED, 3)
        assert on.owed() == []

    laid(story)


def test_a_stopped_pod_is_left_running_where_that_is_wanted(laid):
    async def story(on):
        pod = await on.pod(running=False)
        work = await on.trial(cycles=1, keep_running=True)
        await work.run()
        assert on.results(work).well
        assert pod.status == RUNNING
        assert on.owed() == []

    laid(story)


def test_the_cost_is_what_the_cloud_bills_but_for_the_time_of_a_look(laid):
    async def story(on):
        pod = await on.pod(running=False)
        before = pod.cost_until(on.world.now())
        work = await on.trial(cycles=4)
        await work.run()
        billed = pod.cost_until(on.world.now()) - before
        found = on.results(work)
        assert found.total.cost == pytest.approx(work.on.meter.spent(anyio.current_time()))
        # A stop is seen by a look, and looks have a pause between them.
        assert billed <= found.total.cost <= billed + 4 * 5 * pod.price / 3600

    laid(story)


@pytest.mark.parametrize("habits", [{"no_gpu_status": 400}, {"no_gpu_status": 409}, {"no_gpu_status": 500, "error_shape": "error"}])
def test_a_start_that_is_refused_is_told_with_its_reason_and_tried_again(laid, habits):
    async def story(on):
        pod = await on.pod(running=False)
        pod.host.taken = 1
        work = await on.trial(cycles=2)
        await work.run()
        found = on.results(work)
        assert found.total.outcomes == {Outcome.REFUSED: 2}
        assert "not enough free GPUs" in found.cycles[0].words
        assert found.total.given == 0
        assert found.total.cost == 0.0
        assert not found.well
        assert pod.status == EXITED
        assert on.owed() == []

    laid(story, **habits)


def test_a_start_whose_answer_was_lost_is_no_refusal(laid):
    async def story(on):
        pod = await on.pod(running=False)
        on.world.troubles.append(Trouble(on="podAction", status=None, after=True))
        work = await on.trial(cycles=1)
        await work.run()
        assert on.results(work).total.outcomes == {Outcome.PROVEN: 1}
        assert (pod.status, pod.starts) == (EXITED, 2)

    laid(story)


def test_a_running_pod_that_is_refused_is_told_of_as_not_returned(laid):
    async def story(on):
        pod = await on.pod()
        work = await on.trial(cycles=1)
        async with anyio.create_task_group() as group:
            group.start_soon(work.run)
            while pod.status != EXITED:
                await anyio.sleep(0.1)
                on.world.settle()
            pod.host.taken = 1
        assert work.not_returned == [pod.id]
        found = on.results(work)
        assert not found.returned[pod.id].ok
        assert not found.well

    laid(story)


def test_a_start_without_a_gpu_is_told_as_one(laid):
    async def story(on):
        pod = await on.pod(running=False)
        pod.host.taken = 1
        work = await on.trial(cycles=2)
        await work.run()
        found = on.results(work)
        assert found.total.outcomes == {Outcome.ZERO_GPU: 2}
        assert pod.status == EXITED

    laid(story, no_gpu="zero")


def test_a_pod_that_ran_and_is_left_without_its_gpu_is_not_as_it_was(laid):
    async def story(on):
        pod = await on.pod()
        pod.host.taken = 1
        work = await on.trial(cycles=1)
        await work.run()
        found = on.results(work)
        assert found.total.outcomes == {Outcome.ZERO_GPU: 1}
        assert work.not_returned == [pod.id]
        assert "goes on running, and without its GPU" in found.returned[pod.id].words

    laid(story, no_gpu="zero")


def test_after_a_start_without_a_gpu_it_waits_before_the_next(laid):
    """Whoever has it gives it back in a while; another start at once would come to none as well."""

    async def story(on):
        pod = await on.pod(running=False)
        pod.host.taken = 1
        began = anyio.current_time()
        work = await on.trial(cycles=2, pause=5000.0)
        await work.run()
        assert on.results(work).total.outcomes == {Outcome.ZERO_GPU: 2}
        assert 5000 <= anyio.current_time() - began < 10000

    laid(story, no_gpu="zero")


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ("uvm-open-fails", Outcome.CUDA_ILL),
        ("never-starts", Outcome.NEVER_UP),
        ("dark", Outcome.NEVER_UP),
        ("start-refused", Outcome.REFUSED),
    ],
)
def test_what_is_wrong_with_a_host_is_told_apart(laid, fault, outcome):
    async def story(on):
        pod = await on.pod(running=False)
        pod.host.fault = fault
        work = await on.trial(cycles=1)
        await work.run()
        found = on.results(work)
        assert found.total.outcomes == {outcome: 1}
        assert found.cycles[0].words
        if outcome is Outcome.CUDA_ILL:
            assert found.cycles[0].fault == fault
            assert found.total.faults == {fault: 1}
        assert pod.status == EXITED

    laid(story)


def test_a_host_that_changed_is_told_once(laid):
    async def story(on):
        pod = await on.pod()
        work = await on.trial(cycles=4)
        async with anyio.create_task_group() as group:
            group.start_soon(work.run)
            while pod.starts < 3:  # noqa: ASYNC110 - the world tells nobody
                await anyio.sleep(0.5)
            pod.host.driver = "999.1"
        found = on.results(work)
        assert [one.host_changed for one in found.cycles] in ([False, True, False, False], [False, False, True, False])
        assert found.total.host_changes == 1
        assert [host.driver for host in found.total.hosts] == ["570.195.03", "999.1"]
        assert found.well

    laid(story)


def test_recreate_samples_hosts_and_leaves_the_pod_alone(laid):
    async def story(on):
        pod = await on.pod()
        work = await on.trial(cycles=6, mode=Mode.RECREATE)
        await work.run()
        found = on.results(work)
        assert found.well
        assert (pod.status, pod.starts) == (RUNNING, 1)
        assert list(on.world.pods) == [pod.id]
        assert len(on.world.ended) == 6
        assert {one.instance for one in found.cycles} == set(on.world.ended)
        assert len(found.total.hosts) > 1
        assert on.owed() == []

    laid(story, Host(name="one"), Host(name="two"), Host(name="three"), placement="random")


def test_recreate_counts_what_was_not_to_be_had(laid):
    async def story(on):
        pod = await on.pod()
        work = await on.trial(cycles=2, mode=Mode.RECREATE)
        await work.run()
        found = on.results(work)
        assert found.total.outcomes == {Outcome.REFUSED: 2}
        assert "no longer any instances" in found.cycles[0].words
        assert list(on.world.pods) == [pod.id]
        assert on.owed() == []

    laid(story)


def test_the_test_ends_before_the_cap_is_passed(laid):
    async def story(on):
        pod = await on.pod(running=False)
        before = pod.cost_until(on.world.now())
        work = await on.trial(cycles=1, cap=1.0)
        work.on.meter.cap = cap = 0.015
        pod.host.fault = "dark"  # it would be waited for until far behind the cap
        await work.run()
        assert "USD are spent" in work.ended
        assert 0 < pod.cost_until(on.world.now()) - before <= cap
        assert pod.status == EXITED
        found = on.results(work)
        assert found.total.cycles == 0
        assert found.total.cost <= cap
        assert on.owed() == []

    laid(story)


@pytest.mark.parametrize("mode", [Mode.STOP_START, Mode.RECREATE])
@pytest.mark.parametrize("before", [RUNNING, EXITED])
@pytest.mark.parametrize("after", [1, 5, 9, 20, 31, 45, 70, 100])
def test_whenever_it_is_ended_all_is_as_it_was_and_the_rest_can_be_done(laid, mode, before, after):
    async def story(on):
        pod = await on.pod(running=before == RUNNING)
        on.world.hosts["two"] = Host(name="two")
        work = await on.trial(cycles=2, mode=mode)
        async with anyio.create_task_group() as group:
            group.start_soon(work.run)
            await anyio.sleep(after)
            work.end("the test says so")
        await on.settled()
        assert pod.status == before
        assert list(on.world.pods) == [pod.id]
        assert on.owed() == []
        done = on.results(work).total.cycles
        work.record.close()
        again = await on.trial(resume=True, mode=mode)
        await again.run()
        found = on.results(again)
        assert found.well
        assert [one.number for one in found.cycles] == [1, 2]
        assert done <= 2
        await on.settled()
        assert pod.status == before
        assert list(on.world.pods) == [pod.id]
        assert on.owed() == []

    laid(story)


@pytest.mark.parametrize("mode", [Mode.STOP_START, Mode.RECREATE])
@pytest.mark.parametrize("before", [RUNNING, EXITED])
@pytest.mark.parametrize("after", [1, 9, 25, 45])
def test_what_a_killed_run_has_left_is_done_by_the_next(laid, mode, before, after):
    async def story(on):
        pod = await on.pod(running=before == RUNNING)
        on.world.hosts["two"] = Host(name="two")
        work = await on.trial(cycles=1, mode=mode)
        async with anyio.create_task_group() as group:
            group.start_soon(work.run)
            await anyio.sleep(after)
            work.abandon()
        assert work.on.abandoned
        work.record.close()
        again = await on.trial(resume=True, mode=mode)
        await again.run()
        assert on.results(again).well
        await on.settled()
        assert pod.status == before
        assert list(on.world.pods) == [pod.id]
        assert on.owed() == []

    laid(story)


@pytest.mark.parametrize("before", [RUNNING, EXITED])
@pytest.mark.parametrize("after", [1, 9, 25])
def test_a_sweep_brings_back_what_a_killed_run_has_stopped_or_started(laid, before, after):
    async def story(on):
        pod = await on.pod(running=before == RUNNING)
        work = await on.trial(cycles=1)
        async with anyio.create_task_group() as group:
            group.start_soon(work.run)
            await anyio.sleep(after)
            work.abandon()
        for _ in range(5):
            await on.settled()
            await sweep.sweep(on.cloud, str(on.folder / "leases"), act=True)
        assert pod.status == before
        assert on.owed() == []

    laid(story)


def test_a_key_without_rights_ends_it_at_once(laid):
    async def story(on):
        pod = await on.pod()
        on.world.troubles.append(Trouble(on="podAction", status=403, times=99))
        work = await on.trial(cycles=5)
        await work.run()
        assert isinstance(work.error, CloudError)
        assert work.error.status == 403
        assert on.results(work).total.cycles == 0
        assert pod.starts == 1

    laid(story)


def test_many_pods_share_each_look_and_keep_within_the_quota(laid):
    async def story(on):
        pods = [await on.pod(f"pod {number}") for number in range(60)]
        work = await on.trial(cycles=2, parallel=60)
        await work.run()
        found = on.results(work)
        assert found.total.outcomes == {Outcome.PROVEN: 120}
        assert all(pod.status == RUNNING for pod in pods)
        assert {call.status for call in on.calls if call.status >= 400} == set()
        assert len(on.calls) < 60 * 2 * 10  # each look serves them all

    laid(story, *[Host(name=f"host {number}") for number in range(60)])


def test_no_secret_is_kept(laid):
    async def story(on):
        await on.pod(env={"FIRSTLIGHT_TOKEN": "s3cret" * 8, "HF_TOKEN": "hf_abcdef"})
        work = await on.trial(cycles=1, mode=Mode.RECREATE)
        await work.run()
        kept = "".join(file.read_text() for file in on.folder.rglob("*") if file.is_file()) + json.dumps(on.told)
        assert "s3cret" not in kept
        assert "hf_abcdef" not in kept
        assert on.world.key not in kept

    laid(story, Host(name="one"), Host(name="two"))
