"""What a person writes → a Check, or words that name the mistake."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from firstlight.apps import parse
from firstlight.apps.app import Check, Kind, Level, OnFailure, Relation, Rule

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HEALTH = "http://127.0.0.1:8188/health"

SPECS: dict[str, dict[str, Any]] = {
    HEALTH: {"kind": Kind.HTTP, "target": HEALTH},
    " http://[::1]:80/ ": {"kind": Kind.HTTP, "target": "http://[::1]:80/"},
    "http://localhost": {"kind": Kind.HTTP, "target": "http://localhost"},
    "https://app.internal/x?y=z": {"kind": Kind.HTTP, "target": "https://app.internal/x?y=z"},
    f"{HEALTH} devices.0.type equals cuda": {
        "kind": Kind.HTTP,
        "target": HEALTH,
        "expect": (Rule("devices.0.type", Relation.EQUALS, "cuda"),),
    },
    f"{HEALTH} a empty, b not-empty,c present": {
        "kind": Kind.HTTP,
        "target": HEALTH,
        "expect": (Rule("a", Relation.EMPTY), Rule("b", Relation.NOT_EMPTY), Rule("c", Relation.PRESENT)),
    },
    "tcp:127.0.0.1:22": {"kind": Kind.TCP, "target": "127.0.0.1:22"},
    "tcp:[::1]:22": {"kind": Kind.TCP, "target": "[::1]:22"},
    "exec:curl -f 'http://a b'": {"kind": Kind.EXEC, "command": ("curl", "-f", "http://a b"), "start_interval": 1.0},
    "log:Uvicorn running on": {"kind": Kind.LOG, "target": "Uvicorn running on"},
    "log:a:b": {"kind": Kind.LOG, "target": "a:b"},
    "notify": {"kind": Kind.NOTIFY},
}


@pytest.mark.parametrize("text", SPECS)
def test_a_spec_is_a_check(text: str) -> None:
    assert parse.spec(text, Level.READY, "ready-1") == Check(name="ready-1", level=Level.READY, **SPECS[text])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "a check is http"),
        ("ftp://host/", "a check is http"),
        ("8188", "a check is http"),
        ("http://", "http is a URL"),
        ("http://user:secret@host/", "http is a URL"),
        ("http://host:0/", "port 0"),
        ("http://host:65536/", "port 65536"),
        ("http://::1/", "http is a URL"),
        ("http://host/#part", "http is a URL"),
        (f"{HEALTH} devices.0.type", "a rule is"),
        (f"{HEALTH} a equals", "a rule is"),
        (f"{HEALTH} a empty now", "a rule is"),
        (f"{HEALTH} a equals [1]", "a rule compares"),
        ("tcp:", "tcp is a text"),
        ("tcp:22", "tcp is HOST:PORT"),
        ("tcp:host:0", "port 0"),
        ("tcp:::1:22", "tcp is HOST:PORT"),
        ("exec:", "exec is a text"),
        ("exec:'unfinished", "exec is a command line"),
        ("exec:''", "exec is a command"),
        ("log:(", "log is a regular expression"),
        ("log:[[a]", "log is a regular expression: Possible nested set"),
        ("log:a{99999999999999999999}", "log is a regular expression"),
        ("log:.*", "an empty line does not fit"),
        ("notify:x", "a check is http"),
    ],
)
def test_a_wrong_spec_is_refused_with_the_reason(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        parse.spec(text, Level.READY, "ready-1")

    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_notify_says_nothing_about_alive() -> None:
    with pytest.raises(ValueError, match="nothing about whether it is alive"):
        parse.spec("notify", Level.ALIVE, "alive-1")


def test_a_failed_alive_check_asks_for_a_restart_and_a_failed_ready_check_does_not() -> None:
    assert parse.spec(HEALTH, Level.ALIVE, "a").on_failure is OnFailure.RESTART
    assert parse.spec(HEALTH, Level.READY, "a").on_failure is OnFailure.NOTE


def test_a_table_holds_all_that_a_check_can_be_told() -> None:
    check = parse.table(
        "queue",
        {
            "http": "http://127.0.0.1:8188/queue",
            "level": "alive",
            "period": "5s",
            "timeout": 2,
            "threshold": 4,
            "start-period": "2m",
            "start-interval": "100ms",
            "on-failure": "note",
            "status": [200, 204],
            "expect": "a.b equals 3",
            "fail-when": ["queue_pending not-empty", "queue_running empty"],
            "headers": {"Host": "app.internal"},
        },
    )

    assert check == Check(
        name="queue",
        level=Level.ALIVE,
        kind=Kind.HTTP,
        target="http://127.0.0.1:8188/queue",
        period=5.0,
        timeout=2.0,
        threshold=4,
        start_period=120.0,
        start_interval=0.1,
        on_failure=OnFailure.NOTE,
        status=(200, 204),
        expect=(Rule("a.b", Relation.EQUALS, 3),),
        fail_when=(Rule("queue_pending", Relation.NOT_EMPTY), Rule("queue_running", Relation.EMPTY)),
        headers=(("Host", "app.internal"),),
    )


def test_the_table_that_is_documented_is_one() -> None:
    page = (Path(__file__).parents[3] / "docs/howto/checks.md").read_text()
    (block,) = re.findall(r"^```toml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)

    check = parse.table("queue", tomllib.loads(block)["checks"]["queue"])

    assert (check.level, check.start_period, check.fail_when[0].path) == (Level.ALIVE, 1200.0, "queue_pending")


def test_a_command_may_be_a_list_of_its_words() -> None:
    assert parse.table("a", {"exec": ["test", "-e", "/a b"]}).command == ("test", "-e", "/a b")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "one of http, tcp"),
        ({"http": HEALTH, "tcp": "a:1"}, "one of http, tcp"),
        ({"http": 3}, "http is a text"),
        ({"http": HEALTH, "perod": "3s"}, "there is no key 'perod' (did you mean period?)"),
        ({"http": HEALTH, "wholly-else": 1}, "there is no key 'wholly-else'"),
        ({"http": HEALTH, "start_period": "3s"}, "did you mean start-period?"),
        ({"http": HEALTH, "level": "well"}, "level is alive or ready"),
        ({"http": HEALTH, "level": ["alive"]}, "level is alive or ready"),
        ({"http": HEALTH, "period": "3 weeks"}, "period: a duration"),
        ({"http": HEALTH, "period": 0}, "period is at least"),
        ({"http": HEALTH, "period": True}, "period is a duration"),
        ({"http": HEALTH, "timeout": "1ms"}, "timeout is at least"),
        ({"http": HEALTH, "threshold": 0}, "threshold is a whole number"),
        ({"http": HEALTH, "threshold": 1.5}, "threshold is a whole number"),
        ({"http": HEALTH, "on-failure": "reboot"}, "on-failure is restart or note"),
        ({"http": HEALTH, "status": 20}, "status is a status code"),
        ({"http": HEALTH, "status": []}, "status is a status code"),
        ({"http": HEALTH, "expect": ["a"]}, "a rule is"),
        ({"http": HEALTH, "expect": [3]}, "a rule is"),
        ({"http": HEALTH, "expect": ""}, "expect is a text"),
        ({"http": HEALTH, "headers": ["a"]}, "headers is a table"),
        ({"http": HEALTH, "headers": {"Host": "a\r\nb: c"}}, "'Host' is none"),
        ({"http": HEALTH, "headers": {"Host:": "a"}}, "'Host:' is none"),
        ({"tcp": "a:1", "status": 200}, "status is not for a check of the kind tcp"),
        ({"log": "a", "period": "1s"}, "period is not for a check of the kind log"),
        ({"exec": []}, "exec is a text"),
        ({"exec": ["a\0b"]}, "exec is a command"),
        ({"notify": False}, "notify is true"),
    ],
)
def test_a_wrong_table_is_refused_with_the_reason(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        parse.table("name", values)

    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["", "A", "a b", "-a", "a/b", "a" * 64])
def test_a_name_fits_into_a_path_and_a_label(name: str) -> None:
    with pytest.raises(ValueError, match="the name of a check"):
        parse.table(name, {"http": HEALTH})


@pytest.mark.parametrize(
    ("text", "value"),
    [("cuda", "cuda"), ("3", 3), ("1.5", 1.5), ("true", True), ("null", None), ('"3"', "3"), ("a b", "a b")],
)
def test_a_rule_compares_with_what_json_would_mean(text: str, value: object) -> None:
    rule = parse.rule(f"x equals {text}")

    assert rule.value == value
    assert type(rule.value) is type(value)


@given(st.text(max_size=60), st.sampled_from(Level))
def test_any_text_is_a_check_or_a_value_error(text: str, level: Level) -> None:
    for start in ("", "http://", "http://h/ ", "tcp:", "exec:", "log:"):
        try:
            check = parse.spec(start + text, level, "x")
        except ValueError:
            continue
        assert check.name == "x"


@given(
    st.dictionaries(
        st.sampled_from(["http", "level", "period", "threshold", "on-failure", "status", "expect", "headers", "tcp", "other"]),
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.lists(st.text(max_size=3), max_size=2)),
        max_size=4,
    )
)
def test_any_table_is_a_check_or_a_value_error(values: dict[str, Any]) -> None:
    try:
        parse.table("x", {"http": HEALTH, **values})
    except ValueError:
        pass
