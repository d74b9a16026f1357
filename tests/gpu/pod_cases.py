"""RunPod's part on a real GPU: pods of the cloud on localhost that have this machine's GPU, configured, cold-started, moved.

    python3 tests/gpu/pod_cases.py --firstlight "python3 -IS dist/firstlight.pyz" --out DIR [--simulated]       as root, about three minutes

The cloud (testing/cloud) needs starlette, uvicorn and jsonschema-rs, pods need overlayfs and an sshd. A pod's container is this machine's file system
under a fresh layer, with its /dev or a part of it; nothing of the machine changes. DIR gets pod-results.json, gpu-pods.md and the reports of
`pod test`. --simulated tries these cases where there is no GPU. Times are reported and never judged. Exit 0: every case passed; 1: one failed; 2: something is not here.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import machine as machines

ROOT = Path(__file__).resolve().parents[2]
GPU = "NVIDIA H100 80GB HBM3"
# A good machine has no host fault to show. Its GPU is another one: a move takes no pod that got the same GPU again.
SICK = {"fault": "uvm-open-fails", "simulated": True, "uuids": ["GPU-5ac1a0d4-0000-4000-8000-000000000000"]}
PATIENCE = 240.0  # seconds after which a command is given up


class Account:
    """The cloud, and the installed command that asks it."""

    def __init__(self, firstlight: list[str], onefile: Path, out: Path, *, simulated: bool) -> None:
        self.simulated = simulated
        self.firstlight = firstlight
        self.out = out
        self.popen = subprocess.Popen(
            [sys.executable, str(ROOT / "testing/cloud"), "--port", "0", "--real", str(out / "hosts")], stdout=subprocess.PIPE, text=True
        )
        told = json.loads(self.popen.stdout.readline())
        self.api, self.control, self.key = told["api"], told["control"], told["key"]
        self.identity = out / "id_ed25519"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.identity], check=True)
        self.tell("ssh-keys", [self.identity.with_suffix(".pub").read_text().strip()])
        self.volume = self.tell("volumes", {"name": "volume"})["id"]
        self.folder = out / "hosts/volumes" / self.volume
        self.folder.mkdir(parents=True)
        self.environment = {
            **os.environ,
            "RUNPOD_API_KEY": self.key,
            "RUNPOD_API_URL": self.api,
            "RUNPOD_PROXY_URL": told["proxy"],
            "XDG_STATE_HOME": str(out / "state"),
        }
        # As on a pod: the one file is on the volume, and puts all else beside itself.
        self.do("install", "--dir", str(self.folder), firstlight=[*firstlight[:-1], str(onefile)])

    def tell(self, what: str, body: Any = None) -> Any:
        """Tell the cloud something that no user could, or ask it."""
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(f"{self.control}/{what}", data)) as response:
            return json.load(response)

    def host(self) -> dict[str, Any]:
        """A host of the cloud that has this machine's GPU."""
        if self.simulated:
            return {"gpu": GPU, "address": "127.0.0.1"}
        uuid, driver = machines.ask_driver("uuid", "driver_version")
        return {"gpu": GPU, "address": "127.0.0.1", "simulated": False, "uuids": [uuid], "driver": driver, "cuda": "13.0"}

    def order(self, name: str) -> str:
        """A pod as the console would order it: the image's own start, and nothing of ours. Its id."""
        body = {
            "name": name,
            "image": "runpod/pytorch:1.0.2-cu1281-torch280-ubuntu2404",
            "gpu": {"id": GPU, "count": 1},
            "ports": ["8188/http", "22/tcp"],
            "startSsh": True,
            "mounts": {"network": [{"volumeId": self.volume, "path": "/workspace"}]},
        }
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json", "User-Agent": "pod_cases"}
        with urllib.request.urlopen(urllib.request.Request(f"{self.api}/pods", json.dumps(body).encode(), headers)) as response:
            return str(json.load(response)["id"])

    def do(self, *words: str, firstlight: list[str] | None = None, codes: tuple[int, ...] = (0,)) -> subprocess.CompletedProcess[str]:
        """One command to its end."""
        argv = [*(firstlight or self.firstlight), *words]
        done = subprocess.run(argv, env=self.environment, capture_output=True, text=True, timeout=PATIENCE, check=False)
        with (self.out / "commands.txt").open("a") as file:
            file.write(f"$ firstlight {shlex.join(words)}\n{done.stderr}{done.stdout}[exit {done.returncode}]\n\n")
        if done.returncode not in codes:
            raise AssertionError(f"firstlight {words[0:2]} ended with {done.returncode}: {done.stderr[-600:]}")
        return done

    def living(self) -> list[dict[str, Any]]:
        """The pods that there are, as the cloud alone knows them."""
        return [pod for pod in self.tell("pods") if pod["ended_at"] is None]

    def close(self) -> None:
        """End all pods."""
        self.popen.terminate()
        self.popen.wait(60)


def cold_starts(account: Account) -> dict[str, Any]:
    """An ordinary pod is configured, verified, and cold-started again and again: each time a kernel on the real GPU."""
    pod = account.order("voice")
    options = ("--publish-env", "--ready", "http://127.0.0.1:8188/system_stats", "--apply", "--restart-pod")
    account.do("pod", "configure", pod, *options, "--", "python3", "/app/main.py")
    verified = json.loads(account.do("pod", "verify", pod, "--identity", str(account.identity), "--format", "json").stdout)
    folder = account.out / "pod-test"
    account.do("pod", "test", pod, "--cycles", "10", "--identity", str(account.identity), "--to", str(folder), "--max-cost", "20")
    report = json.loads((folder / "report.json").read_text())
    account.do("pod", "stop", pod, "--wait")
    return {"verified": verified, "report": report}


def recreated(account: Account) -> dict[str, Any]:
    """Pods like it are created, proven and terminated: nothing is left behind, and the pod itself is as it was."""
    (before,) = account.living()
    folder = account.out / "pod-test-recreate"
    words = ("pod", "test", before["id"], "--mode", "recreate", "--cycles", "3", "--identity", str(account.identity))
    account.do(*words, "--to", str(folder), "--max-cost", "20")
    (after,) = account.living()
    if (after["id"], after["status"]) != (before["id"], before["status"]):
        raise AssertionError(f"the pod is not as it was: {after}")
    return {"report": json.loads((folder / "report.json").read_text())}


def moved_from_outside(account: Account) -> dict[str, Any]:
    """The pod's host falls sick (simulated), and the pod holds; `pod relocate` orders another, proves its real GPU, and only then ends the first."""
    (pod,) = account.living()
    account.tell("hosts", [{"name": pod["host"], **SICK}, {"name": "good", **account.host()}])
    account.do("pod", "start", pod["id"])
    account.do("pod", "verify", pod["id"], "--no-ssh", codes=(1,))
    began = time.monotonic()
    told = account.do("pod", "relocate", pod["id"], "--identity", str(account.identity), "--max-cost", "20", "--format", "json").stdout
    (now,) = account.living()
    if now["id"] == pod["id"] or now["host"] != "good":
        raise AssertionError(f"it was not moved: {now}")
    return {"seconds": round(time.monotonic() - began, 2), "last words": told.splitlines()[-1]}


def moved_from_inside(account: Account) -> dict[str, Any]:
    """The same, and nobody looks: the pod moves itself, with its own key."""
    (pod,) = account.living()
    account.do("pod", "stop", pod["id"], "--wait")
    told = (f"{name}={account.environment[name]}" for name in ("RUNPOD_API_URL", "RUNPOD_PROXY_URL"))  # RunPod's own need not be told
    where = [word for one in told for word in ("--env", one)]
    account.do("pod", "configure", pod["id"], *where, "--on-failure", "relocate", "--attempts", "2", "--delay", "1s", "--apply")
    account.tell("hosts", [{"name": pod["host"], **SICK}, {"name": "better", **account.host()}])
    account.tell("habits", {"pod_key": "all"})  # what RunPod lets a pod's own key do is not known
    began = time.monotonic()
    account.do("pod", "start", pod["id"])
    while time.monotonic() < began + PATIENCE:
        living = account.living()
        if [one["id"] for one in living] != [pod["id"]] and len(living) == 1:
            account.do("pod", "verify", living[0]["id"], "--identity", str(account.identity))
            return {"seconds": round(time.monotonic() - began, 2)}
        time.sleep(0.5)
    raise AssertionError(f"it has not moved: {account.living()}")


CASES: tuple[Callable[[Account], dict[str, Any]], ...] = (cold_starts, recreated, moved_from_outside, moved_from_inside)


def page(machine: dict[str, str], results: list[dict[str, Any]]) -> str:
    """docs/reference/gpu-pods.md."""
    lines = [
        "# Pods with a real GPU\n",
        "Generated by `tests/gpu/pod_cases.py`; do not edit. Pods of the cloud on localhost have the GPU of the machine that this ran on: each one is a container with",
        "`firstlight run` as its start command and a real sshd, ordered, configured, stopped, started and moved over RunPod's API by the installed command. Times are",
        "reported, never judged; a stop and a start take here what the local cloud takes for them, not what RunPod would.\n",
        "## Machine\n",
        "| | |",
        "| --- | --- |",
        *(f"| {name} | {value} |" for name, value in machine.items()),
        f"\n## Cases: {sum(result['verdict'] == 'pass' for result in results)} of {len(results)} passed\n",
        "| case | what happens | what was seen | verdict |",
        "| --- | --- | --- | --- |",
    ]
    lines += [f"| {result['case']} | {result['story']} | {result['seen']} | {result['verdict']} |" for result in results]
    return "\n".join(lines) + "\n"


def seen(measured: dict[str, Any]) -> str:
    """What a case measured, in a few words."""
    found = [f"{name}: {value}" for name, value in measured.items() if isinstance(value, (int, float))]
    if "report" in measured:
        total = measured["report"]["total"]
        found.append(f"{total['proven']} of {total['cycles']} proven")
        legs = {"to ready": total["to_ready"], **total["legs"]}
        found += [f"{name} {times['p50']:.1f} s ({times['lowest']:.1f} to {times['highest']:.1f})" for name, times in legs.items() if times]
    return ", ".join(found)


def main() -> int:
    """Run all cases, one after the other: each begins where the one before has ended."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--firstlight", type=shlex.split, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--simulated", action="store_true")
    chosen = parser.parse_args()
    if os.geteuid() != 0 or not (chosen.simulated or os.path.exists("/dev/nvidiactl")):
        print("pod_cases: this needs root and an NVIDIA GPU", file=sys.stderr)
        return 2
    chosen.out.mkdir(parents=True, exist_ok=True)
    account = Account(chosen.firstlight, Path(chosen.firstlight[-1]).resolve(), chosen.out, simulated=chosen.simulated)
    results: list[dict[str, Any]] = []
    try:
        account.tell("hosts", [{"name": host["name"], "gpu": "none"} for host in account.tell("hosts")])
        account.tell("hosts", [{"name": "first", **account.host()}])
        for case in CASES:
            result = {"case": case.__name__.replace("_", "-"), "story": str(case.__doc__), "verdict": "pass", "seen": "", "measured": {}}
            results.append(result)
            try:
                result["measured"] = case(account)
                result["seen"] = seen(result["measured"])
            except Exception as error:  # noqa: BLE001 - a case that fails must not hide the others
                result |= {"verdict": "fail", "seen": f"{type(error).__name__}: {error}".replace("\n", " ").replace("|", "\\|")}
            print(f"{result['verdict']}: {result['case']}: {result['seen']}", flush=True)
    finally:
        (chosen.out / "pods.json").write_text(json.dumps(account.tell("pods"), indent=1))
        account.close()
    machine = {"GPU": "simulated"} if chosen.simulated else machines.describe(machines.examine(str(chosen.out)))
    (chosen.out / "pod-results.json").write_text(json.dumps({"machine": machine, "results": results}, indent=1) + "\n")
    (chosen.out / "gpu-pods.md").write_text(page(machine, results))
    return 0 if all(result["verdict"] == "pass" for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
