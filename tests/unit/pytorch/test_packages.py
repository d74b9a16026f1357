"""What changes with torch, and what stays."""

from __future__ import annotations

import pytest

from firstlight.pytorch import packages
from firstlight.pytorch.packages import Package

ALL = (
    Package(
        name="torch", version="2.8.0+cu126", requires=("nvidia-cublas-cu12", "triton", "sympy", "numpy"), modules=("functorch", "torch")
    ),
    Package(name="torchvision", version="0.23.0+cu126", requires=("torch", "numpy"), modules=("torchvision",)),
    Package(name="nvidia-cublas-cu12", version="12.6.4.1", requires=("nvidia-cuda-nvrtc-cu12",), modules=("nvidia",)),
    Package(name="nvidia-cuda-nvrtc-cu12", version="12.6.77", modules=("nvidia",)),
    Package(name="nvidia-ml-py", version="13.580.65", modules=("pynvml",)),
    Package(name="triton", version="3.4.0", modules=("triton",)),
    Package(name="sympy", version="1.14.0", modules=("sympy",)),
    Package(name="numpy", version="2.3.4", modules=("numpy",)),
    Package(name="transformers", version="4.57.1", requires=("numpy", "torch"), modules=("examples", "transformers")),
    Package(name="sentence-pieces", version="1.0", requires=("torch",), modules=("sentence_pieces", "website")),
    Package(name="opencv-torch", version="1.0", requires=("torch",), modules=("cv2",)),
    Package(name="xformers", version="0.0.32", requires=("torch",), modules=("xformers",)),
    Package(name="old", version="2004d", modules=("old",)),
)
INSTALLED = {package.name: package for package in ALL}
TORCH = {"torch", "torchvision", "nvidia-cublas-cu12", "nvidia-cuda-nvrtc-cu12", "triton"}


def test_what_torch_brings_changes_with_it_and_nothing_else_of_nvidia() -> None:
    assert packages.family(INSTALLED) == TORCH
    assert packages.family(INSTALLED, ["xformers", "not-there"]) == {*TORCH, "xformers"}
    assert packages.family({"numpy": INSTALLED["numpy"]}) == frozenset()


def test_the_installer_is_asked_for_torch_and_its_sisters_that_are_there() -> None:
    assert packages.requests("2.9.0+cu128", INSTALLED) == ("torch==2.9.0+cu128", "torchvision")
    assert packages.requests("2.9.0+cu128", INSTALLED, ["xformers"]) == ("torch==2.9.0+cu128", "torchvision", "xformers")
    assert packages.requests("2.9.0+cu128", {}) == ("torch==2.9.0+cu128",)


def test_all_others_are_held_where_they_are() -> None:
    lines = packages.constraints(INSTALLED, packages.family(INSTALLED))

    assert lines == (
        "numpy==2.3.4",
        "nvidia-ml-py==13.580.65",
        "opencv-torch==1.0",
        "sentence-pieces==1.0",
        "sympy==1.14.0",
        "transformers==4.57.1",
        "xformers==0.0.32",
    )


@pytest.mark.parametrize("version", ["1.0", "1!2.0", "1.0rc1", "1.0.post1", "0.1.dev3", "1.0a1.dev2+g1f2e", "2.9.0+cu128"])
def test_a_version_that_installers_take_is_held(version: str) -> None:
    assert packages.constraints({"one": Package(name="one", version=version)}, frozenset()) == (f"one=={version}",)


def test_what_changed_against_our_will_is_named() -> None:
    after = {**INSTALLED, "numpy": Package(name="numpy", version="1.26.4"), "torch": Package(name="torch", version="2.9.0+cu128")}
    del after["sympy"]

    assert packages.changed(INSTALLED, after, packages.family(INSTALLED)) == ("numpy 2.3.4 would be 1.26.4", "sympy 1.14.0 would be gone")
    assert packages.changed(INSTALLED, {**INSTALLED, "new": Package(name="new", version="1")}, frozenset()) == ()


def test_what_torch_can_break_has_to_import() -> None:
    names = packages.modules_to_prove(INSTALLED, packages.family(INSTALLED))

    assert names == ("torch", "cv2", "sentence_pieces", "torchvision", "transformers", "xformers")


COMPLAINTS = {
    "pip": (
        "xformers 0.0.32 has requirement torch==2.8.0, but you have torch 2.7.1.\nnumba 0.61 requires numpy<2.2, which is not installed.",
        {"xformers 0.0.32 has requirement torch==2.8.0", "numba 0.61 requires numpy<2.2, which is not installed."},
    ),
    "uv": (
        "Checked 9 packages in 1ms\nFound 1 incompatibility\nThe package `pinned` requires `torch==2.8.0`, but `2.9.0+cu128` is installed",
        {"The package `pinned` requires `torch==2.8.0`"},
    ),
    "pip, where all fits": ("No broken requirements found.", set()),
    "uv, where all fits": ("Checked 9 packages in 1ms\nAll installed packages are compatible", set()),
}


@pytest.mark.parametrize(("told", "found"), COMPLAINTS.values(), ids=COMPLAINTS.keys())
def test_complaints_are_read_without_the_version_that_changes(told: str, found: set[str]) -> None:
    assert packages.complaints(told) == found
