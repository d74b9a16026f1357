"""Pods that are real processes: what a start command, sshd and the network of a container do on this cloud."""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import waiting


def ask(url, token=None):
    """What an address answers, once anything but the proxy does."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})

    def answered():
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            return None if error.code == 502 else (error.code, error.read())

    return waiting.until(answered)


def ssh(cloud, pod, *command):
    """A command in the pod, over its own sshd."""
    options = ["BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "ConnectionAttempts=1"]
    words = [word for option in options for word in ("-o", option)]
    argv = ["ssh", "-F", "none", *words, "-i", cloud.identity, "-p", str(pod.public[22]), "root@127.0.0.1", *command]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.slow
def test_a_pod_comes_up_with_agent_app_and_sshd(real_cloud):
    pod = real_cloud.pod(env={"FIRSTLIGHT_TOKEN": real_cloud.token, "GREETING": "hello"})
    code, body = ask(real_cloud.access.address(pod.id, 8188) + "/system_stats")
    assert (code, json.loads(body)["devices"]) == (200, [{"name": "cuda:0"}])
    code, body = ask(real_cloud.access.address(pod.id, 8421) + "/status.json", real_cloud.token)
    told = json.loads(body)
    assert code == 200
    assert [gpu["uuid"] for gpu in told["gpus"]] == list(pod.gpus)
    host_keys(pod)
    found = ssh(real_cloud, pod, 'echo "${GREETING-unset}" $(id -u) $(hostname)')
    assert found.stdout.split() == ["unset", "0", f"{pod.id}-64411eb2"], found.stderr


def files_in(folder):
    return sorted(path.name for path in folder.iterdir())


def status_of(cloud, pod, wanted):
    """The status.json of a pod, once `wanted` says so of it."""
    url = cloud.access.address(pod.id, 8421) + "/status.json"

    def told():
        status = json.loads(ask(url, cloud.token)[1])
        return status if wanted(status) else None

    return waiting.until(told)


def wait_for(cloud, pod, status):
    waiting.until(lambda: cloud.world.pod(pod.id).status == status)


def wait_for_line(pod, words, count=1):
    waiting.until(lambda: sum(words in line for _, _, line in pod.logs) >= count)


def host_keys(pod):
    """The host keys of its sshd, once that answers."""

    def shown():
        found = subprocess.run(["ssh-keyscan", "-p", str(pod.public[22]), "127.0.0.1"], capture_output=True, text=True, check=False)
        return {line.split(maxsplit=1)[1] for line in found.stdout.splitlines() if not line.startswith("#")}

    return waiting.until(shown)


@pytest.mark.slow
def test_a_stop_clears_the_container_and_keeps_the_volume(real_cloud):
    pod = real_cloud.pod()
    first, port = host_keys(pod), pod.public[22]
    made = ssh(real_cloud, pod, "touch /root/mine /workspace/kept; ls -A /root")
    assert "mine" in made.stdout
    assert files_in(real_cloud.machines.volume(pod)[0]) == ["firstlight", "kept"]
    real_cloud.world.act(pod.id, "stop")
    wait_for(real_cloud, pod, "EXITED")
    real_cloud.world.act(pod.id, "start")
    wait_for(real_cloud, pod, "RUNNING")
    assert not first & host_keys(pod)
    assert pod.public[22] != port
    assert ssh(real_cloud, pod, "ls /root/mine /workspace/kept").stdout.split() == ["/workspace/kept"]


@pytest.mark.slow
def test_a_broken_host_shows_in_the_report(real_cloud):
    real_cloud.world.hosts["host-1"].fault = "uvm-open-fails"
    pod = real_cloud.pod()
    told = status_of(real_cloud, pod, lambda told: told["stage"] == "hold")
    assert [finding["fault"] for finding in told["findings"]] == ["uvm-open-fails"]
    assert told["findings"][0]["actor"] == "whoever runs this host"


@pytest.mark.slow
def test_a_start_command_that_ends_is_started_again_and_again(real_cloud):
    pod = real_cloud.pod(entrypoint=["/bin/sh", "-c"], cmd=["echo once more; exit 3"])
    wait_for_line(pod, "once more", count=3)
    wait_for_line(pod, "container exited with 3", count=2)
    assert real_cloud.world.pod(pod.id).status == "RUNNING"


@pytest.mark.slow
def test_on_a_host_that_breaks_containers_they_end_whatever_was_ordered(real_cloud):
    real_cloud.world.hosts["host-1"].fault = "restart-loop"
    pod = real_cloud.pod()
    wait_for_line(pod, "container exited with 1", count=2)
    assert real_cloud.world.pod(pod.id).status == "RUNNING"


@pytest.mark.slow
def test_a_start_command_that_is_not_there_is_started_again_too(real_cloud):
    pod = real_cloud.pod(entrypoint=["/workspace/nothing"], cmd=[])
    wait_for_line(pod, "OCI runtime create failed: exec: /workspace/nothing: No such file or directory", count=2)


@pytest.mark.slow
def test_the_image_publishes_the_environment_without_quoting_it(real_cloud):
    hostile = "$(touch /tmp/ran)"
    pod = real_cloud.pod(entrypoint=[], cmd=[], env={"HOSTILE": hostile})
    wait_for_line(pod, "Pod is ready to use")
    assert f'export HOSTILE="{hostile}"' in ssh(real_cloud, pod, "cat /etc/rp_environment").stdout.splitlines()
    ssh(real_cloud, pod, "bash -c 'source /etc/rp_environment'")
    assert ssh(real_cloud, pod, "ls /tmp/ran").stdout == "/tmp/ran\n"


@pytest.mark.slow
def test_a_pod_reaches_the_api_with_its_own_key(real_cloud):
    url = real_cloud.addresses["api"]
    script = f'curl -s -H "Authorization: Bearer $RUNPOD_API_KEY" {url}/pods/$RUNPOD_POD_ID; echo; echo asked; sleep infinity'
    pod = real_cloud.pod(entrypoint=["/bin/bash", "-c"], cmd=[script])
    wait_for_line(pod, "asked")
    said = next(line for _, source, line in pod.logs if source == "container" and line.startswith("{"))
    assert json.loads(said)["id"] == pod.id


@pytest.mark.slow
def test_nothing_is_left_of_a_pod_that_was_terminated(real_cloud):
    pod = real_cloud.pod()
    host_keys(pod)
    folder = real_cloud.machines.folder / "pods" / pod.id
    assert files_in(folder) == ["1"]
    real_cloud.world.terminate(pod.id)
    waiting.until(lambda: not files_in(folder))
    assert str(folder) not in Path("/proc/self/mountinfo").read_text()


@pytest.mark.slow
def test_hostile_words_reach_the_process_byte_for_byte(real_cloud):
    words = ["", " a  b ", "it's", '"', "$(touch /tmp/x)", "`id`", "a\nb", "\\", "{}", "--", "é☃", "*", "~", "\t"]
    script = "import json, os, sys; print(json.dumps([sys.argv[1:], os.environ['HOSTILE']]), flush=True); sys.stdin.read(); __import__('time').sleep(1e6)"
    pod = real_cloud.pod(entrypoint=["python3", "-c", script], cmd=words, env={"HOSTILE": "\n".join(words)})
    wait_for_line(pod, "touch")
    said = next(line for _, source, line in pod.logs if source == "container" and "touch" in line)
    assert json.loads(said) == [words, "\n".join(words)]
