"""`firstlight accept`, the installed command, with a ComfyUI that does as it is told: what the real one does too seldom (tests/comfyui has that)."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from scripted_comfyui import WORKFLOW, ScriptedComfyUI, clip

FIRSTLIGHT = str(Path(sys.executable).parent / "firstlight")
Accept = Callable[..., tuple[int, dict[str, Any], str]]


@pytest.fixture
def comfyui() -> Iterator[ScriptedComfyUI]:
    server = ScriptedComfyUI()
    yield server
    server.close()


@pytest.fixture
def accept(comfyui: ScriptedComfyUI, tmp_path: Path) -> Accept:
    """Runs it: its exit code, what it tells as JSON, and the last line that it says. An ffmpeg that is never asked: all clips are WAV."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "ffmpeg").write_text("#!/bin/sh\nexit 1\n")
    (programs / "ffmpeg").chmod(0o755)
    file = tmp_path / "tts.json"
    file.write_text(json.dumps(WORKFLOW))

    def run(*options: str, url: str = comfyui.url, before: Sequence[str] = ()) -> tuple[int, dict[str, Any], str]:
        order = [*before, FIRSTLIGHT, "accept", f"--workflow={file}", f"--url={url}", "--format=json", *options]
        # A run directory of its own: a firstlight that runs on this machine for somebody else is not to hear of it.
        environment = {"PATH": f"{programs}:/usr/bin:/bin", "FIRSTLIGHT_RUN_DIR": str(tmp_path / "run")}
        done = subprocess.run(order, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)
        said = [line for line in done.stderr.splitlines() if not line.startswith("firstlight: made in ")]
        return done.returncode, json.loads(done.stdout) if done.stdout else {}, said[-1] if said else ""

    return run


def test_what_is_queued_is_ours_alone(accept: Accept, comfyui: ScriptedComfyUI, tmp_path: Path) -> None:
    (tmp_path / "me.wav").write_bytes(clip(gain=0.2))
    code, told, _ = accept("--voice=me.wav", "--text=Something else to say.", "--sample-rate=24000", "--keep=kept")
    assert code == 0, told
    upload = next(body for path, body in comfyui.posted if path == "/upload/image")
    assert b'name="image"; filename="voice-' in upload
    assert (tmp_path / "me.wav").read_bytes() in upload
    [order] = comfyui.prompts
    assert order["prompt_id"]
    assert order["client_id"].startswith("firstlight-")
    nodes = order["prompt"]
    assert nodes["1"]["inputs"]["audio"] == "firstlight/voice-1.wav"
    assert nodes["2"]["inputs"]["text"] == told["text"] == "Something else to say."
    assert nodes["2"]["inputs"]["seed"] == told["attempts"][0]["seed"] != 1
    assert nodes["3"]["inputs"]["filename_prefix"].startswith("firstlight/accept-")
    assert (tmp_path / "kept/accept_1.wav").read_bytes() == comfyui.clip


def test_each_seed_is_tried_once_and_the_last_failure_is_told_with_its_figure(accept: Accept, comfyui: ScriptedComfyUI) -> None:
    comfyui.clip = clip(gain=0.0003)
    code, told, said = accept("--seeds=3")
    assert (code, told["ok"]) == (1, False)
    seeds = [order["prompt"]["2"]["inputs"]["seed"] for order in comfyui.prompts]
    assert len(set(seeds)) == 3
    assert "was refused: level: -" in said
    assert "level: -" in told["words"]


def test_words_with_quotes_and_lines_are_said_as_they_are(accept: Accept, comfyui: ScriptedComfyUI) -> None:
    for text in ('He said "no",\nand \'went\'; $(exit) {"a": [1]}', "Grüße, \N{SNOWMAN} \\n %s", "-- --help"):
        code, told, _ = accept(f"--text={text}", "--seeds=1")
        assert comfyui.prompts[-1]["prompt"]["2"]["inputs"]["text"] == told["text"] == text
        assert code in (0, 1)  # the clip is as long as it is


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is empty"),
        (b"This is a letter.", "it is no recording: "),
        (clip(seconds=0), "there is not one sample in it"),
        (None, "No such file or directory"),
        ("folder", "Is a directory"),
    ],
)
def test_a_voice_that_is_none_is_refused_before_anything_is_uploaded(
    accept: Accept, comfyui: ScriptedComfyUI, tmp_path: Path, content: Any, words: str
) -> None:
    voice = tmp_path / "me.wav"
    if content == "folder":
        voice.mkdir()
    elif content is not None:
        voice.write_bytes(content)
    code, told, said = accept(f"--voice={voice}")
    assert (code, told, comfyui.posted) == (64, {}, [])
    assert said.startswith(("firstlight: cannot take --voice", f"firstlight: cannot read --voice {voice}: "))
    assert words in said


def test_the_name_of_a_voice_cannot_change_what_is_uploaded(accept: Accept, comfyui: ScriptedComfyUI, tmp_path: Path) -> None:
    voice = tmp_path / 'me.wav"\r\nX-Other: 1'
    voice.write_bytes(clip())
    assert accept(f"--voice={voice}")[0] == 0
    upload = next(body for path, body in comfyui.posted if path == "/upload/image")
    assert b"X-Other" not in upload
    assert re.search(rb'filename="voice-[0-9a-f]{16}\.wav"\r\n', upload)


def test_where_there_is_no_room_to_keep_it_it_is_judged_all_the_same(comfyui: ScriptedComfyUI, accept: Accept, tmp_path: Path) -> None:
    """No file may be longer than a few KiB here, as on a disk that is full: neither the copy nor what the models would hear."""
    code, told, said = accept("--keep=kept", before=["sh", "-c", 'ulimit -f 32; exec "$@"', "sh"])
    assert (code, told["ok"]) == (0, True)
    assert (told["attempts"][0]["kept"], list((tmp_path / "kept").iterdir())) == ("", [])
    assert "cannot keep kept/accept_1.wav: File too large; it is judged all the same" in said
    speech = next(gate for gate in told["attempts"][0]["gates"] if gate["gate"] == "speech")
    assert (speech["outcome"], speech["words"].endswith("File too large")) == ("not checked", True)


def test_a_file_that_is_no_audio_is_refused(accept: Accept, comfyui: ScriptedComfyUI) -> None:
    comfyui.clip = b"RIFF and so on"
    code, told, _ = accept("--seeds=1")
    assert code == 1
    assert told["attempts"][0]["gates"][0]["gate"] == "decodable"
    assert told["attempts"][0]["gates"][0]["outcome"] == "failed"


Change = Callable[[ScriptedComfyUI], None]


def setting(**values: Any) -> Change:
    return lambda comfyui: [setattr(comfyui, name, value) for name, value in values.items()] and None


NODE_ERRORS = {
    "error": {"type": "prompt_outputs_failed_validation", "message": "Prompt outputs failed validation", "details": ""},
    "node_errors": {
        "1": {"errors": [{"message": "Custom validation failed", "details": "audio - Invalid audio file"}], "class_type": "LoadAudio"}
    },
}
NOT_DONE: dict[str, tuple[Change, list[str], str]] = {
    "out of its cache": (setting(cached=["1", "2", "3"]), [], "node 2 was answered from ComfyUI's cache, so nothing was made"),
    "nothing written": (setting(writes=False), [], "ComfyUI calls it a success, and has written nothing"),
    "refused": (setting(refusal=(400, NODE_ERRORS)), [], "node 1 (LoadAudio): Custom validation failed: audio - Invalid audio file"),
    "a server error": (setting(refusal=(500, {})), [], "has answered with status 500"),
    "another id than ours": (setting(refusal=(200, {"prompt_id": "other"})), [], "has given it another id than ours"),
    "a node that fails": (
        setting(error={"node_id": "2", "node_type": "Speaks", "exception_type": "RuntimeError", "exception_message": "CUDA\nerror"}),
        [],
        "cannot run the workflow: node 2 (Speaks) has failed: RuntimeError: CUDA error",
    ),
    "too slow": (setting(holds="queue_running"), ["--timeout=1s"], "cannot wait any longer: it is running after 1 s (--timeout)"),
    "started anew meanwhile": (setting(holds="nowhere"), [], "ComfyUI knows nothing of it any more: it was started anew, or somebody has"),
    "a dead worker": (setting(holds="queue_pending"), [], "what runs them is dead; restart ComfyUI"),
}


@pytest.mark.parametrize("case", NOT_DONE)
def test_what_comfyui_does_not_do_is_one_line(accept: Accept, comfyui: ScriptedComfyUI, case: str) -> None:
    change, options, words = NOT_DONE[case]
    change(comfyui)
    code, told, said = accept(*options)
    assert (code, told) == (74, {})
    assert said.startswith("firstlight: cannot ")
    assert words in said
    assert len(comfyui.prompts) == 1  # no seed helps there


@pytest.mark.parametrize("holds", ["queue_running", "queue_pending"])
def test_what_is_not_waited_for_is_taken_out_of_its_hands_and_nothing_else_is(accept: Accept, comfyui: ScriptedComfyUI, holds: str) -> None:
    """An older ComfyUI interrupts whatever runs, and that is somebody else's prompt as long as ours waits."""
    comfyui.holds = holds
    accept("--timeout=1s")
    ours = comfyui.prompts[0]["prompt_id"]
    interrupted = [("/interrupt", {"prompt_id": ours})] if holds == "queue_running" else []
    taken = [(path, json.loads(body)) for path, body in comfyui.posted if path in ("/queue", "/interrupt")]
    assert taken == [("/queue", {"delete": [ours]}), *interrupted]


def test_answers_that_are_cut_off_while_it_works_are_asked_for_again(accept: Accept, comfyui: ScriptedComfyUI) -> None:
    comfyui.drops = 3
    code, told, _ = accept()
    assert (code, told["ok"]) == (0, True)
    assert comfyui.drops == 0
    assert len(comfyui.prompts) == 1


def test_a_comfyui_that_is_not_there_is_said_without_what_may_be_secret(accept: Accept, comfyui: ScriptedComfyUI) -> None:
    code, _, said = accept(url="http://127.0.0.1:1/path")
    assert (code, said) == (74, "firstlight: cannot reach ComfyUI at 127.0.0.1:1: Connection refused")
    for url in ("127.0.0.1:8188", "ftp://x/", "http://user:secret@127.0.0.1/", "http://127.0.0.1/?token=secret", "http://[", "http://a:b"):
        code, _, said = accept(url=url)
        assert (code, said) == (64, "firstlight: cannot take --url: it is an address such as http://127.0.0.1:8188")


def test_numbers_and_times_that_make_no_sense_are_refused(accept: Accept, comfyui: ScriptedComfyUI) -> None:
    for option in ("--seeds=0", "--seeds=21", "--seeds=x", "--timeout=soon", "--sample-rate=-1", "--models=/no/such/python"):
        code, _, said = accept(option)
        assert code == 64, option
        assert "cannot" in said
    assert not comfyui.posted


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_and_other_ends_take_the_prompt_out_of_its_hands(comfyui: ScriptedComfyUI, tmp_path: Path, number: int) -> None:
    comfyui.holds = "queue_running"
    (tmp_path / "tts.json").write_text(json.dumps(WORKFLOW))
    # Our own Python has PyAV nowhere and the machine may have no ffmpeg: this one stands for it.
    (tmp_path / "ffmpeg").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "ffmpeg").chmod(0o755)
    order = [FIRSTLIGHT, "accept", f"--workflow={tmp_path / 'tts.json'}", f"--url={comfyui.url}"]
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "FIRSTLIGHT_RUN_DIR": str(tmp_path / "run")}
    with subprocess.Popen(order, stderr=subprocess.PIPE, env=environment) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == b"firstlight: ComfyUI: running\n"
        process.send_signal(number)
        assert process.wait() == 128 + number
    assert [path for path, _ in comfyui.posted] == ["/prompt", "/queue", "/interrupt"]
