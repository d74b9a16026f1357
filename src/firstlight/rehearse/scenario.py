"""A scenario: a machine, what happens on it, and how a cold start on it must end. As data, out of a TOML file."""

from __future__ import annotations

import errno
import importlib.resources
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, get_type_hints

from firstlight import errors
from firstlight.settings import toml

DRIVER_VERSION = "580.159.04"

# What docker gives to root in a container, and a GPU pod with it.
DEFAULT_CAPABILITIES = (
    "CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE NET_RAW SYS_CHROOT MKNOD AUDIT_WRITE SETFCAP"
)


@dataclass(frozen=True, kw_only=True)
class Driver:
    """The kernel driver. Errnos are names, such as "EIO"; an empty one means that the open succeeds."""

    loaded: bool = True
    version: str = DRIVER_VERSION
    uvm: bool = True  # the nvidia-uvm module is loaded
    uvm_major: int = 234
    modify_device_files: bool = False  # whether NVIDIA's libraries may make and remove nodes; the container toolkit says no
    open_control: str = ""
    open_uvm: str = ""


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """One GPU. `calls` and `delays` are as in Scenario, for this GPU alone."""

    name: str = "NVIDIA H100 80GB HBM3"
    minor: int = -1  # -1: its place in the list
    bus_id: str = ""  # "0000:8d:00.0"; empty: made from its place
    uuid: str = ""
    capability: int = 90  # 90 for 9.0
    memory: int = 81559 << 20  # bytes
    memory_used: int = 0
    speed: int = 0  # CUDA counts the fastest first
    consumer: bool = False
    compute_mode: int = 0
    persistence: bool = True
    fabric_state: int = 0
    fabric_status: int = 0
    recovery_action: int = 0
    ecc_uncorrected: int = 0
    remap_pending: bool = False
    remap_failed: bool = False
    lost: bool = False
    reset_required: bool = False
    open: str = ""  # errno of an open of its node
    open_hangs: bool = False
    wrong_result: bool = False
    mig_uuids: str = ""  # words
    stranger: str = ""  # "PID BYTES" of another container's process
    calls: Mapping[str, Any] = field(default_factory=dict)
    delays: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Container:
    """Who we are in it, and what it keeps from us. Device rules are "MAJOR:MINOR" or "MAJOR:*"."""

    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = (0,)
    capabilities: str = DEFAULT_CAPABILITIES
    seccomp: int = 2
    cgroup_deny: tuple[str, ...] = ()
    cgroup_deny_mknod: tuple[str, ...] = ()
    dev_nodev: bool = False
    dev_read_only: bool = False


@dataclass(frozen=True, kw_only=True)
class Library:
    """One library file. `kind` is driver, stub, compat, empty or nvml; it lies on LD_LIBRARY_PATH unless told otherwise."""

    kind: str
    directory: str
    version: str = ""  # empty: the kernel driver's
    path: bool = True  # whether `directory` is on LD_LIBRARY_PATH, in the order of this list
    mounted: bool = True  # whether /proc/self/mountinfo names it, as it does what the container toolkit mounts


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Soft resource limits of the boot; 0 leaves the machine's own."""

    address_space: int = 0  # KiB
    descriptors: int = 0


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happens `at` seconds after the start: a node appears or goes, or the machine changes.

    With a `trigger` the seconds count from the moment at which somebody makes a file of that name in the folder triggers/ of the
    machine. `set` maps dotted keys of machine.conf to new values, such as "gpu.0.fabric-state".
    """

    at: float = 0.0
    trigger: str = ""
    node: str = ""
    remove: str = ""
    load_uvm: bool = False
    kernel_log: str = ""  # a line that the kernel writes into its log, /dev/kmsg
    set: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """How `firstlight run` ends here: its code, the faults it named and the remedies it applied, in order."""

    exit: int = 0
    faults: tuple[str, ...] = ()
    remedies: tuple[str, ...] = ()
    watched: tuple[str, ...] = ()  # faults that the watch over a running app names once the triggers were pulled
    options: tuple[str, ...] = ()  # of `run`, so that a test need not wait long


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A machine as data.

    `nodes` says how a node of /dev differs from what the driver and the GPUs call for: "absent", "file" (a plain file), or
    a table of major, minor, mode ("600"), uid, gid, open (an errno) and hang. `calls` gives the codes of a call of the
    driver API, one or a list of them, counted over all processes: {"cuInit" = [802, 802, 0]}; "hang" is a call that never
    returns. `delays` are milliseconds.
    """

    name: str
    description: str
    driver: Driver = Driver()
    gpus: tuple[Gpu, ...] = (Gpu(),)
    container: Container = Container()
    nodes: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    libraries: tuple[Library, ...] = (
        Library(kind="driver", directory="/usr/lib/x86_64-linux-gnu"),
        Library(kind="nvml", directory="/usr/lib/x86_64-linux-gnu"),
    )
    limits: Limits = Limits()
    calls: Mapping[str, Any] = field(default_factory=dict)
    delays: Mapping[str, int] = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    expect: Expectation = Expectation()


def names() -> list[str]:
    """The scenarios that come with firstlight."""
    folder = importlib.resources.files(__package__).joinpath("scenarios")
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load(name: str) -> Scenario:
    """The scenario of that name, or of that TOML file.

    Raises:
        UsageError: there is none, or it cannot be read.
    """
    if name.endswith(".toml") or os.sep in name:
        try:
            with open(name, encoding="utf-8") as file:
                text = file.read()
        except (OSError, UnicodeDecodeError) as error:
            raise errors.UsageError(f"cannot read the scenario {name}: {getattr(error, 'strerror', None) or error}") from None
        return parse(text, os.path.basename(name).removesuffix(".toml"))
    if name not in names():
        raise errors.UsageError(f"cannot find the scenario {name!r}: firstlight rehearse --list names those there are")
    return parse((importlib.resources.files(__package__) / "scenarios" / f"{name}.toml").read_text("utf-8"), name)


def parse(text: str, name: str) -> Scenario:
    """A scenario out of the text of its file.

    Raises:
        UsageError: the text is no scenario. The message says which part.
    """
    try:
        data = toml.loads(text)
        scenario: Scenario = _build(Scenario, {**data, "name": name}, "the file")
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is a ValueError
        raise errors.UsageError(f"cannot read the scenario {name}: {error}") from None
    return scenario


def _build(kind: Any, data: Any, where: str) -> Any:
    """A dataclass out of a TOML table, every key known and of its type."""
    if not isinstance(data, dict):
        raise ValueError(f"{where} is not a table")
    hints = get_type_hints(kind)
    known = {item.name for item in fields(kind)}
    for key in data:
        if key not in known:
            raise ValueError(f"{where} has an unknown key {key!r}")
    try:
        return kind(**{key: _value(hints[key], value, f"{where}, {key}") for key, value in data.items()})
    except TypeError as error:  # a field without default is missing
        raise ValueError(f"{where}: {error}") from None


def _value(hint: Any, value: Any, where: str) -> Any:
    if is_dataclass(hint):
        return _build(hint, value, where)
    element = getattr(hint, "__args__", (None,))[0]
    if getattr(hint, "__origin__", None) is tuple:
        if not isinstance(value, list):
            raise ValueError(f"{where} is not a list")
        return tuple(_value(element, item, where) for item in value)
    if getattr(hint, "__origin__", None) is Mapping and isinstance(value, dict) and hint.__args__[1] is not Any:
        return {key: _value(hint.__args__[1], item, f"{where}, {key}") for key, item in value.items()}
    wanted = {float: (int, float), bool: (bool,), int: (int,), str: (str,)}.get(hint, (dict,))
    if not isinstance(value, wanted) or (isinstance(value, bool) and hint is not bool):
        raise ValueError(f"{where} is {value!r}, which is of the wrong type")
    return value


def errno_number(name: str, where: str) -> int:
    """The number of an errno given by its name, 0 for an empty one.

    Raises:
        UsageError: there is no such errno.
    """
    number = getattr(errno, name, None) if name else 0
    if not isinstance(number, int):
        raise errors.UsageError(f"cannot build the machine: {where} names no errno: {name!r}")
    return number
