"""Which torch an upgrade is to install: what the user named, else what fits the machine and is nearest to what is there. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from firstlight import errors
from firstlight.pytorch import builds
from firstlight.pytorch.builds import Advice, Answer

_VERSION = re.compile(r"(\d+(?:\.\d+)+(?:(?:a|b|rc)\d+)?(?:\.post\d+)?(?:\.dev\d+)?)(?:\+(cu\d{3}))?")


@dataclass(frozen=True)
class Choice:
    """A torch to install, and why this one."""

    version: str  # "2.9.0+cu128"; "2.9.0" where any build of it will do that fits, as one of PyPI, which names none
    build: str  # "cu128", for the index to look in
    reason: str


def choose(advice: Advice, *, to: str, build: str, gpu: bool) -> Choice | None:
    """What to install; None when what is there fits and nothing else was asked for.

    Raises:
        UsageError: what was named does not exist or does not fit this machine, or nothing can be chosen.
    """
    version, named = _parts(to, build)
    if not version and not named and advice.exit_code == 0:
        return None
    wanted, why = named or advice.recommended, "as asked for" if named or version else "the build that fits best"
    if not wanted:
        raise errors.UsageError(f"cannot choose a build: {_none_fits(advice)}; name one with --to or --build")
    version = version or advice.installed.partition("+")[0]
    if not version:
        raise errors.UsageError(f"cannot choose a version: no torch is there that tells one; name it: --to VERSION+{wanted}")
    known = builds.named(wanted)
    if known is not None and not builds.carries(known, version):
        nearest = known.last if known.last and builds.release(version) > builds.release(known.last) else known.first
        if to:
            raise errors.UsageError(f"cannot take {version}+{wanted}: the builds of {wanted} {_range(known)}")
        version, why = nearest, f"{why}; the nearest to {version} that {wanted} has"
    if gpu:
        _refuse_unfit(advice, wanted)
    return Choice(version if to and not named else f"{version}+{wanted}", wanted, why)


def _parts(to: str, build: str) -> tuple[str, str]:
    """The version and the build that the user named; either may be empty."""
    if build and builds.cuda_of(build) is None:
        raise errors.UsageError(f"cannot take --build {build!r}: builds are named as cu128 is")
    match = _VERSION.fullmatch(to)
    if to and match is None:
        raise errors.UsageError(f"cannot take --to {to!r}: it is to be as 2.9.0+cu128 or 2.9.0 is")
    version, local = (match[1], match[2] or "") if match else ("", "")
    if local and build and local != build:
        raise errors.UsageError(f"cannot take --to {to} and --build {build}: they name two builds")
    return version, local or build


def _refuse_unfit(advice: Advice, wanted: str) -> None:
    known = builds.named(wanted)
    cuda = builds.cuda_of(wanted) or (0, 0)
    fit = builds.fit(cuda, known.architectures, advice.machine) if known else builds.driver_runs(cuda, advice.machine)
    if fit.answer is Answer.NO:
        raise errors.UsageError(f"cannot take {wanted} on this machine: {fit.reason}")
    if fit.answer is Answer.UNKNOWN and known is not None:
        raise errors.UsageError(f"cannot tell whether {wanted} fits this machine: {fit.reason}; --no-gpu goes on without a proof")


def _range(build: builds.Build) -> str:
    return f"go from {build.first} to {build.last}" if build.last else f"begin with {build.first}"


def _none_fits(advice: Advice) -> str:
    build, fit = advice.builds[0]
    return f"none is known to fit ({build.name}: {fit.reason})"
