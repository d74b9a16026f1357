"""Settings through the installed command: what is refused, with which code, and what `config` shows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FIRSTLIGHT = str(Path(sys.executable).parent / "firstlight")
EXAMPLE = Path(__file__).parents[2] / "examples/firstlight.toml"

# A wrong text for each kind of setting, and one word of what is said of it.
WRONG = {
    "gpus": ("some", "all, any, none"),
    "attempts": ("0", "from 1 to 10000"),
    "delay": ("1fortnight", "such as 3s"),
    "deadline": ("0s", "more than nothing"),
    "probe-timeout": ("-1", "such as 3s"),
    "on-failure": ("holt", "did you mean 'hold'?"),
    "holder": ("169h", "at most 7 days"),
    "allow": ("raise-limits", "drop-preload"),
    "watch": ("never", "such as 3s"),
    "on-gpu-fault": ("ignore", "note, restart, hold, exit or relocate"),
    "app": ("no-such-app", "there is no recipe"),
    "port": ("65536", "from 1 to 65535"),
    "budget": ("x", "such as 3s"),
    "with": (" ", "no command"),
    "restart": ("allways", "did you mean 'always'?"),
    "restart-delay": ("x", "such as 3s"),
    "restart-delay-max": ("x", "such as 3s"),
    "restart-reset": ("x", "such as 3s"),
    "restart-limit": ("-1", "from 0 to"),
    "restart-window": ("0", "more than nothing"),
    "success-exit": ("143,256", "from 0 to 255"),
    "grace": ("soon", "such as 3s"),
    "stop-signal": ("SIGTREM", "did you mean 'TERM'?"),
    "rewrite": ("KILL:TERM", "cannot be rewritten"),
    "forward": ("all", "group or child"),
    "alive": ("htp://127.0.0.1/", "did you mean 'http'?"),
    "ready": ("exec:", "exec:COMMAND"),
    "ready-timeout": ("x", "such as 3s"),
    "log-size": ("10T", "such as 10M"),
    "log-files": ("0", "from 1 to 1000"),
    "capture": ("yes", "auto, on or off"),
    "log-format": ("xml", "text or json"),
    "serve": ("0.0.0.0", "HOST:PORT"),
    "serve-host": ("http://pod.example.org/", "a host is a name"),
}


def ask(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**{name: value for name, value in os.environ.items() if not name.startswith("FIRSTLIGHT_")}, **variables}
    return subprocess.run([FIRSTLIGHT, *words], env=environment, capture_output=True, text=True, timeout=60, check=False)


def check_refused(outcome: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    assert (outcome.returncode, outcome.stdout, outcome.stderr.count("\n")) == (code, "", 1), outcome.stderr
    assert outcome.stderr.startswith("firstlight: cannot ")
    assert all(word in outcome.stderr for word in words), outcome.stderr


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_value_is_refused_in_every_source(tmp_path: Path, name: str) -> None:
    text, words = WRONG[name]
    file = tmp_path / "some.toml"
    file.write_text(f"{name} = {json.dumps(text)}\n")
    variable = f"FIRSTLIGHT_{name.replace('-', '_').upper()}"
    # `config show` judges as `run` does, and a recipe that does not exist too.
    check_refused(ask("config", "show", f"--{name}={text}"), 64, f"--{name}", words)
    check_refused(ask("config", "show", **{variable: text}), 78, variable, words)
    check_refused(ask("config", "show", "--config", str(file)), 78, str(file), name, words)
    check_refused(ask("config", "check", str(file)), 78, str(file), name, words)


@pytest.mark.parametrize(
    ("words", "variables", "content", "code"),
    [
        (["--stop-signal", "INTT"], {}, "", 64),
        ([], {"FIRSTLIGHT_STOP_SIGNAL": "INTT"}, "", 78),
        ([], {"FIRSTLIGHT_STOP_SIGNALL": "INT"}, "", 78),
        ([], {}, 'stop-signal = "INTT"', 78),
        ([], {}, 'stop-signals = "INT"', 78),
    ],
)
def test_run_starts_nothing_on_a_wrong_setting(
    tmp_path: Path, words: list[str], variables: dict[str, str], content: str, code: int
) -> None:
    file = tmp_path / "some.toml"
    file.write_text(content)
    mark = tmp_path / "mark"
    outcome = ask("run", "--gpus", "none", "--config", str(file), *words, "--", "touch", str(mark), **variables)
    check_refused(outcome, code, "did you mean")
    assert not mark.exists()


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, words in ((tmp_path, "directory"), (tmp_path / "pipe", "pipe"), (tmp_path / "none", "No such file")):
        check_refused(ask("run", "--config", str(path), "--", "true"), 78, str(path), words)
        check_refused(ask("status", FIRSTLIGHT_CONFIG=str(path)), 78, str(path), words)


def test_run_follows_the_file(tmp_path: Path) -> None:
    file = tmp_path / "some.toml"
    file.write_text(f'gpus = "none"\nstate-dir = "{tmp_path}"\n')
    outcome = ask("run", "--config", str(file), "--", "echo", "the app runs")
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, "the app runs\n", "")
    assert "exit code 0" in ask("status", FIRSTLIGHT_CONFIG=str(file)).stdout


# Our own machine, with a volume on /workspace that holds a file of settings.
POD = """
mount -t tmpfs machine "$1" && mkdir "$1/workspace" && mount -t tmpfs volume "$1/workspace" && cp "$2" "$1/workspace/firstlight.toml" || exit 99
for place in /*; do
    if [ -L "$place" ]; then cp -a "$place" "$1"; elif [ -d "$place" ]; then mkdir "$1$place" && mount --rbind "$place" "$1$place" || exit 99; fi
done
shift 2
exec chroot "$@"
"""


@pytest.mark.root
def test_the_file_on_the_volume_of_a_pod_is_found_and_a_rehearsal_ignores_it(tmp_path: Path) -> None:
    file = tmp_path / "some.toml"
    file.write_text("attempts = 7\n")
    (root := tmp_path / "root").mkdir()
    pod = ["unshare", "--mount", "sh", "-c", POD, "sh", str(root), str(file), str(root)]
    if (tried := subprocess.run([*pod, "true"], capture_output=True, text=True, check=False)).returncode:
        pytest.skip(f"no machine can be made here: {tried.stderr}")
    shown = subprocess.run([*pod, FIRSTLIGHT, "config", "show", "--format", "json"], capture_output=True, text=True, check=True)
    attempts = json.loads(shown.stdout)["settings"]["attempts"]
    assert (attempts["value"], attempts["from"]) == (7, "/workspace/firstlight.toml")

    file.write_text("attempts = 0\n")
    refused = subprocess.run([*pod, FIRSTLIGHT, "run", "--gpus", "none", "--", "true"], capture_output=True, text=True, check=False)
    check_refused(refused, 78, "/workspace/firstlight.toml, line 1: attempts = '0'")
    rehearsed = subprocess.run([*pod, FIRSTLIGHT, "rehearse", "healthy", "--", "echo", "yes"], capture_output=True, text=True, check=False)
    assert (rehearsed.returncode, rehearsed.stdout) == (0, "yes\n"), rehearsed.stderr


def test_show_names_every_setting_and_where_it_came_from(tmp_path: Path) -> None:
    file = tmp_path / "some.toml"
    file.write_text('grace = 5\n[checks.web]\nhttp = "http://127.0.0.1:1/"\nheaders = {Authorization = "Bearer hunter2"}\n')
    words = ("config", "show", "--config", str(file), "--app", "comfyui", "--rewrite", "HUP:none", "--with=x --token hunter2")
    outcome = ask(*words, "--format", "json", FIRSTLIGHT_GPUS="2")
    assert (outcome.returncode, outcome.stderr) == (0, "")
    shown = json.loads(outcome.stdout)
    told = {name: (item["text"], item["source"], item["from"]) for name, item in shown["settings"].items() if item["source"] != "default"}
    assert told == {
        "gpus": (["2"], "environment", "FIRSTLIGHT_GPUS"),
        "app": (["comfyui"], "flag", "--app"),
        "with": (["x --token ***"], "flag", "--with"),
        "budget": (["5m"], "recipe", "comfyui"),
        "restart": (["on-failure"], "recipe", "comfyui"),
        "stop-signal": (["INT"], "recipe", "comfyui"),
        "grace": (["5s"], "file", str(file)),
        "rewrite": (["HUP:none"], "flag", "--rewrite"),
        "config": ([str(file)], "flag", "--config"),
    }
    assert shown["settings"]["grace"]["value"] == 5.0
    assert shown["checks"]["web"]["http"] == "http://127.0.0.1:1/"
    text = ask(*words, FIRSTLIGHT_GPUS="2")
    assert text.returncode == 0
    assert "hunter2" not in text.stdout + outcome.stdout
    assert all(f"  {name} " in text.stdout for name in shown["settings"])


def test_show_survives_an_ascii_terminal() -> None:
    outcome = ask("config", "show", "--config", "none", "--with", "sh -c 'echo é'", PYTHONIOENCODING="ascii")
    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert "echo \\xe9" in outcome.stdout


def test_bytes_that_are_no_text_are_shown_escaped() -> None:
    command = [FIRSTLIGHT, "config", "show", "--config", "none", "--log-dir", b"/logs/\xff"]
    outcome = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert (outcome.returncode, outcome.stderr) == (0, b"")
    assert b"/logs/\\udcff" in outcome.stdout


def test_the_example_is_in_order() -> None:
    outcome = ask("config", "check", str(EXAMPLE), FIRSTLIGHT_GPUS="a check looks at the file alone")
    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert "is in order: 22 settings, 1 check, 1 companion" in outcome.stdout


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--node=VibeVoiceTTS"], "--node 'VibeVoiceTTS': it is for an app with nodes, such as --app comfyui"),
        (["--node=VibeVoiceTTS", "--app=vllm"], "--node 'VibeVoiceTTS': it is for an app with nodes"),
        (["--model=VibeVoice-1.5B", "--app=comfyui"], "--model 'VibeVoice-1.5B': it is what a node must offer, and no node is named"),
    ],
)
def test_a_node_and_a_model_are_of_an_app_that_has_them(flags: list[str], words: str) -> None:
    check_refused(ask("run", "--gpus=none", "--config=none", *flags, "--", "true"), 64, words)


@pytest.mark.parametrize(
    "words",
    [["show", "some.toml"], ["check"], ["check", "none"], ["check", "some.toml", "--gpus", "1"], ["explain"], []],
    ids=" ".join,
)
def test_config_refuses_what_it_does_not_understand(words: list[str]) -> None:
    check_refused(ask("config", *words), 64)
