"""Which libcuda the loader would take: a machine in a folder, with real ELF files and a cache made by the real ldconfig."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from firstlight.probe import libraries
from firstlight.probe.facts import Libraries, Library, LibraryKind, Unknown
from firstlight.system import files

# As in the compat package of CUDA 13.0.
NOTE = '{"format":1,"CUDA version":"12.8","driver":[535,550],"device":[1,2]}'
DRIVER_SOURCE = 'const char *firstlight_node = "/dev/nvidia%d"; int cuInit(unsigned flags) { return 0; }'
STUB_SOURCE = "int cuInit(unsigned flags) { return 34; }"
# An ELF note: three words, the name and the content, each padded to four bytes.
COMPAT_SOURCE = DRIVER_SOURCE + (
    '__asm__(".section .note.cuda.fwd_compatibility,\\"a\\",@note\\n.long 5,'
    f"{len(NOTE)}"
    ',1\\n.asciz \\"NVDA\\"\\n.balign 4\\n.ascii '
    '\\"' + NOTE.replace('"', '\\\\\\"') + '\\"\\n.balign 4\\n.previous");'
)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(files, "ROOT", str(tmp_path))
    return tmp_path


def build(place: Path, source: str) -> None:
    """Compile a shared library libcuda.so.1 at `place`."""
    place.parent.mkdir(parents=True, exist_ok=True)
    command = ["cc", "-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-x", "c", "-", "-o", str(place)]
    subprocess.run(command, input=source.encode(), check=True)


def install(machine: Path, directory: str, version: str = "580.159.04", source: str = DRIVER_SOURCE) -> None:
    """A library with its links, as the container toolkit leaves it."""
    real = machine / directory.lstrip("/") / f"libcuda.so.{version}"
    build(real, source)
    (real.parent / "libcuda.so.1").symlink_to(real.name)


def chosen(variables: dict[str, str] | None = None) -> Library:
    found = libraries.collect(variables or {}).libcuda
    assert isinstance(found, Library), found
    return found


def test_the_loaders_cache_is_read(machine: Path) -> None:
    if shutil.which("ldconfig") is None and not Path("/sbin/ldconfig").exists():
        pytest.skip("no ldconfig here")
    install(machine, "/opt/driver")
    (machine / "etc").mkdir()
    (machine / "etc/ld.so.conf").write_text("/opt/driver\n")
    subprocess.run([shutil.which("ldconfig") or "/sbin/ldconfig", "-r", str(machine)], check=True)
    found = chosen()
    assert (found.path, found.version, found.found_in, found.kind) == (
        "/opt/driver/libcuda.so.1",
        "580.159.04",
        "ld.so.cache",
        LibraryKind.DRIVER,
    )


def test_the_search_path_stands_before_the_default_directories(machine: Path) -> None:
    install(machine, "/usr/lib64")
    install(machine, "/opt/stubs", source=STUB_SOURCE)
    found = libraries.collect({"LD_LIBRARY_PATH": "/nowhere:/opt/stubs"})
    assert isinstance(found.libcuda, Library)
    assert (found.libcuda.path, found.libcuda.kind) == ("/opt/stubs/libcuda.so.1", LibraryKind.STUB)
    assert [item.found_in for item in found.candidates] == ["LD_LIBRARY_PATH", "default directories"]


def test_an_empty_file_is_what_the_loader_takes_and_fails_on(machine: Path) -> None:
    install(machine, "/usr/lib64")
    (machine / "opt").mkdir()
    (machine / "opt/libcuda.so.1").touch()
    assert chosen({"LD_LIBRARY_PATH": "/opt"}).kind is LibraryKind.EMPTY


def test_a_library_of_another_machine_is_passed_over_as_the_loader_does(machine: Path) -> None:
    install(machine, "/usr/lib64")
    build(machine / "opt/libcuda.so.1", DRIVER_SOURCE)
    content = bytearray((machine / "opt/libcuda.so.1").read_bytes())
    content[18:20] = b"\xf3\x00"  # e_machine: RISC-V
    (machine / "opt/libcuda.so.1").write_bytes(content)
    found = libraries.collect({"LD_LIBRARY_PATH": "/opt"})
    assert isinstance(found.libcuda, Library)
    assert found.libcuda.found_in == "default directories"
    assert found.candidates[0].kind is LibraryKind.FOREIGN


def test_a_compat_library_shows_its_note(machine: Path) -> None:
    install(machine, "/usr/local/cuda/compat", "570.1.01", COMPAT_SOURCE)
    found = libraries.collect({"LD_LIBRARY_PATH": "/usr/local/cuda/compat"}).libcuda
    assert isinstance(found, Library)
    assert found.kind is LibraryKind.COMPAT
    assert found.compat is not None
    assert (found.compat.cuda_version, found.compat.drivers, found.compat.devices) == ("12.8", (535, 550), ("1", "2"))


def test_a_file_that_was_mounted_without_a_link_is_found(machine: Path) -> None:
    build(machine / "hidden/place/libcuda.so.580.159.04", DRIVER_SOURCE)
    (machine / "proc/self").mkdir(parents=True)
    (machine / "proc/self/mountinfo").write_text(
        "24 1 0:22 / / rw - overlay overlay rw\n25 24 8:1 /x /hidden/place/libcuda.so.580.159.04 ro,nosuid - ext4 /dev/sda1 ro\n"
    )
    found: Libraries = libraries.collect({})
    assert isinstance(found.libcuda, Unknown)
    assert [(item.path, item.found_in, item.soname) for item in found.candidates] == [
        ("/hidden/place/libcuda.so.580.159.04", "mounts", "libcuda.so.1")
    ]


@pytest.mark.parametrize("cache", [b"", b"glibc-ld.so.cache1.1", b"glibc-ld.so.cache1.1" + b"\xff" * 60, b"\0" * 4096])
def test_a_cache_that_is_cut_off_or_foreign_is_no_crash(machine: Path, cache: bytes) -> None:
    (machine / "etc").mkdir()
    (machine / "etc/ld.so.cache").write_bytes(cache)
    assert isinstance(libraries.collect({}).libcuda, Unknown)


@pytest.mark.parametrize("cut", [1, 20, 64, 200, 5000])
def test_a_library_that_is_cut_off_is_no_crash(machine: Path, cut: int) -> None:
    build(machine / "usr/lib64/libcuda.so.1", COMPAT_SOURCE)
    whole = (machine / "usr/lib64/libcuda.so.1").read_bytes()
    (machine / "usr/lib64/libcuda.so.1").write_bytes(whole[:cut])
    assert libraries.collect({}).candidates[0].size == cut
