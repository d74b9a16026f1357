"""A start command, from words to the form that RunPod stores and back."""

from __future__ import annotations

import json
import shlex

import pytest
from hypothesis import example, given, strategies

from firstlight.providers.runpod import shapes
from firstlight.providers.runpod.shapes import Command, command

# Any text that can be an argument of a program and travel through JSON: no NUL, no half of a pair.
words = strategies.text(strategies.characters(exclude_characters="\0", exclude_categories=("Cs",)))
hostile = strategies.sampled_from(
    ['"', "'", "\\", "$(touch /x)", "`x`", "a b", "\n", "é😀\u2028", '{"cmd":["x"]}', "[]", "--", "", "null", "\ufeff"]
)
several = strategies.lists(words | hostile, max_size=6).map(tuple)


@given(several, several)
@example(("/bin/sh", "-c", 'test -x "$0" && exec "$0" "$@"\nexec sleep infinity'), ("run", "--", "python", '{"cmd":["x"]}'))
def test_any_command_survives(entrypoint: tuple[str, ...], cmd: tuple[str, ...]) -> None:
    meant = Command(entrypoint, cmd)

    assert command(meant.args) == meant
    # As the service tells it: as text within JSON, in either spelling of what is not ASCII.
    for ascii_alone in (True, False):
        stored = json.loads(json.dumps({"id": "p", "args": meant.args}, ensure_ascii=ascii_alone).encode())
        assert shapes.pod(stored).command == meant


@given(several, several)
def test_a_generation_that_tells_both_parts_alone_is_read_the_same(entrypoint: tuple[str, ...], cmd: tuple[str, ...]) -> None:
    told = {"id": "p", "args": None, "entrypoint": list(entrypoint), "cmd": list(cmd)}

    assert shapes.pod(told).command == Command(entrypoint, cmd)


@given(strategies.text() | hostile | strategies.text("[]{}\"',: \\cmdentrypoi"))
@example("[" * 5000)
@example('{"cmd": ' * 5000)
@example("1" * 10_000)
def test_any_stored_form_is_read(args: str) -> None:
    assert all(isinstance(word, str) for word in (*command(args).entrypoint, *command(args).cmd))


@given(several)
def test_what_is_no_json_is_split_as_a_shell_does(cmd: tuple[str, ...]) -> None:
    line = shlex.join(cmd)
    if not line.startswith("{"):
        assert command(line) == Command(cmd=cmd)


@pytest.mark.parametrize(
    ("args", "meant"),
    [
        ("", Command()),
        ("bash -lc 'python x.py'", Command(cmd=("bash", "-lc", "python x.py"))),
        ("python it's.py", Command(cmd=("python", "it's.py"))),  # the lexer fails: split at blanks
        ("a && b", Command(cmd=("a", "&&", "b"))),  # no shell runs it
        ('{"cmd": ["a b"]}', Command(cmd=("a b",))),
        ('{"entrypoint": ["sh"], "cmd": []}', Command(("sh",))),
        ('{"cmd": "a"}', Command(cmd=("{cmd:", "a}"))),  # JSON, and not of this form
        ('{"cmd": [1]}', Command(cmd=("{cmd:", "[1]}"))),
        ('{"cmd": ["a"], "env": ["b"]}', Command(cmd=("{cmd:", "[a],", "env:", "[b]}"))),
        ("{}", Command()),
        ('["a"]', Command(cmd=("[a]",))),
        ("null", Command(cmd=("null",))),
    ],
)
def test_the_forms_of_the_documents(args: str, meant: Command) -> None:
    assert command(args) == meant
