"""Test cold starts: stop and start a pod, or create pods like it, again and again, and say how many came up."""

from __future__ import annotations

import argparse
import json
import os
import signal
from dataclasses import asdict

import anyio

from firstlight import errors
from firstlight.cli import screen
from firstlight.cli.pods import asking, relocate, sweep as sweeping, verify as verifying
from firstlight.fleet import cost, cuda, host_keys, lease, like, names, planning, record, results, trial
from firstlight.fleet.cycle import Ground, Subject
from firstlight.fleet.lease import Lease
from firstlight.fleet.record import Mode, Plan, Record
from firstlight.fleet.ssh import Ssh
from firstlight.fleet.standing import Standing
from firstlight.fleet.verify import Patience
from firstlight.providers.runpod.access import Access
from firstlight.providers.runpod.client import Client
from firstlight.report.pods import page, trial as report
from firstlight.report.style import printable
from firstlight.system import clock, descriptors, standard_error

_CYCLES = 10

# What a plan holds: it cannot be said again to a test that goes on.
_PLANNED = ("cycles", "mode", "max_cost", "min_cuda", "keep_running", "no_ssh", "even_if_container_disk_is_lost")

# With more pods than this, a line for each leg is a flood: then there is one for each cycle.
_LEGS_OF = 10

# Files that a pod under test may need at a time: its lease and the next one, a connection, and the pipes of an SSH session.
_FILES_OF_A_POD = 8

# Those that are needed anyhow: connections to RunPod, the record, the event loop's own.
_FILES = 64


def configure(parser: argparse.ArgumentParser) -> None:
    """Which pods, how often, and what it may cost."""
    parser.add_argument("pods", nargs="*", metavar="POD", help="a pod's name or id")
    parser.add_argument("--cycles", type=asking.count(10_000), metavar="N", help=f"cold starts of each pod [{_CYCLES}]")
    parser.add_argument(
        "--mode",
        choices=[mode.value for mode in Mode],
        help="stop and start the pod, which tests its own host; or create and terminate pods like it, which tests those that RunPod has "
        "[stop-start]",
    )
    parser.add_argument("--parallel", type=asking.count(10_000), default=4, metavar="N", help="how many pods at once [4]")
    parser.add_argument(
        "--max-cost", type=asking.usd, metavar="USD", help=f"begin nothing, and stop all, before it costs more [{cost.CAP:g}]"
    )
    parser.add_argument("--to", metavar="DIR", help="a new folder for the report and all that it rests on [pod-test-TIME]")
    parser.add_argument("--resume", metavar="DIR", help="go on with the test in this folder")
    parser.add_argument("--keep-running", action="store_true", help="leave the pods running, also those that were stopped before")
    parser.add_argument(
        "--even-if-container-disk-is-lost", action="store_true", help="test a pod without any volume: a stop wipes what is on its disk"
    )
    parser.add_argument("--pause", type=_seconds, default=30.0, metavar="SECONDS", help="wait so long after a start that was refused [30]")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done and what it may cost, and do nothing")
    verifying.login(parser)
    parser.add_argument(
        "--min-cuda",
        type=relocate.version,
        metavar="V",
        help="with --mode recreate: what a host's driver must be able to, such as 12.8 [the image's]",
    )
    sweeping.leases_at(parser)
    asking.configure(parser)


def _seconds(text: str) -> float:
    return 0.0 if text == "0" else asking.positive(text, "number of seconds")


def run(arguments: argparse.Namespace) -> int:
    """Test; bring all back when a signal comes in between."""
    if bool(arguments.pods) == bool(arguments.resume):
        raise errors.UsageError("cannot tell what to test: say which pods, or --resume the folder of a test")
    if arguments.resume and arguments.to:
        raise errors.UsageError("cannot keep a test that was begun elsewhere: --resume goes on in its own folder")
    if arguments.resume and (told := [f"--{name.replace('_', '-')}" for name in _PLANNED if getattr(arguments, name)]):
        raise errors.UsageError(
            f"cannot change a test that was begun: --resume keeps its plan; leave out {', '.join(told)}, or begin another"
        )
    if arguments.to == "":
        raise errors.UsageError("cannot keep a test: --to names no folder")
    arguments.cycles = arguments.cycles or _CYCLES
    arguments.mode = arguments.mode or Mode.STOP_START.value
    arguments.max_cost = arguments.max_cost or cost.CAP
    if arguments.min_cuda and arguments.mode != Mode.RECREATE.value:
        raise errors.UsageError("cannot choose a host by --min-cuda for a pod that keeps its own: it is for --mode recreate")
    verifying.ssh(arguments)
    return anyio.run(_run, arguments)


async def _run(arguments: argparse.Namespace) -> int:
    access = asking.access(arguments)
    async with Client(access) as cloud:
        if arguments.resume:
            kept = Record.resume(arguments.resume)
            if arguments.dry_run:
                return _left(kept, arguments.format)
            plan = kept.plan
        else:
            kept = None
            plan = await _plan(cloud, arguments)
            standard_error.say(_estimate(plan))
            if arguments.dry_run:
                return _show(plan, arguments.format)
        # Whom we met is written down in the middle of it: better to fail before anything is begun.
        login = verifying.ssh(arguments) if plan.ssh else None
        host_keys.try_folder(login)
        with trial.alone(lease.folder(os.environ, arguments.lease_dir), plan):
            kept = kept or Record.begin(arguments.to or f"pod-test-{clock.wall()[:19].replace(':', '').replace('-', '')}Z", plan)
            try:
                return await _test(cloud, access, kept, login, arguments)
            finally:
                kept.close()


def _show(plan: Plan, how: str) -> int:
    """What would be done."""
    print(json.dumps({"version": record.VERSION, "plan": asdict(plan)}, indent=2) if how == "json" else _outline(plan))
    return errors.ExitCode.OK


async def _plan(cloud: Client, arguments: argparse.Namespace) -> Plan:
    pods = await names.find_all(cloud, arguments.pods)
    prices = {gpu: await cloud.price(gpu) for gpu in sorted({pod.gpu for pod in pods if pod.gpu and pod.cost <= 0})}
    return planning.plan(
        pods,
        prices,
        mode=Mode(arguments.mode),
        cycles=arguments.cycles,
        cap=arguments.max_cost,
        ssh=not arguments.no_ssh,
        keep_running=arguments.keep_running,
        disk_may_go=arguments.even_if_container_disk_is_lost,
        min_cuda=arguments.min_cuda,
    )


def _left(kept: Record, how: str) -> int:
    """What a test that was begun would go on with."""
    stands, spent = trial.stands(kept, resumed=True)
    kept.close()
    if how == "json":
        left = {pod: stand.left for pod, stand in stands.items()}
        print(json.dumps({"version": record.VERSION, "plan": asdict(kept.plan), "left": left, "spent": round(spent, 4)}, indent=2))
        return errors.ExitCode.OK
    for subject in kept.plan.subjects:
        print(f"{printable(subject.id)} ({printable(subject.name)}) has {len(stands[subject.id].left)} of {kept.plan.cycles} cycles left")
    print(f"spent so far: {spent:.2f} of at most {kept.plan.cap:.2f} USD")
    return errors.ExitCode.OK


def _estimate(plan: Plan) -> str:
    hourly = [subject.hourly for subject in plan.subjects]
    return f"{cost.estimate(hourly, plan.cycles).words}; at most {plan.cap:.2f} USD"


def _at_once(wanted: int) -> int:
    """How many pods can be tested at once here."""
    files = descriptors.allow(_FILES + wanted * _FILES_OF_A_POD)
    most = max(1, (files - _FILES) // _FILES_OF_A_POD)
    if most < wanted:
        standard_error.say(f"tests {most} pods at once, not {wanted}: no more than {files} files may be open here (ulimit -Hn)")
    return min(most, wanted)


def _outline(plan: Plan) -> str:
    does = "is stopped and started" if plan.mode is Mode.STOP_START else "stays as it is; pods like it are created and terminated,"
    lines = [f"{printable(subject.id)} ({printable(subject.name)}) {does} {plan.cycles} times" for subject in plan.subjects]
    if plan.mode is Mode.RECREATE:
        lines.append(f"a host must be able to CUDA {plan.min_cuda}" if plan.min_cuda else "any host is taken, whatever CUDA it is able to")
    return "\n".join(lines)


async def _test(cloud: Client, access: Access, kept: Record, login: Ssh | None, arguments: argparse.Namespace) -> int:
    plan = kept.plan
    stands, spent = trial.stands(kept, resumed=bool(arguments.resume))
    place = lease.folder(os.environ, arguments.lease_dir)
    told = len(plan.subjects) > _LEGS_OF

    def tell(subject: Subject, number: int, words: str, *, leg: bool) -> None:
        if not (leg and told):
            standard_error.say(f"{subject.name or subject.id}{f' {number}/{plan.cycles}' if number else ''}: {words}")

    on = Ground(
        cloud=cloud,
        standing=Standing(cloud),
        access=access,
        ssh=login,
        patience=Patience(),
        meter=cost.Meter(cap=plan.cap, before=spent),
        tell=tell,
    )
    kept_leases: dict[str, Lease] = {}
    if arguments.resume:
        left, kept_leases = await trial.settle_last(on, place, plan.id, stands)
        for owed in left:
            standard_error.say(f"still owed by the last run: {owed}")
        if not any(stand.left or not stand.returned for stand in stands.values()):
            standard_error.say(f"the test in {kept.folder} is finished: nothing is left to do")
    work = trial.Trial(
        on=on,
        record=kept,
        leases=place,
        parallel=_at_once(min(arguments.parallel, len(plan.subjects))),
        pause=arguments.pause,
        stands=stands,
        kept=kept_leases,
        bodies=await _bodies(cloud, plan) if any(stand.left for stand in stands.values()) else {},
    )
    stopped = await _until_signalled(work)
    found = results.count(plan, kept.lines(), made_at=clock.wall(), ended=work.ended)
    text = json.dumps(report.plain(found), indent=2)
    try:
        kept.keep(record.REPORT, text + "\n")
        standard_error.say(f"the report is {kept.keep(record.PAGE, page.render(found))}")
    except record.RecordError as error:
        work.error = work.error or error
    print(text if arguments.format == "json" else report.render(found, screen.style()))
    return _end(work, found, stopped, kept.folder)


async def _bodies(cloud: Client, plan: Plan) -> dict[str, dict[str, object]]:
    """What pods like the tested ones are created from, as those are now."""
    if plan.mode is not Mode.RECREATE:
        return {}
    pods = await names.find_all(cloud, [subject.id for subject in plan.subjects])
    return {pod.id: like.like(pod, min_cuda=plan.min_cuda or cuda.minimum(pod.image)) for pod in pods}


async def _until_signalled(work: trial.Trial) -> int | None:
    """Run it. The first signal ends it in order, a second one at once. The first one's number."""
    first: list[int] = []
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
        async with anyio.create_task_group() as group:

            async def listen() -> None:
                async for number in signals:
                    if first:
                        work.abandon()
                    else:
                        standard_error.say("ending: what was started is brought back first; a second signal leaves at once")
                        work.end(f"signal {signal.Signals(number).name}")
                    first.append(number)

            group.start_soon(listen)
            await work.run()
            group.cancel_scope.cancel()
    return first[0] if first else None


def _end(work: trial.Trial, found: results.Results, stopped: int | None, folder: str) -> int:
    """The exit code, and what is left to say."""
    if not found.finished:
        standard_error.say(f"`firstlight pod test --resume {folder}` does the rest")
    if work.on.abandoned or work.not_returned:
        standard_error.say("cannot say that every pod is as it was: `firstlight pod sweep --apply` does what is owed")
    if stopped is not None:
        raise errors.Stopped(stopped)
    if work.error is not None:
        raise work.error
    if work.not_returned:
        return errors.ExitCode.CLOUD
    return errors.ExitCode.OK if found.well else errors.ExitCode.ILL
