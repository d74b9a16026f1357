"""(facts, environment) → plan, for each remedy. The facts are a real H200's, changed for each case."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from firstlight import settings
from firstlight.errors import UsageError
from firstlight.faults.fault import Remedy
from firstlight.probe.facts import CompatNote, Facts, Library, LibraryKind, Limit, Node, NodeKind, Nvml, NvmlGpu, Unknown, decode
from firstlight.remedies import apply
from firstlight.remedies.plan import Applied, Failed, LinkLibraries, MakeNode, Plan, RaiseLimit, Refused, Risk, SetVariable

HEALTHY = decode(json.loads((Path(__file__).parents[2] / "data/facts/h200-healthy.json").read_text()))
NODES = {node.path: node for node in HEALTHY.devices.nodes} if not isinstance(HEALTHY.devices.nodes, Unknown) else {}
CANDIDATES = HEALTHY.libraries.candidates
REAL = CANDIDATES[0]


def with_nodes(*, without: tuple[str, ...] = (), **changed: Node) -> Facts:
    nodes = {**NODES, **{node.path: node for node in changed.values()}}
    kept = tuple(node for path, node in sorted(nodes.items()) if path not in without)
    return replace(HEALTHY, devices=replace(HEALTHY.devices, nodes=kept))


def with_gpus(count: int) -> Facts:
    gpus = tuple(NvmlGpu(index=index, uuid=f"GPU-{index}{index}{index}", minor=index) for index in range(count))
    return replace(HEALTHY, nvml=Nvml(init=0, gpus=gpus))


def with_libraries(*found: Library) -> Facts:
    return replace(HEALTHY, libraries=replace(HEALTHY.libraries, libcuda=found[0], candidates=found))


def library(path: str, where: str, kind: LibraryKind = LibraryKind.DRIVER, version: str | None = None, **more: Any) -> Library:
    return replace(REAL, path=path, real_path=f"{path}.real", found_in=where, kind=kind, version=version or REAL.version, **more)


def check(remedy: Remedy, facts: Facts, environment: dict[str, str], wanted: tuple[Any, ...] | None) -> None:
    plan = apply.plan(remedy, facts, environment)
    if wanted is None:
        assert isinstance(plan, Refused)
    else:
        assert plan == Plan(wanted)


VISIBLE = {
    "host index": ("7", 2, "GPU-000,GPU-111"),
    "nothing": ("", 2, "GPU-000,GPU-111"),
    "bad first": ("8,1", 2, "GPU-111"),
    "bad second": ("1,8", 2, "GPU-111"),
    "twice": ("0,0", 2, "GPU-000"),
    "the user's order": ("2,0", 3, "GPU-222,GPU-000"),
    "a UUID and its prefix": ("GPU-111,GPU-2", 3, "GPU-111,GPU-222"),
    "a prefix of all": ("GPU-", 2, "GPU-000,GPU-111"),
    "an unknown UUID": ("GPU-9", 1, "GPU-000"),
    "spaces": (" 1 , 0 ", 2, "GPU-111,GPU-000"),
    "minus one": ("-1", 1, "GPU-000"),
}


@pytest.mark.parametrize(("value", "gpus", "wanted"), VISIBLE.values(), ids=VISIBLE.keys())
def test_visible_devices_keep_what_is_valid_and_never_hide_all(value: str, gpus: int, wanted: str) -> None:
    environment = {"CUDA_VISIBLE_DEVICES": value}
    check(Remedy.REWRITE_VISIBLE_DEVICES, with_gpus(gpus), environment, (SetVariable("CUDA_VISIBLE_DEVICES", wanted),))


def test_visible_devices_go_away_where_no_uuid_is_known() -> None:
    facts = replace(HEALTHY, nvml=Unknown("no NVML"), driver=replace(HEALTHY.driver, gpus=Unknown("not there")))
    check(Remedy.REWRITE_VISIBLE_DEVICES, facts, {"CUDA_VISIBLE_DEVICES": "9"}, (SetVariable("CUDA_VISIBLE_DEVICES", None),))


def test_visible_devices_come_from_the_kernel_where_nvml_is_silent() -> None:
    uuid = "GPU-57142949-03f6-7c56-2298-d805187fcc03"
    check(
        Remedy.REWRITE_VISIBLE_DEVICES,
        replace(HEALTHY, nvml=Unknown("no NVML")),
        {"CUDA_VISIBLE_DEVICES": "9"},
        (SetVariable("CUDA_VISIBLE_DEVICES", uuid),),
    )


def test_visible_devices_that_are_not_set_are_left_alone() -> None:
    check(Remedy.REWRITE_VISIBLE_DEVICES, HEALTHY, {}, None)


STUB = library("/stubs/libcuda.so.1", "LD_LIBRARY_PATH", LibraryKind.STUB)
OLD = library("/old/libcuda.so.1", "LD_LIBRARY_PATH", version="535.1.1")
CACHED = library("/lib/libcuda.so.1", "ld.so.cache")
OFF = library("/hidden/libcuda.so.1", "well-known directories")
MOUNTED = library("/mnt/libcuda.so.580.159.04", "mounts")
COMPAT = library(
    "/compat/libcuda.so.1", "LD_LIBRARY_PATH", LibraryKind.COMPAT, "590.1", compat=CompatNote(cuda_version="13.1", drivers=(580,))
)
OLD_CACHED = library("/lib/libcuda.so.1", "ld.so.cache", version="535.1.1")

PATHS = {
    "a stub before the right one": ((STUB, CACHED), "/stubs:/mine", "/mine"),
    "a stub alone on the path": ((STUB, CACHED), "/stubs", None),
    "a stub with a slash at its end": ((STUB, CACHED), "/stubs/:/mine", "/mine"),
    "two wrong ones": ((STUB, OLD, CACHED), "/stubs:/old", None),
    "the right one off the path": ((OFF,), "", "/hidden"),
    "a wrong one in the loader's cache": ((OLD_CACHED, OFF), "/mine", "/hidden:/mine"),
}  # fmt: skip


@pytest.mark.parametrize(("found", "value", "wanted"), PATHS.values(), ids=PATHS.keys())
def test_the_library_path_leads_to_the_right_libcuda(found: tuple[Library, ...], value: str, wanted: str | None) -> None:
    check(Remedy.FIX_LIBRARY_PATH, with_libraries(*found), {"LD_LIBRARY_PATH": value}, (SetVariable("LD_LIBRARY_PATH", wanted),))


def test_a_mounted_file_without_its_link_gets_one() -> None:
    check(Remedy.FIX_LIBRARY_PATH, with_libraries(MOUNTED), {}, (LinkLibraries("/mnt", "580.159.04"),))


def test_a_compat_library_that_fits_stays_when_nothing_else_does() -> None:
    check(
        Remedy.FIX_LIBRARY_PATH,
        with_libraries(OLD, COMPAT),
        {"LD_LIBRARY_PATH": "/old:/compat"},
        (SetVariable("LD_LIBRARY_PATH", "/compat"),),
    )


def test_nothing_is_planned_without_a_right_library() -> None:
    check(Remedy.FIX_LIBRARY_PATH, with_libraries(STUB), {"LD_LIBRARY_PATH": "/stubs"}, None)


PLAIN = Node(path="/dev/nvidia0", kind=NodeKind.FILE)
WRONG_MINOR = replace(NODES["/dev/nvidia0"], minor=7)
STALE = replace(NODES["/dev/nvidia-uvm"], major=510)

NODE_CASES = {
    "nvidiactl missing": (with_nodes(without=("/dev/nvidiactl",)), (MakeNode("/dev/nvidiactl", 195, 255),)),
    "GPU node missing": (with_nodes(without=("/dev/nvidia0",)), (MakeNode("/dev/nvidia0", 195, 0),)),
    "GPU node a plain file": (with_nodes(gpu=PLAIN), (MakeNode("/dev/nvidia0", 195, 0, replace=True),)),
    "GPU node with a wrong minor": (with_nodes(gpu=WRONG_MINOR), (MakeNode("/dev/nvidia0", 195, 0, replace=True),)),
    "uvm missing": (with_nodes(without=("/dev/nvidia-uvm",)), (MakeNode("/dev/nvidia-uvm", 238, 0),)),
    "uvm major stale": (with_nodes(uvm=STALE), (MakeNode("/dev/nvidia-uvm", 238, 0, replace=True),)),
    "nothing is wrong": (HEALTHY, None),
}


@pytest.mark.parametrize(("facts", "wanted"), NODE_CASES.values(), ids=NODE_CASES.keys())
def test_nodes_are_made_with_the_kernels_own_numbers(facts: Facts, wanted: tuple[MakeNode, ...] | None) -> None:
    check(Remedy.CREATE_DEVICE_NODES, facts, {}, wanted)


def test_no_node_is_planned_without_the_capability() -> None:
    facts = with_nodes(without=("/dev/nvidiactl",))
    check(Remedy.CREATE_DEVICE_NODES, replace(facts, confinement=replace(facts.confinement, capabilities=("CAP_CHOWN",))), {}, None)


def test_no_node_is_planned_for_a_gpu_that_was_not_granted() -> None:
    assert not isinstance(HEALTHY.driver.gpus, Unknown)
    listed = tuple(replace(HEALTHY.driver.gpus[0], minor=minor) for minor in range(8))
    facts = replace(HEALTHY, driver=replace(HEALTHY.driver, gpus=listed))
    check(Remedy.CREATE_DEVICE_NODES, facts, {}, None)


LIMITS = {
    "address space": (Limit(soft=1 << 30, hard=None), Limit(soft=4096, hard=4096), (RaiseLimit("RLIMIT_AS", None),)),
    "descriptors": (Limit(soft=None, hard=None), Limit(soft=32, hard=1 << 20), (RaiseLimit("RLIMIT_NOFILE", 65536),)),
    "hard limits as low": (Limit(soft=1 << 30, hard=1 << 30), Limit(soft=32, hard=32), None),
}


@pytest.mark.parametrize(("address_space", "descriptors", "wanted"), LIMITS.values(), ids=LIMITS.keys())
def test_soft_limits_are_raised_as_far_as_the_hard_ones_allow(
    address_space: Limit, descriptors: Limit, wanted: tuple[RaiseLimit, ...] | None
) -> None:
    facts = replace(HEALTHY, limits=replace(HEALTHY.limits, address_space=address_space, descriptors=descriptors))
    check(Remedy.RAISE_LIMITS, facts, {}, wanted)


def test_a_limit_that_is_enough_for_one_gpu_alone_is_raised_where_cuda_runs_into_it() -> None:
    assert not isinstance(HEALTHY.cuda, Unknown)
    limits = replace(HEALTHY.limits, address_space=Limit(soft=20_000_000 * 1024, hard=None))
    check(Remedy.RAISE_LIMITS, replace(HEALTHY, limits=limits), {}, None)
    failing = replace(HEALTHY, limits=limits, cuda=replace(HEALTHY.cuda, init=2, gpus=()))
    check(Remedy.RAISE_LIMITS, failing, {}, (RaiseLimit("RLIMIT_AS", None),))


def test_links_are_made_under_the_soname_and_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    for name in ("libcuda.so.580.1", "libnvidia-ptxjitcompiler.so.580.1", "libcuda.so.535.1", "readme.580.1"):
        (tmp_path / name).touch()
    outcome = apply.perform(Plan((LinkLibraries(str(tmp_path), "580.1"),)), {"LD_LIBRARY_PATH": "/mine"})
    assert isinstance(outcome, Applied)
    value = outcome.environment["LD_LIBRARY_PATH"]
    assert value is not None
    directory, rest = value.split(":")
    links = {link.name: link.readlink().name for link in Path(directory).iterdir()}
    assert rest == "/mine"
    assert links["libcuda.so.1"] == "libcuda.so.580.1"
    assert links["libnvidia-ptxjitcompiler.so.1"] == "libnvidia-ptxjitcompiler.so.580.1"
    assert "readme.1" not in links
    assert len(links) == 4


def test_an_action_that_the_kernel_refuses_is_told_with_its_reason() -> None:
    outcome = apply.perform(Plan((MakeNode("/dev/no/such/folder/nvidia0", 195, 0),)), {})
    assert isinstance(outcome, Failed)
    assert outcome.reason.startswith("cannot do mknod")


def test_every_remedy_has_a_plan_and_a_risk() -> None:
    for remedy in Remedy:
        assert isinstance(apply.plan(remedy, HEALTHY, {}), (Plan, Refused))
        assert apply.risk(remedy)


def test_what_must_be_asked_for_can_be_and_nothing_else() -> None:
    asked_only = {remedy for remedy in Remedy if apply.risk(remedy) is Risk.ASKED_ONLY} - {Remedy.REPLACE_INSTANCE}
    for remedy in Remedy:
        try:
            allowed = settings.load({"allow": remedy.value}, {}).allow == (remedy.value,)
        except UsageError:
            allowed = False
        assert allowed == (remedy in asked_only), remedy


def test_an_action_that_fails_does_not_keep_the_others_from_being_done() -> None:
    outcome = apply.perform(Plan((MakeNode("/dev/no/such/folder/nvidia0", 195, 0), SetVariable("LD_PRELOAD", None))), {})
    assert isinstance(outcome, Applied)
    assert outcome.environment == {"LD_PRELOAD": None}
    assert outcome.done == ("unset LD_PRELOAD",)
    assert outcome.failures[0].startswith("cannot do mknod")
