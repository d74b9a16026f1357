"""The shell completes pods by name and id, in a real bash and against the cloud on localhost."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cloud.hosts import Host

ROOT = Path(__file__).resolve().parents[2]
BIN = str(Path(sys.executable).parent)

# The script as the parsers make it now; `make docs` puts it into the package.
_MAKE = "import sys; sys.path.insert(0, 'tools'); from pages import completions; print(completions.pages()[sys.argv[1]])"


@pytest.fixture(scope="module")
def scripts(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("completions")
    for shell in ("bash", "zsh"):
        name = f"src/firstlight/cli/completions/firstlight.{shell}"
        made = subprocess.run([sys.executable, "-c", _MAKE, name], cwd=ROOT, capture_output=True, text=True, check=True)
        (folder / shell).write_text(made.stdout)
    return folder


@pytest.fixture
def complete(cloud, scripts, tmp_path):
    """What bash offers for the last of these words."""

    def ask(*words: str, **environment: str) -> list[str]:
        script = f"""
source {scripts / "bash"}
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${{#COMP_LINE}}
"$(complete -p firstlight | sed 's/.*-F \\([^ ]*\\).*/\\1/')"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
        result = subprocess.run(
            ["bash", "--norc", "-c", script, "bash", *words],
            env={**cloud.environment, "PATH": f"{BIN}:{os.environ['PATH']}", "XDG_CACHE_HOME": str(tmp_path / "cache"), **environment},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.stderr == ""
        return [word for word in result.stdout.splitlines() if word]

    return ask


def lists(cloud) -> int:
    return sum(call.operation == "listPods" for call in cloud.service.calls)


def test_names_and_ids_are_offered_after_each_verb_that_takes_pods(cloud, complete):
    comfy, voice = cloud.pod("comfy"), cloud.pod("voice")

    assert sorted(complete("firstlight", "pod", "start", "")) == sorted(["comfy", "voice", comfy.id, voice.id])
    assert complete("firstlight", "pod", "stop", "vo") == ["voice"]
    assert complete("firstlight", "pod", "stop", "voice", "--wait", "com") == ["comfy"]
    assert complete("firstlight", "pod", "logs", comfy.id[:6]) == [comfy.id]
    assert complete("firstlight", "pod", "sta") == ["start"]
    assert lists(cloud) == 1


def test_an_account_is_asked_again_after_a_while(cloud, complete, tmp_path):
    cloud.pod("comfy")
    assert "comfy" in complete("firstlight", "pod", "start", "")
    cloud.pod("voice")
    (kept,) = (tmp_path / "cache" / "firstlight").iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    told = kept.read_text()
    assert cloud.token not in told
    assert cloud.world.key not in told
    assert "RUNNING" not in told

    os.utime(kept, (0, 0))

    assert "voice" in complete("firstlight", "pod", "start", "")
    assert lists(cloud) == 2


def test_what_others_may_read_or_write_is_not_believed(cloud, complete, tmp_path):
    cloud.pod("comfy")
    complete("firstlight", "pod", "start", "")
    (kept,) = (tmp_path / "cache" / "firstlight").iterdir()
    kept.write_text("forged\n$(touch obeyed)\n")
    kept.chmod(0o666)

    assert "forged" not in complete("firstlight", "pod", "start", "")


def test_a_name_that_a_shell_would_obey_is_not_offered(cloud, complete, tmp_path):
    cloud.world.hosts["large"] = Host(name="large", count=8)
    pods = [cloud.pod(name) for name in ("$(touch obeyed)", "`touch obeyed`", "two words", "*", "-rf", "a;b")]

    assert sorted(complete("firstlight", "pod", "start", "")) == sorted(pod.id for pod in pods)
    assert not (tmp_path / "obeyed").exists()


@pytest.mark.parametrize(
    "environment",
    [{"RUNPOD_API_KEY": ""}, {"RUNPOD_API_KEY": "rpa_WRONG"}, {"RUNPOD_API_URL": "http://127.0.0.1:9/v2"}, {"RUNPOD_API_URL": "?"}],
)
def test_without_a_key_or_an_answer_nothing_is_offered_and_nothing_said(cloud, complete, tmp_path, environment):
    cloud.pod("comfy")

    assert complete("firstlight", "pod", "start", "", **environment) == []
    assert not (tmp_path / "cache").exists()


def test_what_cannot_be_kept_is_asked_for_each_time(cloud, complete, tmp_path):
    cloud.pod("comfy")
    (tmp_path / "cache").write_text("a file in the way")

    for _ in range(2):
        assert "comfy" in complete("firstlight", "pod", "start", "")
    assert lists(cloud) == 2


def test_zsh_takes_the_script(scripts):
    try:
        checked = subprocess.run(["zsh", "-n", scripts / "zsh"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("no zsh here")
    assert (checked.returncode, checked.stderr) == (0, "")


def test_names_are_kept_in_no_folder_that_somebody_happens_to_be_in(cloud, complete, tmp_path):
    cloud.pod("comfy")

    assert "comfy" in complete("firstlight", "pod", "stop", "co", XDG_CACHE_HOME="relative", HOME=str(tmp_path / "home"))

    assert [path.name for path in tmp_path.iterdir()] == ["home"]
