"""Kills `firstlight install` before each thing that it does to the file system, and looks what can be made of what is left.

    python3 -I -S killed_install.py FIRSTLIGHT.pyz FOLDER

FOLDER holds `before`, a volume. In a copy of it, an installation is killed at its first step; then another goes on from there, and an
uninstallation from there. The same with the second step, and so on to the last; and then for uninstalling. It prints how many steps there were.
"""

import importlib
import itertools
import os
import shutil
import signal
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

ONE_FILE, FOLDER = sys.argv[1], Path(sys.argv[2])
sys.path.insert(0, ONE_FILE)

main = importlib.import_module("firstlight.cli.main")
importlib.import_module("firstlight.cli.install")  # here, so that no fork has to

CHANGING = {"os.chmod", "os.chown", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.truncate"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def is_step(event: str, arguments: tuple) -> bool:
    """Whether the file system is about to be changed."""
    return event in CHANGING or (
        event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING and arguments[0] != os.devnull
    )


def kill_at(number: int) -> None:
    """Die before step `number`; None of them is done any more."""
    steps = itertools.count(1)

    def see(event: str, arguments: tuple) -> None:
        if is_step(event, arguments) and next(steps) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(see)


def install(volume: Path, *words: str, killed_at: int = 0) -> bool:
    """Run it in a process of its own. Whether it came to its end."""
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            kill_at(killed_at)
            code = main.main(["install", "--dir", str(volume), *words], ())
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        assert killed_at
        return False
    assert os.waitstatus_to_exitcode(status) == 0, f"{volume}: {words} ended with {status}"
    return True


def tree(volume: Path) -> dict[str, tuple]:
    """All that is there: what it is, its mode, and what is in it."""
    return dict(sorted(look(volume)))


def look(volume: Path) -> Iterator[tuple[str, tuple]]:
    """Each name below the volume."""
    for path in volume.rglob("*"):
        mode = path.lstat().st_mode
        content = os.readlink(path) if stat.S_ISLNK(mode) else path.read_bytes() if stat.S_ISREG(mode) else b""
        yield str(path.relative_to(volume)), (mode, content)


def copy(name: str) -> Path:
    """A fresh volume in the state of that name, always in the same place: it stands in the files."""
    volume = FOLDER / "volume"
    shutil.rmtree(volume, ignore_errors=True)
    shutil.copytree(FOLDER / name, volume, symlinks=True)
    return volume


def check(start: str, words: tuple[str, ...]) -> int:
    """Kill it at each step, from this state on. How many steps there are."""
    for number in itertools.count(1):
        if install(copy(start), *words, killed_at=number):
            return number - 1
        left = FOLDER / "left"
        shutil.rmtree(left, ignore_errors=True)
        shutil.copytree(FOLDER / "volume", left, symlinks=True)
        whole = {name: value for name, value in tree(left).items() if not name.startswith(".firstlight-install-")}
        for name, value in whole.items():
            assert value in (BEFORE.get(name), INSTALLED.get(name), *BEFORE.values()) or name.endswith("installed.json"), (
                f"{number}: {name}"
            )
        volume = copy("left")
        install(volume, "--uninstall")
        assert tree(volume) == BEFORE, f"{words} killed at {number}, then uninstalled"
        volume = copy("left")
        install(volume)
        assert without_record(tree(volume)) == without_record(INSTALLED), f"{words} killed at {number}, then installed"
        install(volume, "--uninstall")
        assert tree(volume) == BEFORE, f"{words} killed at {number}, then installed and uninstalled"
    raise AssertionError


def without_record(found: dict[str, tuple]) -> dict[str, tuple]:
    """The record may know more than one way to where we are."""
    return {name: value for name, value in found.items() if name != "firstlight/installed.json"}


BEFORE = tree(copy("before"))
install(FOLDER / "volume")
INSTALLED = tree(FOLDER / "volume")
shutil.copytree(FOLDER / "volume", FOLDER / "installed", symlinks=True)
print(check("before", ()), check("installed", ("--uninstall",)))
