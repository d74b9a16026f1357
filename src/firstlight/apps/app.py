"""The shape of a check, of a log pattern and of a recipe. Data alone: who asks and who acts is elsewhere.

    recipe = recipes.recipe("comfyui")              # an App, or ValueError with the words for whoever named it
    port = recipe.port_for(command, settings_port)  # the setting, else --port in the command, else the recipe's own
    checks = recipe.checks_for(command, port)       # tuple[Check, ...]; add those of apps/parse.py to them
    order = [check_json(check) for check in checks if check.asked]   # for programs/check_app.py
    lines = patterns_json(recipe.patterns, checks)  # for the pump: id, regex and marks of each line to look for

What a failure of a check means for the app is decided in supervise/health.py.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

# Stands for the command line of a program of ours, whose name is the next word.
PROGRAM = "{program}"

# What a value of a JSON answer can be compared with.
Scalar = str | int | float | bool | None


class Kind(Enum):
    """How a check is answered. The first three ask the app; the other two listen to it."""

    HTTP = "http"
    TCP = "tcp"
    EXEC = "exec"
    LOG = "log"  # a line of the app's output: proves `ready`, disproves `alive`
    NOTIFY = "notify"  # READY=1 on the app's NOTIFY_SOCKET


class Level(Enum):
    """What a check is about."""

    ALIVE = "alive"  # the app works at all: where it does not, only a new start helps
    READY = "ready"  # the app can be given work


class OnFailure(Enum):
    """What a failed check asks for."""

    RESTART = "restart"
    NOTE = "note"


class Meaning(Enum):
    """What a line of the app's output, or the failure of a check, says beyond itself."""

    CUDA = "cuda"  # CUDA failed: if the app ends now, that is why
    POISONED = "poisoned"  # its CUDA context is broken for good: the app may live on, but will compute nothing
    ZOMBIE = "zombie"  # it serves, but what does the work is dead
    TOLD = "told"  # no more than evidence: what it means the faults of the app say (faults/app)


class Relation(Enum):
    """What a rule asks of one value."""

    EQUALS = "equals"
    EMPTY = "empty"  # "", [] or {}
    NOT_EMPTY = "not-empty"
    PRESENT = "present"
    OFFERS = "offers"  # somewhere in it is this text


@dataclass(frozen=True)
class Rule:
    """A rule on the JSON that an HTTP check is answered with.

    `path` leads to the value: keys and numbers of elements with dots between them, "." for all of the answer.
    """

    path: str
    relation: Relation
    value: Scalar = None
    needs_gpu: bool = False  # left out where the app's command says that it shall run without one

    def __str__(self) -> str:
        words = f"{self.path} {self.relation.value}"
        return f"{words} {self.value}" if self.relation in (Relation.EQUALS, Relation.OFFERS) else words


@dataclass(frozen=True, kw_only=True)
class Check:
    """One question about the app, and how often it is put. Durations are seconds."""

    name: str
    level: Level
    kind: Kind
    target: str = ""  # http: the URL; tcp: HOST:PORT; log: the regex
    command: tuple[str, ...] = ()  # exec: its words; no shell reads them. A first word of PROGRAM: a program of ours, by its name
    period: float = 10.0
    timeout: float = 3.0
    threshold: int = 3  # failures in a row that make it failed; one success makes it well
    start_period: float = 600.0  # so long, or until the first success, failures do not count
    start_interval: float = 0.25  # the period until then: a cold start is awaited, not sampled
    once: bool = False  # after its first success in a life it is not put again
    last: bool = False  # put only while all others that are asked are well
    tells: bool = False  # exec: the last line that it prints says more than its exit code, as an object of JSON
    on_failure: OnFailure = OnFailure.NOTE
    means: Meaning | None = None  # what its failure means; None: no more than that it failed
    status: tuple[int, ...] = ()  # http: the codes that are well; none: 200 to 399
    expect: tuple[Rule, ...] = ()  # http: all must hold
    fail_when: tuple[Rule, ...] = ()  # http: it fails when all of these hold; with no `expect`, only then
    headers: tuple[tuple[str, str], ...] = ()  # http: sent with the request

    @property
    def asked(self) -> bool:
        """It is put to the app by the checker; the others are answered by what the app prints or sends."""
        return self.kind in (Kind.HTTP, Kind.TCP, Kind.EXEC)


@dataclass(frozen=True)
class Pattern:
    """A line of the app's output that means something. The regex is searched in a line, as bytes without its end.

    Every line that fits has one of `marks` in it: looking for them costs a hundredth of the regex, and an app may print a lot.
    """

    name: str
    meaning: Meaning
    marks: tuple[bytes, ...]
    regex: bytes


@dataclass(frozen=True, kw_only=True)
class App:
    """A recipe: what is known of one app."""

    name: str
    words: str  # what it is, for the page of recipes
    port: int
    port_flag: str = "--port"  # by which its command may name another
    start_budget: float = 600.0  # seconds that a start may take; failed checks mean nothing before that
    checks: tuple[Check, ...]  # {port} stands for the port; `start_budget` is the start period of each
    patterns: tuple[Pattern, ...] = ()
    defaults: Mapping[str, str] = field(default_factory=dict)  # settings that it changes, by the name of the setting
    no_gpu_flags: tuple[str, ...] = ()  # words of the command with which it runs without a GPU on purpose
    node: Check | None = None  # {node} stands for the class that is wanted
    legs: Mapping[str, str] = field(default_factory=dict)  # the leg of a boot that a check or a pattern ends (journal/legs.py)
    look: str = ""  # the program that looks, before each start, at what the app will find

    def without_gpu(self, command: Sequence[str]) -> bool:
        """Whether the command says that it shall run without a GPU."""
        return any(word in self.no_gpu_flags for words in command for word in words.split())

    def port_for(self, command: Sequence[str], setting: int = 0) -> int:
        """The port where the app will listen: as set (0 is not), else as its command says, else its own."""
        if setting:
            return setting
        named = re.findall(rf"(?:^|\s){self.port_flag}[=\s]+(\d{{1,5}})(?=\s|$)", " ".join(command))
        return int(named[-1]) if named else self.port

    def checks_for(self, command: Sequence[str], port: int, node: str = "", model: str = "") -> tuple[Check, ...]:
        """Its checks for this command on this port; with that of a node, and of a model that the node must offer, where they are wanted."""
        without_gpu = self.without_gpu(command)
        checks = self.checks if self.node is None or not node else (*self.checks, _of_node(self.node, node, model))
        return tuple(self._fitted(check, port, without_gpu=without_gpu) for check in sorted(checks, key=lambda check: check.once))

    def _fitted(self, check: Check, port: int, *, without_gpu: bool) -> Check:
        expect = tuple(rule for rule in check.expect if not (without_gpu and rule.needs_gpu))
        command = tuple(word.replace("{port}", str(port)) for word in check.command)
        target = check.target.replace("{port}", str(port))
        return replace(check, target=target, command=command, expect=expect, start_period=self.start_budget)


def _of_node(check: Check, node: str, model: str) -> Check:
    """The check of a node's class, and that it offers a model."""
    offers = (Rule(".", Relation.OFFERS, model),) if model else ()
    return replace(check, target=check.target.replace("{node}", urllib.parse.quote(node, safe="")), expect=(*check.expect, *offers))


def interpreter_of(command: Sequence[str]) -> str:
    """The Python that a command starts, also through a shell's words; empty where it names none."""
    words = [word for text in command for word in text.split()]
    return next((word for word in words if re.fullmatch(r"(?:.*/)?python[\d.]*", word)), "")


def check_json(check: Check) -> dict[str, Any]:
    """A check that is `asked`, as programs/check_app.py reads it."""
    return {
        "name": check.name,
        "kind": check.kind.value,
        "target": check.target,
        "command": list(check.command),
        "period": check.period,
        "timeout": check.timeout,
        "threshold": check.threshold,
        "start_period": check.start_period,
        "start_interval": check.start_interval,
        "once": check.once,
        "last": check.last,
        "tells": check.tells,
        "status": list(check.status),
        "expect": [_rule_json(rule) for rule in check.expect],
        "fail_when": [_rule_json(rule) for rule in check.fail_when],
        "headers": [list(header) for header in check.headers],
    }


def _rule_json(rule: Rule) -> dict[str, Any]:
    return {"path": rule.path, "relation": rule.relation.value, "value": rule.value}


def patterns_json(patterns: Iterable[Pattern], checks: Iterable[Check]) -> list[dict[str, Any]]:
    """What to look for in the app's output: the patterns of its recipe, and its log checks under their own names.

    Without marks, each line is to be searched.
    """
    lines = [_pattern_json(pattern.name, pattern.regex.decode(), [mark.decode() for mark in pattern.marks]) for pattern in patterns]
    return lines + [_pattern_json(check.name, check.target, []) for check in checks if check.kind is Kind.LOG]


def _pattern_json(name: str, regex: str, marks: list[str]) -> dict[str, Any]:
    return {"id": name, "regex": regex, "marks": marks}
