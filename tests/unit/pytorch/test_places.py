"""Where versions lie, and how one takes the place of another."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from firstlight import errors
from firstlight.pytorch import places
from firstlight.pytorch.places import COPYING, INSTALLED, PROVEN, Place, Record
from firstlight.system import linux

pytestmark = pytest.mark.skipif(os.uname().sysname != "Linux", reason="it asks Linux to exchange two names")


def environment(folder: Path) -> Path:
    (folder / "bin").mkdir(parents=True)
    (folder / "pyvenv.cfg").touch()
    (folder / "bin/python").touch()
    return folder


def record(state: str) -> Record:
    return Record(state=state, wanted="torch==2.9.0", source="0", path="/w/venv")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An environment that is a folder still, and a new version beside it."""
    found = Place(str(environment(tmp_path / "venv")))
    environment(Path(found.version("new")))
    places.write_record(found, "new", record(PROVEN))
    return found


def can_exchange(place: Place) -> None:
    if reason := places.can_exchange(place):
        pytest.skip(f"this file system cannot exchange names: {reason}")


def test_two_names_change_places_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("file")
    (tmp_path / "folder").mkdir()
    try:
        linux.exchange(str(tmp_path / "file"), str(tmp_path / "folder"))
    except OSError as error:
        assert error.errno in (errno.EINVAL, errno.ENOSYS)  # noqa: PT017 - both outcomes are right, by the file system
        return
    assert (tmp_path / "file").is_dir()
    assert (tmp_path / "folder").read_text() == "file"
    with pytest.raises(OSError, match="renameat2") as missing:
        linux.exchange(str(tmp_path / "file"), str(tmp_path / "nothing"))
    assert missing.value.errno == errno.ENOENT


@pytest.mark.parametrize("gap", [False, True])
def test_a_folder_becomes_a_version_and_its_name_a_link(place: Place, gap: bool) -> None:
    can_exchange(place)
    inode = Path(place.path).stat().st_ino

    before = places.swap(place, place.text("new"), "own", gap=gap)

    assert before == place.text("own") == "venv.versions/own"
    assert places.in_use(place) == "venv.versions/new"
    assert Path(place.version("own")).stat().st_ino == inode
    assert places.kept(place) == ["new", "own"]
    assert places.last_swap(place) == ("venv.versions/own", "venv.versions/new")


def test_a_link_is_replaced(place: Place) -> None:
    can_exchange(place)
    places.swap(place, place.text("new"), "own", gap=False)

    assert places.swap(place, place.text("own"), "", gap=False) == "venv.versions/new"

    assert places.in_use(place) == "venv.versions/own"
    assert places.last_swap(place) == ("venv.versions/new", "venv.versions/own")


def test_a_swap_that_never_happened_leaves_what_was_before_known(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    can_exchange(place)
    places.swap(place, place.text("new"), "own", gap=False)
    environment(Path(place.version("newer")))

    def killed(*_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", lambda source, target: killed() if target == place.path else os.rename(source, target))
    with pytest.raises(KeyboardInterrupt):
        places.swap(place, place.text("newer"), "", gap=False)

    assert places.in_use(place) == "venv.versions/new"
    assert places.last_swap(place) == ("venv.versions/own", "venv.versions/new")


def test_a_swap_in_two_steps_that_was_killed_between_them_is_finished(place: Place, tmp_path: Path) -> None:
    os.symlink(place.text("new"), place.version("link"))
    (tmp_path / "venv").rename(place.version("own"))

    places.heal(place)

    assert places.in_use(place) == "venv.versions/new"
    assert places.kept(place) == ["new", "own"]


def test_links_that_waited_for_a_swap_are_removed(place: Place) -> None:
    for name in ("link", "own"):
        os.symlink(place.text("new"), place.version(name))

    places.heal(place)

    assert sorted(os.listdir(place.versions)) == ["new", "new.json"]
    assert places.in_use(place) == ""


def test_what_was_never_proven_is_no_version_to_go_back_to(place: Place) -> None:
    for name, state in (("copied", COPYING), ("installed", INSTALLED)):
        environment(Path(place.version(name)))
        places.write_record(place, name, record(state))

    assert places.kept(place) == ["new"]
    assert places.half_made(place) == ["copied", "installed"]


def test_a_removal_that_is_killed_leaves_something_half_made(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places.shutil, "rmtree", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))

    with pytest.raises(KeyboardInterrupt):
        places.remove(place, "new")

    assert places.half_made(place) == ["new"]


def test_names_are_those_of_versions_and_never_taken_twice(place: Place) -> None:
    assert places.free_name(place, "2.9.0+cu128") == "2.9.0+cu128"
    assert places.free_name(place, "new") == "new-2"
    assert places.free_name(place, "../up") == "_up"
    assert places.free_name(place, "") == "without-torch"


def test_two_cannot_work_at_once(place: Place) -> None:
    with places.locked(place), pytest.raises(errors.UpgradeError, match=r"^cannot work on .*another firstlight"), places.locked(place):
        pass
    with places.locked(place):
        pass


NO_ENVIRONMENT = {
    "nothing": (lambda folder: None, "there is no"),
    "a folder": (lambda folder: folder.mkdir(), r"it has no pyvenv\.cfg"),
    "one without an interpreter": (lambda folder: (folder.mkdir(), (folder / "pyvenv.cfg").touch()), "it has no bin/python"),
    "one of conda": (lambda folder: (folder / "conda-meta").mkdir(parents=True), "conda"),
    "a link that leads nowhere": (lambda folder: folder.symlink_to("nowhere"), r"it has no pyvenv\.cfg"),
}


@pytest.mark.parametrize(("make", "reason"), NO_ENVIRONMENT.values(), ids=NO_ENVIRONMENT.keys())
def test_what_is_no_environment_is_refused(tmp_path: Path, make: object, reason: str) -> None:
    make(tmp_path / "venv")

    with pytest.raises(errors.UsageError, match=f"^cannot .*{reason}"):
        places.find(str(tmp_path / "venv"))
