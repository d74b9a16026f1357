"""Which build fits: tables of machines, builds and reasons."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import machines
import pytest

from firstlight.probe.facts import Torch, Unknown, decode
from firstlight.pytorch import builds
from firstlight.pytorch.builds import Answer, Gpu, Machine

NOBODY_SAYS = Unknown("nobody says")
YES, NO, UNKNOWN = Answer.YES, Answer.NO, Answer.UNKNOWN

# A GPU of each generation that PyTorch's builds tell apart, by its compute capability.
GPUS = {
    "M40": (5, 2),
    "P100": (6, 0),
    "V100": (7, 0),
    "T4": (7, 5),
    "A100": (8, 0),
    "RTX 3090": (8, 6),
    "RTX 4090": (8, 9),
    "H100": (9, 0),
    "B200": (10, 0),
    "B300": (10, 3),
    "RTX 5090": (12, 0),
    "GB10": (12, 1),
}


def machine(driver: str | Unknown = "580.159.04", speaks: int | Unknown = 13000, *gpus: str, **changes: bool) -> Machine:
    found = tuple(Gpu(name, GPUS[name]) for name in gpus or ("H100",))
    return Machine(driver=driver, speaks=speaks, gpus=found, **changes)


def fits(build: str, here: Machine) -> builds.Fit:
    known = builds.named(build)
    assert known is not None
    return builds.fit(known.cuda, known.architectures, here)


# The driver, the CUDA that it speaks, and the newest build that it runs with code for an H100.
DRIVERS = [
    ("450.51.06", 11000, ""),  # speaks CUDA 11, yet is older than minor-version compatibility
    ("450.80.02", 11000, "cu118"),
    ("470.256.02", 11040, "cu118"),
    ("525.53", 12000, "cu118"),
    ("525.60.13", 12000, "cu129"),
    ("535.261.03", 12020, "cu129"),
    ("570.195.03", 12080, "cu129"),
    ("580.65.05", 13000, "cu129"),
    ("580.65.06", 13000, "cu130"),
    ("590.44.01", 13010, "cu130"),
]


@pytest.mark.parametrize(("driver", "speaks", "newest"), DRIVERS)
def test_a_driver_runs_every_cuda_of_its_major_and_of_older_ones(driver: str, speaks: int, newest: str) -> None:
    for here in (machine(driver, speaks), machine(driver, NOBODY_SAYS)):
        fitting = [build.name for build in builds.BUILDS if fits(build.name, here).answer is YES]

        assert fitting == [build.name for build in builds.BUILDS if newest and build.name <= newest]


ARCHITECTURES = {
    "M40": "cu118 cu121 cu124 cu126",
    "P100": "cu118 cu121 cu124 cu126",
    "V100": "cu118 cu121 cu124 cu126 cu128 cu129",
    "T4": "cu118 cu121 cu124 cu126 cu128 cu129 cu130",
    "A100": "cu118 cu121 cu124 cu126 cu128 cu129 cu130",
    "RTX 3090": "cu118 cu121 cu124 cu126 cu128 cu129 cu130",
    "RTX 4090": "cu118 cu121 cu124 cu126 cu128 cu129 cu130",
    "H100": "cu118 cu121 cu124 cu126 cu128 cu129 cu130",
    "B200": "cu128 cu129 cu130",
    "B300": "cu128 cu129 cu130",
    "RTX 5090": "cu128 cu129 cu130",
    "GB10": "cu128 cu129 cu130",
}


@pytest.mark.parametrize(("gpu", "fitting"), ARCHITECTURES.items())
def test_a_build_needs_code_for_the_gpu(gpu: str, fitting: str) -> None:
    here = machine("590.44.01", 13010, gpu)

    assert [build.name for build in builds.BUILDS if fits(build.name, here).answer is YES] == fitting.split()


def test_every_gpu_needs_its_code() -> None:
    fit = fits("cu126", machine("580.159.04", 13000, "H100", "RTX 5090"))

    assert fit.answer is NO
    assert fit.reason.startswith("it has no code for RTX 5090 (compute capability 12.0), only sm_50 ")


# Architectures of a wheel of CUDA 12.8, the GPU, the CUDA that the driver speaks; the answer, and whether without compiling.
CODE = {
    "its own": (["sm_90"], "H100", 13000, YES, True),
    "an older minor": (["sm_80"], "RTX 4090", 13000, YES, True),
    "a newer minor": (["sm_89"], "RTX 3090", 13000, NO, True),
    "an older major": (["sm_80", "sm_90"], "B200", 13000, NO, True),
    "code for that very GPU": (["sm_90a"], "H100", 13000, YES, True),
    "code for another very GPU": (["sm_100a"], "B300", 13000, NO, True),
    "PTX of an older major": (["sm_80", "compute_90"], "B200", 12080, YES, False),
    "PTX of its own": (["compute_90"], "H100", 12080, YES, False),
    "PTX of a newer one": (["compute_100"], "H100", 13000, NO, True),
    "PTX that the driver is too old to compile": (["compute_90"], "B200", 12040, NO, True),
    "PTX for that very GPU alone": (["compute_90a"], "B200", 13000, NO, True),
    "PTX, and a driver that says nothing": (["compute_90"], "B200", NOBODY_SAYS, UNKNOWN, True),
    "a torch that does not tell": ([], "H100", 13000, UNKNOWN, True),
    "something new": (["sm_90", "tile_90"], "H100", 13000, YES, True),
}


@pytest.mark.parametrize(("architectures", "gpu", "speaks", "answer", "native"), CODE.values(), ids=CODE.keys())
def test_code_of_a_wheel(architectures: list[str], gpu: str, speaks: int | Unknown, answer: Answer, native: bool) -> None:
    fit = builds.fit((12, 8), architectures, machine("580.159.04", speaks, gpu))

    assert (fit.answer, fit.native) == (answer, native), fit.reason


def test_a_forward_compatibility_library_runs_a_newer_cuda_on_an_older_driver() -> None:
    fit = fits("cu130", machine("535.261.03", 13000, compat=True))

    assert fit.answer is YES
    assert "forward-compatibility" in fit.reason


def test_an_older_libcuda_hides_what_the_driver_could_do() -> None:
    assert fits("cu130", machine("580.159.04", 12080, compat=True)).answer is NO


@pytest.mark.parametrize(("gpu", "bridged"), [("NVIDIA H100 80GB HBM3", True), ("Tesla T4", True), ("NVIDIA GeForce RTX 4090", False)])
def test_the_bridge_to_a_newer_cuda_is_named_on_data_centre_gpus_alone(gpu: str, bridged: bool) -> None:
    here = Machine(driver="535.261.03", speaks=12020, gpus=(Gpu(gpu, (9, 0)),))

    assert ("cuda-compat" in fits("cu130", here).reason) is bridged


@pytest.mark.parametrize(
    "here",
    [
        Machine(driver=NOBODY_SAYS, speaks=NOBODY_SAYS, gpus=(Gpu("H100", (9, 0)),)),
        Machine(driver="580.159.04", speaks=13000, gpus=NOBODY_SAYS),
    ],
)
def test_what_is_not_known_is_neither_yes_nor_no(here: Machine) -> None:
    assert fits("cu128", here).answer is UNKNOWN


# --- from facts -------------------------------------------------------------------------------------------------------


def torch(version: str = "2.8.0+cu126", cuda: str | Unknown = "12.6", architectures: tuple[str, ...] = ("sm_80", "sm_90")) -> Torch:
    return Torch(interpreter="/venv/bin/python", version=version, cuda_build=cuda, arch_list=architectures)


def advise(found: Torch, capability: tuple[int, int] = (9, 0), speaks: int = 13000) -> builds.Advice:
    """Of a healthy machine with such a GPU and such a torch."""
    facts = machines.healthy()
    version = {12020: "535.261.03", 12080: "570.195.03", 13000: "580.159.04"}[speaks]
    return builds.advise(
        dataclasses.replace(
            facts,
            cuda=dataclasses.replace(facts.cuda, gpus=(machines.cuda_gpu(0, capability=capability),), driver_version=speaks),
            driver=dataclasses.replace(facts.driver, version=version),
            torch=found,
        )
    )


def test_a_torch_that_works_is_left_alone_though_a_newer_build_fits() -> None:
    advice = advise(torch())

    assert (advice.fit.answer, advice.exit_code, advice.recommended) == (YES, 0, "cu126")


ADVICE = {
    "no code for the GPU": ((10, 0), 13000, torch(), 1, "cu129"),  # cu130 begins with torch 2.9
    "no code, and a newer torch": ((10, 0), 13000, torch("2.9.0+cu126"), 1, "cu130"),
    "no code, and a driver of CUDA 12.8": ((12, 0), 12080, torch("2.9.0+cu126"), 1, "cu128"),
    "no code, and a torch that no fitting build has": ((12, 0), 12080, torch("2.5.1+cu121"), 1, "cu128"),
    "a driver that is too old": ((9, 0), 12020, torch("2.9.0+cu130", "13.0", ("sm_90",)), 1, "cu126"),
    "PTX alone": ((10, 0), 13000, torch("2.9.0+cu126", "12.6", ("compute_90",)), 2, "cu130"),
    "a torch of PyPI, which names no build": ((9, 0), 13000, torch("2.9.0", "12.8"), 0, "cu128"),
    "for the CPU alone": ((9, 0), 13000, torch("2.9.0+cpu", Unknown("this torch is built for the CPU alone"), ()), 1, "cu130"),
    "no torch": ((9, 0), 13000, Torch(interpreter="python", version=Unknown("No module named 'torch'")), 1, "cu130"),
    "a GPU that no build knows": ((3, 5), 12020, torch(), 1, ""),
}


@pytest.mark.parametrize(("capability", "driver", "found", "code", "recommended"), ADVICE.values(), ids=ADVICE.keys())
def test_the_advice(capability: tuple[int, int], driver: int, found: Torch, code: int, recommended: str) -> None:
    advice = advise(found, capability, driver)

    assert (advice.exit_code, advice.recommended) == (code, recommended), advice.fit.reason


def test_nvml_tells_what_cuda_does_not() -> None:
    facts = machines.healthy()
    nvml = dataclasses.replace(facts.nvml, gpus=(machines.nvml_gpu(0, capability=(9, 0)),), cuda_version=12080)

    here = builds.machine(dataclasses.replace(facts, cuda=Unknown("not asked"), nvml=nvml))

    assert (here.speaks, here.gpus) == (12080, (Gpu("NVIDIA H100 80GB HBM3", (9, 0)),))


def test_gpus_of_which_one_says_nothing_are_not_known() -> None:
    facts = machines.healthy()
    gpus = (machines.cuda_gpu(0, capability=(9, 0)), machines.cuda_gpu(1))

    here = builds.machine(dataclasses.replace(facts, cuda=dataclasses.replace(facts.cuda, gpus=gpus), nvml=Unknown("not asked")))

    assert isinstance(here.gpus, Unknown)


@pytest.mark.parametrize("file", sorted((Path(__file__).parents[2] / "data/facts").glob("*.json")), ids=lambda file: file.stem)
def test_recorded_machines_get_an_advice(file: Path) -> None:
    advice = builds.advise(decode(json.loads(file.read_text())))

    assert advice.machine.driver == "580.159.04"
    assert {fit.answer for _, fit in advice.builds} <= {YES, UNKNOWN}


def test_the_guide_shows_what_is_known() -> None:
    """Its table, row by row: builds, the driver that they need, and the compute capabilities that they have code for."""
    page = (Path(__file__).parents[3] / "docs/howto/upgrade-pytorch.md").read_text()
    rows = {row for row in page.splitlines() if "`cu" in row and row.startswith("| CUDA")}

    for build in builds.BUILDS:
        (row,) = [row for row in rows if f"`{build.name}`" in row]
        _, cuda, driver, code, _ = (cell.strip() for cell in row.split("|"))
        capabilities = sorted(
            (int(number) // 10, int(number) % 10) for kind, _, number in (name.partition("_") for name in build.architectures)
        )
        oldest, newest = capabilities[0], capabilities[-1]
        assert f"{build.cuda[0]}.{build.cuda[1]}" in cuda
        assert driver == builds.OLDEST_DRIVERS[build.cuda[0]]
        assert code == f"{oldest[0]}.{oldest[1]} to {newest[0]}.{'x' if newest[0] > 9 else newest[1]}"
