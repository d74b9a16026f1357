"""The start command of a configured pod: written, and read back. Pure."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from firstlight import errors, settings
from firstlight.apps import parse, recipes
from firstlight.apps.app import Level
from firstlight.providers.runpod.shapes import Command
from firstlight.settings import masking

# Where `firstlight install` puts the one file.
PROGRAM = "/workspace/firstlight/firstlight.pyz"
# What the images of RunPod start: nginx, sshd, Jupyter.
IMAGE_START = "/start.sh"
# Where a configured pod has its health and its status page; who asks it from outside relies on it.
PORT = 8421
SERVE = f"0.0.0.0:{PORT}"

# RunPod starts a container that has ended again, for ever, and bills for it. So the program is asked for its version before
# it becomes the container: a volume that is not mounted, a copy that was cut off, a Python that is too old must not end it.
# That costs a tenth of a second. A .pyz goes to python3 itself: neither `env -S` nor the file's mode can be in its way.
_MARK = ": firstlight; "
GUARD = _MARK + (
    "case $0 in *.pyz) p='python3 -IS';; *) p=;; esac; "
    "if [ ! -e \"$0\" ]; then w='there is no such file'; "
    'elif w=$($p "$0" --version 2>&1); then exec $p "$0" "$@"; fi; '
    'echo "firstlight: cannot start $0: ${w:-it ends with an error}; the pod\'s app is not started" >&2; '
    f"if [ -x {IMAGE_START} ]; then exec {IMAGE_START}; fi; "
    "exec tail -f /dev/null"
)

DEFAULTS: Mapping[str, tuple[str, ...]] = {"with": (IMAGE_START,), "on-failure": ("hold",), "publish-env": ("true",)}

_OPTIONS = {option.name: option for option in settings.OPTIONS}
_NAMES_IMAGE_START = re.compile(rf"(?<![\w./-]){re.escape(IMAGE_START)}(?![\w./-])")
_RUNS_FIRSTLIGHT = re.compile(r"(?:^|[\s;&|(/\"'])firstlight(?:\.pyz)?[\"']?\s+run(?:\s|$)", re.MULTILINE)
_SHELLS = ("sh", "bash", "dash")


@dataclass(frozen=True, kw_only=True)
class Start:
    """`firstlight run` as the start command of a pod."""

    program: str
    options: Mapping[str, tuple[str, ...]] = field(repr=False)  # by the name of the setting; a switch has the value true
    command: tuple[str, ...] = field(repr=False)  # the app's
    guarded: bool = True  # it is as `compose` writes it; False for one that somebody wrote by hand


def compose(start: Start) -> Command:
    """The command to store."""
    words = []
    for name, option in _OPTIONS.items():
        for value in start.options.get(name, ()):
            if option.kind.switch:
                words += [f"--{name}"] if value == "true" else []
            else:
                words += [f"--{name}={value}"] if value.startswith("-") or value == "" else [f"--{name}", value]
    return Command(entrypoint=("/bin/sh", "-c", GUARD, start.program), cmd=("run", *words, "--", *start.command))


def recognise(command: Command) -> Start | None:
    """What such a command says, also in the form of an earlier version or of one that was written by hand; None where it is another's.

    Raises:
        ValueError: it is `firstlight run`, yet not as this version knows it.
    """
    words = (*command.entrypoint, *command.cmd)
    guarded = words[:2] == ("/bin/sh", "-c") and len(words) > 4 and words[2].startswith(_MARK)
    place = 3 if guarded else _program(words)
    if place is None or words[place + 1 : place + 2] != ("run",):
        return None
    rest = words[place + 2 :]
    if "--" not in rest:
        raise ValueError("its `firstlight run` names no command")
    end = rest.index("--")
    return Start(program=words[place], options=_options(rest[:end]), command=rest[end + 1 :], guarded=guarded)


def _program(words: Sequence[str]) -> int | None:
    """Where firstlight stands, at the head or behind an interpreter with its flags."""
    for place, word in enumerate(words):
        if os.path.basename(word) in ("firstlight", "firstlight.pyz"):
            return place
        is_interpreter = place == 0 and os.path.basename(word).startswith("python")
        if not is_interpreter and not (place and word.startswith("-")):
            return None
    return None


def _options(words: Sequence[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    waiting = iter(words)
    for word in waiting:
        name, equals, value = word.removeprefix("--").partition("=")
        option = _OPTIONS.get(name) if word.startswith("--") else None
        if option is None:
            shown = word.partition("=")[0] if word.startswith("--") else "one that is no option"
            raise ValueError(f"its `firstlight run` has a word that this version does not know: {shown}")
        if option.kind.switch:
            value = "true"
        elif not equals:
            value = next(waiting, "")
        found[name] = (*found.get(name, ()), value) if option.many else (value,)
    return found


def names_image_start(words: Sequence[str]) -> bool:
    """Whether the command starts the image's /start.sh itself, by its own words or in a line for a shell."""
    return any(_NAMES_IMAGE_START.search(word) for word in words)


def runs_firstlight(words: Sequence[str]) -> bool:
    """Whether the command is `firstlight run`, or a line for a shell that holds it."""
    return _RUNS_FIRSTLIGHT.search("\n".join(words)) is not None


def is_image_start(words: Sequence[str]) -> bool:
    """Whether the command is the image's /start.sh and nothing more."""
    *shell, last = words or ("",)
    return last == IMAGE_START and all(os.path.basename(word) in _SHELLS or word.startswith("-") for word in shell)


def check(options: Mapping[str, tuple[str, ...]], env: Mapping[str, str]) -> None:
    """Look whether `run` will take these options with these variables: where it does not, the pod would start over and over.

    Raises:
        ValueError: it will not; the message says which.
    """
    flags = {_OPTIONS[name].field: list(values) if _OPTIONS[name].many else values[-1] for name, values in options.items() if values}
    variables = {name: value for name, value in env.items() if name.startswith("FIRSTLIGHT_") and not value.startswith("{{")}
    try:
        # The file of settings that they may name is the pod's; it is not here.
        found = settings.load({**flags, "config": "none"}, variables)
        odd = recipes.misfit(found.app, node=found.node, model=found.model, accept=found.accept)
        if odd is not None:
            raise found.wrong(odd[0], f"{masking.quoted(getattr(found, odd[0]))}: {odd[1]}")
        for level, specs in ((Level.ALIVE, found.alive), (Level.READY, found.ready)):
            for number, spec in enumerate(specs, 1):
                _spec(spec, level, number)
    except errors.Error as error:
        raise ValueError(str(error)) from None


def _spec(text: str, level: Level, number: int) -> None:
    try:
        parse.spec(text, level, f"{level.value}-{number}")
    except ValueError as error:
        raise ValueError(f"cannot take --{level.value}: {masking.quoted(text)}: {masking.masked(str(error))}") from None
