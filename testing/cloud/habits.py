"""How this cloud behaves: how long things take, what goes wrong, and what it adds that no document names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Habits:
    """Lasting habits. Times are in seconds on the world's clock."""

    # How long things take.
    provisioning: float = 0.05
    starting: float = 0.05
    stopping: float = 0.05
    restarting: float = 0.05
    agent_after: float = 0.02  # from the container's start until its agent listens
    ready_after: float = 0.1  # from the container's start until the app is ready
    latency: float = 0.0  # of every answer
    list_lag: float = 0.0  # until a pod that was made is listed
    stale_port: float = 0.0  # how long after a start the SSH port of the life before is told

    # What a start finds.
    placement: str = "first"  # or random: which of the hosts that fit a new pod gets
    rivals: float = 0.0  # how likely others rent a GPU as soon as it is free
    no_gpu: str = "refuse"  # or zero: what a start does where the host has no GPU left
    no_gpu_status: int = 400  # of the refusal; no document says which
    tells_zero: bool = False  # say gpu.count 0 of a pod that was started without one, which the document does not allow
    patch_resets: bool = True  # whether a change of a running pod's container starts it anew; no document says

    # What the service says.
    error_shape: str = "problem"  # or error: {"error": …, "status": …}
    page: int = 0  # pods on a page; 0 for all on one
    page_form: str = "top"  # or block: where the cursor is told
    strange_status: str = ""  # told in place of STARTING: a value that no document names
    strange_fields: bool = False  # fields that no document names
    log_ids: str = "timestamp"  # or example: with a number behind it, as the document's example has them
    pod_key: str = "own"  # or none, all: what the key that every pod is given may do
    quotas: Mapping[str, int] = field(default_factory=dict)  # requests per minute, hour, day; none: no limit and no header
    user_agents: tuple[str, ...] = ("Python-urllib",)  # turned away with a page


@dataclass(kw_only=True)
class Trouble:
    """Something that goes wrong a number of times."""

    on: str = "*"  # an operation of the document, or all
    pod: str | None = None  # that one alone
    status: int | None = None  # None: the connection is cut
    after: bool = False  # once the thing was done
    detail: str = "something went wrong"
    shape: str = ""  # problem, error or html; empty for the habit's
    retry_after: int | None = None
    skip: int = 0  # let so many pass
    times: int = 1

    def strikes(self, operation: str, pod: str | None) -> bool:
        """Whether it happens to this request; counts."""
        if self.times <= 0 or self.on not in ("*", operation) or (self.pod is not None and self.pod != pod):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.times -= 1
        return True
