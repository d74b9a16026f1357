"""Children of an upgrade: the environment's own interpreter, asked what it has and what works in it, and installers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from firstlight import errors
from firstlight.probe import answers
from firstlight.probe.facts import Torch
from firstlight.probe.torch import read as read_torch
from firstlight.pytorch.packages import Package
from firstlight.system import clock, loop as system_loop
from firstlight.system.loop import Loop, Process, Timer

Tell = Callable[[str], None]

# How often something that takes long is spoken of, in seconds.
_SLOW = 15.0

# As many characters of an installer's words are quoted.
_LONGEST = 400

# How installers begin to say what went wrong, and what uv draws around its reasons.
_ERROR = ("error", "\u00d7")
_BOXES = " \u00d7\u2570\u2500\u25b6\u2502"

# The number that the lock has in a child.
_THEIR_LOCK = 3


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What every child is started with.

    Attributes:
        lock: the descriptor that a child holds open, so that nobody else works here while it still does; None for a dry run.
        timeout: how long a question may be without any answer, in seconds.
    """

    loop: Loop
    variables: Mapping[str, str]
    lock: int | None
    timeout: float
    tell: Tell


def pause(around: Surroundings) -> None:
    """Look whether we are asked to stop. Raises errors.Stopped if so."""
    around.loop.wait_for(lambda: False, clock.now())


def run(
    around: Surroundings, argv: list[str], doing: str, *, timeout: float | None = None, variables: Mapping[str, str] | None = None
) -> Process:
    """Run a program to its end, on a leash: it dies with us. Without `timeout` it may take as long as it likes.

    Raises:
        Stopped: a stop signal came; the program was ended.
    """
    inherit = {} if around.lock is None else {_THEIR_LOCK: around.lock}
    # An interpreter that is asked leaves nothing behind where it looks: the environment in use stays as it is.
    environment = {**around.variables, "PYTHONDONTWRITEBYTECODE": "1", **(variables or {})}
    leash = system_loop.program("leash", str(os.getpid()), *argv)
    process = around.loop.start(leash, environment, name=os.path.basename(argv[0]), inherit=inherit)
    started = clock.now()
    slow: Timer

    def speak() -> None:
        nonlocal slow
        around.tell(f"{doing} goes on: {clock.now() - started:.0f} s so far")
        slow = around.loop.call_at(clock.now() + _SLOW, speak)

    slow = around.loop.call_at(started + _SLOW, speak)
    try:
        while True:
            heard = len(process.output)
            until = None if timeout is None else clock.now() + timeout
            more = around.loop.wait_for(lambda before=heard: process.ended or len(process.output) != before, until)  # type: ignore[misc]
            if process.ended or not more:
                break
    finally:
        slow.cancel()
        around.loop.end(process)
    return process


def last_words(process: Process) -> str:
    """What it printed from its first error on, in one line; else its last line, or what its end says."""
    lines = [line.strip() for line in bytes(process.errors).decode("utf-8", "replace").splitlines() if line.strip(_BOXES)]
    first = next((place for place, line in enumerate(lines) if line.lower().startswith(_ERROR)), len(lines) - 1)
    told = " ".join(line.strip(_BOXES) for line in lines[first:])
    # The beginning says what, the end why: a path between them can be long.
    told = told if len(told) <= _LONGEST else f"{told[: _LONGEST // 2]} … {told[-_LONGEST // 2 :]}"
    return told or f"it ended with code {process.exit_code}"


def packages(around: Surroundings, python: str) -> dict[str, Package]:
    """The packages that an interpreter finds, by name.

    Raises:
        UpgradeError: it does not tell.
    """
    process = run(
        around, system_loop.program("list_packages", interpreter=python), f"listing the packages of {python}", timeout=around.timeout
    )
    steps = answers.steps(process)
    if not any(step["step"] == "done" for step in steps):
        raise errors.UpgradeError(f"cannot list the packages of {python}: {last_words(process)}")
    return {
        step["name"]: Package(
            name=step["name"],
            version=step["version"],
            record=step["record"],
            requires=tuple(step["requires"]),
            modules=tuple(step["modules"]),
        )
        for step in steps
        if step["step"] == "package"
    }


def torch(around: Surroundings, python: str) -> Torch:
    """What the torch of an interpreter says of itself."""
    process = run(around, system_loop.program("torch_facts", interpreter=python), "importing torch", timeout=around.timeout)
    return read_torch(process, python, around.timeout)


def imports(around: Surroundings, python: str, names: Iterable[str]) -> dict[str, str]:
    """What came of importing each: empty, or why not. One that kills its process does not keep the others from being tried."""
    waiting = list(names)
    found: dict[str, str] = {}
    while waiting:
        process = run(around, system_loop.program("import_names", *waiting, interpreter=python), "importing", timeout=around.timeout)
        steps = answers.steps(process)
        found.update({step["name"]: step["error"] for step in steps if step["step"] == "imported"})
        begun = [step["name"] for step in steps if step["step"] == "importing" and step["name"] not in found] or waiting[:1]
        if begun[0] not in found:
            found[begun[0]] = answers.silence(process, f"importing {begun[0]}", around.timeout).reason
        waiting = [name for name in waiting if name not in found]
    return found


def proof(around: Surroundings, python: str) -> str:
    """Whether torch's own kernels give the right result on every GPU: empty, or why not."""
    process = run(around, system_loop.program("prove_torch", interpreter=python), "proving", timeout=around.timeout)
    said = {step["step"]: step for step in answers.steps(process)}
    if "error" in said.get("import", {}):
        return f"torch does not start: {said['import']['error']}"
    if "done" not in said:
        return answers.silence(process, "the proof", around.timeout).reason
    if said["import"]["count"] == 0:
        return "torch finds no GPU"
    failed = [step for step in answers.steps(process) if step["step"] == "gpu" and not step["proven"]]
    return f"GPU {failed[0]['ordinal']}: {failed[0]['error']}" if failed else ""


def complaints(around: Surroundings, installer: Installer, python: str) -> str:
    """What the installer says of packages that do not fit together."""
    process = run(around, installer.check(python), "checking what fits together", timeout=None)
    return (bytes(process.output) + b"\n" + bytes(process.errors)).decode("utf-8", "replace")


@dataclass(frozen=True)
class Installer:
    """uv, or the pip of the environment that it installs into."""

    uv: str  # its path; empty: pip

    @property
    def name(self) -> str:
        """What people call it."""
        return "uv" if self.uv else "pip"

    def install(self, python: str, arguments: Iterable[str]) -> list[str]:
        """The command line that installs."""
        if self.uv:
            return [self.uv, "pip", "install", "--python", python, *arguments]
        return [python, "-m", "pip", "install", "--no-input", "--progress-bar", "off", *arguments]

    def variables(self, index: str) -> dict[str, str]:
        """What names the index to it. Not its command line, which everybody can read: an address may hold a password."""
        names = ("UV_DEFAULT_INDEX", "UV_INDEX_URL") if self.uv else ("PIP_INDEX_URL",)  # uv's first name is the newer one
        return dict.fromkeys(names, index) if index else {}

    def check(self, python: str) -> list[str]:
        """The command line that looks for packages that do not fit together."""
        return [self.uv, "pip", "check", "--python", python] if self.uv else [python, "-m", "pip", "check"]
