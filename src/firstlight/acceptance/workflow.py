"""A workflow of ComfyUI, in its API format: what it makes, and out of which text, voice, seed and names. Pure.

    nodes = read(text, "tts.json")
    order = understand(nodes, classes)          # `classes` is the answer of /object_info
    order = fit(order, text=…, voice=…)         # what shall be said, and in whose voice
    check(order, classes)                       # all that ComfyUI would refuse, and what it would find out too late
    prompt = prepare(order, seed=…, prefix=…)   # what one attempt queues

Whatever is wrong is a UsageError: nothing has been queued by then.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from firstlight.errors import UsageError

Nodes = dict[str, dict[str, Any]]
Classes = Mapping[str, Any]

# How the packs of VibeVoice are told who speaks. None of it is spoken.
_SPEAKER = re.compile(r"^\s*(?:Speaker\s+\d+\s*:|\[\d+\]\s*:?)\s*", re.IGNORECASE | re.MULTILINE)
# The pack that needs to be told, even of a single speaker.
_NEEDS_SPEAKER = "VibeVoiceTTS"

# Under which names nodes take what shall be said; the first ones count more.
_TEXTS = ("text", "speech", "tts_text", "script", "prompt", "string", "value")
_SEEDS = ("seed", "noise_seed")

# Above every seed that a node may be given: some take 31 bits.
SEED_LIMIT = 1 << 31


class Kind(Enum):
    """What a workflow makes."""

    AUDIO = "AUDIO"
    IMAGE = "IMAGE"


@dataclass(frozen=True, order=True)
class Input:
    """One input of one node."""

    node: str
    name: str

    def __str__(self) -> str:
        return f"{self.name} of node {self.node}"


@dataclass(frozen=True, kw_only=True)
class Order:
    """A workflow that was understood.

    Attributes:
        name: what to call it in an error.
        outputs: the nodes that write what it makes.
        makers: the nodes right before those. Where one of them is answered from the cache, nothing was made.
        texts: the inputs with what shall be said, the likeliest first.
        voices: the inputs that name an uploaded audio file.
    """

    name: str
    nodes: Nodes
    kind: Kind
    outputs: tuple[str, ...]
    makers: tuple[str, ...]
    texts: tuple[Input, ...] = ()
    voices: tuple[Input, ...] = ()
    seeds: tuple[Input, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture that it should make; zeros where its nodes name none, or more than one."""
        held = [(node["inputs"].get("width"), node["inputs"].get("height")) for node in self.nodes.values()]
        sizes = {(width, height) for width, height in held if isinstance(width, int) and isinstance(height, int)}
        return sizes.pop() if len(sizes) == 1 else (0, 0)

    @property
    def spoken(self) -> str:
        """What will be heard; empty where that cannot be told."""
        return _SPEAKER.sub("", str(value(self.nodes, self.texts[0]))).strip() if self.texts and self.kind is Kind.AUDIO else ""


def read(text: str | bytes, name: str) -> Nodes:
    """A workflow out of a file.

    Raises:
        UsageError: it is none, or is in the format of the editor.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"cannot take {name}: it is no JSON: {error}") from None
    if isinstance(data, dict) and isinstance(data.get("nodes"), list):
        raise UsageError(
            f"cannot take {name}: this is a workflow as the editor saves it, and ComfyUI runs those in API format alone; "
            "export it with Workflow > Export (API)"
        )
    if isinstance(data, dict) and isinstance(data.get("prompt"), dict):
        data = data["prompt"]  # as it is posted
    if not isinstance(data, dict) or not data:
        raise UsageError(f"cannot take {name}: a workflow is an object of nodes by their numbers")
    for number, node in data.items():
        if not isinstance(node, dict) or not isinstance(node.get("class_type"), str) or not isinstance(node.get("inputs"), dict):
            raise UsageError(f"cannot take {name}: node {number} has no class_type and inputs; export it with Workflow > Export (API)")
    return data


def understand(nodes: Nodes, classes: Classes, name: str) -> Order:
    """Find what a workflow makes, and its inputs.

    Raises:
        UsageError: a node's class is not there, or the workflow makes neither sound nor picture.
    """
    _check_classes(nodes, classes, name)
    for kind in Kind:
        outputs = tuple(number for number, node in nodes.items() if _writes(node, classes, kind))
        if outputs:
            break
    else:
        raise UsageError(f"cannot accept {name}: none of its nodes saves audio or an image ({_names(nodes)})")
    before = _distances(nodes, outputs)
    makers = tuple(sorted({source for number in outputs for source in _sources(nodes[number])}))
    texts = [] if kind is Kind.IMAGE else [found for number in before if number not in outputs for found in _texts(nodes, number, classes)]
    return Order(
        name=name,
        nodes=nodes,
        kind=kind,
        outputs=outputs,
        makers=makers,
        texts=tuple(sorted(texts, key=lambda found: (before[found.node], _rank(found.name)))),
        voices=tuple(
            Input(number, key) for number in before for key in _literals(nodes[number]) if _uploads_audio(nodes, number, key, classes)
        ),
        seeds=tuple(dict.fromkeys(found for number in before for found in _seeds(nodes, number))),
    )


def fit(order: Order, *, text: str | None = None, voice: str | None = None) -> Order:
    """The order with another text, and with the voice of an uploaded file; None leaves what is there.

    Raises:
        UsageError: there is no place for it, or it is empty.
    """
    changes: dict[Input, str] = {}
    if text is not None:
        place = _text_place(order)
        marked = order.nodes[place.node]["class_type"] == _NEEDS_SPEAKER and not _SPEAKER.match(text)
        changes[place] = f"Speaker 1: {text}" if marked else text
    if voice is not None:
        if len(order.voices) != 1:
            there = "no node of it loads audio" if not order.voices else f"there are several: {_listed(order.voices)}"
            raise UsageError(f"cannot give {order.name} a voice: {there}")
        changes[order.voices[0]] = voice
    fitted = replace(order, nodes=_with(order.nodes, changes))
    if fitted.texts and fitted.kind is Kind.AUDIO and not fitted.spoken:
        raise UsageError(f"cannot accept {order.name}: the text is empty ({fitted.texts[0]})")
    return fitted


def check(order: Order, classes: Classes) -> None:
    """Look for values that ComfyUI does not offer: models, and voices that were not uploaded.

    Raises:
        UsageError: there is one.
    """
    missing = list(_unoffered(order.nodes, classes))
    for place, held, offered in missing:
        if place in order.voices:
            continue
        there = ", ".join(map(str, offered[:8])) or "none at all"
        node = f"node {place.node} ({order.nodes[place.node]['class_type']})"
        raise UsageError(f"cannot queue {order.name}: {node} wants {place.name} {held!r}, and ComfyUI has {there}")
    for place in order.voices:  # last: whoever has given none gives one, and needs to hear of all else as well
        if any(place == found for found, _, _ in missing):
            held = value(order.nodes, place)
            raise UsageError(f"cannot use the voice {held!r} ({place}): ComfyUI has no such file; give one with --voice")


def _unoffered(nodes: Nodes, classes: Classes) -> Iterator[tuple[Input, Any, list[Any]]]:
    """The inputs that hold something which their list does not, with what they hold and the list."""
    for number, node in nodes.items():
        for key, held in _literals(node).items():
            offered = _offered(classes, node["class_type"], key)
            if offered is not None and held not in offered:
                yield Input(number, key), held, offered


def prepare(order: Order, *, seed: int, prefix: str) -> Nodes:
    """What one attempt queues: every seed fresh, and files under a name of its own."""
    changes: dict[Input, Any] = {place: seed + offset for offset, place in enumerate(order.seeds)}
    changes.update(
        {Input(number, "filename_prefix"): prefix for number in order.outputs if "filename_prefix" in order.nodes[number]["inputs"]}
    )
    return _with(order.nodes, changes)


def without(nodes: Nodes, places: tuple[Input, ...]) -> Nodes:
    """The nodes without what these inputs hold."""
    return {
        number: {**node, "inputs": {key: held for key, held in node["inputs"].items() if Input(number, key) not in places}}
        for number, node in nodes.items()
    }


def value(nodes: Nodes, place: Input) -> Any:
    """What an input holds."""
    return nodes[place.node]["inputs"][place.name]


def _check_classes(nodes: Nodes, classes: Classes, name: str) -> None:
    for number, node in nodes.items():
        if node["class_type"] not in classes:
            raise UsageError(
                f"cannot queue {name}: ComfyUI has no node of the class {node['class_type']} (node {number}): "
                "its pack is not installed, or was not imported (see IMPORT FAILED in ComfyUI's log)"
            )
        for source in _sources(node):
            if source not in nodes:
                raise UsageError(f"cannot queue {name}: node {number} takes something from node {source}, which is not there")


def _writes(node: Mapping[str, Any], classes: Classes, kind: Kind) -> bool:
    """Whether a node keeps something of this kind: it is an output, and is fed with it."""
    described = classes[node["class_type"]]
    if not described.get("output_node"):
        return False
    return any(_type(classes, node["class_type"], key) == kind.value for key, held in node["inputs"].items() if _is_link(held))


def _distances(nodes: Nodes, outputs: tuple[str, ...]) -> dict[str, int]:
    """All nodes that feed the outputs, with the number of steps from there, nearest first."""
    found = dict.fromkeys(outputs, 0)
    waiting = list(outputs)
    while waiting:
        number = waiting.pop(0)
        for source in _sources(nodes[number]):
            if source not in found:
                found[source] = found[number] + 1
                waiting.append(source)
    return found


def _texts(nodes: Nodes, number: str, classes: Classes) -> Iterator[Input]:
    """The inputs of a node that may hold what shall be said: texts of a likely name, which are not chosen from a list."""
    for key, held in _literals(nodes[number]).items():
        if isinstance(held, str) and _rank(key) < len(_TEXTS) and _type(classes, nodes[number]["class_type"], key) == "STRING":
            yield Input(number, key)


def _rank(name: str) -> int:
    return _TEXTS.index(name) if name in _TEXTS else len(_TEXTS)


def _text_place(order: Order) -> Input:
    if order.kind is Kind.IMAGE or not order.texts:
        raise UsageError(f"cannot give {order.name} a text: none of its nodes takes one ({_names(order.nodes)})")
    first = order.texts[0]
    rivals = [place for place in order.texts if place.name == first.name and place.node != first.node]
    if rivals:
        raise UsageError(f"cannot tell where {order.name} takes its text: there is {_listed([first, *rivals])}; set it in the file")
    return first


def _uploads_audio(nodes: Nodes, number: str, key: str, classes: Classes) -> bool:
    return bool(_options(classes, nodes[number]["class_type"], key).get("audio_upload"))


def _seeds(nodes: Nodes, number: str) -> Iterator[Input]:
    """The seeds of a node: its own, and where one comes out of another node, the one number that this holds."""
    for key, held in nodes[number]["inputs"].items():
        if key not in _SEEDS:
            continue
        if _is_whole(held):
            yield Input(number, key)
        elif _is_link(held):
            numbers = [name for name, one in _literals(nodes[held[0]]).items() if _is_whole(one)]
            yield from (Input(held[0], name) for name in numbers if len(numbers) == 1)


def _is_whole(held: Any) -> bool:
    return isinstance(held, int) and not isinstance(held, bool)


def _described(classes: Classes, class_type: str, key: str) -> list[Any]:
    """How /object_info describes an input: its type or the list of its values, and its options."""
    inputs = classes[class_type].get("input") or {}
    for group in ("required", "optional"):
        found = (inputs.get(group) or {}).get(key)
        if isinstance(found, list) and found:
            return found
    return [None]


def _type(classes: Classes, class_type: str, key: str) -> Any:
    return _described(classes, class_type, key)[0]


def _options(classes: Classes, class_type: str, key: str) -> Mapping[str, Any]:
    described = _described(classes, class_type, key)
    return described[1] if len(described) > 1 and isinstance(described[1], dict) else {}


def _offered(classes: Classes, class_type: str, key: str) -> list[Any] | None:
    """The values that an input can have; None where it is not chosen from a list."""
    kind = _type(classes, class_type, key)
    if isinstance(kind, list):
        return kind
    options = _options(classes, class_type, key).get("options")
    return options if kind == "COMBO" and isinstance(options, list) else None


def _literals(node: Mapping[str, Any]) -> dict[str, Any]:
    return {key: held for key, held in node["inputs"].items() if not _is_link(held)}


def _sources(node: Mapping[str, Any]) -> list[str]:
    return [held[0] for held in node["inputs"].values() if _is_link(held)]


def _is_link(held: Any) -> bool:
    """Whether an input comes out of another node: [number, which of its outputs]."""
    return isinstance(held, list) and len(held) == 2 and isinstance(held[0], str) and isinstance(held[1], int)


def _with(nodes: Nodes, changes: Mapping[Input, Any]) -> Nodes:
    after = {number: {**node, "inputs": dict(node["inputs"])} for number, node in nodes.items()}
    for place, held in changes.items():
        after[place.node]["inputs"][place.name] = held
    return after


def _names(nodes: Nodes) -> str:
    return ", ".join(sorted({node["class_type"] for node in nodes.values()}))


def _listed(places: tuple[Input, ...] | list[Input]) -> str:
    return ", ".join(map(str, places))
