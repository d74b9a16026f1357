"""Flag before variable before file before recipe before default, whatever is set where."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings as effort, strategies as st

from firstlight import errors, settings
from firstlight.system import files

# Two texts for each setting that mean different things, so that it shows which of them won.
EXAMPLES = {
    "gpus": ("2", "any"),
    "attempts": ("3", "4"),
    "delay": ("1s", "2s"),
    "deadline": ("1m", "2m"),
    "probe-timeout": ("1s", "2s"),
    "on-failure": ("hold", "relocate"),
    "holder": ("1s", "off"),
    "torch": ("python3", "/venv/bin/python"),
    "allow": ("drop-preload", "none"),
    "watch": ("1m", "off"),
    "on-gpu-fault": ("restart", "hold"),
    "app": ("comfyui", "vllm"),
    "port": ("80", "8188"),
    "node": ("VibeVoiceTTS", "LoadAudio"),
    "model": ("VibeVoice-1.5B", "VibeVoice-Large"),
    "budget": ("1m", "off"),
    "accept": ("tts.json", "other.json --seeds=2"),
    "with": ("/start.sh", "sleep 1"),
    "restart": ("always", "on-failure"),
    "restart-delay": ("1s", "2s"),
    "restart-delay-max": ("1m", "2m"),
    "restart-reset": ("1m", "2m"),
    "restart-limit": ("3", "0"),
    "restart-window": ("1m", "2m"),
    "success-exit": ("143", "130"),
    "grace": ("1s", "2s"),
    "stop-signal": ("INT", "QUIT"),
    "rewrite": ("TERM:INT", "HUP:none"),
    "forward": ("child", "group"),
    "alive": ("tcp:127.0.0.1:1", "notify"),
    "ready": ("log:up", "exec:true"),
    "ready-timeout": ("1m", "2m"),
    "log-dir": ("/logs", "/volume/logs"),
    "log-size": ("1M", "2M"),
    "log-files": ("3", "4"),
    "capture": ("on", "off"),
    "log-format": ("json", "text"),
    "quiet": ("true", "false"),
    "serve": ("off", "0.0.0.0:80"),
    "serve-host": ("pod.example.org", "*.example.org"),
    "token-file": ("/run/token", "/run/other"),
    "metrics-token-file": ("/run/metrics", "/run/others"),
    "state-dir": ("/state", "/other"),
    "run-dir": ("/run/a", "/run/b"),
    "publish-env": ("true", "false"),
    "dry-run": ("true", "false"),
}
OPTIONS = {option.name: option for option in settings.OPTIONS}
SOURCES = ("flag", "environment", "file", "recipe")

names = st.sampled_from(sorted(EXAMPLES))
told = st.dictionaries(names, st.sampled_from([0, 1]), max_size=6)


def text(name: str, which: int) -> str:
    return EXAMPLES[name][which]


def toml(chosen: dict[str, int]) -> str:
    return "".join(f"{name} = {json.dumps(written(name, which))}\n" for name, which in chosen.items())


def written(name: str, which: int) -> object:
    """As TOML has it: an array for what can be repeated, true and false for a switch."""
    if OPTIONS[name].kind.switch:
        return text(name, which) == "true"
    if OPTIONS[name].many:
        return [] if text(name, which) == "none" else [text(name, which)]
    return text(name, which)


def flag(name: str, which: int) -> object:
    return [text(name, which)] if OPTIONS[name].many else text(name, which)


def load(folder: Path, sources: dict[str, dict[str, int]]) -> settings.Settings:
    file = folder / "some.toml"
    file.write_text(toml(sources["file"]))
    loaded = settings.load(
        {"config": str(file)} | {OPTIONS[name].field: flag(name, which) for name, which in sources["flag"].items()},
        {OPTIONS[name].variable: text(name, which) for name, which in sources["environment"].items()},
    )
    return loaded.with_recipe("some", {name: text(name, which) for name, which in sources["recipe"].items()})


def test_every_setting_has_examples() -> None:
    assert EXAMPLES.keys() == OPTIONS.keys() - {"config"}


@given(sources=st.fixed_dictionaries(dict.fromkeys(SOURCES, told)))
@effort(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_better_source_wins_for_any_combination(tmp_path: Path, sources: dict[str, dict[str, int]]) -> None:
    loaded = load(tmp_path, sources)
    for name, option in OPTIONS.items():
        if name == "config":
            continue
        winner = next((source for source in SOURCES if name in sources[source]), "default")
        expected = option.default if winner == "default" else text(name, sources[winner][name])
        assert getattr(loaded, option.field) == option.parse(expected), (name, winner)
        assert loaded.origin(name).source == winner


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_each_setting_can_be_told_everywhere(tmp_path: Path, name: str) -> None:
    """Each source alone, and each pair of them: the table that the documentation promises."""
    for better, worse in itertools.combinations(SOURCES, 2):
        sources = {source: {name: [better, worse].index(source)} if source in (better, worse) else {} for source in SOURCES}
        assert load(tmp_path, sources).origin(name).source == better
        assert getattr(load(tmp_path, sources), OPTIONS[name].field) == OPTIONS[name].parse(text(name, 0))
        only = {source: {name: 1} if source == worse else {} for source in SOURCES}
        assert load(tmp_path, only).origin(name).source == worse


def test_the_origin_names_the_flag_the_variable_the_file_and_the_recipe(tmp_path: Path) -> None:
    loaded = load(tmp_path, {"flag": {"gpus": 0}, "environment": {"delay": 0}, "file": {"grace": 0}, "recipe": {"restart": 0}})
    assert [loaded.origin(name).name for name in ("gpus", "delay", "grace", "restart", "quiet")] == [
        "--gpus",
        "FIRSTLIGHT_DELAY",
        str(tmp_path / "some.toml"),
        "some",
        "",
    ]


def test_a_wrong_value_is_not_hidden_by_a_better_source() -> None:
    with pytest.raises(errors.SettingsError, match=r"^cannot take FIRSTLIGHT_GPUS='some': "):
        settings.load({"gpus": "2"}, {"FIRSTLIGHT_GPUS": "some"})


def test_settings_do_not_change_and_are_plain_data() -> None:
    loaded = settings.load({"config": "none"}, {})
    with pytest.raises(AttributeError):
        loaded.gpus = "2"
    changed = loaded.changed(gpus="2")
    assert (loaded.gpus, changed.gpus) == ("all", "2")
    assert json.loads(json.dumps(vars(loaded)))["restart_delay"] == 0.5


def test_settings_declare_every_field() -> None:
    assert set(settings.Settings.__annotations__) - {"_origins"} == set(vars(settings.load({"config": "none"}, {})))


# The environment


def refused(**variables: str) -> str:
    with pytest.raises(errors.SettingsError) as caught:
        settings.load({}, variables)
    return str(caught.value)


def test_an_unknown_variable_is_refused_with_the_nearest_name() -> None:
    assert (
        refused(FIRSTLIGHT_ATEMPTS="3") == "cannot take FIRSTLIGHT_ATEMPTS: there is no such setting (did you mean 'FIRSTLIGHT_ATTEMPTS'?)"
    )
    assert "there is no such setting" in refused(FIRSTLIGHT_QWXYZ="3")


def test_an_empty_variable_is_none() -> None:
    loaded = settings.load({}, {"FIRSTLIGHT_GPUS": "", "FIRSTLIGHT_ATEMPTS": ""})
    assert (loaded.gpus, loaded.origin("gpus").source) == ("all", "default")


def test_variables_of_others_are_left_alone() -> None:
    links = {
        "FIRSTLIGHT_SERVICE_HOST": "10.0.0.1",
        "FIRSTLIGHT_SERVICE_PORT": "80",
        "FIRSTLIGHT_SERVICE_PORT_HTTP": "80",
        "FIRSTLIGHT_PORT": "tcp://10.0.0.1:80",
        "FIRSTLIGHT_PORT_80_TCP": "tcp://10.0.0.1:80",
        "FIRSTLIGHT_PORT_80_TCP_ADDR": "10.0.0.1",
        "FIRSTLIGHT_UI_PORT": "tcp://10.0.0.1:80",
        "FIRSTLIGHT_UI_PORT_80_TCP_PROTO": "tcp",
    }
    loaded = settings.load({}, {**links, "FIRSTLIGHT_TOKEN": "secret", "FIRSTLIGHTER": "x"})
    assert loaded.port == 0
    assert settings.load({}, {"FIRSTLIGHT_PORT": "80"}).port == 80


# Which file


VOLUME = "30 22 0:50 / /workspace rw - fuse mfs#eu:9421 rw\n"
PLAIN = "22 1 0:20 / / rw - overlay overlay rw\n"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with a volume and a file on it."""
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/mountinfo").write_text(PLAIN + VOLUME)
    (tmp_path / "workspace").mkdir()
    (tmp_path / "workspace/firstlight.toml").write_text("attempts = 7\n")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/own.toml").write_text("attempts = 8\n")
    monkeypatch.setattr(files, "ROOT", str(tmp_path))
    return tmp_path


def read(flags: dict[str, object], **variables: str) -> tuple[int, str]:
    loaded = settings.load(flags, variables)
    return loaded.attempts, loaded.config


def test_the_file_of_the_volume_is_read_unasked(machine: Path) -> None:
    assert read({}) == (7, "/workspace/firstlight.toml")


def test_it_is_not_read_where_nothing_is_mounted(machine: Path) -> None:
    (machine / "proc/self/mountinfo").write_text(PLAIN)
    assert read({}) == (10, "")


def test_a_volume_without_the_file_is_fine(machine: Path) -> None:
    (machine / "workspace/firstlight.toml").unlink()
    assert read({}) == (10, "")


def test_a_file_that_is_named_is_read_instead(machine: Path) -> None:
    assert read({}, FIRSTLIGHT_CONFIG="/etc/own.toml") == (8, "/etc/own.toml")
    assert read({"config": "/workspace/firstlight.toml"}, FIRSTLIGHT_CONFIG="/etc/own.toml") == (7, "/workspace/firstlight.toml")


def test_none_is_no_file(machine: Path) -> None:
    assert read({"config": "none"}, FIRSTLIGHT_CONFIG="/etc/own.toml") == (10, "")


def test_a_file_that_is_named_must_be_there(machine: Path) -> None:
    with pytest.raises(errors.SettingsError, match=r"^cannot read /etc/none.toml: No such file or directory$"):
        read({"config": "/etc/none.toml"})
