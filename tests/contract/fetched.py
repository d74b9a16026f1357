"""NVIDIA's own headers and user-mode libraries, and other people's programs, fetched into the user's cache. None of it is kept in this repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PATIENCE = 60  # seconds for one download


def folder() -> Path:
    """Where what was fetched is kept."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "firstlight" / "contract"


def need(*programs: str) -> None:
    """Skip, saying which of these programs the machine lacks."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"this machine lacks {', '.join(missing)}")


def header(package: str, version: str, name: str) -> Path:
    """The folder that holds the header `name` of a package from the Python registry."""
    target = folder() / f"{package}-{version}"
    found = sorted(target.rglob(name))
    if not found:
        _install(f"{package}=={version}", target)
        found = sorted(target.rglob(name))
    if not found:
        pytest.skip(f"{package} {version} holds no {name}")
    return found[0].parent


def modules(requirement: str, name: str, *, with_dependencies: bool) -> Path:
    """The folder that holds the module `name` of a package from the Python registry."""
    target = folder() / requirement.replace("==", "-")
    if not (target / name).exists():
        _install(requirement, target, with_dependencies=with_dependencies)
    return target


def node_program(package: str, version: str, program: str) -> list[str]:
    """The words that start a program of a package from the registry of npm."""
    need("node", "npm")
    target = folder() / f"{package.replace('/', '-')}-{version}"
    link = target / "node_modules" / ".bin" / program
    if not (target / "complete").exists():
        target.mkdir(parents=True, exist_ok=True)
        options = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--prefix", str(target)]
        try:
            done = subprocess.run(
                ["npm", "install", *options, f"{package}@{version}"], capture_output=True, text=True, check=False, timeout=3 * PATIENCE
            )
        except subprocess.TimeoutExpired:
            pytest.skip(f"cannot fetch {package}: npm did not end in time")
        if done.returncode:
            pytest.skip(f"cannot fetch {package} {version}: {done.stderr.strip()[-300:]}")
        (target / "complete").touch()
    return ["node", str(link.resolve())]


def _install(requirement: str, target: Path, *, with_dependencies: bool = False) -> None:
    tools = ([sys.executable, "-m", "pip"], ["uv", "pip"], [".tools/uv/bin/uv", "pip"], ["python3", "-m", "pip"])
    why = "no pip and no uv"
    for tool in tools:
        alone = () if with_dependencies else ("--no-deps",)
        command = [*tool, "install", "--quiet", *alone, "--target", str(target), requirement]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
        except (OSError, subprocess.TimeoutExpired) as error:
            why = str(error)
            continue
        if done.returncode == 0:
            return
        why = done.stderr.strip()[-300:]
    pytest.skip(f"cannot fetch {requirement}: {why}")


def user_mode_driver() -> Path:
    """The folder with NVIDIA's own libcuda.so.1 and libnvidia-ml.so.1 of the Debian release bookworm, not installed."""
    target = folder() / "bookworm"
    libraries = target / "root/usr/lib/x86_64-linux-gnu/nvidia/current"
    if (libraries / "libcuda.so.1").exists() and (libraries / "libnvidia-ml.so.1").exists():
        return libraries
    need("apt-get", "dpkg")
    if os.uname().machine != "x86_64":
        pytest.skip("the driver is fetched for x86_64 alone")
    for name in ("lists/partial", "cache/archives/partial"):
        (target / name).mkdir(parents=True, exist_ok=True)
    sources = target / "sources.list"
    sources.write_text(f"deb {_mirror()} bookworm non-free\n")
    options = [
        f"-oDir::Etc::sourcelist={sources}",
        "-oDir::Etc::sourceparts=-",
        f"-oDir::State::lists={target / 'lists'}",
        f"-oDir::Cache={target / 'cache'}",
        "-oAPT::Get::List-Cleanup=0",
    ]
    for command in (["apt-get", *options, "update"], ["apt-get", *options, "download", "libcuda1:amd64", "libnvidia-ml1:amd64"]):
        try:
            done = subprocess.run(command, cwd=target, capture_output=True, text=True, check=False, timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            pytest.skip("cannot fetch NVIDIA's libraries: apt-get did not end in time")
        if done.returncode:
            pytest.skip(f"cannot fetch NVIDIA's libraries: {done.stderr.strip()[-300:]}")
    for package in target.glob("*.deb"):
        subprocess.run(["dpkg", "-x", str(package), str(target / "root")], check=True)
    return libraries


def _mirror() -> str:
    """The mirror of Debian that this machine uses."""
    places = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    for place in places:
        try:
            words = place.read_text().split()
        except OSError:
            continue
        for word in words:
            if word.startswith(("http://", "https://")) and word.rstrip("/").endswith("/debian"):
                return word
    pytest.skip("this machine has no Debian mirror")
