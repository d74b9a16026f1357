"""Reading workflows: both packs of VibeVoice, any other audio workflow, pictures, and everything that is refused before it is queued."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from firstlight.acceptance import vibevoice, workflow
from firstlight.acceptance.workflow import Input, Kind
from firstlight.errors import UsageError

AUDIO = ["AUDIO", {}]
STRING = ["STRING", {}]
INT = ["INT", {"max": 4294967295}]
CLASSES: dict[str, Any] = {
    "LoadAudio": {"input": {"required": {"audio": [["ref.wav"], {"audio_upload": True}]}}, "output_node": False},
    "SaveAudio": {"input": {"required": {"audio": AUDIO, "filename_prefix": STRING}}, "output_node": True},
    "PreviewAny": {"input": {"required": {"source": ["*", {}]}}, "output_node": True},
    "EmptyImage": {"input": {"required": {"width": INT, "color": INT}}, "output_node": False},
    "SaveImage": {"input": {"required": {"images": ["IMAGE", {}], "filename_prefix": STRING}}, "output_node": True},
    "Sampler": {"input": {"required": {"noise_seed": INT, "text": STRING}}, "output_node": False},
    "Primitive": {"input": {"required": {"value": STRING}}, "output_node": False},
    "Louder": {"input": {"required": {"audio": AUDIO}}, "output_node": False},
    "VibeVoiceSingleSpeakerNode": {
        "input": {
            "required": {
                "text": STRING,
                "model": [["VibeVoice-1.5B", "VibeVoice-Large"], {}],
                "seed": INT,
                "attention_type": [["sdpa"], {}],
            },
            "optional": {"voice_to_clone": AUDIO},
        },
        "output_node": False,
    },
    "VibeVoiceTTS": {
        "input": {
            "required": {"model_name": ["COMBO", {"options": ["VibeVoice-1.5B"]}], "text": STRING, "seed": INT},
            "optional": {"speaker_1_voice": AUDIO},
        },
        "output_node": False,
    },
}
SAVE = {"class_type": "SaveAudio", "inputs": {"audio": ["2", 0], "filename_prefix": "mine/tts"}}
LOAD = {"class_type": "LoadAudio", "inputs": {"audio": "ref.wav"}}
ENEMYX = {
    "1": LOAD,
    "2": {
        "class_type": "VibeVoiceSingleSpeakerNode",
        "inputs": {"text": "Hello there.", "model": "VibeVoice-1.5B", "seed": 42, "attention_type": "sdpa", "voice_to_clone": ["1", 0]},
    },
    "3": SAVE,
}
WILDMINDER = {
    "1": LOAD,
    "2": {
        "class_type": "VibeVoiceTTS",
        "inputs": {"model_name": "VibeVoice-1.5B", "text": "Speaker 1: Hello there.", "seed": 42, "speaker_1_voice": ["1", 0]},
    },
    "3": SAVE,
}


def changed(nodes: dict[str, Any], number: str, **inputs: Any) -> dict[str, Any]:
    return {**nodes, number: {**nodes[number], "inputs": {**nodes[number]["inputs"], **inputs}}}


def order(nodes: dict[str, Any]) -> workflow.Order:
    return workflow.understand(workflow.read(json.dumps(nodes), "tts.json"), CLASSES, "tts.json")


@pytest.mark.parametrize("nodes", [ENEMYX, WILDMINDER], ids=["Enemyx", "wildminder"])
def test_both_packs_are_understood(nodes: dict[str, Any]) -> None:
    found = order(nodes)
    assert found.kind is Kind.AUDIO
    assert (found.outputs, found.makers) == (("3",), ("2",))
    assert found.texts[0] == Input("2", "text")
    assert found.voices == (Input("1", "audio"),)
    assert found.seeds == (Input("2", "seed"),)
    assert found.spoken == "Hello there."
    workflow.check(found, CLASSES)


def test_an_attempt_has_a_seed_and_a_name_of_its_own_and_leaves_the_file_as_it_is() -> None:
    found = workflow.fit(order(ENEMYX), text="Another one.", voice="firstlight/voice.wav")
    prompt = workflow.prepare(found, seed=7, prefix="firstlight/abc")
    assert prompt["2"]["inputs"]["seed"] == 7
    assert prompt["3"]["inputs"]["filename_prefix"] == "firstlight/abc"
    assert prompt["2"]["inputs"]["text"] == found.spoken == "Another one."
    assert prompt["1"]["inputs"]["audio"] == "firstlight/voice.wav"
    assert ENEMYX["2"]["inputs"]["seed"] == 42


def test_wildminder_is_told_who_speaks_and_nobody_expects_to_hear_that() -> None:
    found = workflow.fit(order(WILDMINDER), text="Another one.")
    assert found.nodes["2"]["inputs"]["text"] == "Speaker 1: Another one."
    assert found.spoken == "Another one."
    several = workflow.fit(order(WILDMINDER), text="Speaker 1: One.\nSpeaker 2: Two.")
    assert several.spoken == "One.\nTwo."


def test_a_text_and_a_seed_are_found_behind_other_nodes() -> None:
    nodes = changed(ENEMYX, "2", text=["5", 0])
    nodes = {
        **nodes,
        "5": {"class_type": "Primitive", "inputs": {"value": "From afar."}},
        "4": {"class_type": "Louder", "inputs": {"audio": ["2", 0]}},
    }
    nodes = changed(nodes, "3", audio=["4", 0])
    found = order(nodes)
    assert found.texts[0] == Input("5", "value")
    assert found.makers == ("4",)
    assert found.seeds == (Input("2", "seed"),)
    linked = {**changed(nodes, "2", seed=["6", 0]), "6": {"class_type": "Primitive", "inputs": {"value": 5}}}
    assert order(linked).seeds == (Input("6", "value"),)


def test_what_feeds_no_output_is_left_alone() -> None:
    nodes = {**ENEMYX, "9": {"class_type": "Sampler", "inputs": {"noise_seed": 1, "text": "unused"}}}
    found = order(nodes)
    assert found.seeds == (Input("2", "seed"),)
    assert found.texts == (Input("2", "text"),)


def test_a_picture_is_one_too() -> None:
    nodes = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "color": 255}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
    }
    found = order(nodes)
    assert (found.kind, found.makers, found.spoken) == (Kind.IMAGE, ("1",), "")


REFUSED = {
    "no JSON": ("{", "cannot take tts.json: it is no JSON"),
    "a list": ("[]", "cannot take tts.json: a workflow is an object of nodes by their numbers"),
    "nothing": ("{}", "cannot take tts.json: a workflow is an object of nodes by their numbers"),
    "as the editor saves it": (json.dumps({"nodes": [], "links": []}), "Workflow > Export (API)"),
    "no class": (json.dumps({"1": {"inputs": {}}}), "node 1 has no class_type and inputs"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_workflow_is_refused(case: str) -> None:
    text, words = REFUSED[case]
    with pytest.raises(UsageError, match=re.escape(words)):
        workflow.read(text, "tts.json")


WRONG: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "unknown node class": (
        {**ENEMYX, "2": {**ENEMYX["2"], "class_type": "NoSuchNode"}},
        {},
        "cannot queue tts.json: ComfyUI has no node of the class NoSuchNode (node 2)",
    ),
    "a link to nowhere": (changed(ENEMYX, "3", audio=["8", 0]), {}, "node 3 takes something from node 8, which is not there"),
    "no audio": (
        {"1": LOAD, "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}}},
        {},
        "cannot accept tts.json: none of its nodes saves audio or an image (LoadAudio, PreviewAny)",
    ),
    "model not in the list": (
        changed(ENEMYX, "2", model="VibeVoice-7B"),
        {},
        "node 2 (VibeVoiceSingleSpeakerNode) wants model 'VibeVoice-7B', and ComfyUI has VibeVoice-1.5B, VibeVoice-Large",
    ),
    "model not in the newer kind of list": (
        changed(WILDMINDER, "2", model_name="X"),
        {},
        "wants model_name 'X', and ComfyUI has VibeVoice-1.5B",
    ),
    "missing voice": (changed(ENEMYX, "1", audio="gone.wav"), {}, "cannot use the voice 'gone.wav' (audio of node 1)"),
    "empty text in the file": (changed(ENEMYX, "2", text="  "), {}, "cannot accept tts.json: the text is empty (text of node 2)"),
    "empty text": (ENEMYX, {"text": ""}, "the text is empty"),
    "only a speaker": (WILDMINDER, {"text": "Speaker 1: "}, "the text is empty"),
    "no place for a voice": (
        {"2": changed(ENEMYX, "2", voice_to_clone=0)["2"], "3": SAVE},
        {"voice": "a.wav"},
        "cannot give tts.json a voice",
    ),
    "no place for a text": ({"1": LOAD, "3": {**SAVE, "inputs": {"audio": ["1", 0]}}}, {"text": "Hi."}, "cannot give tts.json a text"),
    "two places for a text": (
        {
            **changed(ENEMYX, "2", voice_to_clone=["5", 0]),
            "5": {"class_type": "VibeVoiceSingleSpeakerNode", "inputs": {**ENEMYX["2"]["inputs"], "voice_to_clone": ["1", 0]}},
        },
        {"text": "Hi."},
        "cannot tell where tts.json takes its text: there is text of node 2, text of node 5",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_could_not_work_is_refused_in_one_line(case: str) -> None:
    nodes, given, words = WRONG[case]
    with pytest.raises(UsageError) as raised:
        workflow.check(workflow.fit(order(nodes), **given), CLASSES)
    assert words in str(raised.value)
    assert str(raised.value).startswith("cannot ")
    assert "\n" not in str(raised.value)


def test_without_a_file_the_pack_that_is_there_speaks() -> None:
    for gone in ("", "VibeVoiceSingleSpeakerNode"):
        classes = {name: described for name, described in CLASSES.items() if name != gone}
        found = workflow.fit(workflow.understand(vibevoice.nodes(classes, voice=True), classes, vibevoice.NAME), voice="ref.wav")
        assert found.spoken == vibevoice.SENTENCE
        workflow.check(found, classes)
    assert workflow.understand(vibevoice.nodes(CLASSES, voice=False), CLASSES, vibevoice.NAME).voices == ()


def test_without_a_file_and_a_pack_or_a_model_or_a_voice_that_is_said() -> None:
    with pytest.raises(UsageError, match="cannot find a node that speaks"):
        vibevoice.nodes({}, voice=True)
    wildminder = {"VibeVoiceTTS": CLASSES["VibeVoiceTTS"]}
    with pytest.raises(UsageError, match="cannot let VibeVoiceTTS speak without a voice"):
        vibevoice.nodes(wildminder, voice=False)
    empty = {"VibeVoiceSingleSpeakerNode": {"input": {"required": {"model": [["No models found"]]}}}}
    with pytest.raises(UsageError, match="cannot find a model of VibeVoice"):
        vibevoice.nodes(empty, voice=False)
