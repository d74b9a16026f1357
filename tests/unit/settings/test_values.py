"""What a setting may be: each kind takes what people write, and says in words what it does not take."""

from __future__ import annotations

import re
import signal

import pytest
from hypothesis import given, settings as effort, strategies as st

from firstlight.settings import OPTIONS, values

TAKEN = [
    (values.DURATION, "500ms", 0.5),
    (values.DURATION, "3s", 3.0),
    (values.DURATION, "1.5", 1.5),
    (values.DURATION, " 5m ", 300.0),
    (values.DURATION, "168h", 604800.0),
    (values.DURATION, "0", 0.0),
    (values.DURATION_OR_OFF, "off", 0.0),
    (values.SIZE, "10M", 10 << 20),
    (values.SIZE, "64k", 64 << 10),
    (values.SIZE, "1GiB", 1 << 30),
    (values.SIZE, "2MB", 2 << 20),
    (values.SIZE, "4096", 4096),
    (values.SIGNAL, "TERM", signal.SIGTERM),
    (values.SIGNAL, "sigint", signal.SIGINT),
    (values.SIGNAL, "15", signal.SIGTERM),
    (values.SIGNAL, "RTMIN+3", signal.SIGRTMIN + 3),
    (values.SIGNAL, "SIGRTMAX-0", signal.SIGRTMAX),
    (values.REWRITE, "TERM:INT", (signal.SIGTERM, signal.SIGINT)),
    (values.REWRITE, "15:SIGQUIT", (signal.SIGTERM, signal.SIGQUIT)),
    (values.REWRITE, "HUP:0", (signal.SIGHUP, 0)),
    (values.REWRITE, "HUP:none", (signal.SIGHUP, 0)),
    (values.REWRITE, "TERM:KILL", (signal.SIGTERM, signal.SIGKILL)),
    (values.EXIT_CODE, "0", 0),
    (values.EXIT_CODE, "255", 255),
    (values.PORT, "", 0),
    (values.PORT, "65535", 65535),
    (values.ADDRESS, "off", "off"),
    (values.ADDRESS, "127.0.0.1:8421", "127.0.0.1:8421"),
    (values.ADDRESS, "localhost:0", "localhost:0"),
    (values.ADDRESS, "[::1]:8421", "[::1]:8421"),
    (values.ADDRESS, "[fe80::1%eth0]:8421", "[fe80::1%eth0]:8421"),
    (values.ADDRESS, "gpu-1.example:80", "gpu-1.example:80"),
    (values.CHECK, "http://127.0.0.1:8188/queue", "http://127.0.0.1:8188/queue"),
    (values.CHECK, "tcp:127.0.0.1:8188", "tcp:127.0.0.1:8188"),
    (values.CHECK, "exec:test -e /tmp/ready", "exec:test -e /tmp/ready"),
    (values.CHECK, "log:^Starting server", "log:^Starting server"),
    (values.CHECK, "notify", "notify"),
    (values.GPUS, "8", "8"),
    (values.SWITCH, "Yes", True),
    (values.SWITCH, "off", False),
    (values.RECIPE, "a1111", "a1111"),
]

REFUSED = [
    (values.DURATION, "", "such as 3s"),
    (values.DURATION, "-1s", "such as 3s"),
    (values.DURATION, "1e3", "such as 3s"),
    (values.DURATION, ".5s", "such as 3s"),
    (values.DURATION, "1.s", "such as 3s"),
    (values.DURATION, "5 m", "such as 3s"),
    (values.DURATION, "1hh", "such as 3s"),
    (values.DURATION, "٣s", "such as 3s"),
    (values.DURATION, "nan", "such as 3s"),
    (values.DURATION, "9" * 400, "such as 3s"),
    (values.DURATION, "169h", "at most 7 days"),
    (values.DURATION, "off", "such as 3s"),
    (values.POSITIVE_DURATION, "0s", "more than nothing"),
    (values.SIZE, "10T", "such as 10M"),
    (values.SIZE, "M", "such as 10M"),
    (values.SIZE, "1.5M", "such as 10M"),
    (values.SIZE, "4095", "from 4K"),
    (values.SIZE, "1025G", "to 1024G"),
    (values.SIGNAL, "INTT", "did you mean 'INT'?"),
    (values.SIGNAL, "0", "it is no signal"),
    (values.SIGNAL, "32", "it is no signal"),
    (values.SIGNAL, "65", "it is no signal"),
    (values.SIGNAL, "RTMIN-1", "it is no signal"),
    (values.SIGNAL, "RTMIN+31", "it is no signal"),
    (values.SIGNAL, "_DFL", "it is no signal"),
    (values.SIGNAL, "", "it is no signal"),
    (values.SIGNAL, "STOP", "only suspends"),
    (values.REWRITE, "TERM", "FROM:TO"),
    (values.REWRITE, "KILL:TERM", "cannot be rewritten"),
    (values.REWRITE, "TERM:", "it is no signal"),
    (values.REWRITE, ":TERM", "it is no signal"),
    (values.REWRITE, "TERM:INT:QUIT", "it is no signal"),
    (values.EXIT_CODE, "256", "from 0 to 255"),
    (values.EXIT_CODE, "-1", "from 0 to 255"),
    (values.EXIT_CODE, "²", "from 0 to 255"),
    (values.PORT, "0", "from 1 to 65535"),
    (values.PORT, "65536", "from 1 to 65535"),
    (values.ADDRESS, "8421", "HOST:PORT"),
    (values.ADDRESS, ":8421", "HOST:PORT"),
    (values.ADDRESS, "::1:8421", "HOST:PORT"),
    (values.ADDRESS, "[::1:8421", "HOST:PORT"),
    (values.ADDRESS, "[]:8421", "HOST:PORT"),
    (values.ADDRESS, "1.2.3:80", "HOST:PORT"),
    (values.ADDRESS, "256.0.0.1:80", "HOST:PORT"),
    (values.ADDRESS, "localhost:65536", "HOST:PORT"),
    (values.ADDRESS, "a host:80", "HOST:PORT"),
    (values.ADDRESS, "http://localhost:80", "HOST:PORT"),
    (values.CHECK, "htp://127.0.0.1/", "did you mean 'http'?"),
    (values.CHECK, "http:127.0.0.1", "http://HOST:PORT/PATH"),
    (values.CHECK, "http://", "http://HOST:PORT/PATH"),
    (values.CHECK, "exec: ", "exec:COMMAND"),
    (values.CHECK, "notify:me", "nothing behind it"),
    (values.CHECK, "127.0.0.1:80", "a check begins with"),
    (values.COMMAND, "  ", "no command"),
    (values.GPUS, "0", "all, any, none"),
    (values.GPUS, "٢", "all, any, none"),
    (values.SWITCH, "maybe", "true or false"),
    (values.REMEDY, "raise-limits", "drop-preload"),
    (values.RECIPE, "../comfyui", "name of a recipe"),
    (values.whole(0, 10), "11", "from 0 to 10"),
    (values.whole(0, 10), "1.0", "from 0 to 10"),
    (values.choice("never", "always"), "allways", "never or always (did you mean 'always'?)"),
    (values.choice("never", "always"), "NEVER", "never or always"),
]


@pytest.mark.parametrize(("kind", "text", "value"), TAKEN, ids=[f"{place}-{text}" for place, (_, text, _) in enumerate(TAKEN)])
def test_what_is_taken(kind: values.Kind, text: str, value: object) -> None:
    assert kind.parse(text) == value


@pytest.mark.parametrize(("kind", "text", "words"), REFUSED, ids=[f"{place}-{text[:20]!r}" for place, (_, text, _) in enumerate(REFUSED)])
def test_what_is_refused(kind: values.Kind, text: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        kind.parse(text)


@pytest.mark.parametrize("number", sorted(signal.valid_signals()))
def test_every_signal_has_its_number(number: int) -> None:
    if number != signal.SIGSTOP:
        assert values.SIGNAL.parse(str(number)) == number


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
@given(text=st.text())
@effort(max_examples=60, deadline=None, derandomize=True)
def test_any_text_is_taken_or_refused_in_words(option, text: str) -> None:
    said = ""
    try:
        option.parse(text)
    except ValueError as error:
        said = str(error) or "nothing\n"
    assert "\n" not in said


def test_several_values_stand_in_lines_or_behind_commas() -> None:
    options = {option.name: option for option in OPTIONS}
    assert options["with"].parse("sh -c 'a, b'\n\n/start.sh\u2028x") == ("sh -c 'a, b'", "/start.sh\u2028x")
    assert options["success-exit"].parse("143, 130\n2") == (143, 130, 2)
    assert options["success-exit"].parse(["143", "130,2"]) == (143, 130, 2)
    assert options["with"].parse(["one\ntwo"]) == ("one\ntwo",)


def test_none_empties_what_can_be_repeated() -> None:
    for option in OPTIONS:
        if option.many:
            assert option.parse("none") == ()
            assert option.parse(["none"]) == ()
