"""Real pods verified by the installed command: the firstlight, the sshd and the sessions of each are real, its GPU is simulated."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FIRSTLIGHT = str(Path(sys.executable).parent / "firstlight")
ENTRYPOINT = ["/workspace/firstlight/firstlight.pyz"]
RUN = ["run", "--serve", "0.0.0.0:8421", "--with", "/start.sh", "--on-failure", "hold", "--attempts", "2", "--delay", "200ms"]
APP = ["--", "python3", "/app/main.py"]


def verify(cloud: Any, pod: Any, *words: str, identity: str = "") -> dict[str, Any]:
    """What the command tells programs of a pod; its exit code is in there."""
    argv = [FIRSTLIGHT, "pod", "verify", pod.id, "--format", "json", "--identity", identity or cloud.identity, *words]
    state = str(cloud.machines.folder / "state")
    done = subprocess.run(argv, env={**cloud.environment, "XDG_STATE_HOME": state}, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    assert cloud.token not in done.stdout + done.stderr
    return {**json.loads(done.stdout), "code": done.returncode}


def legs(told: dict[str, Any]) -> dict[str, bool]:
    return {leg["name"]: leg["ok"] for leg in told["legs"]}


def words(told: dict[str, Any], name: str) -> str:
    return next(leg["words"] for leg in told["legs"] if leg["name"] == name)


@pytest.mark.slow
def test_a_good_pod_is_proven_to_the_last_leg(real_cloud: Any) -> None:
    pod = real_cloud.pod(entrypoint=ENTRYPOINT, cmd=[*RUN, "--publish-env", *APP])
    told = verify(real_cloud, pod)

    assert (told["code"], told["ok"]) == (0, True), told
    assert legs(told) == dict.fromkeys(("status", "endpoint", "health", "cuda", "ssh", "ssh-cuda", "ready", "proxy"), True)
    assert told["gpus"] == list(pod.gpus)
    assert told["driver"] == pod.host.driver
    assert words(told, "ssh").endswith("with the host key that the pod tells of")
    assert words(told, "ssh-cuda") == "1 GPU proven in a session"
    (kept,) = os.listdir(real_cloud.machines.folder / "state/firstlight/known-hosts")
    assert kept.startswith(f"{pod.id}@")
    again = verify(real_cloud, pod)
    assert again["ok"], again


@pytest.mark.slow
def test_each_start_has_its_own_host_key(real_cloud: Any) -> None:
    pod = real_cloud.pod(entrypoint=ENTRYPOINT, cmd=[*RUN, *APP])
    first = verify(real_cloud, pod)
    assert legs(first)["ssh"], first
    folder = real_cloud.machines.folder / "state/firstlight/known-hosts"
    (before,) = folder.iterdir()
    keys = before.read_text()
    subprocess.run([FIRSTLIGHT, "pod", "stop", pod.id], env=real_cloud.environment, check=True, capture_output=True)
    subprocess.run([FIRSTLIGHT, "pod", "start", pod.id], env=real_cloud.environment, check=True, capture_output=True)

    again = verify(real_cloud, pod)
    assert legs(again)["ssh"], again
    (after,) = folder.iterdir()
    assert after.read_text() != keys


@pytest.mark.slow
def test_an_old_port_at_which_another_pod_answers_is_seen_through(real_cloud: Any) -> None:
    """The service tells the port of the life before for a while, and by then it is somebody else's, whose sshd takes the same key."""
    other = real_cloud.pod("other", entrypoint=ENTRYPOINT, cmd=[*RUN, *APP])
    pod = real_cloud.pod("pod", entrypoint=ENTRYPOINT, cmd=[*RUN, *APP])
    true = verify(real_cloud, other)
    assert legs(true)["ssh"], true
    right, pod.public = pod.public, {22: other.public[22]}
    told = verify(real_cloud, pod, "--ssh-timeout", "3s")

    assert (told["ok"], legs(told)["ssh"]) == (False, False)
    assert "another machine answers there" in words(told, "ssh")
    assert "ssh-cuda" not in legs(told)
    pod.public = right
    assert legs(verify(real_cloud, pod))["ssh"]


@pytest.mark.slow
def test_a_pod_without_firstlight_gets_what_can_be_had(real_cloud: Any) -> None:
    pod = real_cloud.pod(entrypoint=[], cmd=[], env={})
    told = verify(real_cloud, pod)

    assert told["code"] == 1
    assert legs(told) == {"status": True, "health": False, "endpoint": True, "ssh": True}
    assert "`firstlight pod configure" in words(told, "health")
    assert "could not be compared" in words(told, "ssh")
    assert words(told, "ssh").endswith("and there PID 1 has its pod id")


@pytest.mark.slow
def test_without_a_report_another_pod_is_known_by_its_id(real_cloud: Any) -> None:
    other = real_cloud.pod("other", entrypoint=[], cmd=[], env={})
    pod = real_cloud.pod("pod", entrypoint=[], cmd=[], env={})
    assert legs(verify(real_cloud, other))["ssh"]
    pod.public = {22: other.public[22]}
    told = verify(real_cloud, pod, "--ssh-timeout", "3s")

    assert "another pod answers there" in words(told, "ssh")
    assert not [name for name in os.listdir(real_cloud.machines.folder / "state/firstlight/known-hosts") if name.startswith(f"{pod.id}@")]


@pytest.mark.slow
@pytest.mark.parametrize("published", [True, False])
def test_a_session_has_cuda_where_the_cured_environment_reaches_it(real_cloud: Any, published: bool) -> None:
    real_cloud.world.hosts["host-1"].fault = "library-off-path"
    pod = real_cloud.pod(entrypoint=ENTRYPOINT, cmd=[*RUN, *(["--publish-env"] if published else []), *APP])
    told = verify(real_cloud, pod)

    assert (told["ok"], legs(told)["cuda"], legs(told)["ssh-cuda"]) == (published, True, published), told


@pytest.mark.slow
def test_a_broken_host_ends_it_without_waiting_for_ssh(real_cloud: Any) -> None:
    real_cloud.world.hosts["host-1"].fault = "uvm-open-fails"
    pod = real_cloud.pod(entrypoint=ENTRYPOINT, cmd=[*RUN, *APP])
    told = verify(real_cloud, pod)

    assert (told["code"], told["fault"], told["host_fault"], told["gpus"]) == (1, "uvm-open-fails", True, [])
    assert not legs(told)["cuda"]


@pytest.mark.slow
def test_a_key_that_the_pod_does_not_know_is_said(real_cloud: Any, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", stranger], check=True)
    pod = real_cloud.pod(entrypoint=ENTRYPOINT, cmd=[*RUN, *APP])
    told = verify(real_cloud, pod, "--ssh-timeout", "3s", identity=str(stranger))

    assert not told["ok"]
    assert "Permission denied" in words(told, "ssh")
    assert legs(told)["ready"]


@pytest.mark.slow
def test_a_test_of_cold_starts_logs_in_at_each_of_them(real_cloud: Any, tmp_path: Path) -> None:
    """Two starts, each with its own host keys, and CUDA proven in a session of each."""
    pod = real_cloud.pod(entrypoint=ENTRYPOINT, cmd=[*RUN, "--publish-env", *APP])
    argv = [FIRSTLIGHT, "pod", "test", pod.id, "--cycles", "2", "--identity", real_cloud.identity, "--to", str(tmp_path / "out")]
    environment = {**real_cloud.environment, "XDG_STATE_HOME": str(tmp_path / "state")}
    done = subprocess.run([*argv, "--format", "json"], env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["total"]["proven"] == 2
    kept = [json.loads(line) for line in (tmp_path / "out" / "cycles.jsonl").read_text().splitlines()]
    cycles = [line for line in kept if line["kind"] == "cycle"]
    assert [{leg["name"]: leg["ok"] for leg in cycle["legs"]}.get("ssh-cuda") for cycle in cycles] == [True, True]
    sessions = [next(leg["words"] for leg in cycle["legs"] if leg["name"] == "ssh") for cycle in cycles]
    assert all(words.endswith("with the host key that the pod tells of") for words in sessions)
    assert real_cloud.token not in done.stdout + done.stderr + (tmp_path / "out" / "report.html").read_text()
