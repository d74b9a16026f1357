"""The checker against real servers and real programs, however they behave."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from firstlight.apps import parse
from firstlight.apps.app import Check

from .answering_server import AnsweringServer, as_json
from .checking import PYTHON, QUICK, Checker
from .conftest import eventually, namespaces_refused

Start = Callable[..., Checker]


def check(name: str = "it", **values: Any) -> Check:
    """A check at the pace of a test, judged at the first failure unless it is said otherwise."""
    table = {**QUICK, "threshold": 1, **{key.replace("_", "-"): value for key, value in values.items()}}
    return parse.table(name, table)


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts checkers, and ends them."""
    started: list[Checker] = []

    def begin(*checks: Check, **extra: Any) -> Checker:
        started.append(Checker(checks, **extra))
        return started[-1]

    yield begin
    for one in started:
        one.end()


@pytest.fixture
def server() -> Iterator[AnsweringServer]:
    """A server that answers as its path says."""
    listening = AnsweringServer()
    yield listening
    listening.close()


LATE = {"timeout": "300ms"}

HTTP: dict[str, tuple[str, dict[str, Any], bool, str]] = {
    "an answer": ("/status/200", {}, True, "status 200"),
    "an answer without content": ("/status/204", {}, True, "status 204"),
    "a redirect is an answer, and is not followed": ("/redirect", {}, True, "status 302"),
    "a redirect where another status is asked for": ("/redirect", {"status": 200}, False, "status 302, not 200"),
    "not there": ("/status/404", {}, False, "status 404"),
    "not now": ("/status/503", {}, False, "status 503"),
    "a failure that is asked for": ("/status/401", {"status": [200, 401]}, True, "status 401"),
    "no answer": ("/hang", LATE, False, "no answer within 0.3 s"),
    "headers in drops": ("/slow-headers", LATE, False, "no answer within 0.3 s"),
    "a body in drops, which nobody asked for": ("/drip", {}, True, "status 200"),
    "a body in drops": ("/drip", {"expect": "a present", **LATE}, False, "no answer within 0.3 s"),
    "closed at once": ("/close", {}, False, "the connection was closed without an answer"),
    "another protocol": ("/garbage", {}, False, "the answer is no HTTP (BadStatusLine)"),
    "headers without end": ("/endless-headers", {}, False, "the answer is no HTTP (HTTPException)"),
    "a long body, which nobody asked for": ("/long", {}, True, "status 200"),
    "a long body": ("/long", {"expect": "a present"}, False, "the answer is longer than 1 MiB"),
    "no JSON": ("/status/200", {"expect": "a present"}, False, "status 200, but the answer is no JSON"),
    "a redirect is no JSON": ("/redirect", {"expect": "a present"}, False, "status 302, but the answer is no JSON (it leads to /login)"),
    "JSON too deep to read": ("/json?" + "[" * 30_000, {"expect": ". present"}, False, "status 200, but the answer is no JSON"),
    "in pieces": (as_json({"a": 1}).replace("/json", "/chunked"), {"expect": "a equals 1"}, True, "status 200, a is 1"),
}  # fmt: skip


@pytest.mark.parametrize("name", HTTP)
def test_an_http_check_is_judged_by_its_answer(name: str, server: AnsweringServer, start: Start) -> None:
    path, values, ok, words = HTTP[name]

    answer = start(check(http=f"http://127.0.0.1:{server.port}{path}", **values)).checked()

    assert (answer["ok"], answer["words"]) == (ok, words)
    assert answer["check"] == "it"
    assert answer["life"] == 1


SYSTEM_STATS = {"devices": [{"name": "NVIDIA H200", "type": "cuda"}], "none": None, "text": "", "zero": 0, "yes": True, "ratio": 1.5}

RULES: dict[str, tuple[dict[str, Any], bool, str]] = {
    "equal": ({"expect": "devices.0.type equals cuda"}, True, "status 200, devices.0.type is cuda"),
    "another value": ({"expect": "devices.0.type equals cpu"}, False, "devices.0.type is cuda, not cpu"),
    "another sort of value": ({"expect": "zero equals false"}, False, "zero is 0, not false"),
    "a number": ({"expect": "ratio equals 1.5"}, True, "status 200, ratio is 1.5"),
    "no such key": ({"expect": "device.0 present"}, False, "there is no device.0 in the answer"),
    "no such element": ({"expect": "devices.1 present"}, False, "there is no devices.1 in the answer"),
    "a key of a text": ({"expect": "text.a present"}, False, "there is no text.a in the answer"),
    "present": ({"expect": "none present"}, True, "status 200, none is present"),
    "empty": ({"expect": ["text empty", "none empty"]}, True, "status 200, text is empty, none is empty"),
    "not empty": ({"expect": "devices not-empty"}, True, "status 200, devices is not empty"),
    "a number is neither": ({"expect": "zero empty"}, False, "zero is 0, which is neither empty nor not"),
    "all of it": ({"expect": ". not-empty"}, True, "status 200, the answer is not empty"),
    "the first that fails": ({"expect": ["yes equals true", "text not-empty", "gone present"]}, False, "text is empty"),
    "all that make it fail": ({"fail_when": ["devices not-empty", "text empty"]}, False, "devices is not empty and text is empty"),
    "one of those that make it fail": ({"fail_when": ["devices not-empty", "text not-empty"]}, True, "status 200"),
    "one of those is not there": ({"fail_when": ["devices not-empty", "gone empty"]}, True, "status 200"),
}


@pytest.mark.parametrize("name", RULES)
def test_rules_judge_the_json_of_an_answer(name: str, server: AnsweringServer, start: Start) -> None:
    values, ok, words = RULES[name]

    answer = start(check(http=f"http://127.0.0.1:{server.port}{as_json(SYSTEM_STATS)}", **values)).checked()

    assert (answer["ok"], answer["words"]) == (ok, words)


@pytest.mark.parametrize("path", ["/close", "/hang", "/long", "/status/500", "/status/200"])
def test_what_is_to_fail_for_one_thing_alone_cannot_tell_when_it_gets_no_answer(path: str, server: AnsweringServer, start: Start) -> None:
    url = f"http://127.0.0.1:{server.port}"
    when = ["queue_pending not-empty", "queue_running empty"]
    timeout = "300ms" if path == "/hang" else "60s"
    checker = start(check("when", http=url + path, fail_when=when, timeout=timeout), check("clock", tcp=f"127.0.0.1:{server.port}"))

    assert [checker.answer()["step"] for _ in range(2)].count("waiting") == 1


def test_an_empty_object_is_empty(server: AnsweringServer, start: Start) -> None:
    """What ComfyUI answers, with status 200, for a node that is not there."""
    answer = start(check(http=f"http://127.0.0.1:{server.port}{as_json({})}", expect=". not-empty")).checked()

    assert (answer["ok"], answer["words"]) == (False, "the answer is empty")


def test_ipv6(start: Start) -> None:
    try:
        listening = AnsweringServer(socket.AF_INET6)
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")
    checker = start(check("web", http=f"http://[::1]:{listening.port}/status/200"), check("port", tcp=f"[::1]:{listening.port}"))

    assert {(answer["check"], answer["ok"]) for answer in (checker.checked(), checker.checked())} == {("web", True), ("port", True)}
    listening.close()


def test_a_certificate_is_not_verified(tmp_path: Path, start: Start) -> None:
    certificate = tmp_path / "both.pem"
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=app"]
    try:
        made = subprocess.run([*make, "-keyout", "-", "-out", "-"], capture_output=True, check=True).stdout
    except FileNotFoundError:
        pytest.skip("no openssl to make a certificate with")
    certificate.write_bytes(made)
    listening = AnsweringServer(certificate=str(certificate))
    url = f"https://localhost:{listening.port}{as_json({'a': 1})}"
    checker = start(check("web", http=url, expect="a equals 1"))

    assert checker.checked()["ok"]
    listening.close()


def test_the_request_is_plain_and_carries_the_headers_of_the_check(server: AnsweringServer, start: Start) -> None:
    checker = start(check(http=f"http://127.0.0.1:{server.port}/status/200", headers={"Host": "app.internal", "X-Token": "a b"}))

    assert checker.checked()["ok"]
    line, *headers = server.requests[0].split("\r\n")
    assert line == "GET /status/200 HTTP/1.1"
    assert {"Host: app.internal", "X-Token: a b", "Connection: close"} <= set(headers)
    assert sum(header.startswith("Host:") for header in headers) == 1


def test_a_path_may_be_missing_and_a_query_stays(server: AnsweringServer, start: Start) -> None:
    start(check(http=f"http://127.0.0.1:{server.port}")).checked()
    start(check(http=f"http://127.0.0.1:{server.port}?a=b&c")).checked()

    assert [request.split()[1] for request in (server.requests[0], server.requests[-1])] == ["/", "/?a=b&c"]


def test_no_proxy_of_the_environment_is_asked(server: AnsweringServer, start: Start) -> None:
    dead = "http://127.0.0.1:1"
    env = {**os.environ, "http_proxy": dead, "HTTP_PROXY": dead, "all_proxy": dead}

    assert start(check(http=f"http://127.0.0.1:{server.port}/status/200"), env=env).checked()["ok"]


def closed_port() -> int:
    """A port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def test_nobody_listens(start: Start) -> None:
    port = closed_port()
    checker = start(check("web", http=f"http://127.0.0.1:{port}/"), check("port", tcp=f"127.0.0.1:{port}"))

    for answer in (checker.checked(), checker.checked()):
        assert (answer["ok"], answer["words"]) == (False, "Connection refused")


def test_a_port_that_takes_connections(server: AnsweringServer, start: Start) -> None:
    answer = start(check(tcp=f"127.0.0.1:{server.port}")).checked()

    assert (answer["ok"], answer["words"]) == (True, "takes connections")


def test_a_name_that_nobody_knows(start: Start) -> None:
    answer = start(check(tcp="nowhere.invalid:80")).checked()

    assert not answer["ok"]
    assert "name" in answer["words"].lower()


@pytest.mark.root
def test_a_name_server_that_does_not_answer_holds_up_one_check_alone(server: AnsweringServer, start: Start, tmp_path: Path) -> None:
    """The resolver waits for 5 s, and cannot be interrupted."""
    if reason := namespaces_refused():
        pytest.skip(f"no namespace to change resolv.conf in: {reason}")
    try:
        deaf = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        deaf.bind(("127.0.0.77", 53))
    except OSError as error:
        pytest.skip(f"no name server can be had: {error}")
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.77\noptions timeout:30 attempts:1\n")
    before = ["unshare", "--mount", "sh", "-c", f'mount --bind {tmp_path}/resolv.conf /etc/resolv.conf && exec "$@"', "sh"]
    named = check("named", http="http://somewhere.example/", threshold=2, **LATE)
    checker = start(named, check("numbered", http=f"http://127.0.0.1:{server.port}/as-told"), before=before)

    assert checker.checked("numbered")["ok"]
    answer = checker.checked("named")
    assert (answer["ok"], answer["words"]) == (False, "the attempt before still hangs")
    server.answer = (500, "")
    assert not checker.checked("numbered")["ok"]
    deaf.close()


EXEC: dict[str, tuple[str, bool, str]] = {
    "well": ("pass", True, "ended with exit code 0"),
    "its last line tells why": ("print('one'); print('two\\n'); raise SystemExit(3)", False, "ended with exit code 3: two"),
    "without a word": ("raise SystemExit(1)", False, "ended with exit code 1"),
    "killed": ("import os; os.kill(os.getpid(), 9)", False, "was killed by signal 9"),
    "it waits": ("import time; time.sleep(1000)", False, "no answer within 0.5 s"),
    "it does not listen to TERM": (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(1000)",
        False,
        "no answer within 0.5 s",
    ),
    "it prints more than a pipe holds": ("print('x' * 10_000_000)", True, "ended with exit code 0"),
    "it prints without end": ("while True: print('x' * 1000)", False, "no answer within 0.5 s"),
    "its input is at its end": ("import sys; raise SystemExit(len(sys.stdin.read()))", True, "ended with exit code 0"),
    "it closes its output and goes on": ("import os, time; os.close(1); os.close(2); time.sleep(0.2)", True, "ended with exit code 0"),
    "no text": ("import os; os.write(1, b'\\xff\\xfe'); raise SystemExit(2)", False, "ended with exit code 2: \ufffd\ufffd"),
}


@pytest.mark.parametrize("name", EXEC)
def test_an_exec_check_is_judged_by_its_exit_code(name: str, start: Start) -> None:
    script, ok, words = EXEC[name]
    waits = "no answer" in words

    # One that is to succeed gets all the time that a loaded machine takes.
    answer = start(check(exec=[*PYTHON, script], timeout="500ms" if waits else "60s")).checked()

    assert (answer["ok"], answer["words"]) == (ok, words)


def test_a_program_that_is_not_there(start: Start) -> None:
    answer = start(check(exec=["/nowhere/at-all"])).checked()

    assert (answer["ok"], answer["words"]) == (False, "cannot start /nowhere/at-all: No such file or directory")


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def leaver(pid: Path, then: str) -> list[str]:
    """A program that starts another one, which holds its output, and writes down its pid."""
    return ["sh", "-c", f"sleep 1000 & echo $! >{pid}; {then}"]


def wait_for_pid(path: Path) -> int:
    eventually(lambda: path.exists() and path.read_text().endswith("\n"))
    return int(path.read_text())


@pytest.mark.parametrize(("then", "ok"), [("exit 0", True), ("wait", False)])
def test_what_a_program_leaves_behind_is_killed_and_not_waited_for(then: str, ok: bool, start: Start, tmp_path: Path) -> None:
    checker = start(check(exec=leaver(tmp_path / "pid", then), timeout="60s" if ok else "500ms"))

    assert checker.checked()["ok"] is ok
    wait_for_pid(tmp_path / "pid")  # on a slow machine it takes another attempt
    checker.tell({"order": "stop"})
    eventually(lambda: not alive(wait_for_pid(tmp_path / "pid")))


def test_a_check_never_overlaps_itself(server: AnsweringServer, start: Start) -> None:
    """An attempt that is cut is through before the next one begins."""
    start(check(http=f"http://127.0.0.1:{server.port}/hang", timeout="50ms"))

    eventually(lambda: len(server.connections) >= 8)
    assert server.overlaps == 0


def test_programs_of_one_check_never_overlap(start: Start, tmp_path: Path) -> None:
    lock, overlapped, runs = tmp_path / "lock", tmp_path / "overlapped", tmp_path / "runs"
    script = f"mkdir {lock} || touch {overlapped}; echo >>{runs}; sleep 0.1; rmdir {lock}; exit 1"
    checker = start(check(exec=["sh", "-c", script], timeout="60s", threshold=10))

    assert not checker.checked()["ok"]
    assert len(runs.read_text()) >= 10
    assert not overlapped.exists()


def test_one_that_hangs_does_not_keep_the_others(server: AnsweringServer, start: Start) -> None:
    url = f"http://127.0.0.1:{server.port}"
    checker = start(check("hangs", http=f"{url}/hang", timeout="1h"), check("told", http=f"{url}/as-told"))

    for status in (200, 500, 200, 500):
        server.answer = (status, "")
        assert checker.checked()["check"] == "told"


def test_it_fails_after_so_many_failures_in_a_row_and_is_well_after_one_success(server: AnsweringServer, start: Start) -> None:
    checker = start(check(http=f"http://127.0.0.1:{server.port}/as-told", threshold=3))
    assert checker.checked()["ok"]

    asked = len(server.requests)
    server.answer = (500, "")
    assert not checker.checked()["ok"]
    assert len(server.requests) - asked >= 3

    server.answer = (200, "")
    assert checker.checked()["ok"]


def test_a_success_makes_the_failures_before_it_forgotten(server: AnsweringServer, start: Start) -> None:
    server.script = [200, 500, 500, 200, 500, 500, 200, 500, 500, 500]
    server.answer = (500, "")
    checker = start(check(http=f"http://127.0.0.1:{server.port}/as-told", threshold=3))

    assert checker.checked()["ok"]
    assert not checker.checked()["ok"]
    assert server.script == []


def test_an_attempt_that_was_cut_has_failed_once(server: AnsweringServer, start: Start) -> None:
    checker = start(check(http=f"http://127.0.0.1:{server.port}/hang", threshold=2, period="1h", **LATE))
    assert checker.answer()["words"] == "no answer within 0.3 s"
    eventually(lambda: not any("socket" in name for name in checker.descriptors()))  # its thread has come back

    checker.tell({"order": "start", "life": 2})

    assert checker.answer() == {"step": "waiting", "check": "it", "words": "no answer within 0.3 s", "life": 2}


def test_failures_do_not_count_before_the_first_success(server: AnsweringServer, start: Start) -> None:
    server.answer = (503, "")
    checker = start(check(http=f"http://127.0.0.1:{server.port}/as-told", start_period="1h", threshold=1))

    answer = checker.answer()
    assert answer == {"step": "waiting", "check": "it", "words": "status 503", "life": 1}
    eventually(lambda: server.count("/as-told") >= 5)
    server.answer = (200, "")
    assert checker.answer()["step"] == "checked"

    server.answer = (503, "")
    assert not checker.checked()["ok"]


def test_the_words_of_an_app_that_is_still_starting_are_told_when_they_change(server: AnsweringServer, start: Start) -> None:
    server.answer = (503, "")
    checker = start(check(http=f"http://127.0.0.1:{server.port}/as-told", start_period="1h"))
    assert checker.answer()["words"] == "status 503"
    eventually(lambda: server.count("/as-told") >= 40)  # longer than one is told anything anew

    server.answer = (502, "")

    assert checker.answer()["words"] == "status 502"


def test_a_new_life_is_judged_anew(server: AnsweringServer, start: Start) -> None:
    checker = start(check(http=f"http://127.0.0.1:{server.port}/as-told"))
    assert (checker.checked()["life"], len(server.requests) >= 1) == (1, True)

    checker.tell({"order": "start", "life": 300}, {"order": "start", "life": 301})

    answers = [checker.checked()]
    while answers[-1]["life"] != 301:
        answers.append(checker.checked())
    assert all(answer["ok"] for answer in answers)


def test_what_was_asked_in_a_life_before_is_not_told(server: AnsweringServer, start: Start) -> None:
    checker = start(
        check(http=f"http://127.0.0.1:{server.port}/hang", timeout="1h"), check("told", http=f"http://127.0.0.1:{server.port}/as-told")
    )
    eventually(lambda: server.count("/hang") == 1)

    checker.tell({"order": "start", "life": 2})

    eventually(lambda: server.count("/hang") == 2)  # the attempt of life 1 was cut, or this one would not have begun
    server.answer = (500, "")
    while (answer := checker.checked())["ok"]:
        assert answer["check"] == "told"
    assert (answer["check"], answer["life"]) == ("told", 2)


def test_while_no_app_runs_nothing_is_asked(server: AnsweringServer, start: Start) -> None:
    checker = start(
        check(http=f"http://127.0.0.1:{server.port}/as-told"), check("hangs", http=f"http://127.0.0.1:{server.port}/hang", timeout="1h")
    )
    assert checker.checked()["ok"]
    eventually(lambda: server.count("/hang") == 1)

    checker.tell({"order": "stop"})
    checker.tell({"not": "an order"})
    assert b"cannot obey" in checker.popen.stderr.readline()  # so it has read the one before
    eventually(lambda: not any("socket" in name for name in checker.descriptors()))
    asked = len(server.requests)
    start(check(http=f"http://127.0.0.1:{server.port}/status/200"))  # it tells how time goes
    eventually(lambda: server.count("/status/200") >= 5)
    assert len(server.requests) - server.count("/status/200") == asked

    checker.tell({"order": "start", "life": 2})
    assert checker.checked()["life"] == 2


def test_nothing_that_is_sent_to_it_ends_it(server: AnsweringServer, start: Start) -> None:
    checker = start(check(http=f"http://127.0.0.1:{server.port}/as-told"))
    assert checker.checked()["ok"]

    checker.popen.stdin.write(b'nonsense\n\xff\xfe\n3\nnull\n[]\n{}\n{"order": "start"}\n{"order": 5}\n{"checks": 3}\n')
    checker.tell()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        checker.popen.send_signal(number)

    server.answer = (500, "")
    assert not checker.checked()["ok"]
    code, errors = checker.finish()
    assert code == 0
    assert errors.count(b"cannot obey") == 7


def test_programs_can_be_stopped_by_the_signals_that_do_not_end_the_checker(start: Start) -> None:
    """A signal that is ignored stays ignored in whatever is started."""
    script = "import signal; raise SystemExit(any(signal.getsignal(n) is signal.SIG_IGN for n in (1, 2, 15, 17)))"

    assert start(check(exec=[*PYTHON, script])).checked()["ok"]


def test_the_end_of_its_input_ends_it_and_the_programs_that_it_runs(start: Start, tmp_path: Path) -> None:
    checker = start(check(exec=leaver(tmp_path / "pid", "wait"), timeout="1h"), check("waits", exec=["sleep", "1000"], timeout="1h"))
    pid = wait_for_pid(tmp_path / "pid")

    code, errors = checker.finish()

    assert (code, errors) == (0, b"")
    eventually(lambda: not alive(pid))


def test_it_keeps_no_sockets_and_gets_no_more_threads(server: AnsweringServer, start: Start) -> None:
    url = f"http://127.0.0.1:{server.port}"
    checks = [
        check("told", http=f"{url}/as-told"),
        check("hangs", http=f"{url}/hang", timeout="50ms", threshold=1000),
        check("long", http=f"{url}/long", threshold=1000),
        check("port", tcp=f"127.0.0.1:{server.port}"),
        check("program", exec=["true"]),
        check("nobody", tcp=f"127.0.0.1:{closed_port()}", threshold=1000),
    ]
    checker = start(*checks)
    eventually(lambda: server.count("/as-told") >= 3 and server.count("/hang") >= 3)
    threads = checker.threads()

    eventually(lambda: server.count("/as-told") >= 20 and server.count("/hang") >= 10)
    checker.tell({"order": "stop"})

    eventually(lambda: not any("socket" in name for name in checker.descriptors()))
    eventually(lambda: len(checker.descriptors()) == 4)  # stdin, stdout, stderr, and the pipe (one link for both of its ends)
    assert checker.threads() == threads == len(checks) + 1


def test_where_sigchld_is_ignored_a_failing_program_still_fails(start: Start) -> None:
    ignoring = [
        sys.executable,
        "-c",
        "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])",
    ]

    answer = start(check(exec=["false"]), before=ignoring).checked()

    assert (answer["ok"], answer["words"]) == (False, "ended with exit code 1")


def test_where_no_descriptor_is_left_nothing_is_said_about_the_app(server: AnsweringServer, start: Start) -> None:
    few = ["sh", "-c", 'ulimit -n 5; exec "$@"', "sh"]
    checker = start(check(tcp=f"127.0.0.1:{server.port}", start_period="0s"), before=few)

    answer = checker.answer()

    assert (answer["step"], answer["words"]) == ("waiting", "Too many open files")
