"""Another PyTorch for an environment: made beside it, proven there, and put into its place at one stroke.

The environment in use is read, and never written to. Its copy differs in torch and what changes with torch; everything else
stays at its version, which is checked afterwards. A kill at any moment leaves the old one in use: PATH changes in one system call.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import dataclass, replace

from firstlight import errors
from firstlight.faults import reading
from firstlight.probe.facts import Cause, Torch, Unknown
from firstlight.pytorch import asking, builds, copying, packages as deciding, places, space
from firstlight.pytorch.asking import Surroundings
from firstlight.pytorch.places import Place, Record
from firstlight.pytorch.planning import Plan


class Unusable(errors.UpgradeError):
    """What was made is not what was wanted, and asking again will not change that."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What was done."""

    version: str  # of torch, in use now
    before: str  # what PATH leads to no more, as a link says it
    now: str
    proven: bool  # on a GPU
    modules: tuple[str, ...]  # that import
    users: tuple[int, ...]  # processes that still run out of the environment of before
    resumed: bool  # what an earlier call had made was used


def upgrade(around: Surroundings, found: Plan, machine: builds.Machine) -> Outcome:
    """Do it. The caller holds the lock.

    Raises:
        UpgradeError: the new environment cannot be made or proven; PATH is as it was.
    """
    place, request = found.place, found.request
    hindered = "" if request.gap else places.can_exchange(place)
    if hindered:
        raise errors.UpgradeError(
            f"cannot replace {place.path} at one stroke: {hindered}. With --allow-gap it is missing for a moment, this first time;"
            " a kill in that moment is healed by the next `firstlight torch` upgrade or rollback"
        )
    name = _made_before(around, found)
    resumed = bool(name)
    if not resumed:
        # Asked again: what was half made may have gone.
        short = space.short(replace(found.space, free=space.free(os.path.dirname(place.path))))
        if short:
            raise errors.UpgradeError(f"cannot upgrade {place.path}: {short}")
        name = places.free_name(place, request.version)
        _make(around, found, name)
    folder = place.version(name)
    try:
        torch = _verify(around, found, folder, machine)
    except Unusable:
        if (made := places.record(place, name)) is not None and made.state != places.PROVEN:  # a proven one may have been in use
            _clear(place, name)
        raise
    _prove(around, found, folder)
    _advance(place, name, places.PROVEN)
    users = places.users(place)
    around.tell(f"swapping: {place.path} leads to {folder} from now on")
    own = places.free_name(place, found.torch)
    try:
        before = places.swap(place, place.text(name), own, gap=request.gap)
    except OSError as error:
        raise errors.UpgradeError(f"cannot put {folder} into the place of {place.path}: {error.strerror}") from None
    return Outcome(
        version=torch, before=before, now=place.text(name), proven=request.gpu, modules=found.modules, users=users, resumed=resumed
    )


def _made_before(around: Surroundings, found: Plan) -> str:
    """The name of an environment that an earlier call has made of this very one and for this very wish, and that is still as it was made.

    Others that are half made go.
    """
    place, wish = found.place, _wish(found)
    ready = ""
    for name in places.recorded(place):
        entry = places.record(place, name)
        if entry is None or entry.state == places.COPYING or (entry.wanted, entry.source, entry.path) != (wish, found.source, place.path):
            continue
        if place.text(name) == places.in_use(place):
            continue
        with contextlib.suppress(errors.UpgradeError):  # one that does not even tell what it has is made anew
            if entry.made == _digest(around, place.version(name)):
                ready = name
    for name in places.half_made(place):
        if name != ready:
            _discard(place, name)
    return ready


def _digest(around: Surroundings, folder: str) -> str:
    return copying.digest(asking.packages(around, os.path.join(folder, "bin/python")).values())


def _wish(found: Plan) -> str:
    """A digest of what is asked for: the address of an index may hold a password."""
    request = found.request
    wish = (*found.wanted, request.find_links, request.index, str(request.hard_links))
    return hashlib.sha256("\n".join(wish).encode()).hexdigest()


def _advance(place: Place, name: str, state: str, **changes: str) -> None:
    """Keep that an environment has come further."""
    entry = places.record(place, name)
    assert entry is not None
    places.write_record(place, name, replace(entry, state=state, **changes))


def _discard(place: Place, name: str) -> None:
    try:
        places.remove(place, name)
    except OSError as error:
        raise errors.UpgradeError(f"cannot remove {place.version(name)}, which is half made: {error.strerror}") from None


def _make(around: Surroundings, found: Plan, name: str) -> None:
    """Copy what stays, and install what changes. What cannot be finished is removed: it only takes space."""
    place, folder = found.place, found.place.version(name)
    try:
        places.write_record(place, name, Record(state=places.COPYING, wanted=_wish(found), source=found.source, path=place.path))
        around.tell(f"copying {len(found.entries)} files ({space.size(found.files)}) to {folder}")
        copying.copy(os.path.realpath(place.path), folder, found.entries, link=found.request.hard_links, pause=lambda: asking.pause(around))
        _install(around, found, folder)
        copying.settle(folder, (folder, os.path.realpath(place.path)), place.path)
        _advance(place, name, places.INSTALLED, made=_digest(around, folder))
    except OSError as error:
        _clear(place, name)
        raise errors.UpgradeError(f"cannot make {folder}: {error.strerror}; {place.path} is as it was") from None
    except errors.UpgradeError:
        _clear(place, name)
        raise


def _clear(place: Place, name: str) -> None:
    """Give the space back as far as that can be done; the next call tries again."""
    with contextlib.suppress(OSError):
        places.remove(place, name)


def _install(around: Surroundings, found: Plan, folder: str) -> None:
    """Let the installer put the new torch into the copy."""
    constraints = os.path.join(folder, "constraints.txt")
    with open(constraints, "w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in deciding.constraints(found.installed, found.changing))
    try:
        python = os.path.join(folder, "bin/python")
        wanted = found.wanted
        around.tell(f"installing {' '.join(wanted)} with {found.installer.name}")
        find_links = ("--find-links", found.request.find_links) if found.request.find_links else ()
        argv = found.installer.install(python, ("--constraint", constraints, *find_links, *wanted))
        variables = found.installer.variables(found.request.index)
        process = asking.run(around, argv, f"installing {wanted[0]}", variables=variables)
    finally:
        os.unlink(constraints)
    if process.exit_code != 0:
        raise errors.UpgradeError(
            f"cannot install {wanted[0]} with {found.installer.name}: {asking.last_words(process)}; {found.place.path} is as it was"
        )


def _verify(around: Surroundings, found: Plan, folder: str, machine: builds.Machine) -> str:
    """Look at what was installed: the torch that was wanted, by its own word, and nothing else changed. Gives torch's version."""
    python = os.path.join(folder, "bin/python")
    request = found.request
    around.tell("asking the new torch what it is")
    torch = asking.torch(around, python)
    if isinstance(torch.version, Unknown):
        refused = _unusable if torch.version.cause is Cause.ABSENT else _unfit  # one that was only slow may be asked again
        raise refused(found, folder, f"its torch cannot be imported: {torch.version.reason}")
    _refuse_other_build(found, folder, torch)
    if request.gpu:
        fit = builds.fit_of(torch, machine)
        if fit.answer is builds.Answer.NO:
            raise _unusable(found, folder, f"its torch does not fit this machine: {fit.reason}")
    now = asking.packages(around, python)
    changed = deciding.changed(found.installed, now, found.changing)
    if changed:
        raise _unusable(found, folder, f"{', '.join(changed)}; --also NAME lets a package change with torch")
    told = [asking.complaints(around, found.installer, python) for python in (found.place.python, python)]
    fresh = deciding.complaints(told[1]) - deciding.complaints(told[0])
    if fresh:
        raise _unusable(found, folder, f"{min(fresh)}; --also NAME lets a package change with torch")
    return torch.version


def _refuse_other_build(found: Plan, folder: str, torch: Torch) -> None:
    wanted = builds.cuda_of(builds.local(found.request.version))
    built = reading.known(torch.cuda_build)
    if wanted is not None and built != f"{wanted[0]}.{wanted[1]}":
        raise _unusable(found, folder, f"its torch {torch.version} is built for {f'CUDA {built}' if built else 'the CPU alone'}")


def _prove(around: Surroundings, found: Plan, folder: str) -> None:
    """A kernel on every GPU, and the imports that worked before."""
    python = os.path.join(folder, "bin/python")
    if found.request.gpu:
        around.tell("proving a kernel of the new torch on every GPU")
        failed = asking.proof(around, python)
        if failed:
            raise _unfit(found, folder, f"no proof of its torch: {failed}")
    else:
        around.tell("no kernel is proven: --no-gpu")
    around.tell(f"importing {', '.join(found.modules)}")
    after = asking.imports(around, python, found.modules)
    broken = [name for name, failure in after.items() if failure]
    if not broken:
        return
    # What did not work before need not work now; the environment in use is asked only where that matters.
    before = asking.imports(around, found.place.python, broken)
    for name in broken:
        if not before[name] or name in found.request.modules or name == "torch":
            raise _unfit(found, folder, f"{name} cannot be imported there: {after[name]}")
        around.tell(f"{name} cannot be imported, as before: {before[name]}")


def prune(place: Place, done: Outcome, keep: int) -> list[str]:
    """Remove all but the newest `keep` environments besides the one in use; that of before always stays. Gives the names of those removed."""
    spared = {done.now, done.before}
    others = [name for name in places.kept(place) if place.text(name) not in spared]
    others.sort(key=lambda name: os.stat(place.version(name)).st_mtime_ns, reverse=True)
    removed = others[max(keep - 1, 0) :]
    for name in removed:
        _discard(place, name)
    return removed


def _unfit(found: Plan, folder: str, why: str) -> errors.UpgradeError:
    return errors.UpgradeError(_refusal(found, folder, why))


def _unusable(found: Plan, folder: str, why: str) -> Unusable:
    return Unusable(_refusal(found, folder, why))


def _refusal(found: Plan, folder: str, why: str) -> str:
    return f"cannot use {folder}: {why}. {found.place.path} is as it was"
