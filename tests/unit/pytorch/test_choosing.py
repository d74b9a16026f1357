"""Which torch an upgrade is to install."""

from __future__ import annotations

import pytest

from firstlight import errors
from firstlight.probe.facts import Unknown
from firstlight.pytorch import builds
from firstlight.pytorch.builds import Advice, Answer, Fit, Gpu, Machine
from firstlight.pytorch.choosing import choose


def advice(
    installed: str = "2.8.0+cu126", *, fits: bool = True, recommended: str = "cu128", driver: str = "580.159.04", speaks: int = 13000
) -> Advice:
    here = Machine(driver=driver, speaks=speaks, gpus=(Gpu("H100", (9, 0)),))
    fit = Fit(Answer.YES if fits else Answer.NO, "because")
    return Advice(
        machine=here,
        installed=installed,
        fit=fit,
        builds=tuple((build, builds.fit(build.cuda, build.architectures, here)) for build in builds.BUILDS),
        recommended=recommended,
    )


ILL = advice(fits=False)
CHOSEN = {
    "nothing, where the old one fits": (advice(), "", "", None),
    "the recommended build of the same torch": (ILL, "", "", "2.8.0+cu128"),
    "a build of the same torch": (advice(), "", "cu129", "2.8.0+cu129"),
    "a whole version": (advice(), "2.9.0+cu130", "", "2.9.0+cu130"),
    "a version, and a build": (advice(), "2.9.0", "cu130", "2.9.0+cu130"),
    "a version of whatever build": (ILL, "2.9.1", "", "2.9.1"),
    "a release candidate": (ILL, "2.9.0rc1+cu128", "", "2.9.0rc1+cu128"),
    "a nightly": (ILL, "2.12.0.dev20260801+cu130", "", "2.12.0.dev20260801+cu130"),
    "the first of a build that begins later": (advice("2.5.1+cu121"), "", "cu128", "2.7.0+cu128"),
    "the last of a build that ended earlier": (advice("2.9.0+cu130"), "", "cu118", "2.7.1+cu118"),
    "a build that is not known yet, of a driver's major": (advice(), "2.12.0+cu131", "", "2.12.0+cu131"),
    "what is there already, asked for by name": (advice(), "2.8.0+cu126", "", "2.8.0+cu126"),
}


@pytest.mark.parametrize(("said", "to", "build", "version"), CHOSEN.values(), ids=CHOSEN.keys())
def test_what_is_chosen(said: Advice, to: str, build: str, version: str | None) -> None:
    choice = choose(said, to=to, build=build, gpu=True)

    assert (choice.version if choice else None) == version


REFUSED = {
    "a driver that is too old": (advice(driver="535.261.03", speaks=12020), "2.9.0+cu130", "", "CUDA 13 needs driver 580.65.06"),
    "an unknown build that the driver cannot run": (advice(driver="535.261.03", speaks=12020), "2.12.0+cu131", "", "CUDA 13 needs"),
    "a version that the build has not yet": (advice(), "2.6.0+cu128", "", "begin with 2.7.0"),
    "a version that the build has no more": (advice(), "2.9.0+cu118", "", "go from 2.0.0 to 2.7.1"),
    "none that fits": (advice(fits=False, recommended=""), "", "", "cannot choose a build"),
    "no torch to go by": (advice("", fits=False), "", "cu128", "cannot choose a version"),
    "two builds": (advice(), "2.9.0+cu128", "cu126", "two builds"),
    "a version of words": (advice(), "latest", "", "--to 'latest'"),
    "a build of words": (advice(), "", "12.8", "--build '12.8'"),
}


@pytest.mark.parametrize(("said", "to", "build", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_refused(said: Advice, to: str, build: str, reason: str) -> None:
    with pytest.raises(errors.UsageError, match=r"^cannot ") as refused:
        choose(said, to=to, build=build, gpu=True)

    assert reason in str(refused.value)


def test_without_a_gpu_nothing_is_asked_of_the_machine() -> None:
    nothing = Machine(driver=Unknown("no driver"), speaks=Unknown("no driver"), gpus=Unknown("no GPU"))
    said = Advice(machine=nothing, installed="2.8.0+cu126", fit=Fit(Answer.UNKNOWN, "no driver"), builds=ILL.builds, recommended="")

    choice = choose(said, to="2.9.0+cu130", build="", gpu=False)

    assert choice is not None
    assert choice.version == "2.9.0+cu130"
    with pytest.raises(errors.UsageError, match="--no-gpu"):
        choose(said, to="2.9.0+cu130", build="", gpu=True)
