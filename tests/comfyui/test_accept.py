"""`firstlight accept` with the real ComfyUI 0.3.75, nodes that really speak, and a Whisper that really listens.

The nodes bear the names and inputs of both packs of VibeVoice (nodes/speaking), and fail in every way that was seen.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from accepting import DECODES, LISTENS, SENTENCE, SPEECH, enemyx, gates, run_accept, wildminder, workflow
from comfyui import FIRSTLIGHT, HERE, IMAGE, ComfyUI

pytestmark = [pytest.mark.speech, pytest.mark.slow, pytest.mark.timeout(600)]

OTHER = "The quick brown fox jumps over the lazy dog near the river bank."
RATE = "--sample-rate=22050"  # Piper's


@pytest.fixture(scope="module")
def speaking(installed: None, pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyUI]:
    """A ComfyUI that speaks, for all tests of this file: each of them asks for other words."""
    with pytestconfig.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():  # it says how far it is
        brought = subprocess.run(["sh", "tools/bring_speech.sh"], cwd=HERE.parents[1], check=False)
    if brought.returncode:
        log = SPEECH / "log"
        pytest.skip(f"Piper and Whisper cannot be installed here: {log.read_text().strip()[-300:] if log.exists() else 'no uv'}")
    os.environ["SPEECH_PYTHON"] = LISTENS
    comfyui = ComfyUI((FIRSTLIGHT, "run", "--gpus=none"), tmp_path_factory.mktemp("speaking"), nodes=["speaking"])
    try:
        comfyui.ready(1)
        yield comfyui
    finally:
        comfyui.end()
        del os.environ["SPEECH_PYTHON"]


Accept = Callable[..., tuple[int, dict[str, Any], str]]


@pytest.fixture
def accept(speaking: ComfyUI) -> Accept:
    """Runs the installed command: its exit code, what it tells as JSON, and what it says on standard error."""

    def run(*options: str, models: str = DECODES) -> tuple[int, dict[str, Any], str]:
        return run_accept(speaking, *options, models=models)

    return run


@pytest.fixture(scope="module")
def voice(speaking: ComfyUI) -> str:
    """A recording of the voice: another sentence of it."""
    script = (HERE / "nodes/speaking/speak.py").read_text()
    name = str(speaking.folder / "voice.wav")
    subprocess.run([LISTENS, "-c", script, name, OTHER], check=True)
    return name


def queued(comfyui: ComfyUI) -> int:
    return len(comfyui.get("/history")) + sum(len(items) for items in comfyui.get("/queue").values())


def test_a_sentence_is_said_heard_and_kept(accept: Accept, voice: str, tmp_path: Path) -> None:
    code, told, said = accept(f"--voice={voice}", RATE, f"--keep={tmp_path / 'kept'}", models=LISTENS)
    assert code == 0, told or said
    assert (told["ok"], told["makes"], told["text"], told["cold"]) == (True, "audio", SENTENCE, True)
    assert gates(told, "passed") >= {
        "decodable",
        "rate",
        "duration",
        "level",
        "clipping",
        "constant",
        "silence",
        "variation",
        "speech",
        "words",
    }
    assert gates(told, "failed") == set()
    kept = Path(told["attempts"][0]["kept"])
    assert kept.parent == tmp_path / "kept"
    assert kept.read_bytes().startswith(b"fLaC")
    assert "running" in said

    again = accept(f"--voice={voice}", RATE)
    assert (again[0], again[1]["cold"]) == (0, False)
    assert again[1]["attempts"][0]["file"] != told["attempts"][0]["file"]
    assert gates(again[1], "not checked") == {"speech", "words", "voice", "quality"}
    assert again[1]["words"].endswith("not checked: speech, words, voice, quality")


@pytest.mark.parametrize("nodes", [enemyx(), wildminder()], ids=["Enemyx", "wildminder"])
def test_a_workflow_of_either_pack_says_another_text(accept: Accept, voice: str, tmp_path: Path, nodes: dict[str, Any]) -> None:
    code, told, said = accept(workflow(tmp_path, nodes), f"--voice={voice}", f"--text={OTHER}", RATE, models=LISTENS)
    assert code == 0, told or said
    assert told["text"] == OTHER
    assert {"speech", "words"} <= gates(told, "passed")


@pytest.mark.parametrize("saver", ["SaveAudio", "SaveAudioMP3"])
@pytest.mark.parametrize("by", ["PyAV", "ffmpeg"])
def test_whatever_comfyui_saves_is_decoded(accept: Accept, voice: str, tmp_path: Path, monkeypatch, saver: str, by: str) -> None:
    nodes = enemyx()
    nodes["3"]["class_type"] = saver
    nodes["3"]["inputs"].update({"quality": "V0"} if saver == "SaveAudioMP3" else {})
    if by == "ffmpeg":
        order = [LISTENS, "-c", "import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())"]
        found = subprocess.run(order, capture_output=True, text=True, check=True)
        (tmp_path / "ffmpeg").symlink_to(found.stdout.strip())
        monkeypatch.setenv("PATH", str(tmp_path))
    code, told, said = accept(workflow(tmp_path, nodes), f"--voice={voice}", models=DECODES if by == "PyAV" else sys.executable)
    assert code == 0, told or said
    assert gates(told, "passed") == {"decodable", "duration", "level", "clipping", "constant", "silence", "variation"}


BAD = {
    "nan": {"clipping", "constant"},
    "nan-all": {"clipping", "constant", "level"},
    "nan-half": {"clipping", "constant"},
    "cancelled": {"duration", "level", "silence", "variation"},
    "silence": {"level", "silence"},
    "cut": {"duration"},
    "looped": {"duration"},
    "clipped": {"clipping"},
    "quiet": {"level"},
    "noise": {"variation"},
    "tone": {"variation"},
    "noisy": {"variation"},
}


@pytest.mark.parametrize("how", BAD)
def test_a_bad_clip_is_refused_without_any_model(accept: Accept, voice: str, how: str) -> None:
    code, told, _ = accept(f"--voice={voice}", RATE, f"--text=[{how}] {SENTENCE}", "--seeds=1")
    assert code == 1, told
    assert told["ok"] is False
    assert BAD[how] <= gates(told, "failed")
    assert told["words"].startswith("not accepted")


@pytest.mark.parametrize("how", ["reversed", "wrong", "cut", "noisy", "noise", "tone"])
def test_what_only_a_listener_can_tell_is_told_by_whisper(accept: Accept, voice: str, how: str) -> None:
    code, told, _ = accept(f"--voice={voice}", RATE, f"--text=[{how}] {SENTENCE}", "--seeds=1", models=LISTENS)
    assert code == 1, told
    assert "words" in gates(told, "failed")


@pytest.fixture(scope="module")
def knows_speakers(speaking: ComfyUI) -> None:
    """The model that tells speakers apart is there."""
    if subprocess.run([LISTENS, "-c", "import resemblyzer"], capture_output=True, check=False).returncode:
        pytest.skip("Resemblyzer is not installed: make speech FULL=1")


@pytest.mark.parametrize(("who", "rate"), [("slt", 16000), ("rms", 16000), ("kal", 8000), ("espeak", 22050)])
def test_another_person_who_says_the_same_is_told_by_the_voice(
    accept: Accept, voice: str, knows_speakers: None, who: str, rate: int
) -> None:
    program = "espeak-ng" if who == "espeak" else "flite"
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")
    code, told, said = accept(f"--voice={voice}", f"--text=[{who}] {SENTENCE}", f"--sample-rate={rate}", "--seeds=1", models=LISTENS)
    assert code == 1, told or said
    assert gates(told, "failed") == {"voice"}


def test_the_same_person_is_told_by_the_voice_too(accept: Accept, voice: str, knows_speakers: None) -> None:
    code, told, said = accept(f"--voice={voice}", RATE, "--seeds=1", models=LISTENS)
    assert code == 0, told or said
    assert gates(told, "passed") >= {"speech", "words", "voice", "quality"}


def test_another_voice_is_told_by_the_likeness_of_speakers(accept: Accept, speaking: ComfyUI, voice: str, knows_speakers: None) -> None:
    # The voice an octave higher: as if another person had recorded it.
    with wave.open(voice) as file:
        rate, samples = file.getframerate(), file.readframes(file.getnframes())
    other = speaking.folder / "other.wav"
    with wave.open(str(other), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(int(rate * 1.7))
        file.writeframes(samples)
    code, told, _ = accept(f"--voice={other}", RATE, "--seeds=1", models=LISTENS)
    assert code == 1, told
    assert gates(told, "failed") == {"voice"}


def test_a_bad_seed_is_followed_by_another_one(accept: Accept, voice: str) -> None:
    code, told, said = accept(f"--voice={voice}", RATE, f"--text=[first-bad] {SENTENCE}")
    assert code == 0, told
    assert [attempt["ok"] for attempt in told["attempts"]] == [False, True]
    assert told["attempts"][0]["seed"] != told["attempts"][1]["seed"]
    assert f"seed {told['attempts'][0]['seed']} was refused: level:" in said


def test_a_node_that_fails_is_told_with_its_own_words(accept: Accept, voice: str) -> None:
    code, told, said = accept(f"--voice={voice}", f"--text=[raise] {SENTENCE}")
    assert (code, told) == (74, {})
    assert said.splitlines()[-1] == (
        "firstlight: cannot run the workflow: node 2 (VibeVoiceSingleSpeakerNode) has failed: RuntimeError: "
        "Error generating speech: Model loading failed"
    )


def test_a_picture_that_shows_nothing_and_one_from_the_cache_are_refused(accept: Accept, tmp_path: Path) -> None:
    blank = workflow(tmp_path, IMAGE)
    code, told, _ = accept(blank)
    assert (code, gates(told, "failed"), gates(told, "passed")) == (1, {"blank"}, {"decodable", "size"})
    code, _, said = accept(blank)
    assert code == 74
    assert "node 1 was answered from ComfyUI's cache, so nothing was made; the workflow has no seed that could be changed" in said


WRONG: dict[str, tuple[list[str], dict[str, Any] | None, str]] = {
    "as the editor saves it": ([], {"nodes": [], "links": []}, "Workflow > Export (API)"),
    "a class that is not there": ([], {"1": {"class_type": "NoSuchNode", "inputs": {}}}, "no node of the class NoSuchNode"),
    "a model that is not there": (
        [],
        enemyx(model="VibeVoice-7B"),
        "wants model 'VibeVoice-7B', and ComfyUI has VibeVoice-1.5B, VibeVoice-Large",
    ),
    "a voice that is not there": ([], enemyx(), "cannot use the voice 'ref.wav'"),
    "no sound and no picture": (
        [],
        {"1": {"class_type": "LoadAudio", "inputs": {"audio": "ref.wav"}}},
        "none of its nodes saves audio or an image",
    ),
    "an empty text": (["--text= "], None, "cannot take --text: it is empty"),
    "an empty text in the file": ([], enemyx(text=""), "the text is empty"),
    "no such file of a voice": (["--voice=none.wav"], None, "cannot read --voice none.wav: No such file or directory"),
    "no such workflow": (["--workflow=none.json"], None, "cannot read --workflow none.json: No such file or directory"),
    "nothing that decodes": ([f"--models={FIRSTLIGHT.removesuffix('firstlight')}python"], None, "cannot judge what ComfyUI saves"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_one_line_before_anything_is_queued(
    accept: Accept, speaking: ComfyUI, tmp_path: Path, monkeypatch, case: str
) -> None:
    options, nodes, words = WRONG[case]
    monkeypatch.setenv("PATH", "/nowhere")  # no ffmpeg
    before = queued(speaking)
    code, told, said = accept(*options, *([] if nodes is None else [workflow(tmp_path, nodes)]))
    assert (code, told) == (64, {})
    assert words in said
    assert len(said.splitlines()) == 1
    assert queued(speaking) == before


def test_as_the_last_readiness_check_it_makes_the_app_ready_once_it_has_spoken(
    start: Callable[..., ComfyUI], voice: str, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setenv("SPEECH_PYTHON", LISTENS)
    file = workflow(tmp_path, enemyx()).partition("=")[2]
    words = f"{file} --voice={voice} --models={DECODES} {RATE}"
    options = ["--node=VibeVoiceSingleSpeakerNode", f"--accept={words}"]
    comfyui = start(options=options, nodes=["speaking"])  # on a simulated machine with a GPU, so that CUDA is a part of the way
    ready = comfyui.ready(1)
    status = json.loads(comfyui.page("/status.json")[1])
    assert [leg["name"] for leg in status["legs"]] == [
        "cuda", "process", "device", "port", "nodes", "worker", "prompt", "executed", "verified", "ready",
    ]  # fmt: skip
    assert (status["verified_after"], status["verified_cold"]) == (status["legs"][-2]["at"], True)
    [accepted] = comfyui.events("accepted")
    assert (accepted["ok"], accepted["cold"]) == (True, True)
    assert {"gate": "level", "ok": True} in accepted["gates"]
    assert {"gate": "words", "ok": None} in accepted["gates"]
    assert accepted["seconds"] > 0
    assert accepted["words"].startswith("accepted (")
    assert f"accept: {accepted['words']}" in ready["words"]
    assert f"firstlight: {accepted['words']}\nfirstlight: the app is ready after " in comfyui.printed()

    # One by hand beside it is told too, and changes nothing about the way that is gone.
    order = [FIRSTLIGHT, "accept", f"--workflow={file}", f"--url=http://127.0.0.1:{comfyui.port}", f"--run-dir={comfyui.folder / 'run'}"]
    subprocess.run([*order, f"--voice={voice}", f"--models={DECODES}", RATE], check=True, capture_output=True)
    comfyui.wait(lambda: len(comfyui.events("accepted")) == 2)
    again = json.loads(comfyui.page("/status.json")[1])
    assert (again["legs"], again["accepted"]["cold"], again["verified_cold"]) == (status["legs"], False, True)
    assert comfyui.stop() == 0


def test_ctrl_c_stops_what_comfyui_works_on(accept: Accept, speaking: ComfyUI, voice: str, tmp_path: Path) -> None:
    """The node sleeps in the hands of a real ComfyUI; it is interrupted, and the next prompt is run."""
    file = workflow(tmp_path, enemyx(text=f"[slow] {SENTENCE}"))
    order = [FIRSTLIGHT, "accept", file, f"--url=http://127.0.0.1:{speaking.port}", f"--voice={voice}", f"--models={DECODES}"]
    with subprocess.Popen(order, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        next(line for line in process.stderr if line == "firstlight: ComfyUI: running\n")
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
    speaking.wait(lambda: not any(speaking.get("/queue").values()))
    statuses = [entry["status"]["messages"][-1][0] for entry in speaking.get("/history").values()]
    assert statuses.count("execution_interrupted") == 1
    code, told, said = accept(f"--voice={voice}", RATE)
    assert code == 0, told or said


def test_an_app_that_has_not_spoken_well_is_not_ready_and_says_why(
    start: Callable[..., ComfyUI], voice: str, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setenv("SPEECH_PYTHON", LISTENS)
    file = workflow(tmp_path, enemyx(text=f"[silence] {SENTENCE}")).partition("=")[2]
    words = f"{file} --voice={voice} --models={DECODES} --seeds=2"
    comfyui = start((FIRSTLIGHT, "run", "--gpus=none"), options=[f"--accept={words}"], nodes=["speaking"])
    [accepted] = comfyui.wait(lambda: comfyui.events("accepted"))
    assert accepted["ok"] is False
    assert {gate["gate"] for gate in accepted["gates"] if gate["ok"] is False} == {"level", "silence", "variation"}
    assert accepted["words"].startswith("not accepted (")
    assert "level: -180 dBFS" in accepted["words"]
    check = comfyui.wait(lambda: [event for event in comfyui.events("check") if event["check"] == "accept"])[0]
    assert (check["ok"], check["words"]) == (False, accepted["words"])
    assert f"firstlight: {accepted['words']}\n" in comfyui.printed()
    comfyui.is_answered("/readyz", 503)
    assert not comfyui.events("ready")
