"""The programs that ask what we must not ask ourselves, started as children.

Read before the first probe starts, so it imports nothing that is not needed for that.
"""

from __future__ import annotations

from firstlight.system import loop as system_loop
from firstlight.system.process import Process

TYPE_CHECKING = False  # `typing` has the same name, and costs two milliseconds before the first probe
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from firstlight.system.loop import Loop

# EX_OSERR of sysexits.h, for a child that the system did not let us start.
_CANNOT_START = 71

# The number that the kernel's log has in a watching child.
_THEIR_LOG = 3


def prover(loop: Loop, environment: Mapping[str, str], *, hold: float) -> Process:
    """Start bringing CUDA up; the child stays as holder for `hold` seconds once every GPU is proven."""
    # The driver would leave the compiled kernel in ~/.nv: a probe leaves no trace.
    quiet = {**environment, "CUDA_CACHE_DISABLE": "1"}
    return _start(loop, "prover", system_loop.program("prove_gpu", f"{hold:g}", confined=True), quiet, keep_stdin=True)


def nvml(loop: Loop, environment: Mapping[str, str]) -> Process:
    """Start asking NVML."""
    return _start(loop, "nvml", system_loop.program("nvml_facts", confined=True), environment)


def opener(loop: Loop, environment: Mapping[str, str], paths: list[str]) -> Process:
    """Start opening device nodes, one after the other."""
    return _start(loop, "opener", system_loop.program("open_nodes", *paths, confined=True), environment)


def watcher(loop: Loop, environment: Mapping[str, str], paths: Sequence[str], kernel_log: int | None) -> Process:
    """Start one look at GPUs that are in use; `kernel_log` is our open /dev/kmsg."""
    log, inherit = ("-", {}) if kernel_log is None else (str(_THEIR_LOG), {_THEIR_LOG: kernel_log})
    return _start(loop, "watch", system_loop.program("watch_gpu", log, *paths, confined=True), environment, inherit=inherit)


def torch(loop: Loop, environment: Mapping[str, str], interpreter: str) -> Process:
    """Start asking the PyTorch of another interpreter. Raises OSError when that cannot be executed."""
    # Its interpreter would leave compiled modules in somebody else's environment: a probe leaves no trace.
    quiet = {**environment, "PYTHONDONTWRITEBYTECODE": "1"}
    return loop.start(system_loop.program("torch_facts", interpreter=interpreter), quiet, name="torch")


def _start(
    loop: Loop,
    name: str,
    argv: list[str],
    environment: Mapping[str, str],
    *,
    keep_stdin: bool = False,
    inherit: Mapping[int, int] | None = None,
) -> Process:
    """Start one of our own programs. One that cannot be started has ended at once, and says why: that is a fact too."""
    try:
        return loop.start(argv, environment, name=name, keep_stdin=keep_stdin, inherit=inherit)
    except OSError as error:
        never_started = Process(name, 0, group=False)
        never_started.status = _CANNOT_START
        never_started.take_errors(f"cannot start it: {error.strerror}".encode())
        return never_started
