"""The file that SSH sessions read, and the shells' own files that lead to it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies

from firstlight.programs import publish_environment as program

SHELLS = [path for path in map(shutil.which, ("bash", "dash", "zsh")) if path]
DUMP = f'{sys.executable} -I -S -c "import json, os; print(json.dumps({{k.hex(): v.hex() for k, v in os.environb.items()}}))"'


def sourced(shell: str, content: bytes, *more: str, environment: dict[str, str] | None = None) -> tuple[dict[bytes, bytes], bytes]:
    """The environment after a shell has read the file, and what that has said."""
    done = subprocess.run(
        [shell, *more, "-c", f". /dev/stdin; {DUMP}"], input=content, capture_output=True, env=environment or {}, check=False
    )
    told = json.loads(done.stdout) if done.stdout else {}
    return {bytes.fromhex(name): bytes.fromhex(value) for name, value in told.items()}, done.stderr


def test_every_byte_survives() -> None:
    every = bytes(range(1, 256)).decode("latin-1")
    content, count = program.script({"EVERY": every, "EMPTY": "", "lower": "x"}, ())

    assert count == 3
    for shell in SHELLS:
        found, said = sourced(shell, content)
        assert (found[b"EVERY"], found[b"EMPTY"], found[b"lower"], said) == (every.encode("latin-1"), b"", b"x", b""), shell


names = strategies.from_regex(r"\A[A-Za-z_][A-Za-z0-9_]{0,10}\Z")
values = strategies.binary(max_size=60).map(lambda raw: raw.replace(b"\0", b"").decode("latin-1"))


@settings(max_examples=60, deadline=None)
@given(strategies.dictionaries(names, values, max_size=8))
def test_any_environment_survives(variables: dict[str, str]) -> None:
    content, count = program.script(variables, ())
    found, said = sourced("bash", content)

    expected = {name.encode(): value.encode("latin-1") for name, value in variables.items() if program.wanted(name)}
    assert (len(expected), said) == (count, b"")
    assert {name: found.get(name) for name in expected} == expected


@pytest.mark.parametrize("shell", SHELLS)
def test_variables_by_which_a_shell_works_are_left_to_it(shell: str) -> None:
    theirs = dict.fromkeys(
        (*program.SHELLS, *program.SESSIONS, "SSH_CONNECTION", "BASH_FUNC_f%%", "not-a-name", "1A", "", "A B"), "evil $(touch x)"
    )
    content, count = program.script({**theirs, "MINE": "1"}, theirs)

    assert count == 1
    found, said = sourced(shell, content, environment={"HOME": "/h", "SSH_CONNECTION": "1 2 3 4"})
    assert (found[b"HOME"], found[b"SSH_CONNECTION"], found[b"MINE"], said) == (b"/h", b"1 2 3 4", b"1", b"")


@pytest.mark.parametrize("name", ["UID", "EUID", "PPID", "SHELLOPTS", "BASHOPTS", "BASH_VERSINFO"])
def test_what_bash_would_refuse_is_among_them(name: str) -> None:
    assert b"readonly" in subprocess.run(["bash", "-c", f"export {name}='1'"], capture_output=True, check=False).stderr
    assert not program.wanted(name)


def test_what_the_app_does_without_a_session_does_too() -> None:
    content, _ = program.script({"KEPT": "1"}, ["GONE", "KEPT", "PWD"])

    found, _ = sourced("dash", content, environment={"GONE": "x", "KEPT": "y", "PWD": "/"})
    assert b"GONE" not in found
    assert (found[b"KEPT"], found[b"PWD"][:1]) == (b"1", b"/")


@pytest.mark.parametrize(
    "before", [b"", b"a=1", b"a=1\n", b"# ~/.bashrc\ncase $- in *i*) ;; *) return;; esac\nPS1=x\n", b"\xff\xfe\r\n\x00"]
)
def test_a_file_gets_our_line_once_at_both_ends(before: bytes) -> None:
    once = program.hooked(before)
    line = program.LINE.encode() + b"\n"

    assert program.hooked(once) == once
    assert once.startswith(line)
    assert once.endswith(line)
    if before:
        assert once == line + before + (b"" if before.endswith(b"\n") else b"\n") + line
    # What others add behind it moves to where it was.
    assert program.hooked(once + b"source /etc/other\n").endswith(b"source /etc/other\n" + line)


def test_a_link_stays_one_and_its_file_keeps_its_mode(tmp_path: Path) -> None:
    real, link = tmp_path / "dotfiles", tmp_path / ".bashrc"
    real.write_bytes(b"a=1\n")
    real.chmod(0o640)
    link.symlink_to(real)

    program.hook_bash(str(link))

    assert link.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert b"a=1\n" in real.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".bashrc", "dotfiles"]
