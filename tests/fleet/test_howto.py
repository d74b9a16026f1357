"""The page that leads from an empty account to a proven cold start is true: its commands are taken, and those of `configure` do it."""

from __future__ import annotations

import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from firstlight import errors
from firstlight.cli import main, pods
from firstlight.providers.runpod import shapes

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "howto" / "runpod.md"
FIRSTLIGHT = str(Path(sys.executable).parent / "firstlight")

# A line of a block, or a piece of a sentence; with the tool's name, or with the file's in the pod.
_BLOCK = re.compile(r"^    (?:firstlight|(?!scp ).*firstlight\.pyz) ((?!--)[a-z].*)$", re.MULTILINE)
_IN_TEXT = re.compile(r"`firstlight ([a-z][^`]*)`")
COMMANDS = sorted({*_BLOCK.findall(PAGE.read_text()), *_IN_TEXT.findall(PAGE.read_text())})


def parse(line: str) -> None:
    """As the command line does. UsageError where it is wrong."""
    options, _, command = line.partition(" -- ")
    verb, *words = shlex.split(options)
    name, module = verb, f"firstlight.cli.{verb}"
    if verb in main.GROUPS:
        assert words[0] in dict(pods.VERBS)
        name, module, words = f"{verb} {words[0]}", f"{main.GROUPS[verb]}.{words[0]}", words[1:]
    found = importlib.import_module(module)
    main.build(name, found).parse_args(words)
    assert not command or found.TAKES_COMMAND


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_page_is_one_that_firstlight_takes(line: str) -> None:
    parse(line)


def test_the_page_has_all_steps() -> None:
    for verb in ("install", *(f"pod {verb}" for verb in ("list", "configure", "restore", "verify", "test", "relocate", "watch", "sweep"))):
        assert any(line.startswith(verb) for line in COMMANDS), verb


def test_the_one_file_has_every_verb_of_the_control_plane(tmp_path: Path) -> None:
    """With its modules, and what they read beside themselves; nothing of this checkout is in reach."""
    target = tmp_path / "firstlight.pyz"
    subprocess.run([sys.executable, str(ROOT / "tools" / "build_onefile.py"), str(target)], check=True, capture_output=True)

    for verb, _ in pods.VERBS:
        asked = [sys.executable, "-IS", str(target), "pod", verb, "--help"]
        result = subprocess.run(asked, env={}, capture_output=True, text=True, check=False)
        assert (result.returncode, result.stderr) == (0, ""), verb
        assert result.stdout.startswith(f"usage: firstlight pod {verb} ")


def test_a_wrong_command_would_be_seen() -> None:
    with pytest.raises(errors.UsageError):
        parse("pod verify comfy --no-such-option")


def test_the_steps_of_the_page_configure_a_pod_and_its_template_and_give_them_back(cloud) -> None:
    pod = cloud.pod("comfy", mounts={"persistent": {"size": 20, "path": "/workspace"}}, env={"A": "b"}, cmd=[], entrypoint=[])
    cloud.world.templates["tpl"] = {**_template(), "name": "my-template"}
    before = (pod.args, dict(pod.env), pod.ports)

    steps = [line for line in _BLOCK.findall(PAGE.read_text()) if line.startswith(("pod list", "pod configure", "pod restore"))]
    for line in steps:
        result = subprocess.run([FIRSTLIGHT, *shlex.split(line)], env=cloud.environment, capture_output=True, text=True, check=False)
        assert (result.returncode, result.stderr) == (0, ""), line
        if "--apply" in line and "configure" in line:
            assert pod.args.endswith('["run","--on-failure","hold","--app","comfyui","--with","/start.sh","--serve","0.0.0.0:8421","--publish-env","--",'
                                     '"python3","/workspace/ComfyUI/main.py","--listen"]}')  # fmt: skip

    assert len(steps) == 6
    assert (pod.args, dict(pod.env), pod.ports) == before
    assert shapes.command(cloud.world.templates["tpl"]["args"]).cmd[-3:] == ("python3", "/workspace/ComfyUI/main.py", "--listen")


def _template() -> dict[str, object]:
    return {
        "id": "tpl",
        "image": "runpod/pytorch:1.0.2-cu1281-torch280-ubuntu2404",
        "args": "",
        "disk": 20,
        "mounts": {},
        "ports": [],
        "env": {},
        "registry": None,
        "serverless": False,
        "public": False,
        "category": "NVIDIA",
        "startSsh": True,
        "startJupyter": False,
        "allowedCudaVersions": [],
    }
