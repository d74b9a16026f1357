"""Every case: how its fault is made real (makings.py), and what must come out. Order means something only where a case runs alone."""

from __future__ import annotations

from dataclasses import dataclass

from makings import (
    Making,
    first_with_index_of_host,
    healthy,
    library_first,
    library_off_path,
    node,
    two_gpus,
    visible_devices,
    without,
)

KIB = 1024
ADDRESS_SPACE = 12_000_000 * KIB  # too little for CUDA's reservation; 16,000,000 KiB is enough
DESCRIPTORS = 32  # too few for a context; 48 are enough
ANOTHER_USER = 65534
UNLIMITED = -1

# Exit codes of `firstlight run`, as its documentation gives them.
APP_OK = 0
NO_GPU = 69
OTHER_HOST = 75


@dataclass(frozen=True, kw_only=True)
class Case:
    """One start of firstlight on a private machine.

    Attributes:
        make: the private machine; raises CannotMake where this machine gives no means for it.
        exits: the exit codes that are right.
        cause: the root cause that must be named first; None where the machine is well.
        remedy: the remedy that must have been applied; None where none may be.
        cuda: whether the app is started and its kernel must be right. Where False, the app must not have run at all.
        may_name: faults that may be named although the machine is usable, and `may_apply` remedies that may be applied.
        gpus: on how many GPUs the app must have computed, where it is started. None for any number: with CAP_MKNOD libcuda itself makes
            nodes of the host's other GPUs, which no device cgroup keeps from us here.
        partly: one GPU works without any doing of ours, so that `doctor` calls the machine usable.
        app: "cuda" (driver API, every visible GPU), or "torch".
        copies: how many such machines start at once.
        alone: nothing else runs meanwhile.
        memory_held: seconds for which another process holds the GPU's memory; None for not at all.
        examined: whether `facts` and `doctor` are asked about the machine afterwards.
    """

    name: str
    story: str
    make: Making
    exits: tuple[int, ...] = (APP_OK,)
    cause: str | None = None
    remedy: str | None = None
    cuda: bool = True
    gpus: int | None = 1
    partly: bool = False
    may_name: tuple[str, ...] = ()
    may_apply: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    app: str = "cuda"
    copies: int = 1
    alone: bool = False
    memory_held: float | None = None
    examined: bool = True
    limit: float = 90.0

    @property
    def late(self) -> bool:
        """Whether something about the machine changes while it starts."""
        return "-late-" in self.name or self.memory_held is not None

    @property
    def waits(self) -> bool:
        """Whether the boot waits, in vain or not: such a case is begun early, since it costs time and little else."""
        return self.late or self.name.endswith("-missing")


NODES = (("nvidiactl", "nvidiactl-missing"), ("gpu", "gpu-node-missing"), ("nvidia-uvm", "uvm-node-missing"))
INVALID_VALUES = (
    ("out-of-range", "8"),
    ("empty", ""),
    ("minus-one", "-1"),
    ("garbage", "garbage"),
    ("wrong-uuid", "{wrong}"),
    ("bad-first", "8,0"),
    ("uuid-without-prefix", "{bare}"),
    ("duplicate", "0,0"),
)
VALID_VALUES = (("leading-space", " 0"), ("trailing-space", "0 "), ("uuid", "{uuid}"), ("uuid-prefix", "{prefix}"))


def _visible_devices_cases() -> tuple[Case, ...]:
    invalid = tuple(
        Case(
            name=f"visible-devices-{word}",
            story=f"CUDA_VISIBLE_DEVICES is {value!r}",
            make=visible_devices(value),
            cause="visible-devices-invalid",
            remedy="rewrite-visible-devices",
        )
        for word, value in INVALID_VALUES
    )
    valid = tuple(
        Case(name=f"visible-devices-{word}", story=f"CUDA_VISIBLE_DEVICES is {value!r}", make=visible_devices(value))
        for word, value in VALID_VALUES
    )
    good_first = Case(
        name="visible-devices-good-first",
        story="CUDA_VISIBLE_DEVICES is '0,8': CUDA takes the 0 and drops the rest",
        make=visible_devices("0,8"),
        may_name=("visible-devices-invalid",),
        may_apply=("rewrite-visible-devices",),
    )
    return (*invalid, good_first, *valid)


def _late_and_missing_cases() -> tuple[Case, ...]:
    late = tuple(
        Case(name=f"{name}-late-{after:.0f}s", story=f"/dev/{name} appears after {after:.0f} s", make=node(name, after=after), cause=cause)
        for name, cause in NODES
        for after in (2.0, 12.0)
    )
    missing = tuple(
        Case(
            name=f"{name}-missing",
            story=f"/dev/{name} never appears, and CAP_MKNOD is not ours",
            make=without(name),
            exits=(OTHER_HOST,),
            cause=cause,
            cuda=False,
        )
        for name, cause in NODES
    )
    creatable = tuple(
        Case(
            name=f"{name}-missing-with-mknod",
            story=f"/dev/{name} never appears, and CAP_MKNOD is ours",
            make=without(name, may_mknod=True),
            cause=cause,
            remedy="create-device-nodes",
            gpus=None,
        )
        for name, cause in NODES
    )
    return (*late, *missing, *creatable)


def _wrong_node_cases() -> tuple[Case, ...]:
    wrong: tuple[tuple[str, str, str, dict[str, object]], ...] = (
        ("gpu-wrong-minor", "the GPU's node has another minor", "gpu-node-wrong", {"name": "gpu", "minor": 7}),
        ("gpu-plain-file", "the GPU's node is a plain file", "gpu-node-wrong", {"name": "gpu", "plain_file": True}),
        ("uvm-stale-major", "/dev/nvidia-uvm has the major of an earlier boot", "uvm-major-stale", {"name": "nvidia-uvm", "major": 511}),
    )
    cases = []
    for name, story, cause, changes in wrong:
        lasting = node(**changes)  # type: ignore[arg-type]
        curable = node(**changes, may_mknod=True)  # type: ignore[arg-type]
        cases.append(Case(name=name, story=f"{story}; no CAP_MKNOD", make=lasting, exits=(OTHER_HOST,), cause=cause, cuda=False))
        cases.append(
            Case(
                name=f"{name}-with-mknod",
                story=f"{story}; CAP_MKNOD is ours",
                make=curable,
                cause=cause,
                remedy="create-device-nodes",
                gpus=None,
            )
        )
    forbidden = tuple(
        Case(
            name=f"{name}-mode-000",
            story=f"/dev/{name} has mode 000 and we are user {ANOTHER_USER}",
            make=node(name, mode=0, user=ANOTHER_USER),
            exits=(NO_GPU,),
            cause="device-mode-forbids",
            cuda=False,
        )
        for name, _ in NODES
    )
    return (*cases, *forbidden)


def _library_cases() -> tuple[Case, ...]:
    return (
        Case(
            name="stub-first",
            story="the toolkit's stub libcuda is first on LD_LIBRARY_PATH",
            make=library_first("stub"),
            cause="stub-libcuda",
            remedy="fix-library-path",
        ),
        Case(
            name="empty-first",
            story="an empty libcuda.so.1 is first on LD_LIBRARY_PATH",
            make=library_first("empty_library"),
            cause="empty-library",
            remedy="fix-library-path",
        ),
        Case(
            name="library-off-path",
            story="libcuda is where the loader does not look",
            make=library_off_path,
            cause="library-off-path",
            remedy="fix-library-path",
        ),
        Case(
            name="compat-first",
            story="a compat libcuda that is older than the driver's own is first on LD_LIBRARY_PATH",
            make=library_first("compat"),
            cause="compat-library-active",
            remedy="fix-library-path",
        ),
    )


def _limit_cases() -> tuple[Case, ...]:
    return (
        Case(
            name="address-space-soft",
            story="ulimit -S -v 12000000",
            make=healthy(address_space=(ADDRESS_SPACE, UNLIMITED)),
            cause="address-space-limit",
            remedy="raise-limits",
        ),
        Case(
            name="address-space-hard",
            story="ulimit -v 12000000, and CAP_SYS_RESOURCE is not ours",
            make=healthy(address_space=(ADDRESS_SPACE, ADDRESS_SPACE)),
            exits=(NO_GPU,),
            cause="address-space-limit",
            cuda=False,
        ),
        Case(
            name="descriptors-soft",
            story="ulimit -S -n 32",
            make=healthy(descriptors=(DESCRIPTORS, 1024)),
            cause="descriptor-limit",
            remedy="raise-limits",
        ),
        Case(
            name="descriptors-hard",
            story="ulimit -n 32, and CAP_SYS_RESOURCE is not ours",
            make=healthy(descriptors=(DESCRIPTORS, DESCRIPTORS)),
            exits=(NO_GPU,),
            cause="descriptor-limit",
            cuda=False,
        ),
        Case(
            name="cgroup-denies",
            story="the device cgroup denies major 195",
            make=healthy(denied_major=195),
            exits=(OTHER_HOST,),
            cause="device-cgroup-denies",
            cuda=False,
        ),
    )


def _neighbour_cases() -> tuple[Case, ...]:
    return (
        Case(
            name="memory-full",
            story="another process holds the GPU's memory, and two attempts one second apart are allowed",
            make=healthy(),
            options=("--attempts", "2", "--delay", "1s"),
            exits=(OTHER_HOST,),
            cause="gpu-memory-full",
            cuda=False,
            alone=True,
            memory_held=60.0,
        ),
        Case(
            name="memory-freed",
            story="another process holds the GPU's memory for five seconds",
            make=healthy(),
            cause="gpu-memory-full",
            alone=True,
            memory_held=5.0,
            examined=False,
        ),
    )


def _two_gpus_cases() -> tuple[Case, ...]:
    missing, any_will_do = "gpu-node-missing", ("--gpus", "any")
    return (
        Case(name="two-gpus", story="two GPUs, and nothing is wrong", make=two_gpus(), gpus=2, alone=True),
        Case(name="two-gpus-torch", story="two GPUs, and the app is PyTorch", make=two_gpus(), gpus=2, app="torch", alone=True),
        Case(
            name="two-gpus-swapped",
            story="two GPUs, and CUDA_VISIBLE_DEVICES is '1,0'",
            make=two_gpus(environment={"CUDA_VISIBLE_DEVICES": "1,0"}),
            gpus=2,
        ),
        Case(
            name="two-gpus-second-only",
            story="two GPUs, and CUDA_VISIBLE_DEVICES is '1'",
            make=two_gpus(environment={"CUDA_VISIBLE_DEVICES": "1"}),
        ),
        Case(
            name="two-gpus-of-host",
            story="the host has two GPUs, this container the first, and CUDA_VISIBLE_DEVICES is '1'",
            make=first_with_index_of_host,
            cause="visible-devices-invalid",
            remedy="rewrite-visible-devices",
        ),
        Case(
            name="two-gpus-second-late-2s",
            story="the second GPU's node appears after 2 s",
            make=two_gpus(after=2.0),
            cause=missing,
            partly=True,
            gpus=2,
        ),
        Case(
            name="two-gpus-second-missing",
            story="the second GPU's node never appears; two attempts are allowed",
            make=two_gpus(missing=True),
            options=("--attempts", "2", "--delay", "1s"),
            exits=(OTHER_HOST,),
            cause=missing,
            partly=True,
            cuda=False,
        ),
        Case(
            name="two-gpus-any-second-missing",
            story="the second GPU's node never appears, and one GPU is enough (--gpus any)",
            make=two_gpus(missing=True),
            options=any_will_do,
            cause=missing,
            partly=True,
        ),
        Case(
            name="two-gpus-second-missing-with-mknod",
            story="the second GPU's node never appears, and CAP_MKNOD is ours",
            make=two_gpus(missing=True, may_mknod=True),
            cause=missing,
            partly=True,
            remedy="create-device-nodes",
            gpus=2,
        ),
        Case(
            name="two-gpus-any-first-full",
            story="another process holds the first GPU's memory, and one GPU is enough (--gpus any)",
            make=two_gpus(),
            options=any_will_do,
            cause="gpu-memory-full",
            partly=True,
            alone=True,
            memory_held=60.0,
        ),
    )


CASES: tuple[Case, ...] = (
    Case(name="healthy", story="nothing is wrong", make=healthy(), alone=True),
    Case(name="healthy-torch", story="nothing is wrong, and the app is PyTorch", make=healthy(), app="torch", alone=True),
    Case(name="healthy-other-user", story=f"nothing is wrong, and we are user {ANOTHER_USER}", make=healthy(user=ANOTHER_USER)),
    *_visible_devices_cases(),
    *_late_and_missing_cases(),
    *_wrong_node_cases(),
    *_library_cases(),
    *_limit_cases(),
    Case(
        name="nothing-granted",
        story="no node at all, and NVIDIA_VISIBLE_DEVICES is none",
        make=healthy(nodes=(), environment={"NVIDIA_VISIBLE_DEVICES": "none"}),
        exits=(NO_GPU,),
        cause="gpu-not-granted",
        cuda=False,
    ),
    Case(name="sixteen-at-once", story="sixteen healthy containers start at once", make=healthy(), copies=16, alone=True, examined=False),
    *_neighbour_cases(),
    *_two_gpus_cases(),
)
