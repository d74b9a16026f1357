"""Real pods: the installed firstlight, sshd and an app in namespaces, on a simulated GPU machine. Needs root and overlayfs."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from cloud import hosts, network, pods
from cloud.pods import Container, Pod
from cloud.world import World

_HERE = Path(__file__).resolve().parent
_CHECKOUT = _HERE.parent.parent
_UNSHARE = ("unshare", "--pid", "--fork", "--mount", "--net", "--uts", "--ipc", "--kill-child")
# From a container's end to its next start, in seconds. RunPod starts it again endlessly.
_PAUSE = 0.5
# From the polite signal to the other, in seconds; docker's own.
_GRACE = 10.0
# What runs on such a host, whatever was ordered.
_INSTEAD = {hosts.LOOPS: ["false"], hosts.DARK: ["sleep", "infinity"]}
# Of an image that says nothing else.
_IMAGE_COMMAND = ("/start.sh",)


def missing() -> str:
    """What is not here that real pods need; empty where all is."""
    if os.geteuid() != 0:
        return "real pods need root"
    for program in ("unshare", "ssh-keygen", "/usr/sbin/sshd"):
        if not shutil.which(program):
            return f"real pods need {program}"
    with open("/proc/filesystems") as file:
        return "" if "overlay" in file.read() else "real pods need overlayfs"


class Machines:
    """Runs the containers of a world. `folder` holds layers and volumes; `api_port` is where containers reach the cloud."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.world: World | None = None
        self.api_port: int | None = None
        self._lives: dict[str, Life] = {}
        self._published: dict[str, dict[int, int]] = {}
        self._all: list[Life] = []

    def address(self, pod: Pod, port: int) -> int | None:
        """Where on our loopback a port of the pod is published."""
        return self._published.get(pod.id, {}).get(port)

    def publish(self, pod: Pod) -> dict[int, int]:
        """New public ports for a life that begins: all those of tcp; http ports are the proxy's own business."""
        life = Life(self, pod, self._lives.get(pod.id))
        self._lives[pod.id] = life
        self._all.append(life)
        ports = pods.numbered(pod.ports, "tcp") + pods.numbered(pod.ports, "http")
        self._published[pod.id] = life.listen(ports)
        return {port: self._published[pod.id][port] for port in pods.numbered(pod.ports, "tcp")}

    def begin(self, pod: Pod) -> None:
        """Start its container."""
        assert pod.container is not None
        self._lives[pod.id].start(pod.container)

    def end(self, pod: Pod, *, gone: bool) -> None:
        """End its container; where it is gone for good, what lies on its host too."""
        life = self._lives.get(pod.id)
        if life:
            life.end(gone=gone)

    def volume(self, pod: Pod) -> tuple[Path, str] | None:
        """The folder that stays, and where the container has it."""
        for mount in pod.mounts.get("network") or ():
            return self.shared(mount["volumeId"]), mount["path"]
        if "persistent" in pod.mounts:
            return self.folder / "hosts" / pod.host.name / pod.id, pod.mounts["persistent"]["path"]
        return None

    def shared(self, volume: str) -> Path:
        """The folder of a network volume, with firstlight on it as `firstlight install` would leave it."""
        place = self.folder / "volumes" / volume
        place.mkdir(parents=True, exist_ok=True)
        return place

    def close(self) -> None:
        """End everything."""
        for life in self._all:
            life.end(gone=False, grace=0.0)
        for life in self._all:
            life.join()


class Life:
    """One container, from a start to its end, with every restart between."""

    def __init__(self, machines: Machines, pod: Pod, before: Life | None) -> None:
        self._machines = machines
        self._pod = pod
        self._before = before
        self._folder = machines.folder / "pods" / pod.id / str(pod.starts)
        self._over = threading.Event()
        self._gone = False
        self._grace = _GRACE
        self._thread: threading.Thread | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._namespace: str | None = None
        self._passages: list[network.Passage] = []

    def listen(self, ports: list[int]) -> dict[int, int]:
        """Open a public port for each, before anything is behind it."""
        found = {}
        for port in ports:
            passage = network.publish(lambda: self._namespace, port)
            found[port] = passage.port
            self._passages.append(passage)
        return found

    def start(self, container: Container) -> None:
        """Begin, once the life before has ended."""
        self._thread = threading.Thread(target=self._live, args=(container,), name=f"pod {self._pod.id}", daemon=True)
        self._thread.start()

    def end(self, *, gone: bool, grace: float = _GRACE) -> None:
        """Ask for the end; it comes later."""
        self._gone = self._gone or gone
        self._grace = min(self._grace, grace)
        self._over.set()
        for passage in self._passages:
            passage.close()
        self._passages = []
        inner = self._inner()
        if inner:
            with contextlib.suppress(ProcessLookupError):
                os.kill(inner, signal.SIGTERM if self._grace else signal.SIGKILL)

    def join(self) -> None:
        """Wait for the end."""
        if self._thread:
            self._thread.join()

    def _inner(self) -> int | None:
        """The container's first process, as we see it."""
        child = self._child
        if child is None or child.poll() is not None:
            return None
        try:
            words = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
        except OSError:
            return None
        return int(words[0]) if words else None

    def _live(self, container: Container) -> None:
        if self._before:
            self._before.join()
            self._before = None
        try:
            spec = self._prepare(container)
            while not self._over.is_set():
                code = self._once(spec)
                self._say("system", f"container exited with {code}")
                self._over.wait(_PAUSE)
        finally:
            subprocess.run(["umount", "--lazy", str(self._folder / "layer")], check=False, stderr=subprocess.DEVNULL)
            shutil.rmtree(self._folder, ignore_errors=True)
            volume = self._machines.volume(self._pod)
            if self._gone and volume and "persistent" in self._pod.mounts:
                shutil.rmtree(volume[0], ignore_errors=True)

    def _say(self, source: str, line: str) -> None:
        world = self._machines.world
        assert world is not None
        self._pod.logs.append((world.now(), source, line))

    def _prepare(self, container: Container) -> dict[str, object]:
        """The machine, and all that container.py is told."""
        pod = self._pod
        layer = self._folder / "layer"
        layer.mkdir(parents=True)
        # A layer cannot lie on a layer: the folder may be in a container itself.
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "layer", str(layer)], check=True)
        of_cloud = container.fault in hosts.OF_THE_CLOUD
        told = {
            "scenario": "healthy" if of_cloud else container.fault or "healthy",
            "name": pod.gpu,
            "uuids": container.gpus,
            "driver": pod.host.driver,
        }
        machine = self._build(told) if pod.host.simulated else {"environment": {}, "libraries": []}
        place = self._folder / "machine"
        if pod.host.simulated:
            with (place / "proc/1/environ").open("ab") as environ:  # what the simulated machine says of PID 1, who here is the pod's
                environ.write(b"".join(os.fsencode(f"{name}={value}") + b"\0" for name, value in container.env.items()))
        # What is run lies in the checkout, which may lie in a folder that is a container's own, such as /tmp.
        mounts = {str(_CHECKOUT): str(_CHECKOUT), **({str(place): str(place)} if pod.host.simulated else {})}
        volume = self._machines.volume(pod)
        if volume:
            volume[0].mkdir(parents=True, exist_ok=True)
            mounts[str(volume[0])] = volume[1]
        image = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}
        return {
            "hostname": f"{pod.id}-64411eb2",
            "layer": str(layer),
            "mounts": mounts,
            "image": str(_HERE / "image"),
            "python": os.path.realpath(sys.executable),
            "preload": str(place / "lib" / "libfirstlight-machine.so") if pod.host.simulated else "",
            "libraries": machine["libraries"],
            "argv": _INSTEAD.get(container.fault) or [*container.entrypoint, *container.cmd] or list(_IMAGE_COMMAND),
            "env": {**image, **machine["environment"], **container.env},
        }

    def _build(self, told: dict[str, object]) -> dict[str, Any]:
        """A simulated machine that is like this: its environment, and the folders of its libraries."""
        made = subprocess.run(
            [sys.executable, str(_HERE / "build_machine.py"), str(self._folder / "machine")],
            input=json.dumps(told).encode(),
            stdout=subprocess.PIPE,
            check=True,
        )
        machine: dict[str, Any] = json.loads(made.stdout)
        return machine

    def _once(self, spec: dict[str, object]) -> int:
        """The container until its first process ends: its exit code."""
        reading, writing = os.pipe()
        place = self._folder / "spec.json"
        place.write_text(json.dumps({**spec, "ready": writing}))
        place.chmod(0o600)
        self._child = subprocess.Popen(
            [*_UNSHARE, sys.executable, "-I", "-S", str(_HERE / "container.py"), str(place)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=[writing],
        )
        os.close(writing)
        child = self._child
        invited: network.Passage | None = None
        try:
            with open(reading) as ready:
                began = ready.readline()
            inner = self._inner()
            if began and inner:
                self._namespace = f"/proc/{inner}/ns/net"
                if self._machines.api_port:
                    with contextlib.suppress(OSError):  # it may have ended already
                        invited = network.invite(self._namespace, self._machines.api_port)
            if self._over.is_set() and inner:  # the end was asked for before there was anything to end
                os.kill(inner, signal.SIGTERM)
            killer = threading.Thread(target=self._insist, args=(child,), daemon=True)
            killer.start()
            with child:
                assert child.stdout is not None
                for line in child.stdout:
                    self._say("container", line.decode("utf-8", "replace").rstrip("\n"))
            return child.returncode
        finally:
            self._namespace = None
            if invited:
                invited.close()

    def _insist(self, child: subprocess.Popen[bytes]) -> None:
        """Once the end is asked for, give it some time, and then no more."""
        self._over.wait()
        try:
            child.wait(self._grace)
        except subprocess.TimeoutExpired:
            child.kill()  # and with it, all of the container
