"""A copy of an environment, and the names in its scripts."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from firstlight.pytorch import copying
from firstlight.pytorch.packages import Package

SITE = "lib/python3.11/site-packages"


def write(path: Path, text: str = "text", mode: int = 0o644) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def nothing() -> None:
    """Nobody asks us to stop."""


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """One package that stays and one that changes, with what Python compiled of both."""
    folder = tmp_path / "venv"
    write(folder / "pyvenv.cfg")
    write(folder / "bin/tool", mode=0o755)
    (folder / "bin/python").symlink_to("/usr/bin/python3")
    (folder / "lib64").symlink_to("lib")
    for name in ("stays", "torch"):
        write(folder / SITE / name / "__init__.py")
        write(folder / SITE / name / "__pycache__/__init__.cpython-311.pyc")
        write(folder / SITE / f"{name}-1.0.dist-info/METADATA")
        write(folder / SITE / f"{name}-1.0.dist-info/INSTALLER")
    write(folder / "bin/torchrun")
    write(
        folder / SITE / "torch-1.0.dist-info/RECORD",
        "torch/__init__.py,,\n../../../bin/torchrun,,\n../../../../outside,,\ntorch-1.0.dist-info/METADATA,,\n",
    )
    write(tmp_path / "outside")
    return folder


def torch_files(folder: Path) -> frozenset[str]:
    return copying.files_of(str(folder), [Package(name="torch", version="1.0", record=str(folder / SITE / "torch-1.0.dist-info"))])


def test_the_files_of_a_package_are_those_of_its_record_and_of_its_metadata(environment: Path) -> None:
    assert torch_files(environment) == {
        f"{SITE}/torch/__init__.py",
        "bin/torchrun",
        f"{SITE}/torch-1.0.dist-info/METADATA",
        f"{SITE}/torch-1.0.dist-info/INSTALLER",
        f"{SITE}/torch-1.0.dist-info/RECORD",
    }


def test_a_package_without_a_record_has_no_files(environment: Path) -> None:
    record = str(environment / SITE / "stays-1.0.dist-info")

    assert copying.files_of(str(environment), [Package(name="stays", version="1.0", record=record)]) == frozenset()


@pytest.mark.parametrize("link", [False, True])
def test_all_but_what_changes_is_copied_as_it_is(environment: Path, tmp_path: Path, link: bool) -> None:
    os.utime(environment / SITE / "stays/__init__.py", (1_000_000_000, 1_000_000_000))
    listed = copying.entries(str(environment), torch_files(environment))
    target = tmp_path / "copy"

    copying.copy(str(environment), str(target), listed, link=link, pause=nothing)

    found = {str(path.relative_to(target)) for path in target.rglob("*") if path.is_symlink() or path.is_file()}
    assert found == {
        "pyvenv.cfg",
        "bin/tool",
        "bin/python",
        "lib64",
        f"{SITE}/stays/__init__.py",
        f"{SITE}/stays/__pycache__/__init__.cpython-311.pyc",
        f"{SITE}/stays-1.0.dist-info/METADATA",
        f"{SITE}/stays-1.0.dist-info/INSTALLER",
    }
    assert (target / SITE / "stays/__init__.py").stat().st_mtime == 1_000_000_000
    assert (target / "bin/tool").stat().st_mode & 0o777 == 0o755
    assert (target / "lib64").readlink() == Path("lib")
    assert (target / "bin/tool").samefile(environment / "bin/tool") is link


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EOPNOTSUPP, errno.EINVAL])
def test_bytes_go_through_us_where_the_kernel_cannot_copy(
    environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    write(environment / "big", "x" * 100_000)
    real, asked = os.copy_file_range, []

    def once(source: int, target: int, count: int) -> int:
        asked.append(count)
        if len(asked) > 1:
            raise OSError(number, os.strerror(number))
        return real(source, target, 1000)

    monkeypatch.setattr(os, "copy_file_range", once)

    copying.copy(str(environment), str(tmp_path / "copy"), [copying.Entry("big", 100_000)], link=False, pause=nothing)

    assert (tmp_path / "copy/big").read_text() == "x" * 100_000


def test_whoever_asks_us_to_stop_ends_the_copying(environment: Path, tmp_path: Path) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copying.copy(str(environment), str(tmp_path / "copy"), [copying.Entry("pyvenv.cfg", 4)], link=False, pause=stop)


OLD, NEW = "/w/venv", "/w/venv.versions/2.9.0+cu128"

SCRIPTS = {
    "a script": (f"#!{NEW}/bin/python\nprint(1)\n", f"#!{OLD}/bin/python\nprint(1)\n"),
    "a path that is too long for the kernel": (
        f"#!/bin/sh\n'''exec' {NEW}/bin/python \"$0\" \"$@\"\n' '''\n",
        f"#!/bin/sh\n'''exec' {OLD}/bin/python \"$0\" \"$@\"\n' '''\n",
    ),
    "activate": (f'VIRTUAL_ENV="{NEW}"\nset {NEW}\n', f'VIRTUAL_ENV="{OLD}"\nset {OLD}\n'),
    "a neighbour of a similar name": (f"#!{NEW}-old/bin/python {NEW}8\n", f"#!{NEW}-old/bin/python {NEW}8\n"),
    "nothing of ours": ("#!/usr/bin/python3\n", "#!/usr/bin/python3\n"),
    "a binary": (f"\x7fELF\0{NEW}/bin\n", f"\x7fELF\0{NEW}/bin\n"),
}


@pytest.mark.parametrize(("before", "after"), SCRIPTS.values(), ids=SCRIPTS.keys())
def test_a_script_names_the_environment_as_its_users_do(tmp_path: Path, before: str, after: str) -> None:
    write(tmp_path / "pyvenv.cfg")
    script = write(tmp_path / "bin/script", before, 0o755)

    copying.settle(str(tmp_path), [NEW, "/somewhere/real"], OLD)

    assert script.read_text() == after
    assert script.stat().st_mode & 0o777 == 0o755
    assert sorted(path.name for path in (tmp_path / "bin").iterdir()) == ["script"]


def test_a_script_that_two_environments_share_is_changed_in_one(tmp_path: Path) -> None:
    write(tmp_path / "pyvenv.cfg")
    script = write(tmp_path / "bin/script", f"#!{NEW}/bin/python\n")
    os.link(script, tmp_path / "other")

    copying.settle(str(tmp_path), [NEW], OLD)

    assert (tmp_path / "other").read_text() == f"#!{NEW}/bin/python\n"


def test_an_environment_is_told_from_what_it_was(environment: Path) -> None:
    record = environment / SITE / "stays-1.0.dist-info"
    package = Package(name="stays", version="1.0", record=str(record))
    before = copying.digest([package])

    assert copying.digest([package]) == before
    os.utime(record, (1, 1))
    assert copying.digest([package]) != before
    assert copying.digest([]) != before
