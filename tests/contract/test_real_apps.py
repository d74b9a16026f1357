"""Recipes put to the real servers that install from a package registry; each is fetched once into the user's cache."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import fetched
import pytest

from firstlight.apps import recipes
from firstlight.apps.app import check_json
from firstlight.system.process import program


@pytest.mark.slow
def test_jupyter_is_well_until_it_ends_though_it_wants_a_token(tmp_path: Path) -> None:
    modules = fetched.modules("jupyter-server==2.21.1", "jupyter_server")
    recipe = recipes.recipe("jupyter")
    places = {name: str(tmp_path) for name in ("HOME", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")}
    command = [sys.executable, "-m", "jupyter_server", "--allow-root", "--no-browser", "--port=0", "--ServerApp.token=secret"]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env={**os.environ, **places, "PYTHONPATH": str(modules)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as jupyter:
        try:
            lines = iter(jupyter.stderr)
            said = next((match for line in lines if (match := re.search(r"http://(?:127\.0\.0\.1|localhost):(\d+)/", line))), None)
            assert said, "it ended and said no address"
            checks = recipe.checks_for([], int(said[1]))
            quick = [replace(check, period=0.1, threshold=2, timeout=30.0) for check in checks]
            with subprocess.Popen(program("check_app"), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as checker:
                orders = ({"checks": [check_json(check) for check in quick]}, {"order": "start", "life": 1})
                checker.stdin.write(b"".join(json.dumps(order).encode() + b"\n" for order in orders))
                checker.stdin.flush()
                answers = (json.loads(line) for line in checker.stdout)
                judged = (answer for answer in answers if answer["step"] == "checked")

                well = {answer["check"]: answer["words"] for answer in (next(judged), next(judged))}
                assert well == {"api": "status 200, version is present", "answers": "status 200"}

                jupyter.kill()
                failed = {answer["check"]: answer["ok"] for answer in (next(judged), next(judged))}
                assert failed == {"api": False, "answers": False}
                checker.stdin.close()
        finally:
            jupyter.kill()
