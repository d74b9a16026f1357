"""The whole course: understand, upload, queue, follow, fetch, judge; with another seed where a gate says no.

Some seeds of VibeVoice give junk where others are perfect, so one bad clip proves nothing. An error of ComfyUI's is another matter: no seed
helps there, and it is raised at once.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from firstlight.acceptance import comfyui, gates, hearing, picture, vibevoice, workflow
from firstlight.acceptance.answers import ComfyUIError
from firstlight.acceptance.comfyui import Server
from firstlight.acceptance.gates import Finding, Outcome
from firstlight.acceptance.hearing import Ears
from firstlight.acceptance.workflow import Classes, Kind, Order
from firstlight.errors import UsageError
from firstlight.system import clock

# What ComfyUI takes in one request by default.
_LARGEST = 100_000_000
# How often a ComfyUI that is not up yet is asked, in seconds.
_ASKING = 1.0

Tell = Callable[[str], None]
# Hears of the legs of the way that an acceptance goes: "prompt" once one was queued, "executed" once it was run.
Reached = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What was asked for.

    Attributes:
        workflow: the content of the file, None for the workflow that fits the pack that is there.
        name: what to call it.
        text, voice: None for what the workflow has.
        voice_suffix: the ending of the voice's file, by which ComfyUI knows audio.
        rate: the sample rate in Hz, 0 for any.
        timeout: how long one prompt may take, in seconds.
        wait: how long to wait for a ComfyUI that is not up yet, in seconds.
        keep: the folder for what was made, empty for none.
    """

    workflow: bytes | None
    name: str
    text: str | None
    voice: bytes | None
    voice_suffix: str
    rate: int
    seeds: int
    timeout: float
    wait: float
    keep: str


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One seed, and what came of it. `file` is where ComfyUI has kept it, `kept` where we have."""

    seed: int
    seconds: float
    file: str
    kept: str
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """No gate has said no."""
        return all(finding.outcome is not Outcome.FAILED for finding in self.findings)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What came of it. `cold`: the nodes that generate had not run before in this ComfyUI. `seconds`: from our start until it was known."""

    workflow: str
    kind: Kind
    text: str
    cold: bool
    seconds: float
    attempts: tuple[Attempt, ...]

    @property
    def ok(self) -> bool:
        """The last attempt was well."""
        return self.attempts[-1].ok


def accept(server: Server, ears: Ears, wanted: Wanted, tell: Tell, reached: Reached) -> Verdict:
    """Have it made, and judge it.

    Raises:
        UsageError: what was asked for cannot work; nothing was queued.
        ComfyUIError: ComfyUI did not do as asked.
    """
    began = clock.now()
    classes = _classes(server, wanted.wait, tell)
    order = _understood(classes, wanted)
    if order.kind is Kind.AUDIO and not ears.can_decode:
        raise UsageError(
            "cannot judge what ComfyUI saves: there is no ffmpeg here, and no PyAV in this Python; "
            "install ffmpeg, or name a Python that has PyAV with --models (that of ComfyUI has)"
        )
    if wanted.voice is not None:
        _check_voice(ears, wanted.voice)
        name = f"voice-{hashlib.sha256(wanted.voice).hexdigest()[:16]}{wanted.voice_suffix}"
        order = workflow.fit(order, voice=server.upload(name, wanted.voice))
    voice = wanted.voice if wanted.voice is not None else _voice_there(server, order)
    generating = {
        order.nodes[place.node]["class_type"] for place in order.seeds or tuple(workflow.Input(maker, "") for maker in order.makers)
    }
    cold = not generating & server.ran()
    attempts: list[Attempt] = []
    while not attempts or (not attempts[-1].ok and len(attempts) < wanted.seeds and order.seeds):
        attempts.append(_attempt(server, ears, order, wanted, voice, tell, reached))
        failed = "; ".join(f"{one.gate}: {one.words}" for one in attempts[-1].findings if one.outcome is Outcome.FAILED)
        if failed:
            tell(f"seed {attempts[-1].seed} was refused: {failed}")
    return Verdict(
        workflow=order.name, kind=order.kind, text=order.spoken, cold=cold, seconds=clock.now() - began, attempts=tuple(attempts)
    )


def read_voice(name: str) -> tuple[bytes, str]:
    """The content and the ending of a voice's file.

    Raises:
        UsageError: it is not there, is empty, or too large.
    """
    content = read_file(name, "--voice")
    if not content:
        raise UsageError(f"cannot take --voice {name}: it is empty")
    ending = os.path.splitext(name)[1].lower()
    # It goes into a header and a file's name at ComfyUI.
    return content, ending if ending[1:].isascii() and ending[1:].isalnum() else ".wav"


def read_file(name: str, option: str) -> bytes:
    """The content of a file that was named on the command line.

    Raises:
        UsageError: it cannot be read, or is longer than ComfyUI takes in one request.
    """
    try:
        with open(name, "rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise UsageError(f"cannot read {option} {name}: {error.strerror}") from None
    if len(content) > _LARGEST:
        raise UsageError(f"cannot take {option} {name}: ComfyUI takes {_LARGEST // 1_000_000} MB at most")
    return content


def _check_voice(ears: Ears, voice: bytes) -> None:
    """A file that is no recording would fail in the node, in words of a decoder, once the model is loaded.

    Raises:
        UsageError: it is none.
    """
    try:
        sound = hearing.decode(ears, voice)
    except hearing.UndecodableError as error:
        raise UsageError(f"cannot take --voice: it is no recording: {error}") from None
    if not sound.duration:
        raise UsageError("cannot take --voice: there is not one sample in it")


def _classes(server: Server, wait: float, tell: Tell) -> Classes:
    """What ComfyUI has, once it is up."""
    until = clock.now() + wait
    told = False
    while True:
        try:
            return server.classes()
        except ComfyUIError as error:
            if clock.now() >= until:
                raise
            if not told:
                tell(f"{error}; waiting for it")
                told = True
            comfyui.pause(_ASKING)


def _understood(classes: Classes, wanted: Wanted) -> Order:
    """The workflow with its text, looked through; the voice is uploaded later, once all else is known to be well."""
    if wanted.workflow is None:
        nodes = vibevoice.nodes(classes, voice=wanted.voice is not None)
    else:
        nodes = workflow.read(wanted.workflow, wanted.name)
    order = workflow.fit(workflow.understand(nodes, classes, wanted.name), text=wanted.text)
    if wanted.voice is None:
        workflow.check(order, classes)
    else:
        uploaded = workflow.fit(order, voice="")
        workflow.check(replace(uploaded, nodes=workflow.without(uploaded.nodes, uploaded.voices)), classes)
    return order


def _voice_there(server: Server, order: Order) -> bytes | None:
    """The reference that the workflow names, out of ComfyUI's own folder; None where there is not one alone."""
    if len(order.voices) != 1:
        return None
    subfolder, _, filename = str(workflow.value(order.nodes, order.voices[0])).rpartition("/")
    return server.fetch({"filename": filename, "subfolder": subfolder, "type": "input"})


def _attempt(server: Server, ears: Ears, order: Order, wanted: Wanted, voice: bytes | None, tell: Tell, reached: Reached) -> Attempt:
    """Have it made with a seed that nobody has used, and judge it."""
    began = clock.now()
    prompt_id = str(uuid.uuid4())
    seed = int.from_bytes(os.urandom(4), "little") % (workflow.SEED_LIMIT - len(order.seeds))
    prompt = workflow.prepare(order, seed=seed, prefix=f"firstlight/accept-{prompt_id[:8]}")
    done = server.run(prompt, prompt_id, timeout=wanted.timeout, tell=tell, queued=lambda: reached("prompt"))
    stale = sorted(done.cached.intersection(order.makers))
    if stale:
        why = "" if order.seeds else "; the workflow has no seed that could be changed"
        raise ComfyUIError(f"cannot accept {order.name}: node {stale[0]} was answered from ComfyUI's cache, so nothing was made{why}")
    reached("executed")
    file = next((file for file in done.files if file["node"] in order.outputs), None)
    if file is None:
        raise ComfyUIError(f"cannot accept {order.name}: ComfyUI calls it a success, and has written nothing")
    made = clock.now()
    content = server.fetch(file)
    kept = _keep(wanted.keep, file, content, tell)
    tell(f"made in {made - began:.1f} s; judging it")
    judged = _judge_audio(ears, content, voice, order, wanted) if order.kind is Kind.AUDIO else _judge_picture(content, order)
    shown = "/".join(str(file[part]) for part in ("type", "subfolder", "filename") if file.get(part))
    return Attempt(seed=seed, seconds=made - began, file=shown, kept=kept, findings=tuple(judged))


def _judge_audio(ears: Ears, content: bytes, voice: bytes | None, order: Order, wanted: Wanted) -> list[Finding]:
    try:
        sound = hearing.decode(ears, content)
    except hearing.UndecodableError as error:
        return [Finding("decodable", Outcome.FAILED, str(error)), *gates.unheard("it cannot be decoded")]
    decodable = Finding(
        "decodable", Outcome.PASSED, f"{sound.duration:.1f} s, {len(sound.channels)} channel{'s' * (len(sound.channels) > 1)}"
    )
    found = [decodable, *gates.judge_sound(sound, text=order.spoken, rate=wanted.rate)]
    heard = hearing.listen(ears, content, voice)
    return [*found, *(gates.unheard(heard) if isinstance(heard, str) else gates.judge_heard(heard, text=order.spoken))]


def _judge_picture(content: bytes, order: Order) -> list[Finding]:
    width, height = order.size
    return picture.judge(content, width=width, height=height)


def _keep(folder: str, file: Mapping[str, Any], content: bytes, tell: Tell) -> str:
    """Put what was made into the folder that was asked for; its name there, empty where there is none.

    A full disk is no reason to lose the verdict on what may have taken minutes to make, and ComfyUI has kept it too.
    """
    if not folder:
        return ""
    target = os.path.join(folder, os.path.basename(str(file["filename"])))
    try:
        with open(target, "wb") as kept:
            kept.write(content)
    except OSError as error:
        tell(f"cannot keep {target}: {error.strerror}; it is judged all the same")
        with contextlib.suppress(OSError):
            os.unlink(target)  # half a clip
        return ""
    return target
