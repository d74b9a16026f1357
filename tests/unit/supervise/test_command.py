"""From the word of a command to a file, as a shell finds it."""

from __future__ import annotations

from pathlib import Path

import pytest

from firstlight.errors import CommandError
from firstlight.supervise import command


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Two folders of a PATH: a file that may not be executed and a folder in the first, programs in the second."""
    for folder, name, mode in (("one", "tool", 0o644), ("two", "tool", 0o755), ("one", "denied", 0o644), ("two", "only", 0o755)):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).touch(mode)
    (tmp_path / "one" / "only").mkdir()
    (tmp_path / "one" / "folder").mkdir()
    return tmp_path


@pytest.mark.parametrize("name", ["tool", "only"])
def test_the_first_that_can_be_executed_is_taken(folders: Path, name: str) -> None:
    assert command.find(name, {"PATH": f"{folders}/no:{folders}/one:{folders}/two"}) == f"{folders}/two/{name}"


def test_an_empty_entry_is_the_working_directory(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folders / "two")
    assert command.find("tool", {"PATH": ":/nowhere"}) == "./tool"


def test_without_a_path_the_usual_folders_are_searched() -> None:
    assert command.find("sh", {}) in ("/bin/sh", "/usr/bin/sh")


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("nothing", 127, "no such command in PATH"),
        ("", 127, "no such command in PATH"),
        ("folder", 127, "no such command in PATH"),
        ("denied", 126, "it may not be executed"),
        ("./nothing", 127, "no such command"),
        ("one/denied", 126, "it may not be executed"),
        ("one", 127, "no such command in PATH"),
        ("./one", 126, "it is a directory"),
        ("./link", 126, "it is a link that leads nowhere"),
        ("/dev/null", 126, "it is not a regular file"),
    ],
)
def test_what_cannot_be_started_is_said_as_a_shell_does(
    folders: Path, monkeypatch: pytest.MonkeyPatch, name: str, code: int, words: str
) -> None:
    monkeypatch.chdir(folders)
    (folders / "link").symlink_to("nowhere")
    with pytest.raises(CommandError, match=f"^cannot start .*: {words}") as refused:
        command.find(name, {"PATH": f"{folders}/one:{folders}/two"})
    assert refused.value.exit_code == code
