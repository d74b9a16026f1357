"""Whoever is slow, many or big is bounded, and everybody else is served meanwhile."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from firstlight.serve import answers, connections

from .conftest import Agent, tell_a_healthy_boot

Start = Callable[..., Agent]


@pytest.fixture
def agent(start: Start) -> Agent:
    agent = start()
    agent.listens()
    tell_a_healthy_boot(agent)
    agent.caught_up()
    return agent


def connect(agent: Agent, text: str = "") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", agent.port))
    connection.sendall(text.encode("latin-1"))
    return connection


def closed(connection: socket.socket) -> bytes:
    """Wait until the other end closes: what it sent before."""
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(1 << 16):
            found += piece
    connection.close()
    return found


SLOW = (
    "",
    "GET / HT",
    "GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
    "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\ntok",
    "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\nGET /live",
)


def test_a_request_that_never_ends_is_cut_off(agent: Agent) -> None:
    began = time.monotonic()
    slow = [connect(agent, beginning) for beginning in SLOW]

    assert agent.ask("/livez").code == 200
    for one in slow:
        closed(one)
    # uvicorn's own limit on an idle connection would have come later: a second request that never ends is not idle.
    assert time.monotonic() - began < connections.KEEP_ALIVE


def test_dripping_bytes_buy_no_time(agent: Agent) -> None:
    slow = connect(agent, "GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
    slow.settimeout(0.2)
    gone = False
    while not gone:
        try:
            slow.sendall(b"x")
            gone = slow.recv(1) == b""
        except TimeoutError:
            continue
        except OSError:
            gone = True
    slow.close()


def test_three_hundred_half_open_connections_keep_nobody_out(agent: Agent) -> None:
    crowd = [connect(agent, "GET / HTTP/1.1\r\n") for _ in range(300)]

    # As many as there is room for are kept; the others were closed unheard. Those who came in first go first.
    while True:
        with contextlib.suppress(OSError):
            if agent.ask("/livez").code == 200:
                break
        time.sleep(0.05)
    assert agent.ask("/livez", control=True).code == 200
    assert len(os.listdir(f"/proc/{agent.popen.pid}/fd")) < connections.MOST_CONNECTIONS + 40
    for one in crowd:
        one.close()


def test_a_crowd_on_the_port_keeps_nobody_from_the_control_socket(agent: Agent) -> None:
    crowd = [connect(agent, "GET / HTTP/1.1\r\n") for _ in range(connections.MOST_CONNECTIONS + 8)]
    beyond = [one for one in crowd[connections.MOST_CONNECTIONS :] if closed(one) == b""]  # refused: the port is full, and stays so

    assert len(beyond) == 8
    assert agent.ask("/livez", control=True).code == 200
    for one in crowd:
        one.close()


@pytest.mark.parametrize(
    ("request_text", "code"),
    [
        ("GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Big: " + "x" * 400_000 + "\r\n\r\n", b"400"),
        ("GET /" + "x" * 400_000 + " HTTP/1.1\r\nHost: localhost\r\n\r\n", b"400"),
        ("nonsense\r\n\r\n", b"400"),
        ("GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"400"),
        ("GET /livez HTTP/1.1\r\n\r\n", b"400"),
        ("GET /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", b"400"),
        ("GET /livez HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n", b"400"),
        ("GET /livez HTTP/1.0\r\nHost: localhost\r\n\r\n", b"200"),
        ("OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", b"404"),
        ("DELETE / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", b"405"),
    ],
)
def test_odd_requests_get_an_answer_and_do_no_harm(agent: Agent, request_text: str, code: bytes) -> None:
    answer = closed(connect(agent, request_text))

    assert answer.split()[1] == code, answer
    assert b"Traceback" not in answer
    assert agent.ask("/livez").code == 200


def test_a_body_without_end_is_not_swallowed(agent: Agent) -> None:
    head = (
        "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    connection = connect(agent, head)
    with contextlib.suppress(OSError):
        for _ in range(2000):
            connection.sendall(b"400\r\n" + b"x" * 1024 + b"\r\n")

    assert b" 413 " in closed(connection)[:30] or agent.ask("/livez").code == 200
    resident = int(Path(f"/proc/{agent.popen.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    assert resident < 120 << 20


def test_followers_are_counted(agent: Agent) -> None:
    request = "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n"
    followers = [connect(agent, request) for _ in range(answers.MOST_FOLLOWERS)]
    for follower in followers:
        assert b" 200 " in follower.recv(100)

    assert agent.ask("/events").code == 503
    followers.pop().close()

    while b" 200 " not in (one := connect(agent, request)).recv(100):
        one.close()
        time.sleep(0.02)
    followers.append(one)
    for follower in followers:
        follower.close()


def test_head_has_the_same_head_and_no_body(agent: Agent) -> None:
    for path in ("/", "/status.json", "/livez", "/readyz?verbose", "/metrics"):
        head, get = agent.ask(path, "HEAD"), agent.ask(path)
        assert (head.code, head.text, head.headers["content-type"]) == (get.code, "", get.headers["content-type"]), path
    assert agent.ask("/events", "HEAD").code == 200


def test_idle_it_costs_nothing(agent: Agent) -> None:
    """No clock ticks in it: an agent that nobody asks does not wake up."""

    def switches() -> int:
        text = Path(f"/proc/{agent.popen.pid}/status").read_text()
        return int(text.partition("voluntary_ctxt_switches:")[2].split()[0])

    agent.ask("/livez")
    time.sleep(0.5)  # what the last request left behind
    before = switches()
    time.sleep(1.5)

    assert switches() - before <= 3
