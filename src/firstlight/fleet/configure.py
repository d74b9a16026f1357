"""From a pod or a template and what is wished of it to a plan. Pure."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from firstlight import settings
from firstlight.apps import recipes
from firstlight.fleet import cuda, plan, previous, start
from firstlight.fleet.plan import Plan
from firstlight.providers.runpod import shapes
from firstlight.providers.runpod.shapes import Container, Pod, Template

TOKEN = settings.TOKEN
LEASE = settings.LEASE

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PORT = re.compile(r"([0-9]{1,5})/(http|tcp)")
# A path in a word, or in a line for a shell.
_PATH = re.compile(r"(?<![\w.:/~$}*-])/[\w.-]+(?:/[\w.@+-]+)*")
_OF_THE_SYSTEM = tuple(f"/{name}/" for name in "bin dev etc lib lib64 proc run sbin sys tmp usr".split())
_OUR_PORTS = (f"{start.PORT}/http", "22/tcp")


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What was asked for on the command line."""

    command: tuple[str, ...] = field(default=(), repr=False)  # the app's; empty: the one that is there
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)  # of `run`, by the name of the setting
    without: bool = False  # no companions
    unpublished: bool = False  # SSH sessions do not get the app's environment
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    unset: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    program: str = ""
    in_image: bool = False  # the program is part of the image
    lose_disk: bool = False


def configure(container: Container, wishes: Wishes, *, token: str) -> Plan:
    """What the container is to become; `token` is for one that has none."""
    refusals = plan.forbidden(container, lose_disk=wishes.lose_disk) + _wrong(wishes)
    warnings = plan.warnings(container)
    try:
        found, words = _start(container, wishes)
        remembered = previous.read(container.env)
    except ValueError as error:
        return _refused(container, [*refusals, str(error)])
    warnings += words

    ports = (*container.ports, *dict.fromkeys(port for port in (*_OUR_PORTS, *wishes.ports) if port not in container.ports))
    env = {name: value for name, value in container.env.items() if name not in wishes.unset} | dict(wishes.env)
    if isinstance(container, Template) and container.public:
        warnings.append(f"it is public, and so are its variables: it gets no {TOKEN}; configure each pod that is made from it")
    else:
        env.setdefault(TOKEN, token)
    command = start.compose(found)
    args = container.args if command == container.command else command.args
    note = previous.write(previous.remember(remembered, container, args=args, env=env, ports=ports))
    env[previous.NAME] = note

    try:
        start.check(found.options, env)
    except ValueError as error:
        refusals.append(str(error))
    refusals += plan.excess(container, args=args, env=env, ports=ports)
    if len(note.encode()) > previous.LONGEST:
        refusals.append(f"what would have to be remembered for `pod restore` is {len(note.encode())} bytes long, of {previous.LONGEST}")
    if found.program.startswith("/"):
        refusals += _volume_refusals(container, found.program, in_image=wishes.in_image)
    warnings += _advice(container, found, ports)
    return Plan(before=container, args=args, env=env, ports=ports, warnings=tuple(warnings), refusals=tuple(refusals))


def restore(container: Container, *, lose_disk: bool) -> Plan:
    """The container as it was before it was configured for the first time."""
    refusals = plan.forbidden(container, lose_disk=lose_disk)
    try:
        remembered = previous.read(container.env)
    except ValueError as error:
        return _refused(container, [*refusals, str(error)])
    if remembered is None:
        return _refused(
            container, [*refusals, f"it carries no {previous.NAME}: firstlight has not configured it, or it is restored already"]
        )
    was = previous.restore(remembered, container)
    return Plan(
        before=container,
        args=was.args,
        env=was.env,
        ports=was.ports,
        warnings=(*plan.warnings(container), *was.kept),
        refusals=tuple(refusals),
    )


def _refused(container: Container, refusals: list[str]) -> Plan:
    return Plan(before=container, args=container.args, env=container.env, ports=container.ports, refusals=tuple(refusals))


def _wrong(wishes: Wishes) -> list[str]:
    """What of the wishes cannot be, whatever the container is."""
    found = [f"{name!r} cannot be the name of a variable" for name in (*wishes.env, *wishes.unset) if not _NAME.fullmatch(name)]
    found += [f"the value of {name} holds what no variable can" for name, value in wishes.env.items() if not _is_text(value)]
    found += [f"{name} is firstlight's own" for name in (previous.NAME, LEASE) if name in wishes.env or name in wishes.unset]
    found += [f"{name} is both to be set and to be unset" for name in wishes.env if name in wishes.unset]
    for port in wishes.ports:
        match = _PORT.fullmatch(port)
        if not match or not 0 < int(match[1]) <= 65535:
            found.append(f"{port!r} is no port: give it as 8188/http or 22/tcp")
    if wishes.program and not wishes.program.startswith("/"):
        found.append(f"{wishes.program!r} is no absolute path")
    elif posixpath.normpath(wishes.program or "/") != (wishes.program or "/"):
        found.append(f"{wishes.program!r} goes through `.` or `..`: give it straight")
    if wishes.command and not wishes.command[0]:
        found.append("the first word of the command names the program, and it is empty")
    if not all(_is_text(word) for word in wishes.command):
        found.append("the command holds what no text can")
    return found


def _is_text(value: str) -> bool:
    if "\0" in value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _start(container: Container, wishes: Wishes) -> tuple[start.Start, list[str]]:
    """The start command, and what to say of it.

    Raises:
        ValueError: there is no app's command to be had, or the wishes contradict it.
    """
    words: list[str] = []
    old = start.recognise(container.command)
    options = dict(start.DEFAULTS) if old is None or not old.guarded else {}
    if old is not None:
        options |= old.options
    options |= {"serve": (start.SERVE,)} | dict(wishes.options)
    if wishes.without:
        if "with" in wishes.options:
            raise ValueError("--with and --no-with contradict each other")
        options.pop("with", None)
    if wishes.unpublished:
        if "publish-env" in wishes.options:
            raise ValueError("--publish-env and --no-publish-env contradict each other")
        options.pop("publish-env", None)
    command = wishes.command or (old.command if old else _app_command(container, words))
    if any(start.names_image_start([companion]) for companion in options.get("with", ())) and start.names_image_start(command):
        raise ValueError(
            f"its command starts {start.IMAGE_START} itself, which would run twice: add --no-with, or give the command without it after --"
        )
    if start.runs_firstlight(command):
        raise ValueError("its command runs firstlight itself, which would then run twice: give the app's own command after --")
    program = wishes.program or (old.program if old and old.guarded else start.PROGRAM)
    return start.Start(program=program, options=options, command=command), words


def _app_command(container: Container, words: list[str]) -> tuple[str, ...]:
    """What the container starts so far, as the app's command."""
    found = container.command
    if not found.cmd and not found.entrypoint:
        raise ValueError("it starts what its image names, which RunPod does not tell: give the app's command after --")
    if not found.cmd:
        raise ValueError("the arguments of its command are the image's, which RunPod does not tell: give the whole command after --")
    if start.is_image_start((*found.entrypoint, *found.cmd)):
        raise ValueError(f"it starts nothing but the image's {start.IMAGE_START}: give the app's command after --")
    if not found.entrypoint:
        words.append(
            "an ENTRYPOINT of the image, where it has one, stood before this command, and does so no more: "
            "if the app needs it, give the whole command after --"
        )
    return (*found.entrypoint, *found.cmd)


def _volume_refusals(container: Container, program: str, *, in_image: bool) -> list[str]:
    """A program that is on no volume would be gone at the next start."""
    paths = plan.mount_paths(container)
    if in_image or any(program.startswith(path.rstrip("/") + "/") for path in paths):
        return []
    if isinstance(container, Template) and not paths:
        return []  # a network volume is given to each pod when it is made
    where = f"its volume is at {' and '.join(paths)}" if paths else "it has no volume"
    return [f"{program} would not be there at the next start: {where}; say --program PATH, or --in-image where the image brings it"]


def _advice(container: Container, found: start.Start, ports: tuple[str, ...]) -> list[str]:
    """What is worth knowing before it is done."""
    words = []
    if isinstance(container, Template) and not plan.mount_paths(container):
        words.append(f"it has no volume: give each pod that is made from it one that holds {found.program}")
    if isinstance(container, Pod) and container.gpu is None and found.options.get("gpus") != ("none",):
        words.append("it has no GPU, and firstlight will wait for one: --gpus none starts the app without")
    if found.options.get("on-failure") == ("exit",):
        words.append("RunPod starts a container again whenever it ends, and bills for it: --on-failure hold stays up instead")
    if any(os.path.basename(word) == "start_comfyui.sh" for word in found.command):
        words.append("start_comfyui.sh, as `firstlight install` makes it, runs firstlight itself: give the app's own command after --")
    if isinstance(container, Pod) and container.status != shapes.EXITED and (outside := _outside(container, found.command)):
        words.append(f"its command names {', '.join(outside)}, on no volume: unless the image brings it, it is lost")
    words += _port_advice(found, ports)
    if (needed := cuda.minimum(container.image)) is not None:
        words.append(f"its image needs a host with CUDA {needed} or newer: RunPod lets that be asked for when a pod is made, and not later")
        if isinstance(container, Pod) and container.cuda_version and cuda.older(container.cuda_version, needed):
            words.append(f"its host offers CUDA {container.cuda_version}, which is too old for it: `firstlight pod relocate` finds another")
    return words


def _outside(container: Container, command: Sequence[str]) -> list[str]:
    """What a command names that lies on no volume. RunPod tells nothing of a pod's files, so that is all that can be seen of data there."""
    within = tuple(f"{path.rstrip('/')}/" for path in plan.mount_paths(container))
    named = [path for word in command for path in _PATH.findall(word)]
    return [path for path in dict.fromkeys(named) if not path.startswith((*within, *_OF_THE_SYSTEM)) and path != start.IMAGE_START]


def _port_advice(found: start.Start, ports: tuple[str, ...]) -> list[str]:
    try:
        recipe = recipes.recipe(found.options["app"][-1])
        port = recipe.port_for(found.command, int(found.options.get("port", ("0",))[-1]))
    except (KeyError, ValueError):
        return []  # no recipe, or a wrong word, which is refused elsewhere
    if any(exposed.partition("/")[0] == str(port) for exposed in ports):
        return []
    return [f"the app's port is not exposed: add --expose {port}/http to reach it through RunPod's proxy, which lets in everybody"]


assert {"with", "serve", "app", "port", "gpus", "on-failure"} <= {option.name for option in settings.OPTIONS}
