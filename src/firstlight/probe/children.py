"""The programs that ask what we must not ask ourselves, started as children.

Read before the first probe starts, so it imports nothing that is not needed for that.
"""

from __future__ import annotations

from firstlight.system import loop as system_loop

TYPE_CHECKING = False  # `typing` has the same name, and costs two milliseconds before the first probe
if TYPE_CHECKING:
    from collections.abc import Mapping

    from firstlight.system.loop import Loop
    from firstlight.system.process import Process


def prover(loop: Loop, environment: Mapping[str, str], *, hold: float) -> Process:
    """Start bringing CUDA up; the child stays as holder for `hold` seconds once every GPU is proven."""
    # The driver would leave the compiled kernel in ~/.nv: a probe leaves no trace.
    quiet = {**environment, "CUDA_CACHE_DISABLE": "1"}
    return loop.start(system_loop.program("prove_gpu", f"{hold:g}", confined=True), quiet, name="prover", keep_stdin=True)


def nvml(loop: Loop, environment: Mapping[str, str]) -> Process:
    """Start asking NVML."""
    return loop.start(system_loop.program("nvml_facts", confined=True), environment, name="nvml")


def opener(loop: Loop, environment: Mapping[str, str], paths: list[str]) -> Process:
    """Start opening device nodes, one after the other."""
    return loop.start(system_loop.program("open_nodes", *paths, confined=True), environment, name="opener")


def torch(loop: Loop, environment: Mapping[str, str], interpreter: str) -> Process:
    """Start asking the PyTorch of another interpreter. Raises OSError when that cannot be executed."""
    return loop.start(system_loop.program("torch_facts", interpreter=interpreter), environment, name="torch")
