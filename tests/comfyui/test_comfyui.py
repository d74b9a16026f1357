"""The real ComfyUI 0.3.75, on the CPU, under the installed command: what kills it, what makes a zombie of it, and what comes of that.

The GPU stage and the watch have a simulated machine; ComfyUI and its PyTorch are real and know nothing of it.
"""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from comfyui import FIRSTLIGHT, IMAGE, ComfyUI, Event, end_worker, kill, processes_below

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

# On a loaded machine it takes a while to end by itself.
PATIENT = "--grace=100s"

Start = Callable[..., ComfyUI]


def test_it_is_brought_back_from_whatever_befalls_it(start: Start) -> None:
    comfyui = start(options=["--watch=1s", PATIENT], nodes=["worker_death"])

    first = comfyui.ready(1)
    assert first["words"] == "system-stats: status 200; queue: status 200; answers: status 200; worker: ended with exit code 0"
    comfyui.is_answered("/readyz", 200)
    assert comfyui.get("/system_stats")["system"]["comfyui_version"] == "0.3.75"
    assert comfyui.generate() == "success"

    kill(comfyui.pid())
    restart = comfyui.restart(1)
    assert (restart["cause"], restart["to"], restart["reason"]) == ("app", "app", "the app was killed by signal 9")
    comfyui.is_answered("/readyz", 503)
    comfyui.ready(2)
    comfyui.is_answered("/readyz", 200)

    # Its worker dies of an exception, and no prompt waits: only the line tells.
    comfyui.queue(end_worker("loud"))
    restart = comfyui.restart(2)
    assert (restart["cause"], restart["to"]) == ("zombie", "app")
    assert restart["reason"].startswith("what does its work is dead: it printed 'Exception in thread Thread-")
    comfyui.ready(3)

    # Its worker dies without a word, when it next frees memory: only a prompt that waits tells.
    comfyui.queue(end_worker("silent"))
    restart = comfyui.wait(lambda: restart_of_a_busy_one(comfyui, 3))
    assert (restart["cause"], restart["to"]) == ("zombie", "app")
    assert restart["reason"] == "check queue failed: queue_pending is not empty and queue_running is empty"
    comfyui.ready(4)

    # Its worker dies of CUDA: the GPU is proven again before it gets another life.
    proofs = len(comfyui.events("proof"))
    comfyui.queue(end_worker("cuda"))
    restart = comfyui.restart(4)
    assert (restart["cause"], restart["to"]) == ("poisoned", "gpu")
    comfyui.ready(5)
    assert len(comfyui.events("proof")) == proofs + 1
    assert comfyui.generate() == "success"

    comfyui.is_answered("/readyz", 200)
    metrics = comfyui.page("/metrics")[1]
    counts = {
        cause: int(float(count))
        for cause, count in re.findall(r'^firstlight_app_restarts_total{cause="(\w+)"} (\S+)$', metrics, re.MULTILINE)
    }
    assert {cause: count for cause, count in counts.items() if count} == {"app": 1, "zombie": 2, "poisoned": 1}
    status, page = comfyui.page("/")
    assert status == 200
    assert "To see the GUI go to" in page  # the last that it printed
    assert "what does its work is dead" in page

    below = processes_below(comfyui.popen.pid)
    assert sum("main.py" in words for words in below if "firstlight" not in words) == 1, below
    assert not [words for words in below if ") Z " in words]

    assert comfyui.stop() == 0
    assert "Stopped server" in comfyui.printed()
    assert [event["number"] for event in comfyui.events("signal")][-1:] == [15]
    assert [event["n"] for event in comfyui.events()] == list(range(len(comfyui.events())))
    ends = [(event["life"], event["code"]) for event in comfyui.events("app-exited")]
    assert ends == [(1, 137), (2, 0), (3, 0), (4, 0), (5, 0)]


def restart_of_a_busy_one(comfyui: ComfyUI, number: int) -> Event | None:
    """The restart of this number; where it has not come, a prompt is queued unless one is there."""
    with contextlib.suppress(OSError):
        if not any(comfyui.get("/queue").values()):
            comfyui.queue(IMAGE)
    return next((event for event in comfyui.events("restart") if event["count"] == number), None)


def test_as_pid_1_it_stops_by_its_own_way_and_what_it_printed_is_kept_byte_for_byte(start_as_pid1: Start) -> None:
    comfyui = start_as_pid1(options=["--quiet", PATIENT])
    comfyui.ready(1)

    assert comfyui.stop() == 0
    kept = subprocess.run([FIRSTLIGHT, "logs", f"--run-dir={comfyui.folder / 'run'}"], capture_output=True, check=True).stdout
    copied = subprocess.run([FIRSTLIGHT, "logs", f"--log-dir={comfyui.folder / 'logs'}"], capture_output=True, check=True).stdout
    printed = (comfyui.folder / "printed").read_bytes()
    assert printed.endswith(b"Stopped server\n")
    assert kept == copied == printed
    stops = [(event["number"], event["as"]) for event in comfyui.events("signal")]
    assert stops == [(signal.SIGTERM, signal.SIGINT)]
    assert [event["code"] for event in comfyui.events("app-exited", "end")] == [0, 0]


def test_a_port_that_is_taken_is_waited_for(start_as_pid1: Start) -> None:
    comfyui = start_as_pid1()
    with socket.create_server(("127.0.0.1", comfyui.port)):
        restart = comfyui.restart(1)
        assert restart["cause"] == "app"
        assert restart["reason"].startswith(f"port-taken: Port {comfyui.port} is held by ")
        assert not comfyui.events("app-started")
    comfyui.wait(lambda: comfyui.events("ready"))


def test_a_custom_node_that_ends_it_at_import_makes_us_give_up_in_the_end(start_as_pid1: Start) -> None:
    comfyui = start_as_pid1(options=["--restart-limit=1"], nodes=["ends_at_import"])

    assert comfyui.popen.wait() == 79
    assert [event["code"] for event in comfyui.events("app-exited")] == [3, 3]
    assert [event["reason"] for event in comfyui.events("restart")] == ["the app ended with exit code 3 (node-ends-app)"]
    assert {event["fault"] for event in comfyui.events("app-fault")} == {"node-ends-app"}
    assert "giving up the app: the app was restarted 1 times within 600 s" in comfyui.printed()


def test_where_it_finds_no_driver_the_gpu_is_proven_again_and_where_its_torch_has_no_cuda_it_is_not(start: Start) -> None:
    comfyui = start(flags=[], nodes=["driver_not_found"])

    restart = comfyui.restart(1)
    assert (restart["cause"], restart["to"]) == ("cuda", "gpu")
    assert "RuntimeError: Found no NVIDIA driver on your system." in restart["reason"]
    assert "execution.py" in comfyui.printed()  # the trace leads through ComfyUI's own start
    proofs = len(comfyui.events("proof"))

    restart = comfyui.restart(2)
    assert (restart["cause"], restart["to"]) == ("app", "app")
    assert restart["reason"] == "the app ended with exit code 1 (torch-without-cuda)"
    assert comfyui.events("app-fault")[0]["fault"] == "torch-without-cuda"  # before the first start, out of torch's own file
    assert "AssertionError: Torch not compiled with CUDA enabled" in comfyui.printed()
    assert len(comfyui.events("proof")) == proofs + 1


def test_a_node_that_cannot_be_imported_is_named_and_the_one_that_is_wanted_is_missed(start_as_pid1: Start) -> None:
    comfyui = start_as_pid1(options=["--node=NotThere", "--model=none", PATIENT], nodes=["fails_at_import"])

    comfyui.wait(lambda: [event for event in comfyui.events("check") if event["check"] == "worker" and event["ok"]])
    (fault,) = comfyui.wait(lambda: comfyui.events("app-fault"))
    assert fault["fault"] == "node-import-failed"
    assert fault["sentence"] == "The app runs without fails_at_import, which could not be imported: No module named 'not_installed_module'."
    assert not comfyui.events("ready")
    assert comfyui.stop() == 0


def test_a_folder_of_a_volume_that_is_not_mounted_is_waited_for(start_as_pid1: Start, tmp_path: Path) -> None:
    paths, volume = tmp_path / "paths.yaml", tmp_path / "volume"
    paths.write_text(f"pod:\n  base_path: {volume}\n  custom_nodes: nodes\n")
    comfyui = start_as_pid1(options=["--restart-delay-max=1s", PATIENT], flags=["--cpu", f"--extra-model-paths-config={paths}"])

    restart = comfyui.restart(1)
    assert restart["reason"] == f"app-folder-missing: {volume}/nodes is not there, and {paths} names it."
    (volume / "nodes").mkdir(parents=True)

    comfyui.wait(lambda: comfyui.events("ready"))
    assert comfyui.stop() == 0


def test_where_its_frontend_is_missing_it_is_said_before_the_start(start_as_pid1: Start) -> None:
    comfyui = start_as_pid1(options=["--restart=never"], frontend=False)

    assert comfyui.popen.wait() == 255
    assert [event["fault"] for event in comfyui.events("app-fault")] == ["frontend-missing"]
    kinds = [event["kind"] for event in comfyui.events("app-fault", "app-started")]
    assert kinds == ["app-fault", "app-started"]
    assert "comfyui-frontend-package is not installed" in comfyui.printed()


def test_a_manager_that_fetches_before_the_port_opens_is_named_with_its_setting(start_as_pid1: Start, tmp_path: Path) -> None:
    settings = tmp_path / "user/default/ComfyUI-Manager/config.ini"
    settings.parent.mkdir(parents=True)
    settings.write_text("[default]\nnetwork_mode = public\n")
    comfyui = start_as_pid1(options=[PATIENT], nodes=["waiting_manager"], flags=["--cpu", f"--user-directory={tmp_path / 'user'}"])

    (fault,) = comfyui.wait(lambda: comfyui.events("app-fault"))
    assert fault["fault"] == "manager-blocks-start"
    setting = f"(network_mode = public in {settings})"
    assert fault["sentence"].startswith(f"ComfyUI-Manager fetches before the app serves {setting}: FETCH ComfyRegistry Data: ")
    assert not comfyui.events("ready")
    (tmp_path / "has-answered").touch()
    comfyui.wait(lambda: comfyui.events("ready"))
    assert comfyui.stop() == 0
