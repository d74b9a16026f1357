"""Whether a pod came up: from its status at the service to CUDA in an SSH session, each leg timed.

Two tracks begin where the pod runs: what it tells of itself over the proxy (health, cuda, ready, proxy), and what an SSH session
finds (endpoint, ssh, ssh-cuda). Neither delays the other, so that the times are those of the pod.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio
import httpx2

from firstlight import errors
from firstlight.fleet import host_keys, inside, judge, ssh as openssh
from firstlight.fleet.inside import Report, Silence
from firstlight.fleet.judge import No, NotYet, Verdict, Yes
from firstlight.fleet.ssh import Pin, Ssh, SshError, Trouble
from firstlight.fleet.standing import Asks
from firstlight.providers.runpod.access import Access
from firstlight.providers.runpod.client import CloudError
from firstlight.providers.runpod.shapes import Endpoint, Pod

# The legs, in the order in which they are named.
STATUS, ENDPOINT, HEALTH, CUDA, SSH, SSH_CUDA, READY, PROXY = LEGS = tuple("status endpoint health cuda ssh ssh-cuda ready proxy".split())

# Prints the pod's id as the container's first process was given it: no session has it. Every shell and tool of it is in every image.
_WHO = ("sh", "-c", r"tr '\0' '\n' </proc/1/environ 2>/dev/null | sed -n s/^RUNPOD_POD_ID=//p | sed 1q")


@dataclass(frozen=True, kw_only=True)
class Leg:
    """One step on the way from a start to a pod that serves.

    Attributes:
        name: one of LEGS.
        began: seconds since the verification began.
        seconds: how long it took.
        words: what was found, or why it was not.
    """

    name: str
    began: float
    seconds: float
    ok: bool
    words: str


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What came of it.

    Attributes:
        legs: those that ended, in the order in which they did.
        gpus: UUIDs that the pod has proven.
        fault: the root cause that the in-pod report names.
        host_fault: that fault is the host's and waiting will not cure it, or the report asks for another host.
        zero_gpu: it was started without a GPU.
    """

    pod: str
    ok: bool
    words: str
    legs: tuple[Leg, ...]
    gpus: tuple[str, ...] = ()
    driver: str | None = None
    fault: str | None = None
    host_fault: bool = False
    zero_gpu: bool = False


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long each leg may take, in seconds, and how often is asked."""

    status: float = 300.0  # an image is pulled meanwhile
    settle: float = 30.0  # until then a status or a refusal may be that of before the start
    endpoint: float = 120.0
    health: float = 180.0  # the proxy learns of a fresh pod after half a minute
    cuda: float = 420.0  # the pod's own deadline is five minutes
    ssh: float = 180.0  # sshd was seen a minute and a half late, behind a port that was old until then
    session: float = 120.0  # `doctor` in the SSH session
    ready: float = 900.0  # an app may load models from a network volume
    proxy: float = 60.0
    pause: float = 2.0  # between two questions to the pod
    cloud_pause: float = 5.0  # between two questions to RunPod, which takes sixty a minute


async def verify(
    cloud: Asks,
    access: Access,
    pod_id: str,
    *,
    ssh: Ssh | None,
    patience: Patience,
    tell: Callable[[Leg], None],
    http: httpx2.AsyncClient | None = None,
) -> Verified:
    """Follow a pod until it serves, or until it is clear that it will not.

    `http` asks the pod (inside.client()); without it there is one for this pod alone, and so it is for a fleet: RunPod's proxy has another name for each pod, and a client's work for one request grows with how many are under way in it. `tell` hears of each leg as it ends. Without `ssh` its legs are left out. A pod that holds for a fault ends it at once.

    Raises:
        CloudError: RunPod knows no such pod, or does not take the key.
        UsageError: there is no OpenSSH here, or no place for host keys.
    """
    if http is not None:
        return await _Course(cloud, access, pod_id, ssh, patience, tell, http).run()
    async with inside.client() as own:
        return await _Course(cloud, access, pod_id, ssh, patience, tell, own).run()


class _Course:
    """One verification under way."""

    def __init__(
        self,
        cloud: Asks,
        access: Access,
        pod_id: str,
        ssh: Ssh | None,
        patience: Patience,
        tell: Callable[[Leg], None],
        http: httpx2.AsyncClient,
    ) -> None:
        self._cloud = cloud
        self._access = access
        self._pod_id = pod_id
        self._ssh = ssh
        self._patience = patience
        self._tell = tell
        self._http = http
        self._began = anyio.current_time()
        self._legs: list[Leg] = []
        self._pod: Pod | None = None
        self._report: Report | None = None
        self._zero_gpu = False
        self._login: tuple[Endpoint, Pin] | None = None
        self._failure: errors.Error | None = None
        self._told = anyio.Event()  # whether there is a report is known
        self._proven = anyio.Event()  # the pod has proven its GPUs
        self._tracks = anyio.CancelScope()

    async def run(self) -> Verified:
        """All legs, and what they amount to."""
        if await self._leg(STATUS, self._patience.status, self._patience.cloud_pause, self._status):
            with self._tracks:
                async with anyio.create_task_group() as tracks:
                    tracks.start_soon(self._track, self._over_the_proxy)
                    if self._ssh is not None:
                        tracks.start_soon(self._track, self._over_ssh)
        if self._failure is not None:
            raise self._failure
        return self._verified()

    async def _track(self, goes: Callable[[], Awaitable[None]]) -> None:
        """One of the two. An error of it ends the other."""
        try:
            await goes()
        except errors.Error as error:
            self._failure = error
            self._tracks.cancel()

    async def _leg(self, name: str, patience: float, pause: float, step: Callable[[float], Awaitable[Verdict]]) -> bool:
        """Take the same step until it gives a yes or a no, or for so many seconds. `step` is told for how long it has been taken."""
        began = anyio.current_time()
        verdict: Verdict = NotYet("nobody answered")
        with anyio.move_on_after(patience):
            while isinstance(verdict, NotYet):
                verdict = await step(anyio.current_time() - began)
                if isinstance(verdict, NotYet):
                    await anyio.sleep(pause)
        now = anyio.current_time()
        words = f"{verdict.words}; given up after {patience:g} s" if isinstance(verdict, NotYet) else verdict.words
        leg = Leg(name=name, began=began - self._began, seconds=now - began, ok=isinstance(verdict, Yes), words=words)
        self._legs.append(leg)
        self._tell(leg)
        return leg.ok

    # What the service tells

    async def _status(self, elapsed: float) -> Verdict:
        try:
            self._pod = await self._cloud.pod(self._pod_id)
        except CloudError as error:
            return _passing(error)
        self._zero_gpu = judge.zero_gpu(self._pod)
        return judge.status(self._pod, settled=elapsed >= self._patience.settle)

    # What the pod tells of itself

    async def _over_the_proxy(self) -> None:
        patience = self._patience
        well = await self._leg(HEALTH, patience.health, patience.pause, self._health)
        self._told.set()
        if well:
            for name, seconds, step in ((CUDA, patience.cuda, self._cuda), (READY, patience.ready, self._ready)):
                if not await self._leg(name, seconds, patience.pause, step):
                    self._tracks.cancel()  # it holds or has ended: nothing that a session finds would change that
                    return
                self._proven.set()
            await self._proxy_leg()
        self._proven.set()

    async def _health(self, elapsed: float) -> Verdict:
        told = await self._ask()
        if isinstance(told, Report):
            return Yes(f"firstlight answers: {told.headline}")
        if told.final and (elapsed >= self._patience.settle or inside.configured(self._known)):
            return No(f"{told.words}; `firstlight pod configure {self._known.name or self._known.id}` sees to that")
        return NotYet(told.words)

    async def _cuda(self, _: float) -> Verdict:
        told = await self._ask()
        return judge.cuda(told) if isinstance(told, Report) else NotYet(told.words)

    async def _ready(self, _: float) -> Verdict:
        told = await self._ask()
        return judge.ready(told) if isinstance(told, Report) else NotYet(told.words)

    async def _ask(self) -> Report | Silence:
        told = await inside.ask(self._http, self._access, self._known)
        if isinstance(told, Report):
            self._report = told
        return told

    async def _proxy_leg(self) -> None:
        """The app as the world reaches it, where the pod publishes it."""
        app = judge.app(self._known)
        if app is None:
            return
        address = f"{self._access.address(self._known.id, app.port)}{app.path}"

        async def answers(_: float) -> Verdict:
            if f"{app.port}/http" not in self._known.ports:
                return No(f"the app listens on {app.port}, and the pod does not publish {app.port}/http")
            try:
                async with self._http.stream("GET", address) as response:
                    found = judge.answer(response.status_code, app)
            except (httpx2.HTTPError, httpx2.InvalidURL) as error:
                return NotYet(f"{address}: {str(error) or type(error).__name__}")
            return type(found)(f"{address}: {found.words}")

        await self._leg(PROXY, self._patience.proxy, self._patience.pause, answers)

    # What a session finds

    async def _over_ssh(self) -> None:
        patience = self._patience
        if not await self._leg(ENDPOINT, patience.endpoint, patience.cloud_pause, self._endpoint):
            return
        await self._told.wait()  # the host keys that the pod tells of are worth the wait
        if not await self._leg(SSH, patience.ssh, patience.pause, self._session):
            return
        if judge.program(self._known) is not None:
            await self._proven.wait()
            # A connection may break once; what hangs has hung by then, and says so itself.
            await self._leg(SSH_CUDA, patience.session + 2 * openssh.CONNECT_TIMEOUT, patience.pause, self._session_cuda)

    async def _endpoint(self, _: float) -> Verdict:
        if "22/tcp" not in self._known.ports:
            return No("it does not publish 22/tcp")
        try:
            self._pod = await self._cloud.pod(self._pod_id)
        except CloudError as error:
            return _passing(error)
        return Yes(openssh.at(self._pod.ssh)) if self._pod.ssh is not None else NotYet("RunPod names no address of its sshd")

    async def _session(self, _: float) -> Verdict:
        """Log in. The address is asked for anew each time: the first one after a start may be that of before, where somebody else is now."""
        verdict = await self._endpoint(0.0)
        if not isinstance(verdict, Yes):
            return verdict
        assert self._ssh is not None
        assert self._known.ssh is not None
        told = await self._ask() if self._report is not None else Silence("it tells none")
        reported = self._report.host_keys if self._report is not None else ()
        try:
            pin = await host_keys.pin(self._ssh, self._known.ssh, pod=self._known.id, start=self._known.started_at or "", reported=reported)
            done = await openssh.run(self._ssh, self._known.ssh, pin, _WHO, timeout=self._patience.session)
        except SshError as error:
            return NotYet(str(error))
        who = done.out.decode("utf-8", "replace").strip()
        if not pin.compared and who not in ("", self._known.id):
            host_keys.forget(pin)
            return NotYet(f"cannot trust {verdict.words}: another pod answers there")
        self._login = (self._known.ssh, pin)
        return Yes(f"{verdict.words}, {_trust(pin, told, who)}")

    async def _session_cuda(self, _: float) -> Verdict:
        """CUDA as a session has it: its environment is not the pod's."""
        program = judge.program(self._known)
        assert self._ssh is not None
        assert self._login is not None
        assert program is not None
        endpoint, pin = self._login
        proven = self._report.gpus if self._report is not None else ()
        try:
            done = await openssh.run(self._ssh, endpoint, pin, [program, "doctor", "--format", "json"], timeout=self._patience.session)
        except SshError as error:
            return NotYet(str(error)) if error.trouble is not Trouble.OTHER else No(str(error))
        return judge.doctor(done.code, done.out, done.err, proven=proven)

    # What it amounts to

    @property
    def _known(self) -> Pod:
        assert self._pod is not None
        return self._pod

    def _verified(self) -> Verified:
        report = self._report
        failed = next((leg for leg in self._legs if not leg.ok), None)
        if failed is not None:
            words = f"{failed.name}: {failed.words}"
        else:
            words = "; ".join(leg.words for leg in self._legs if leg.name in (CUDA, READY))
        return Verified(
            pod=self._pod_id,
            ok=failed is None,
            words=words,
            legs=tuple(self._legs),
            gpus=report.gpus if report is not None else (),
            driver=report.driver if report is not None else None,
            fault=report.cause.fault if report is not None and report.cause is not None else None,
            host_fault=report is not None and report.host_fault,
            zero_gpu=self._zero_gpu or (report is not None and report.zero_gpu),
        )


def _passing(error: CloudError) -> NotYet:
    """What is wrong with the service for a moment is nothing wrong with the pod.

    Raises:
        CloudError: it says no for good.
    """
    if error.status is not None and error.status < 500 and error.status != 429:
        raise error
    return NotYet(str(error))


def _trust(pin: Pin, told: Report | Silence, who: str) -> str:
    """Why we believe that it is the pod."""
    if pin.compared:
        return "with the host key that the pod tells of"
    why = told.words if isinstance(told, Silence) else "it tells none"
    known = ", and there PID 1 has its pod id" if who else ""
    return f"with a host key that could not be compared with the pod's own ({why}){known}"
