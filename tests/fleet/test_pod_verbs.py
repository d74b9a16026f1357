"""`firstlight pod list`, `start`, `stop` and `logs`, as installed, against the cloud on localhost."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import socket
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import pytest
from cloud.habits import Trouble
from cloud.pods import EXITED, RUNNING

FIRSTLIGHT = str(Path(sys.executable).parent / "firstlight")
SECRET = "hf_abcdefghijklmnop"


def firstlight(cloud: Any, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [FIRSTLIGHT, "pod", *words],
        env={**cloud.environment, **more},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def stopped(cloud: Any, name: str) -> Any:
    pod = cloud.pod(name)
    cloud.world.act(pod.id, "stop")
    cloud.world.hurry(pod, EXITED)
    return pod


# list


def test_an_empty_account_has_no_pods(cloud):
    listed = firstlight(cloud, "list")

    assert (listed.returncode, listed.stdout, listed.stderr) == (0, "The account has no pods.\n", "")


def test_pods_are_listed_with_what_they_cost_and_no_secret(cloud):
    cloud.pod("comfy", env={"HF_TOKEN": SECRET})
    cloud.pod("plain", cmd=["python", "main.py", SECRET], entrypoint=[])

    listed, told = firstlight(cloud, "list"), firstlight(cloud, "list", "--format", "json")

    head, comfy, plain, total = listed.stdout.splitlines()
    assert head.split() == ["ID", "NAME", "STATUS", "GPU", "WHERE", "USD/H", "SINCE", "FIRSTLIGHT"]
    assert comfy.split()[1:3] + comfy.split()[-1:] == ["comfy", "RUNNING", "yes"]
    assert plain.split()[1:3] + plain.split()[-1:] == ["plain", "RUNNING", "no"]
    assert total == "2 pods, 2 running: 1.38 USD an hour"
    plain_told = json.loads(told.stdout)
    assert (plain_told["version"], plain_told["cost"], len(plain_told["pods"])) == (1, 1.38, 2)
    assert [pod["firstlight"] for pod in plain_told["pods"] if pod["name"] == "comfy"] == [True]
    for said in (listed, told):
        assert SECRET not in said.stdout + said.stderr
        assert cloud.token not in said.stdout
        assert cloud.world.key not in said.stdout + said.stderr


def test_a_narrow_screen_gets_some_lines_for_each_pod(cloud):
    pod = cloud.pod("comfy of the third of four studios")
    cloud.pod("b" * 50)

    listed = firstlight(cloud, "list", COLUMNS="40")

    assert max(map(len, listed.stdout.splitlines())) <= 40
    lines = listed.stdout.splitlines()
    place = lines.index(pod.id)
    assert lines[place + 1 : place + 3] == ["  comfy of the third of four studios", f"  RUNNING, {lines[place + 2].split(', ')[1]}"]
    assert "  0.69 USD an hour" in lines
    assert lines[-1] == "2 pods, 2 running: 1.38 USD an hour"
    # A file has no width, and a screen that is wide enough gets the table.
    for wide in ({}, {"COLUMNS": "200"}, {"COLUMNS": "nonsense"}):
        assert firstlight(cloud, "list", **wide).stdout.count("\n") == 4


def test_a_terminal_is_asked_for_its_width(cloud):
    cloud.pod("comfy")
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))

    environment = {name: value for name, value in cloud.environment.items() if name != "COLUMNS"}
    subprocess.run([FIRSTLIGHT, "pod", "list"], env={**environment, "NO_COLOR": "1"}, stdout=theirs, check=True)
    os.close(theirs)

    shown = os.read(ours, 4096).decode().splitlines()
    os.close(ours)
    assert "  comfy" in shown
    assert max(map(len, shown)) <= 40


def test_a_name_obeys_no_terminal(cloud):
    cloud.pod("evil\x1b[2J\nname")

    assert "evil\\x1b[2J\\nname" in firstlight(cloud, "list").stdout


@pytest.mark.parametrize(
    ("environment", "code", "words"),
    [
        ({"RUNPOD_API_KEY": ""}, 64, "or RUNPOD_API_KEY_FILE; or put it into RUNPOD_API_KEY"),
        ({"RUNPOD_API_KEY": "two\nlines"}, 64, "cannot ask RunPod: what RUNPOD_API_KEY holds cannot be a key"),
        ({"RUNPOD_API_KEY": "rpa_WRONG"}, 77, "cannot list pods: RunPod does not know this key"),
        ({"RUNPOD_API_KEY_FILE": "/nonexistent"}, 64, "cannot read the key of RunPod from /nonexistent: No such file or directory"),
        ({"RUNPOD_API_URL": "ftp://host"}, 64, "cannot ask RunPod: RUNPOD_API_URL is no address"),
        ({"RUNPOD_API_URL": "https://user:word@host/v2"}, 64, "cannot ask RunPod: RUNPOD_API_URL is no address"),
        ({"RUNPOD_API_URL": "http://example.com/v2"}, 64, "everybody on the way could read the key"),
        (
            {"RUNPOD_PROXY_URL": "https://{pod.__class__}/{port}"},
            64,
            "cannot ask RunPod: RUNPOD_PROXY_URL is no address with {pod} and {port}",
        ),
    ],
)
def test_a_key_or_an_address_that_is_none_is_one_line(cloud, environment, code, words):
    listed = firstlight(cloud, "list", **environment)

    assert (listed.returncode, listed.stdout) == (code, "")
    assert words in listed.stderr
    assert listed.stderr.count("\n") == 1
    assert "rpa_" not in listed.stderr


def test_the_key_may_lie_in_a_file(cloud, tmp_path):
    file = tmp_path / "key"
    file.write_text(f"{cloud.world.key}\n")
    file.chmod(0o600)

    listed = firstlight(cloud, "list", "--key-file", str(file), RUNPOD_API_KEY="rpa_WRONG")

    assert (listed.returncode, listed.stderr) == (0, "")


@pytest.mark.parametrize(
    ("mode", "words"), [(0o644, ("test", "one", "--cycles", "1", "--no-ssh", "--to", "out")), (0o640, ("list",)), (0o604, ("list",))]
)
def test_a_key_file_that_others_can_read_is_told_once_and_used(cloud, tmp_path, monkeypatch, mode, words):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "a key"
    file.write_text(cloud.world.key)
    file.chmod(mode)
    cloud.pod("one", mounts={"persistent": {"size": 20, "path": "/workspace"}})

    done = firstlight(cloud, *words, RUNPOD_API_KEY="", RUNPOD_API_KEY_FILE=str(file))

    assert done.returncode == 0
    told = f"firstlight: the file of the key can be read by others than you (mode {mode:04o}): chmod 600 '{file}'\n"
    assert done.stderr.count("can be read by others") == 1
    assert done.stderr.startswith(told)
    assert cloud.world.key not in done.stderr


def test_completion_says_nothing_of_a_key_file(cloud, tmp_path):
    file = tmp_path / "key"
    file.write_text(cloud.world.key)
    file.chmod(0o644)

    named = firstlight(cloud, "list", "--names", "--key-file", str(file), XDG_CACHE_HOME=str(tmp_path))

    assert (named.returncode, named.stderr) == (0, "")


def test_a_key_out_of_a_pipe_is_open_to_nobody(cloud):
    shell = f'{FIRSTLIGHT} pod list --key-file <(printf %s "$RUNPOD_API_KEY")'
    listed = subprocess.run(["bash", "-c", shell], env=cloud.environment, capture_output=True, text=True, check=False)

    assert (listed.returncode, listed.stderr) == (0, "")


def test_a_key_file_without_a_name_is_no_other_key(cloud):
    """`--key-file "$UNSET"`: the key of the environment may open another account."""
    listed = firstlight(cloud, "list", "--key-file", "")

    assert (listed.returncode, listed.stderr) == (64, "firstlight: cannot ask RunPod: --key-file names no file\n")


def test_whoever_waits_for_a_service_that_is_not_there_is_told_so(cloud):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        asked = subprocess.Popen(
            [FIRSTLIGHT, "pod", "list"],
            env={**cloud.environment, "RUNPOD_API_URL": f"http://{address}/v2"},
            stderr=subprocess.PIPE,
            text=True,
        )
        with asked:
            assert asked.stderr is not None
            said = asked.stderr.readline()
            asked.kill()

    assert said.startswith(f"firstlight: cannot list pods: {address} cannot be reached: ")
    assert "look at the network, and at RUNPOD_API_URL; trying again in " in said


# start and stop


def test_several_pods_are_stopped_and_started_and_waited_for(cloud):
    one, other = cloud.pod("one"), cloud.pod("other")

    stop = firstlight(cloud, "stop", "one", other.id, "--wait")

    assert (stop.returncode, cloud.world.pod(one.id).status, cloud.world.pod(other.id).status) == (0, EXITED, EXITED)
    assert stop.stdout == f"{one.id} (one) is stopped\n{other.id} (other) is stopped\n"
    assert f"pod {one.id} (one): is being stopped; its container disk is wiped: all that it holds, for it has no volume" in stop.stderr

    start = firstlight(cloud, "start", "one", "other", "one", "--wait", "--format", "json")

    assert (start.returncode, cloud.world.pod(one.id).status, cloud.world.pod(other.id).status) == (0, RUNNING, RUNNING)
    assert [(pod["name"], pod["ok"], pod["status"]) for pod in json.loads(start.stdout)["pods"]] == [
        ("one", True, RUNNING),
        ("other", True, RUNNING),
    ]
    assert one.starts == 2


def test_without_wait_nothing_is_waited_for(cloud):
    cloud.habits(stopping=3600.0)
    pod = cloud.pod("one")

    stop = firstlight(cloud, "stop", "one")

    assert (stop.returncode, stop.stdout) == (0, f"{pod.id} (one) is stopping\n")


def test_what_runs_already_is_not_started_again(cloud):
    pod = cloud.pod("one")

    assert firstlight(cloud, "start", "one", "--wait").stdout == f"{pod.id} (one) runs\n"
    assert [call for call in cloud.service.calls if call.method == "POST"] == []


@pytest.mark.parametrize("verb", ["start", "stop"])
def test_a_dry_run_does_nothing(cloud, verb):
    pod = cloud.pod("one") if verb == "stop" else stopped(cloud, "one")

    said = firstlight(cloud, verb, "one", "--dry-run")

    assert (said.returncode, said.stdout) == (0, "")
    assert f"pod {pod.id} (one): would be " in said.stderr
    assert [call for call in cloud.service.calls if call.method == "POST"] == []

    told = json.loads(firstlight(cloud, verb, "one", "--dry-run", "--format", "json").stdout)
    assert told["dry_run"]
    assert told["pods"][0]["words"].startswith("would be ")
    assert [call for call in cloud.service.calls if call.method == "POST"] == []


@pytest.mark.parametrize("verb", ["start", "stop"])
def test_a_dry_run_does_not_promise_what_is_so_already(cloud, verb):
    cloud.pod("one") if verb == "start" else stopped(cloud, "one")

    assert "would be left as it is" in firstlight(cloud, verb, "one", "--dry-run").stderr


def test_a_locked_pod_is_not_stopped_and_no_other_beside_it(cloud):
    one, locked = cloud.pod("one"), cloud.pod("locked")
    locked.locked = True

    said = firstlight(cloud, "stop", "one", "locked")

    assert said.returncode == 64
    assert said.stderr.startswith(f"firstlight: cannot stop pod {locked.id}: it is locked")
    assert (one.status, locked.status) == (RUNNING, RUNNING)


def test_one_unknown_name_leaves_all_as_they_are(cloud):
    pod = cloud.pod("comfy")

    said = firstlight(cloud, "stop", "comfy", "confy")

    assert (said.returncode, said.stderr) == (64, "firstlight: cannot find the pod 'confy': did you mean 'comfy'?\n")
    assert pod.status == RUNNING


def test_of_two_starts_one_that_is_refused_hides_not_the_other(cloud):
    one, other = stopped(cloud, "one"), stopped(cloud, "other")
    cloud.world.troubles.append(
        Trouble(on="podAction", pod=one.id, status=400, detail="There are not enough free GPUs on the host machine")
    )

    said = firstlight(cloud, "start", "one", "other", "--wait")

    assert said.returncode == 74
    assert said.stdout == f"{other.id} (other) runs\n"
    refused = (
        f"cannot start pod {one.id}: There are not enough free GPUs on the host machine (HTTP 400); RunPod keeps a stopped pod on its host"
    )
    assert refused in said.stderr


def test_a_key_without_the_right_is_denied(cloud):
    pod = cloud.pod("one")
    cloud.world.keys["rpa_READ"] = "read"

    said = firstlight(cloud, "stop", "one", RUNPOD_API_KEY="rpa_READ")

    assert said.returncode == 77
    assert "the key is right, but its rights do not suffice: access denied (HTTP 403)" in said.stderr
    assert pod.status == RUNNING


@pytest.mark.parametrize("words", [["--timeout", "soon"], ["--timeout", "-1s"]])
def test_a_timeout_that_is_none_is_refused_before_anything_is_asked(cloud, words):
    cloud.pod("one")

    assert firstlight(cloud, "stop", "one", "--wait", *words).returncode == 64
    assert cloud.service.calls == []


# logs


def printed(pod: Any, *lines: str) -> None:
    for line in lines:
        pod.logs.append((pod.logs[-1][0] + 0.001 if pod.logs else 0.0, "container", line))


def test_a_log_is_printed_and_ends(cloud):
    pod = cloud.pod("one")
    printed(pod, "first", 'second "quoted"', "\x1b[31mred\x1b[0m \x1b]52;c;evil\x07")

    told = firstlight(cloud, "logs", "one", "--source", "container", "--tail", "3")
    plain = firstlight(cloud, "logs", "one", "--source", "container", "--tail", "1", "--format", "json")

    assert told.stdout == 'first\nsecond "quoted"\n\x1b[31mred\x1b[0m \x1b]52;c;evil\x07\n'
    line = json.loads(plain.stdout)
    assert (line["source"], line["line"]) == ("container", "\x1b[31mred\x1b[0m \x1b]52;c;evil\x07")
    assert set(line) == {"id", "at", "source", "line"}


def test_a_terminal_gets_colours_and_nothing_else_that_it_obeys(cloud):
    pod = cloud.pod("one")
    printed(pod, "\x1b[31mred\x1b]52;c;evil\x07\ttab\x1b[2J")
    ours, theirs = pty.openpty()

    subprocess.run([FIRSTLIGHT, "pod", "logs", "one", "--tail", "1"], env=cloud.environment, stdout=theirs, check=True)
    os.close(theirs)

    shown = os.read(ours, 4096).decode()
    os.close(ours)
    assert shown == "\x1b[31mred\\x1b]52;c;evil\\x07\ttab\\x1b[2J\x1b[0m\r\n"


def test_a_followed_log_goes_on(cloud):
    pod = cloud.pod("one")
    printed(pod, "before")
    follow = subprocess.Popen(
        [FIRSTLIGHT, "pod", "logs", "one", "-f", "--tail", "1"], env=cloud.environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert follow.stdout is not None
        assert follow.stdout.readline() == "before\n"
        printed(pod, "after")
        assert follow.stdout.readline() == "after\n"
    finally:
        follow.terminate()
        follow.wait()
        follow.stdout.close()


@pytest.mark.parametrize(
    "words",
    [
        ["--tail", "5001"],
        ["--tail", "-1"],
        ["--tail", "x"],
        ["--since", "yesterday"],
        ["--since", "2026-06-01"],
        ["--tail", "1", "--since", "1m"],
    ],
)
def test_what_no_log_begins_at_is_refused(cloud, words):
    cloud.pod("one")

    told = firstlight(cloud, "logs", "one", *words)

    assert (told.returncode, told.stdout) == (64, "")
    assert told.stderr.startswith("firstlight: cannot ")


# What it costs to start.


@pytest.mark.parametrize("verb", ["list", "start", "stop", "logs"])
def test_help_imports_no_library(verb):
    script = f"import sys; from firstlight.cli import main; code = main.main(['pod', {verb!r}, '--help'], ())"
    result = subprocess.run(
        [sys.executable, "-c", f"{script}\n"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPROFILEIMPORTTIME": "1"},
    )

    imported = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines() if line.startswith("import time:")}
    assert "firstlight.cli.pods.asking" in imported
    assert not imported & {"httpx2", "anyio", "ssl", "asyncio"}
