"""Whether a pod came up: from its status at the service to CUDA in an SSH session, each leg timed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from firstlight.fleet.ssh import Ssh
from firstlight.fleet.standing import Asks
from firstlight.providers.runpod.access import Access

# The legs, in the order in which they are gone.
STATUS, ENDPOINT, HEALTH, CUDA, SSH, SSH_CUDA, READY, PROXY = LEGS = "status endpoint health cuda ssh ssh-cuda ready proxy".split()


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
        gpus: UUIDs that the pod has proven.
        fault: the root cause that the in-pod report names.
        host_fault: that fault is the host's: the provider must act and waiting will not cure it, or the report asks for another host.
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
    endpoint: float = 120.0
    health: float = 180.0  # the proxy learns of a fresh pod after half a minute
    cuda: float = 420.0  # the pod's own deadline is five minutes
    ssh: float = 180.0  # sshd was seen a minute and a half late, behind a port that was old until then
    session: float = 120.0  # `doctor` in the SSH session
    ready: float = 900.0  # an app may load models from a network volume
    proxy: float = 60.0
    pause: float = 2.0  # between two questions to one address
    cloud_pause: float = 5.0  # between two questions to RunPod, which takes sixty a minute


async def verify(cloud: Asks, access: Access, pod_id: str, *, ssh: Ssh | None, patience: Patience, tell: Callable[[Leg], None]) -> Verified:
    """Follow a pod until it serves, or until it is clear that it will not.

    `tell` hears of each leg as it ends. Without `ssh` its legs are left out.

    Raises:
        CloudError: RunPod did not answer, or knows no such pod.
    """
    raise NotImplementedError
