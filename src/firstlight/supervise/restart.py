"""What follows when the app has ended. Pure: an end, what came before, what the user wants and a random number in; a step out.

    step = restart.after(ended, history, policy, chance=random.random())
    Restart(delay, reason, cause, to, history)     # wait `delay` seconds, then start the app, or go to the GPU stage first
    End(code, reason)                              # our own exit code from here

The delay doubles from `policy.delay` up to `policy.delay_max`, a tenth of it at most is added by chance so that many containers do not
restart together, and a life that was good for `policy.reset` seconds starts it anew. A restart by order waits for nothing and counts for nothing.

It ends (79) with the restart that would be the `limit`-th within `window` seconds, or the `limit`-th in a row without a good life between:
an app that takes three minutes to fail would never fill the window. Deaths that CUDA caused are counted apart, by the same rule with
`GPU_LIMIT`: they lead back to the GPU stage, which ends the boot itself where it finds the GPU ill (69, 75). Where it proves the GPU well time
after time and the app dies of CUDA all the same, the fault is most likely the app's, and it ends there with 79.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from firstlight.errors import ExitCode

# So many returns to the GPU stage without success, and a further one would show nothing new.
GPU_LIMIT = 5

_JITTER = 0.1


class Cause(Enum):
    """Why a life of the app has ended, or must end."""

    APP = "app"  # it ended by itself
    CUDA = "cuda"  # it ended by itself, and CUDA had failed it
    CHECK = "check"
    LATE = "late"  # it was not ready in time
    ORDER = "order"  # somebody asked for a restart
    POISONED = "poisoned"  # its CUDA context was broken for good
    WATCH = "watch"  # the watch found its GPU ill
    ZOMBIE = "zombie"  # it served, but what does the work was dead


# Somebody wants these by name, --on-gpu-fault restart the second: --restart never does not forbid them.
_WANTED = frozenset({Cause.ORDER, Cause.WATCH})

# After these the GPU is proven again before the app gets it.
OF_THE_GPU = frozenset({Cause.CUDA, Cause.POISONED, Cause.WATCH})


class When(Enum):
    """When an app that has ended is started again."""

    NEVER = "never"
    ON_FAILURE = "on-failure"
    ALWAYS = "always"


class To(Enum):
    """Where a restart begins."""

    APP = "app"
    GPU = "gpu"


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What the user wants. Durations are seconds."""

    when: When = When.NEVER
    delay: float = 0.5
    delay_max: float = 30.0
    reset: float = 30.0  # a life that was good for so long makes the next delay the first one
    limit: int = 10  # 0: none
    window: float = 600.0
    success: frozenset[int] = frozenset()  # exit codes that mean success, beside 0


@dataclass(frozen=True, kw_only=True)
class Ended:
    """The end of a life.

    `good` is for how many seconds the app was ready in this life (with no checks: for how long it ran); `at` is monotonic.
    """

    status: int  # its exit code, or minus the signal that killed it
    good: float
    at: float
    cause: Cause
    words: str
    stopping: bool = False  # firstlight itself is asked to stop


@dataclass(frozen=True)
class Count:
    """Restarts of one sort: when they were, and how many in a row were without a good life before."""

    times: tuple[float, ...] = ()
    row: int = 0


@dataclass(frozen=True, kw_only=True)
class History:
    """What came before."""

    delay: float = 0.0  # the last delay without what chance added; 0: none, or a good life since
    app: Count = Count()
    gpu: Count = Count()
    restarts: int = 0  # all of them, orders too


@dataclass(frozen=True, kw_only=True)
class Restart:
    """Start the app again."""

    delay: float
    reason: str
    cause: Cause
    to: To
    history: History  # for the next end


@dataclass(frozen=True)
class End:
    """Give up the app, with this exit code."""

    code: int
    reason: str


def wanted(cause: Cause, policy: Policy) -> bool:
    """Whether a living app is to be stopped for this cause, so as to be started again."""
    return cause in _WANTED or policy.when is not When.NEVER


def ends_life(cause: Cause, policy: Policy) -> bool:
    """Whether a living app is to be stopped for this cause. Who is late is, even where nothing follows but our own end."""
    return cause is Cause.LATE or wanted(cause, policy)


def after(ended: Ended, history: History, policy: Policy, *, chance: float) -> Restart | End:
    """What follows. `chance` is a random number from 0 to 1."""
    code = _exit_code(ended.status, policy)
    if ended.stopping:
        return End(code, ended.words)
    if ended.cause is Cause.ORDER:
        return _restart(ended, replace(history, restarts=history.restarts + 1), 0.0)
    if not wanted(ended.cause, policy):
        return End(int(ExitCode.NOT_READY) if ended.cause is Cause.LATE else code, ended.words)
    if policy.when is When.ON_FAILURE and ended.cause is Cause.APP and code == 0:
        return End(code, ended.words)
    of_the_gpu = ended.cause in OF_THE_GPU
    limit = min(GPU_LIMIT, policy.limit) if of_the_gpu else policy.limit
    count = _counted(history.gpu if of_the_gpu else history.app, ended, policy)
    reached = _limit_reached(count, limit, policy.window)
    if policy.limit and reached:
        return End(int(ExitCode.RESTART_LIMIT), f"{reached}, the last time because {ended.words}")
    delay = next_delay(0.0 if ended.good >= policy.reset else history.delay, policy)
    counts = {"gpu": count} if of_the_gpu else {"app": count}
    return _restart(ended, replace(history, delay=delay, restarts=history.restarts + 1, **counts), jittered(delay, chance))


def again(reason: str, history: History) -> Restart:
    """Begin anew after a hold, because somebody said so: from the GPU on, at once, and counted for nothing."""
    return Restart(delay=0.0, reason=reason, cause=Cause.ORDER, to=To.GPU, history=replace(history, restarts=history.restarts + 1))


def next_delay(last: float, policy: Policy) -> float:
    """The delay that follows on `last`; 0 stands for none before."""
    return min(last * 2 if last else policy.delay, policy.delay_max)


def jittered(delay: float, chance: float) -> float:
    """`delay` and up to a tenth more."""
    return delay * (1 + _JITTER * chance)


def _restart(ended: Ended, history: History, delay: float) -> Restart:
    to = To.GPU if ended.cause in OF_THE_GPU else To.APP
    return Restart(delay=delay, reason=ended.words, cause=ended.cause, to=to, history=history)


def _exit_code(status: int, policy: Policy) -> int:
    """Our own exit code for the child's: 128 + the signal as a shell has it, and 0 for what counts as success."""
    code = status if status >= 0 else 128 - status
    return 0 if code in policy.success else code


def _counted(count: Count, ended: Ended, policy: Policy) -> Count:
    """`count` with the restart that would follow now."""
    row = 1 if ended.good >= policy.reset else count.row + 1
    return Count((*(time for time in count.times if ended.at - time < policy.window), ended.at), row)


def _limit_reached(count: Count, limit: int, window: float) -> str:
    """In words, that the last of these restarts is one too many; empty when it is not."""
    if len(count.times) > limit:
        return f"the app was restarted {limit} times within {window:g} s"
    if count.row > limit:
        return f"the app was restarted {limit} times and was never well for long"
    return ""
