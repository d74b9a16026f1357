"""What was seen of an app's start → the faults that it shows, as a table; the lines are those of real starts."""

from __future__ import annotations

import pytest

from firstlight.faults import diagnose
from firstlight.faults.catalogue import OF_THE_APP
from firstlight.faults.start import Model, Start
from firstlight.probe.facts import Unknown

PINNED = {"transformers": "4.51.3", "diffusers": "0.35.2", "huggingface_hub": "0.36.2"}
LATEST = {"transformers": "5.23.0", "diffusers": "0.42.1", "huggingface_hub": "2.4.0"}
MODEL = Model(folder="/models/vibevoice/VibeVoice-1.5B")
NAMES_HUB = Model(folder="/m", reaches_for="Qwen/Qwen2.5-1.5B", named_in="/m/preprocessor_config.json")
DEVICE = {"device": ("Device: cuda:0 NVIDIA L4",)}
NO_DRIVER = {"torch-cuda-init": ("RuntimeError: Found no NVIDIA driver on your system.",)}
NO_CUDA = {"torch-without-cuda": ("AssertionError: Torch not compiled with CUDA enabled",)}

# the fault, what shows it, whether the app cannot serve for it, a part of the sentence
ILL: list[tuple[str, Start, bool, str]] = [
    ("port-taken", Start(port=8188, holder="pid 12 (python)"), True, "Port 8188 is held by pid 12 (python)"),
    ("port-taken", Start(port=8188, printed={"port-taken": ("OSError: [Errno 98] …",)}, code=1), True, "could not bind its port 8188"),
    (
        "app-folder-missing",
        Start(missing=(("/v/nodes", "extra.yaml"), ("/v/b", "extra.yaml"))),
        True,
        "/v/nodes is not there, and extra.yaml names it, and 1",
    ),
    ("frontend-missing", Start(needs_frontend=True, packages={"torch": "2"}), True, "not installed in python"),
    (
        "frontend-missing",
        Start(printed={"frontend-missing": ("comfyui-frontend-package is not installed.",)}, code=255),
        True,
        "is missing",
    ),
    (
        "torch-without-cuda",
        Start(torch_cuda="", packages={"torch": "2.13.0+cpu"}),
        True,
        "PyTorch 2.13.0+cpu of python is built for the CPU",
    ),
    ("torch-without-cuda", Start(printed=NO_CUDA, code=1), True, "has no CUDA"),
    ("cuda-failed-at-import", Start(printed=NO_DRIVER, code=1), True, "exit code 1 while it was imported: RuntimeError: Found no"),
    (
        "manager-blocks-start",
        Start(printed={"manager-fetches": ("FETCH ComfyRegistry Data: 5/85",)}),
        False,
        "fetches before the app serves",
    ),
    ("node-ends-app", Start(printed=DEVICE, code=3), True, "something called sys.exit"),
    ("vibevoice-versions", Start(speaks=True, packages=LATEST), False, "python has 5.23.0"),
    (
        "vibevoice-versions",
        Start(speaks=True, packages={**PINNED, "diffusers": "0.42.1"}),
        False,
        "needs a newer huggingface_hub than 0.36.2",
    ),
    ("vibevoice-versions", Start(speaks=True, packages={**PINNED, "transformers": "4.50.3"}), False, "has 4.50.3"),
    (
        "vibevoice-versions",
        Start(printed={"vibevoice-versions": ("… is already used by a Transformers model.",)}),
        False,
        "is already used",
    ),
    (
        "node-import-failed",
        Start(
            printed={
                "node-import-failed": ("0.0 seconds (IMPORT FAILED): /x/custom_nodes/broken",),
                "node-cannot-import": ("Cannot import /x/custom_nodes/broken module for custom nodes: No module named 'y'",),
            }
        ),
        False,
        "without broken, which could not be imported: No module named 'y'.",
    ),
    (
        "model-incomplete",
        Start(models=(MODEL, Model(folder="/half", lacks=("a.safetensors is not there",)))),
        False,
        "/half is not complete: a.safe",
    ),
    ("model-needs-hub", Start(models=(NAMES_HUB,)), False, "hangs for minutes"),
    ("model-needs-hub", Start(models=(NAMES_HUB,), offline=True), False, "HF_HUB_OFFLINE is set"),
    ("model-needs-hub", Start(printed={"hub-unreachable": ("… requesting HEAD https://huggingface.co/Qwen",)}), False, "does not answer"),
    (
        "worker-dead",
        Start(printed={"comfyui-worker-died": ("Exception in thread Thread-1 (prompt_worker):",)}, served=True),
        True,
        "will run no prompt",
    ),
]

WELL = {
    "nothing is known": Start(),
    "all is well": Start(holder="", missing=(), packages=PINNED, needs_frontend=False, torch_cuda="12.8", speaks=True, models=(MODEL,)),
    "it shall run without a GPU": Start(torch_cuda="", packages={}, wants_gpu=False, printed=NO_CUDA, code=1),
    "CUDA failed it after it had served": Start(printed=NO_DRIVER, code=1, served=True),
    "it goes on although CUDA was missed": Start(printed=NO_DRIVER),
    "it ended well": Start(printed=DEVICE, code=0),
    "it was killed": Start(printed=DEVICE, code=137),
    "it ended with an error of its own": Start(printed={**DEVICE, "error": ("ModuleNotFoundError: No module named 'requests'",)}, code=1),
    "it ended before its device": Start(code=3),
    "the Manager fetched, and it serves": Start(printed={"manager-fetches": ("FETCH ComfyRegistry Data: 5/85",)}, served=True),
    "the newest packages, and no VibeVoice": Start(packages=LATEST),
    "its tokenizer is in the hub's cache": Start(models=(Model(folder="/m", reaches_for="Qwen/Q", named_in="/m/p.json", cached=True),)),
    "nothing could be looked at": Start(
        holder=Unknown("no"), missing=Unknown("no"), packages=Unknown("no"), torch_cuda=Unknown("no"), models=Unknown("no"), speaks=True
    ),
}


@pytest.mark.parametrize(("fault", "start", "stops", "words"), ILL, ids=lambda value: value if isinstance(value, str) else "")
def test_what_was_seen_shows_one_fault(fault: str, start: Start, stops: bool, words: str) -> None:
    (finding,) = diagnose.of_app(start)

    assert (finding.fault.id, finding.evidence.stops) == (fault, stops)
    assert words in finding.evidence.sentence


@pytest.mark.parametrize("start", WELL.values(), ids=WELL)
def test_what_does_not_show_a_fault_is_none(start: Start) -> None:
    assert diagnose.of_app(start) == ()


def test_every_fault_of_the_app_is_shown() -> None:
    assert {fault for fault, *_ in ILL} == {fault.id for fault in OF_THE_APP}


def test_a_cause_hides_what_it_explains() -> None:
    start = Start(torch_cuda="", packages={"torch": "2.13.0+cpu"}, printed=NO_DRIVER, code=1)

    assert [finding.fault.id for finding in diagnose.of_app(start)] == ["torch-without-cuda"]
