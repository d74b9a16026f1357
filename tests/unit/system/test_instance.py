"""The instance directory: made for one, found by others, and never taken from one that runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from firstlight.errors import UsageError
from firstlight.system import instance

# Makes an instance, says where, and runs until its standard input ends.
RUNNING = """
import sys
from firstlight.system import instance
print(instance.create(sys.argv[1], sys.argv[2], {}), flush=True)
sys.stdin.read()
"""


def running(boot: str, run_dir: Path) -> subprocess.Popen[str]:
    """A process whose instance it is."""
    argv = [sys.executable, "-c", RUNNING, boot, str(run_dir)]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == f"{run_dir}/{boot}\n"
    return process


def test_one_that_runs_is_found_before_a_later_one_that_has_ended(tmp_path: Path) -> None:
    with running("1", tmp_path) as first:
        with running("2", tmp_path) as second:
            assert instance.latest({}, str(tmp_path)) == str(tmp_path / "2")
            second.stdin.close()
        assert instance.latest({}, str(tmp_path)) == str(tmp_path / "1")
        first.stdin.close()
    assert instance.latest({}, str(tmp_path)) == str(tmp_path / "2")


def test_old_ones_are_removed_and_those_that_run_are_not(tmp_path: Path) -> None:
    with running("0", tmp_path) as kept:
        (tmp_path / "0/app.log").write_text("kept")
        for boot in "123456":
            with running(boot, tmp_path) as process:
                process.stdin.close()
        assert sorted(os.listdir(tmp_path)) == ["0", "3", "4", "5", "6"]
        kept.stdin.close()


def test_it_is_for_its_owner_alone(tmp_path: Path) -> None:
    made = instance.create("1", str(tmp_path / "run"), {})
    assert made is not None
    assert Path(made).stat().st_mode & 0o777 == 0o700


def test_where_nothing_can_be_made_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert instance.create("1", str(tmp_path / "file"), {}) is None


def test_none_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^cannot find a running firstlight: "):
        instance.latest({}, str(tmp_path))


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "elsewhere")
    assert instance.create("1", str(tmp_path / "run"), {}) is None
    assert not list((tmp_path / "elsewhere").iterdir())


def test_root_trusts_no_directory_that_somebody_else_has_put_where_ours_would_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever owns it could put a token and a socket of their own in the place of ours."""
    if os.geteuid() != 0:
        pytest.skip("only root could write there")
    theirs = tmp_path / "theirs"
    theirs.mkdir(mode=0o777)
    os.chown(theirs, 65534, 65534)
    monkeypatch.setattr(instance, "directories", lambda _: [str(theirs), str(tmp_path / "ours")])

    assert instance.create("1", "", {}) == str(tmp_path / "ours/1")
    (theirs / "2").mkdir()
    assert instance.latest({}) == str(tmp_path / "ours/1")
    assert instance.create("3", str(theirs), {}) == str(theirs / "3"), "somebody has named it"
