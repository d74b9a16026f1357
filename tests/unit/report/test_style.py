"""When there are colours, which marks a stream can carry, and how lines are broken."""

from __future__ import annotations

import pytest

from firstlight.report.style import WIDTH, Style, choose, fit, printable, wrap


@pytest.mark.parametrize(
    ("colour", "environment", "terminal"),
    [
        (True, {"TERM": "xterm"}, True),
        (False, {"TERM": "xterm"}, False),
        (False, {"TERM": "dumb"}, True),
        (False, {}, True),
        (False, {"TERM": "xterm", "NO_COLOR": "1"}, True),
        (True, {"TERM": "xterm", "NO_COLOR": ""}, True),
        (True, {"FORCE_COLOR": "1"}, False),
        (True, {"FORCE_COLOR": "1", "TERM": "dumb"}, True),
        (False, {"FORCE_COLOR": "0", "TERM": "xterm"}, True),
        (False, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, True),
    ],
)
def test_colours_follow_the_usual_variables_and_then_the_terminal(colour: bool, environment: dict[str, str], terminal: bool) -> None:
    assert choose(environment, terminal=terminal, encoding="utf-8").colour is colour


@pytest.mark.parametrize(
    ("unicode", "encoding"), [(True, "utf-8"), (False, "ascii"), (False, "latin-1"), (False, None), (False, "no such encoding")]
)
def test_marks_fall_back_where_the_encoding_lacks_them(unicode: bool, encoding: str | None) -> None:
    assert choose({}, terminal=False, encoding=encoding).unicode is unicode


def test_text_without_colour_is_left_alone() -> None:
    assert Style().paint("text", "red") == "text"
    assert Style(colour=True).paint("text", "red", "bold") == "\x1b[31;1mtext\x1b[0m"


def test_an_ascii_stream_gets_ascii_only() -> None:
    plain = Style(unicode=False)
    assert fit(f"{plain.mark('good')} café", plain) == "+ caf\\xe9"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", "\\x1b[2J"),
        ("a\nb", "a\\nb"),
        ("\u202etxt", "\\u202etxt"),
        ("\udce9", "\\udce9"),
        ("\x9b", "\\x9b"),
        ("plain Ω", "plain Ω"),
    ],
)
def test_what_a_terminal_could_obey_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_command_is_never_broken() -> None:
    command = "`mknod -m 666 /dev/nvidia-uvm c 234 0`"
    lines = wrap(f"{'word ' * 16}{command} and more words behind it", "  ")
    assert any(command in line for line in lines)
    assert all(len(line) <= WIDTH for line in lines)
