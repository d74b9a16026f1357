"""firstlight.toml: what may stand in it, and one line for whatever else does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings as effort, strategies as st

from firstlight import errors, settings


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "firstlight.toml"


def load(file: Path, content: str | bytes) -> settings.Settings:
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return settings.load({"config": str(file)}, {})


TAKEN = {
    "a number of GPUs": ("gpus = 2", "gpus", "2"),
    "seconds as a number": ("restart-delay = 0.25", "restart_delay", 0.25),
    "seconds as a whole number": ("grace = 5", "grace", 5.0),
    "a tiny number of seconds": ("restart-delay = 1e-3", "restart_delay", 0.001),
    "a duration": ('grace = "500ms"', "grace", 0.5),
    "bytes": ("log-size = 1_048_576", "log_size", 1 << 20),
    "a signal by number": ("stop-signal = 2", "stop_signal", 2),
    "a switch": ("quiet = true", "quiet", True),
    "an array": ('with = ["/start.sh", "sleep 1"]', "with_", ("/start.sh", "sleep 1")),
    "one where several may be": ("success-exit = 143", "success_exit", (143,)),
    "an array of numbers": ("success-exit = [143, 130]", "success_exit", (143, 130)),
    "an empty array": ("with = []", "with_", ()),
    "lines in one command": ('with = ["""\\\n  sh -c \'a\nb\'"""]', "with_", ("sh -c 'a\nb'",)),
    "a byte order mark": ("\ufeffattempts = 3", "attempts", 3),
    "Windows lines": ("attempts = 3\r\ngpus = 1\r\n", "gpus", "1"),
    "a check": ('[checks.web]\nhttp = "http://h/"\nperiod = 1.5', "checks", {"web": {"http": "http://h/", "period": 1.5}}),
    "a companion": ('[companions.ssh]\ncommand = ["/start.sh"]', "companions", {"ssh": {"command": ["/start.sh"]}}),
}


@pytest.mark.parametrize(("content", "field", "value"), TAKEN.values(), ids=TAKEN.keys())
def test_what_is_taken(file: Path, content: str, field: str, value: object) -> None:
    assert getattr(load(file, content), field) == value


REFUSED: dict[str, tuple[str | bytes, str]] = {
    "an unknown key": ("\ngpu = 2", ", line 2: unknown key 'gpu' (did you mean 'gpus'?)"),
    "an underscore": ("restart_delay = 2", ", line 1: unknown key 'restart_delay' (did you mean 'restart-delay'?)"),
    "an unknown table": ("[check.web]\nhttp = 1", ", line 1: unknown key 'check' (did you mean 'checks'?)"),
    "a key that means nothing": ("qwxyz = 2", ", line 1: unknown key 'qwxyz'"),
    "the file's own name": ('config = "x"', ", line 1: unknown key 'config'"),
    "a wrong value": (
        '\n\nrestart = "allways"',
        ", line 3: restart = 'allways': it is never, on-failure or always (did you mean 'always'?)",
    ),
    "a wrong value in an array": ('rewrite = ["TERM:INT", "TERM:INTT"]', ", line 1: rewrite = 'TERM:INTT': it is no signal (did you mean"),
    "a number for a text": ("state-dir = 3", ", line 1: state-dir is a text, not a number"),
    "a switch for a text": ("serve = false", ", line 1: serve is a text, not true or false"),
    "a text for a switch": ("quiet = 1", ", line 1: quiet is true or false, not a number"),
    "a switch for a number": ("attempts = true", ", line 1: attempts is a text or a number, not true or false"),
    "an array for one": ("attempts = [1]", ", line 1: attempts is a text or a number, not an array"),
    "a table for one": ("[attempts]\nx = 1", ", line 1: attempts is a text or a number, not a table"),
    "a date": ("delay = 2026-01-01", ", line 1: delay is a text or a number, not a date or a time"),
    "an array in an array": ('with = [["x"]]', ", line 1: with is a text, or an array of such"),
    "not a number": ("delay = nan", ", line 1: delay = 'nan': a duration is"),
    "endless": ("delay = inf", ", line 1: delay = 'inf': a duration is"),
    "a negative number": ("delay = -1", ", line 1: delay = '-1': a duration is"),
    "a NUL in a text": ('state-dir = "a\\u0000b"', ", line 1: state-dir holds a NUL character"),
    "a NUL in a table": ('[companions.x]\ncommand = ["a\\u0000b"]', "companions.x.command holds a NUL character"),
    "a raw NUL": (b"gpus = \x00", "it is no TOML: Invalid value (at line 1"),
    "a date in a table": ("[checks.web]\nsince = 2026-01-01", "checks.web.since is a date or a time, which no setting is"),
    "endless in a table": ("[checks.web]\nperiod = inf", "checks.web.period is inf, which no setting is"),
    "checks that are no tables": ("checks = 1", ", line 1: checks is a table of tables: [checks.NAME]"),
    "a check that is no table": ("[checks]\nweb = 1", ", line 1: checks.web is not a table: [checks.web]"),
    "a check without a name": ('[checks."a b"]\nhttp = "x"', "'a b' in checks is no name"),
    "no TOML": ("gpus = all", "Invalid value (at line 1, column 8)"),
    "a key twice": ("gpus = 1\ngpus = 2", "it is no TOML: "),
    "no UTF-8": (b"attempts = 3\n# caf\xe9\n", ", line 2: it is not UTF-8"),
    "a table without a bottom": ("x = " + "[" * 5000, "nested too deeply"),
    "too large": ("#" * 70_000, "larger than 64 KiB"),
}


@pytest.mark.parametrize(("content", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_refused(file: Path, content: str | bytes, words: str) -> None:
    with pytest.raises(errors.SettingsError) as caught:
        load(file, content)
    assert str(caught.value).startswith(f"cannot take {file}")
    assert words in str(caught.value)


@given(content=st.one_of(st.binary(max_size=200), st.text(max_size=200)))
@effort(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_content_is_taken_or_refused_in_one_line(tmp_path: Path, content: str | bytes) -> None:
    said = "cannot take it"
    try:
        load(tmp_path / "any.toml", content)
    except errors.SettingsError as error:
        said = str(error)
    assert said.startswith("cannot take ")
    assert "\n" not in said


def cannot_read(path: Path) -> str:
    with pytest.raises(errors.SettingsError) as caught:
        settings.load({"config": str(path)}, {})
    assert str(caught.value).startswith(f"cannot read {path}: ")
    return str(caught.value).removeprefix(f"cannot read {path}: ")


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    assert cannot_read(tmp_path) == "it is a directory"
    os.mkfifo(tmp_path / "pipe")
    assert cannot_read(tmp_path / "pipe") == "it is a pipe"
    assert cannot_read(Path("/dev/null")) == "it is no regular file"
    assert cannot_read(tmp_path / "none") == "No such file or directory"
    (tmp_path / "loop").symlink_to("loop")
    assert cannot_read(tmp_path / "loop") == "Too many levels of symbolic links"
    (tmp_path / "dangling").symlink_to("nowhere")
    assert cannot_read(tmp_path / "dangling") == "No such file or directory"


def test_a_link_is_followed_as_a_mounted_config_map_needs_it(file: Path) -> None:
    real = file.with_name("real.toml")
    real.write_text("attempts = 3")
    file.symlink_to(real)
    assert settings.load({"config": str(file)}, {}).attempts == 3
