"""Whatever is done to a volume in whatever order, and wherever it is killed: nothing that a user has written is lost."""

from __future__ import annotations

import tempfile
from pathlib import Path
from unittest import mock

from hypothesis import given, settings, strategies

from firstlight.install import look, perform, plan, section
from firstlight.install.wanted import SECTION, Wanted

NAMES = ("firstlight/tool", "a.sh", "b.md")


def wanted(version: int) -> list[Wanted]:
    """The files of a version; the last is the same in all."""
    return [Wanted(name=name, data=f"{name} {version if name != 'b.md' else 0}".encode(), mode=0o755) for name in NAMES]


def sections(version: int) -> list[Wanted]:
    return [Wanted(name=SECTION, data=section.make(b"version %d\n" % version), mode=0o644)]


class Killed(BaseException):
    """The process is gone."""


class Volume:
    """A volume, and what its user has written on it and neither overwritten nor removed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written: dict[str, bytes] = {}
        self.number = 0

    def install(self, version: int) -> plan.Plan:
        return self._perform(plan.install(wanted(version), sections(version), self._look()))

    def uninstall(self) -> plan.Plan:
        return self._perform(plan.uninstall(self._look(), purge=False))

    def _look(self) -> plan.There:
        return look.look(str(self.folder), NAMES, [SECTION])

    def _perform(self, chosen: plan.Plan) -> plan.Plan:
        if chosen.to_do:
            perform.perform(str(self.folder), chosen)
        return chosen

    def write(self, name: str) -> None:
        """The user writes a file anew, whatever it was."""
        self.number += 1
        (self.folder / name).parent.mkdir(exist_ok=True)
        (self.folder / name).write_bytes(b"the user's %d" % self.number)
        self.written[name] = b"the user's %d" % self.number

    def append(self, name: str) -> None:
        """The user writes more into a file, if it is there."""
        if (self.folder / name).exists():
            self.number += 1
            line = b"<the user's %d>" % self.number
            with (self.folder / name).open("ab") as file:
                file.write(line)
            self.written[f"{name} {self.number}"] = line

    def insert(self, name: str) -> None:
        """The user writes more into our section, if it is there."""
        place = self.folder / name
        if place.exists() and section.END in place.read_bytes():
            self.number += 1
            line = b"<the user's %d>" % self.number
            place.write_bytes(place.read_bytes().replace(section.END, line + section.END))
            self.written[f"{name} {self.number}"] = line

    def remove(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)

    def all(self) -> bytes:
        return b"\0".join(path.read_bytes() for path in self.folder.rglob("*") if path.is_file())


def user_loses(volume: Volume, name: str) -> None:
    """What the user overwrites or removes is no loss of ours."""
    place = volume.folder / name
    held = place.read_bytes() if place.exists() else b""
    volume.written = {key: text for key, text in volume.written.items() if text not in held}


names = strategies.sampled_from((*NAMES, SECTION))
STEPS = strategies.one_of(
    strategies.tuples(strategies.just("install"), strategies.integers(1, 3), strategies.integers(0, 9)),
    strategies.tuples(strategies.just("uninstall"), strategies.just(0), strategies.integers(0, 9)),
    strategies.tuples(strategies.sampled_from(("write", "append", "remove")), names, strategies.just(0)),
    strategies.tuples(strategies.just("insert"), strategies.just(SECTION), strategies.just(0)),
)


@settings(max_examples=150, deadline=None)
@given(strategies.lists(STEPS, max_size=12))
def test_nothing_that_a_user_has_written_is_lost(steps):
    with tempfile.TemporaryDirectory() as folder:
        volume = Volume(Path(folder))
        for what, argument, killed_at in steps:
            if what in ("write", "remove"):
                user_loses(volume, argument)
            words = [] if what == "uninstall" else [argument]
            with mock.patch.object(perform, "_do", dying(killed_at) if what in ("install", "uninstall") else perform._do):
                try:
                    getattr(volume, what)(*words)
                except Killed:
                    pass
            everything = volume.all()
            assert all(text in everything for text in volume.written.values()), f"lost after {what}"
        volume.install(1)
        assert all((volume.folder / file.name).read_bytes() == file.data for file in wanted(1))
        assert not volume.install(1).to_do
        volume.uninstall()
        assert not volume.uninstall().to_do
        everything = volume.all()
        assert all(text in everything for text in volume.written.values())
        # Of ours, only what a user has edited is left. A file whose section was kept for that is the user's from then on, be it empty.
        left = [path for path in volume.folder.rglob("*") if path.is_file() and path.read_bytes()]
        assert all(b"the user's" in path.read_bytes() for path in left)


def dying(killed_at: int):
    """`perform._do` that dies at its n-th call; 0: never."""
    calls = []
    real = perform._do

    def do(*arguments: object) -> None:
        calls.append(arguments)
        if len(calls) == killed_at:
            raise Killed
        real(*arguments)

    return do
