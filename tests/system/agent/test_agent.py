"""The agent as a process: what it takes, what it answers, and when it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from firstlight.system import process

from .conftest import AT, BOOT, Agent, tell_a_healthy_boot

Start = Callable[..., Agent]


def test_a_whole_boot_is_told_as_it_happens(start: Start) -> None:
    agent = start()
    agent.listens()
    agent.write("boot", "start", command=["python3"])
    agent.caught_up()
    assert [agent.ask(path).code for path in ("/livez", "/readyz", "/startupz", "/healthz")] == [200, 503, 503, 200]

    agent.number = 0
    agent.close()
    agent = start()
    agent.listens()
    tell_a_healthy_boot(agent)
    agent.caught_up()

    assert [agent.ask(path).code for path in ("/livez", "/readyz", "/startupz", "/healthz")] == [200, 200, 200, 200]
    assert agent.ask("/readyz?verbose").text == "[+]core ok\n[+]gpu ok\n[+]http ok\n[+]app ok\nreadyz check passed\n"
    status = agent.ask("/status.json").json
    assert (status["version"], status["boot"], status["headline"], status["ready_after"]) == (1, BOOT, "Ready", 4.0)


def test_it_answers_before_the_first_event(start: Start) -> None:
    agent = start()
    agent.listens()

    assert [agent.ask(path).code for path in ("/livez", "/readyz", "/", "/status.json", "/metrics")] == [200, 503, 200, 200, 200]


def test_it_ends_at_once_when_the_core_is_gone(start: Start) -> None:
    agent = start()
    port = agent.listens()
    tell_a_healthy_boot(agent)
    with socket.create_connection(("127.0.0.1", port)) as follower:
        follower.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert follower.recv(100)
        agent.popen.stdin.close()

        assert agent.ends() == 0


def test_it_ends_without_an_order() -> None:
    agent = subprocess.run(process.module("firstlight.serve.agent"), input=b"", capture_output=True, check=False)

    assert (agent.returncode, agent.stdout, agent.stderr) == (0, b"", b"")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_it_outlives_the_signals_that_stop_a_container(start: Start, number: int) -> None:
    agent = start()
    agent.listens()

    agent.popen.send_signal(number)

    assert agent.ask("/livez").code == 200


@pytest.mark.parametrize(
    "line",
    [
        {"v": 1, "boot": BOOT, "n": 5, "t": AT, "s": 1.0, "stage": "probe", "kind": "stage"},
        {"v": 1, "boot": BOOT, "n": 0, "t": AT, "s": 1.0, "stage": "probe", "kind": "stage"},
        {"v": 2, "boot": BOOT, "n": 1, "t": AT, "s": 1.0, "stage": "probe", "kind": "stage"},
        {"v": 1, "boot": BOOT, "n": 1, "t": AT, "s": 1.0, "stage": "no such stage", "kind": "stage"},
        ["nothing"],
    ],
)
def test_a_gap_in_the_journal_asks_for_all_of_it_anew(start: Start, line: Any) -> None:
    agent = start()
    agent.write("boot", "start")

    agent.send(line)

    assert "journal" in agent.answers("trouble")["words"]
    assert agent.ends() == 75


def test_a_replay_may_begin_late(start: Start) -> None:
    """The core keeps a part of a long journal."""
    agent = start(greeting=3)
    agent.listens()
    agent.write("boot", "start")
    for number in (4000, 5000):
        agent.number = number
        agent.write("note", "app")

    agent.caught_up()


def test_killed_and_started_anew_it_knows_the_same(start: Start) -> None:
    first = start()
    first.listens()
    tell_a_healthy_boot(first)
    first.caught_up()
    before, token = first.ask("/status.json").text, first.token()
    first.popen.kill()
    first.ends()

    second = start()
    second.listens()
    tell_a_healthy_boot(second)
    second.caught_up()

    assert second.ask("/status.json").text == before
    assert second.token() == token
    assert second.ask("/status.json", control=True).text == before


@pytest.mark.parametrize(
    "line",
    [
        "{}",
        "[]",
        "nothing",
        '{"step":"configure"}',
        '{"step":"configure","boot":"b","serve":"off","hosts":[1]}',
        '{"step":"configure","boot":"b","version":"1","serve":1}',
    ],
)
def test_an_order_that_is_none_is_refused_in_one_line(line: str) -> None:
    outcome = subprocess.run(process.module("firstlight.serve.agent"), input=line + "\n", capture_output=True, text=True, check=False)

    assert outcome.returncode == 69
    (answer,) = map(json.loads, outcome.stdout.splitlines())
    assert answer["step"] == "trouble"
    assert outcome.stderr == ""


def test_without_its_libraries_it_says_so_in_one_line() -> None:
    """A wheel without its dependencies, or a stranger's Python."""
    source = str(Path(__file__).parents[3] / "src")
    run = "from firstlight.serve.agent import main"
    argv = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {source!r}); {run}; sys.exit(main())"]

    outcome = subprocess.run(argv, input="{}\n", capture_output=True, text=True, check=False)

    (answer,) = map(json.loads, outcome.stdout.splitlines())
    assert (outcome.returncode, answer["step"], outcome.stderr) == (69, "trouble", "")
    assert answer["words"].startswith("cannot serve the status page: No module named")


def test_a_taken_port_leaves_the_control_socket_and_is_tried_again(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        agent = start(serve=f"127.0.0.1:{port}")
        assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in agent.answers("trouble")["words"]
        assert agent.answers("listening")["address"] is None
        assert agent.ask("/livez", control=True).code == 200

    assert agent.answers("listening")["address"] == f"127.0.0.1:{port}"


@pytest.mark.parametrize("serve", ["nonsense", "127.0.0.1", "::1:80", "127.0.0.1:99999"])
def test_an_address_that_is_none_leaves_the_control_socket(start: Start, serve: str) -> None:
    agent = start(serve=serve)

    assert agent.answers("trouble")["words"].startswith("cannot take")
    assert agent.listens() == 0
    assert agent.ask("/livez", control=True).code == 200


def test_serving_can_be_left_off(start: Start) -> None:
    agent = start(serve="off")

    assert agent.listens() == 0
    assert agent.ask("/livez", control=True).code == 200


def test_it_listens_on_ipv6(start: Start) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")
    agent = start(serve="[::1]:0")
    agent.listens()

    assert agent.address.startswith("[::1]:")


def test_the_control_socket_and_the_token_are_for_their_owner_alone(start: Start) -> None:
    agent = start()
    assert agent.answers("token")["file"] == str(agent.folder / "token")
    agent.listens()

    for name in ("control.sock", "token"):
        assert stat.S_IMODE(os.stat(agent.folder / name).st_mode) == 0o600
    assert len(agent.token()) >= 40


def test_what_an_earlier_agent_has_left_is_replaced(start: Start) -> None:
    agent = start(serve="off")
    agent.listens()
    agent.popen.kill()
    agent.ends()

    again = start(serve="off")
    again.listens()

    assert again.ask("/livez", control=True).code == 200


def test_a_folder_that_takes_no_socket_leaves_the_port(start: Start) -> None:
    agent = start(control="/proc/no/control.sock")

    words = [agent.answers("trouble")["words"], agent.answers("trouble")["words"]]
    assert any(text.startswith("cannot keep a token in /proc/no/token") for text in words)
    assert any(text.startswith("cannot make the control socket /proc/no/control.sock") for text in words)
    agent.listens()
    assert agent.ask("/livez").code == 200


def test_a_token_can_come_with_the_orders(start: Start) -> None:
    given = "a-token-that-a-pod-was-given-0123456789"
    agent = start(token=given)
    agent.listens()

    for token, code in ((given, 200), (given[:-1], 401)):
        assert agent.ask("/metrics", authorization=f"Bearer {token}", x_forwarded_for="9.9.9.9").code == code
    assert not (agent.folder / "token").exists()


@pytest.mark.parametrize("token", ["too-short", "one word of two dozen letters", "with-a-newline-in-it-0123456789\n"])
def test_a_token_that_can_be_guessed_is_told_of_and_another_is_made(start: Start, token: str) -> None:
    agent = start(token=token)

    words = agent.answers("trouble")["words"]
    assert words == "cannot take the token in FIRSTLIGHT_TOKEN: it must be one word of 20 characters or more; another one is made"
    agent.listens()
    assert agent.ask("/metrics", authorization=f"Bearer {token.strip()}", x_forwarded_for="9.9.9.9").code == 401
    assert agent.ask("/metrics", authorization=f"Bearer {agent.token()}", x_forwarded_for="9.9.9.9").code == 200


def test_those_who_may_see_all_are_told_the_host_keys_and_the_cause(start: Start) -> None:
    agent = start()
    agent.listens()
    tell_a_healthy_boot(agent)
    agent.write("stage", "probe", attempt=2)
    fault = {"quotes": {}, "persistence": "permanent", "actor": "provider"}
    agent.write("finding", "diagnose", fault="nvml-failed", sentence="it is ill", stops=False, **fault)
    agent.write("finding", "diagnose", fault="uvm-open-fails", sentence="EIO", stops=True, **fault)
    agent.write("diagnosis", "diagnose", usable=0, expected=1, promised=True, driver="580.159.04")
    agent.caught_up()

    told = agent.ask("/status.json").json
    here = [
        subprocess.check_output(["ssh-keygen", "-lf", key], text=True).split()[1] for key in Path("/etc/ssh").glob("ssh_host_*_key.pub")
    ]
    assert sorted(told["ssh_host_keys"]) == sorted(here)
    assert told["driver"] == "580.159.04"
    assert told["cause"] == {
        "fault": "uvm-open-fails",
        "sentence": "EIO",
        "layer": "device",
        "actor": "provider",
        "persistence": "permanent",
        "host_fault": True,
    }
    assert agent.ask("/status.json", x_forwarded_for="9.9.9.9").json.keys() == {"ready", "stage", "since"}


@pytest.mark.parametrize(
    ("content", "words"), [("short", "20 characters"), (None, "No such file"), ("two words are no token at all", "one word")]
)
def test_a_token_that_cannot_be_trusted_opens_nothing(start: Start, tmp_path: Path, content: str | None, words: str) -> None:
    file = tmp_path / "given"
    if content is not None:
        file.write_text(content)
    agent = start(token_file=str(file))

    assert words in agent.answers("trouble")["words"]
    agent.listens()
    answer = agent.ask("/events", host="10.0.0.1", authorization=f"Bearer {content}")
    assert answer.code == 401


def events(agent: Agent, count: int, last: str | None = None) -> list[tuple[str, dict[str, Any]]]:
    """The next events that a follower gets: id and data."""
    with socket.create_connection(("127.0.0.1", agent.port)) as follower:
        resume = f"Last-Event-ID: {last}\r\n" if last else ""
        follower.sendall(f"GET /events HTTP/1.1\r\nHost: localhost\r\n{resume}\r\n".encode())
        found: list[tuple[str, dict[str, Any]]] = []
        name = ""
        for line in follower.makefile("rb"):
            if line.startswith(b"id: "):
                name = line[4:].decode().strip()
            elif line.startswith(b"data: "):
                found.append((name, json.loads(line[6:])))
                if len(found) == count:
                    break
        return found


def test_a_follower_gets_every_event_and_goes_on_where_it_was(start: Start) -> None:
    agent = start()
    agent.listens()
    tell_a_healthy_boot(agent)
    agent.caught_up()

    everything = events(agent, agent.number)
    assert [name for name, _ in everything] == [f"{BOOT}/{number}" for number in range(agent.number)]
    assert everything[0][1]["command"] == ["python3", "main.py"]
    assert events(agent, 2, f"{BOOT}/3") == everything[4:6]
    for strange in (f"another/{3}", "3", "/3", f"{BOOT}/x", f"{BOOT}/-1", "x" * 3000):
        assert events(agent, 1, strange) == everything[:1], strange


def test_a_follower_hears_of_what_happens_later(start: Start) -> None:
    agent = start()
    agent.listens()
    agent.write("boot", "start")
    agent.caught_up()
    with socket.create_connection(("127.0.0.1", agent.port)) as follower:
        follower.sendall(f"GET /events HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: {BOOT}/0\r\n\r\n".encode())
        lines = follower.makefile("rb")
        while not lines.readline().startswith(b"retry:"):
            pass

        agent.write("stage", "probe", 1.0)

        while not (line := lines.readline()).startswith(b"data: "):
            pass
        assert json.loads(line[6:])["stage"] == "probe"


def test_secrets_are_shown_nowhere(start: Start) -> None:
    secret = 'pa"ss wörd/+=\\0123'
    agent = start(environment={"MY_API_KEY": secret})
    agent.listens()
    (agent.folder / "app.log").write_text(f"I say {secret} and hf_abcdefghijklmnop\n")
    agent.write("boot", "start", command=["app", "--flag", secret, "--password", "x1", "--token=x2"], settings={"secret": "x3"})
    agent.write("finding", "diagnose", fault=secret, sentence=secret, quotes={secret: secret})
    agent.write("log", "diagnose", words=f"https://me:{'x4'}@example.org {secret}")
    agent.caught_up()

    page = agent.eventually("/", lambda answer: "I say" in answer.text).text
    told = page + agent.ask("/status.json").text + agent.ask("/metrics").text + json.dumps(events(agent, agent.number))
    for word in ("wörd", "w\\u00f6rd", "w%C3%B6rd", "hf_abc", ">x1<", "x1 ", '"x1"', "token=x2", '"x3"', "x4@", agent.token()):
        assert word not in told, word


def test_a_volume_that_hangs_hangs_nobody(start: Start, tmp_path: Path) -> None:
    """A FIFO that nobody writes to: the read never returns."""
    boots = tmp_path / "state" / "boots"
    boots.mkdir(parents=True)
    # Reading the folder itself is made to hang by a stand-in for os.listdir: nothing else can be had without a hung mount.
    script = (
        "import os, threading\n"
        f"real = os.listdir\n"
        f"os.listdir = lambda path='.': threading.Event().wait() if str(path).startswith({str(tmp_path / 'state')!r}) else real(path)\n"
    )
    argv = process.module("firstlight.serve.agent")
    agent = start(argv=[*argv[:-1], script + argv[-1]], state_dir=str(tmp_path / "state"))
    agent.listens()
    tell_a_healthy_boot(agent)
    agent.caught_up()

    assert "The volume does not answer." in agent.ask("/").text
    began = time.monotonic()
    for _ in range(20):
        assert agent.ask("/").code == 200
    assert agent.ask("/livez").code == 200
    # The wait for it is paid once; a generous bound that a page which waits each time, or for ever, does not keep.
    assert time.monotonic() - began < 20
    threads = len(os.listdir(f"/proc/{agent.popen.pid}/task"))
    assert threads < 6
    agent.popen.stdin.close()
    assert agent.ends() == 0


def test_earlier_boots_are_told_in_short(start: Start, tmp_path: Path) -> None:
    boots = tmp_path / "state" / "boots"
    boots.mkdir(parents=True)
    lines = [
        ("boot", "start", 0.0, {}),
        ("diagnosis", "diagnose", 0.5, {"usable": 1, "expected": 1}),
        ("app-started", "app", 0.75, {}),
        ("end", "end", 60.0, {"code": 143}),
    ]
    text = "".join(
        json.dumps({"v": 1, "boot": "b", "n": number, "t": AT, "s": at, "stage": stage, "kind": kind, **data}) + "\n"
        for number, (kind, stage, at, data) in enumerate(lines)
    )
    (boots / "20261101T000000Z-aaaa.jsonl").write_text(text)
    (boots / f"{BOOT}.jsonl").write_text(text)
    (boots / "20261102T000000Z-bbbb.jsonl").write_bytes(b"\xff\n")
    agent = start(state_dir=str(tmp_path / "state"))
    agent.listens()
    tell_a_healthy_boot(agent)
    agent.caught_up()

    page = agent.eventually("/", lambda answer: "Earlier boots" in answer.text and "143" in answer.text).text
    assert page.count("0.75 s") == 1
