"""What `config show` prints: the value as one would write it, and where it came from."""

from __future__ import annotations

import pytest
from hypothesis import given, settings as effort, strategies as st

from firstlight import settings
from firstlight.report import settings as report

OPTIONS = {option.name: option for option in settings.OPTIONS}


def load(**flags: object) -> settings.Settings:
    return settings.load({"config": "none", **flags}, {})


@pytest.mark.parametrize(
    ("name", "told", "shown"),
    [
        ("delay", "90", ["90s"]),
        ("delay", "120s", ["2m"]),
        ("delay", "7200s", ["2h"]),
        ("delay", "0.25s", ["0.25s"]),
        ("grace", "0", ["0s"]),
        ("watch", "0", ["off"]),
        ("log-size", "2048K", ["2M"]),
        ("log-size", "5000", ["5000"]),
        ("stop-signal", "2", ["INT"]),
        ("rewrite", ["TERM:INT", "HUP:0", "40:RTMAX"], ["TERM:INT", "HUP:none", "RTMIN+6:RTMAX"]),
        ("quiet", "true", ["true"]),
        ("port", "8188", ["8188"]),
        ("port", "", []),
        ("restart-limit", "0", ["0"]),
        ("with", ["a --token b"], ["a --token ***"]),
        ("with", [], []),
    ],
)
def test_a_value_is_shown_as_one_would_write_it(name: str, told: object, shown: list[str]) -> None:
    assert report.texts(load(**{OPTIONS[name].field: told}), OPTIONS[name]) == shown


DURATIONS = st.builds(lambda number, unit: f"{number}{unit}", st.integers(1, 999), st.sampled_from(["ms", "s", "m"]))
SIGNALS = st.integers(1, 64).filter(lambda number: number not in (19, 32, 33)).map(str)


@pytest.mark.parametrize(
    ("name", "texts"),
    [("delay", DURATIONS), ("watch", DURATIONS), ("log-size", st.integers(4096, 1 << 40).map(str)), ("stop-signal", SIGNALS)],
)
@given(data=st.data())
@effort(max_examples=60, deadline=None, derandomize=True)
def test_what_is_shown_means_the_same_when_it_is_told(name: str, texts: st.SearchStrategy[str], data: st.DataObject) -> None:
    option = OPTIONS[name]
    told = load(**{option.field: data.draw(texts)})
    (shown,) = report.texts(told, option)
    assert getattr(load(**{option.field: shown}), option.field) == pytest.approx(getattr(told, option.field))


def test_what_was_set_stands_first_with_its_origin() -> None:
    lines = report.render(
        settings.load({"config": "none", "gpus": "2"}, {"FIRSTLIGHT_GRACE": "1m"}).with_recipe("x", {"restart": "always"})
    ).splitlines()
    told = lines[1 : lines.index("")]
    assert [line.split() for line in told] == [
        ["gpus", "2", "--gpus"],
        ["restart", "always", "recipe", "x"],
        ["grace", "1m", "FIRSTLIGHT_GRACE"],
        ["config", "-", "--config"],
    ]
    assert len(lines) == len(settings.OPTIONS) + 3


def test_lines_fit_eighty_columns_where_no_value_is_longer() -> None:
    told = load(torch="/opt/" + "x" * 50, with_=["/start.sh", "y" * 59], alive=["tcp:127.0.0.1:1"])
    assert max(map(len, report.render(told).splitlines())) <= 80


def test_control_characters_are_escaped() -> None:
    assert "\x1b" not in report.render(load(torch="\x1b[2J"))
