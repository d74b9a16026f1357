"""What was found of a pod, judged: yes, no, or not yet. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from firstlight import settings
from firstlight.apps import recipes
from firstlight.apps.app import Kind
from firstlight.fleet import inside, start
from firstlight.fleet.inside import Report
from firstlight.providers.runpod import shapes
from firstlight.providers.runpod.shapes import Pod

# Ports that the images of RunPod publish for people, and no app's.
_NO_APPS = (start.PORT, 8888)

_LONGEST_WORDS = 300


@dataclass(frozen=True)
class Yes:
    """It is so."""

    words: str


@dataclass(frozen=True)
class No:
    """It is not, and waiting will not change that."""

    words: str


@dataclass(frozen=True)
class NotYet:
    """It is not, and may come to be."""

    words: str


Verdict = Yes | No | NotYet


def status(pod: Pod, *, settled: bool) -> Verdict:
    """Whether its container runs. Until `settled` the service may still tell of before the start."""
    if pod.status == shapes.RUNNING:
        if zero_gpu(pod):
            return No(f"it was started without a GPU, though it has a {pod.gpu}")
        gpus = f"{pod.gpu_count} x {pod.gpu}" if pod.gpu else "no GPU"
        return Yes(f"RUNNING with {gpus}{f' in {pod.data_center}' if pod.data_center else ''}")
    if pod.status == shapes.TERMINATED or (settled and pod.status in (shapes.EXITED, shapes.ERROR)):
        return No(f"it is {pod.status}")
    return NotYet(f"it is {pod.status}")


def zero_gpu(pod: Pod) -> bool:
    """The service has started it without the GPU that it is for."""
    return pod.gpu is not None and pod.gpu_count == 0


def cuda(report: Report) -> Verdict:
    """Whether the pod has proven its GPUs."""
    cause = f"{report.cause.fault}: {report.cause.sentence}" if report.cause else ""
    if report.hold is not None or report.stage in inside.OVER:
        return No(_join(f"it {'holds' if report.stage == 'hold' else 'has ended'}", cause or report.hold or report.words))
    if report.stage in inside.COMING_UP:
        return NotYet(_join(report.words, cause))
    count = len(report.gpus)
    gpus = f"{count} GPU{'s' if count != 1 else ''} proven"
    if report.condition == "failed" or (report.expected is not None and count < report.expected):
        return No(_join(f"{gpus} of {report.expected}" if report.expected is not None else gpus, cause))
    if not count:
        return No("it proves no GPU: its firstlight was told --gpus none")
    return Yes(_join(f"{gpus} by its own kernel{f', driver {report.driver}' if report.driver else ''}", cause))


def ready(report: Report) -> Verdict:
    """Whether the app is ready."""
    if report.hold is not None or report.stage in inside.OVER:
        return No(report.words)
    if not report.ready:
        return NotYet(report.words)
    return Yes("ready" if report.ready_after is None else f"ready {report.ready_after:.1f} s after its boot began")


def doctor(code: int | None, out: bytes, err: bytes, *, proven: Sequence[str]) -> Verdict:
    """What `firstlight doctor` found in a session. `proven` are the GPUs that the pod told of; none where it told nothing."""
    try:
        told = json.loads(out[max(out.find(b"{"), 0) :])  # the session's own files may have greeted somebody
        usable, verdict, cause = int(told["usable"]), str(told["verdict"]), told["root_cause"]
        uuids = [str(gpu["uuid"]) for gpu in told["gpus"] if gpu.get("proven") is True]
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        lines = [line for line in err.decode("utf-8", "replace").splitlines() if line.strip()]
        return No(f"its doctor gave no diagnosis: exit code {code}{': ' + lines[-1].strip()[:_LONGEST_WORDS] if lines else ''}")
    named = f" ({cause})" if cause else ""
    if code not in (0, 2) or verdict == "ill" or not usable or len(uuids) < usable:
        return No(f"CUDA does not work in a session{named}, though it may for the app: is publish-env on?")
    if proven and not set(uuids) & set(proven):
        return No(f"the session proves {', '.join(uuids)}, and the pod {', '.join(proven)}: these are two machines")
    return Yes(f"{usable} GPU{'s' if usable != 1 else ''} proven in a session{named}")


def answer(code: int, app: App) -> Verdict:
    """What an answer of the proxy says of the app behind it.

    By then the proxy knows the pod's other port: a refusal of a page that nothing promises is the app's own.
    """
    return Yes(f"HTTP {code}") if code < (400 if app.promised else 500) else NotYet(f"HTTP {code}")


def program(pod: Pod) -> str | None:
    """Where firstlight lies in a pod that is started with it; None where nothing in its command is firstlight."""
    words = [*pod.command.entrypoint, *pod.command.cmd]
    return next((word for word in words if word.rpartition("/")[2] in ("firstlight", "firstlight.pyz")), None)


@dataclass(frozen=True)
class App:
    """Where an app is to answer.

    Attributes:
        path: what is asked for.
        promised: there is something at that path.
    """

    port: int
    path: str = "/"
    promised: bool = False


def app(pod: Pod) -> App | None:
    """Where the app is to answer the world; None where nothing tells.

    It is where the recipe that firstlight is told in the pod asks it; else the first port that is published and may be an app's.
    """
    cmd = list(pod.command.cmd)
    place = cmd.index("--") if "--" in cmd else len(cmd)
    name = _told(pod, cmd[:place], "app")
    if name in recipes.RECIPES:
        port = _told(pod, cmd[:place], "port")
        recipe = recipes.RECIPES[name]
        number = recipe.port_for(cmd[place + 1 :], int(port) if port.isdecimal() else 0)
        paths = [urlsplit(check.target).path for check in recipe.checks if check.kind is Kind.HTTP]
        return App(number, paths[0] or "/", promised=True) if paths else App(number)
    ports = [port.partition("/") for port in pod.ports]
    published = [int(number) for number, _, kind in ports if kind == "http" and number.isdecimal()]
    return next((App(port) for port in published if port not in _NO_APPS), None)


def _told(pod: Pod, words: Sequence[str], name: str) -> str:
    """The value of a setting in a pod's command, else in its environment; of a flag the last one counts."""
    flag = f"--{name}"
    found = pod.env.get(next(option.variable for option in settings.OPTIONS if option.name == name), "")
    for place, word in enumerate(words):
        if word == flag and place + 1 < len(words):
            found = words[place + 1]
        elif word.startswith(f"{flag}="):
            found = word.partition("=")[2]
    return found


def _join(*parts: str) -> str:
    return "; ".join(part for part in parts if part)
