"""Who gets what over real sockets; every rule is in tests/unit/serve/test_access.py."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Agent, tell_a_healthy_boot

Start = Callable[..., Agent]
FORMS = {"content_type": "application/x-www-form-urlencoded"}
STRANGER = {"host": "pod-8421.proxy.runpod.net", "x_forwarded_for": "9.9.9.9"}


@pytest.fixture
def agent(start: Start, tmp_path: Path) -> Agent:
    metrics = tmp_path / "metrics-token"
    metrics.write_text("only-for-the-metrics-0123456789\n")
    agent = start(hosts=["*.proxy.runpod.net"], metrics_token_file=str(metrics))
    agent.listens()
    tell_a_healthy_boot(agent)
    agent.caught_up()
    return agent


def test_a_stranger_is_told_three_words(agent: Agent) -> None:
    answer = agent.ask("/status.json", **STRANGER)

    assert answer.json == {"ready": True, "stage": "ready", "since": "2026-11-24T05:00:00.000Z"}
    page = agent.ask("/", **STRANGER)
    assert page.code == 401
    for word in ("NVIDIA", "GPU-", "main.py", "an app", "1.2.3", "20261124T0500", "http"):
        assert word not in page.text.replace("http-equiv", "").replace("http://www.w3.org", ""), word
    assert agent.ask("/readyz?verbose", **STRANGER).text == "ok\n"
    assert [agent.ask(path, **STRANGER).code for path in ("/events", "/metrics", "/livez")] == [401, 401, 200]


def test_the_token_opens_all_but_orders(agent: Agent) -> None:
    token = {"authorization": f"Bearer {agent.token()}", **STRANGER}

    assert "NVIDIA" in agent.ask("/", **token).text
    assert agent.ask("/status.json", **token).json["headline"] == "Ready"
    assert agent.ask("/readyz?verbose", **token).text.startswith("[+]core ok")
    assert agent.ask("/v1/stop", "POST", **token).code == 403
    assert agent.ask("/metrics", authorization="bearer only-for-the-metrics-0123456789", **STRANGER).code == 200
    assert agent.ask("/events", authorization="Bearer only-for-the-metrics-0123456789", **STRANGER).code == 401


def test_a_page_elsewhere_reaches_nothing_by_a_name_of_its_own(agent: Agent) -> None:
    for path in ("/", "/status.json", "/metrics", "/events", "/livez"):
        assert agent.ask(path, host="evil.example.com").code == 421, path
    assert agent.ask("/v1/stop", "POST", host="evil.example.com").code == 403


def test_a_proxy_that_says_no_more_than_it_must_makes_nobody_local(agent: Agent) -> None:
    """As nginx does unless told otherwise: it asks in HTTP/1.0, by our own address, and does not say for whom."""
    with socket.create_connection(("127.0.0.1", agent.port)) as proxy:
        proxy.sendall(f"GET /status.json HTTP/1.0\r\nHost: 127.0.0.1:{agent.port}\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: proxy.recv(1 << 16), b""))

    assert json.loads(answer.partition(b"\r\n\r\n")[2]).keys() == {"ready", "stage", "since"}


def test_a_browser_signs_in_once(agent: Agent) -> None:
    answer = agent.ask("/login", "POST", body=f"token={agent.token()}", **FORMS, **STRANGER, x_forwarded_proto="https")

    assert (answer.code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert agent.token() not in cookie
    assert {"HttpOnly", "SameSite=strict", "Secure", "Path=/"} <= set(cookie.split("; "))
    assert "NVIDIA" in agent.ask("/", cookie=cookie.partition(";")[0], **STRANGER).text
    assert agent.ask("/", cookie="firstlight=" + "0" * 64, **STRANGER).code == 401


def test_wrong_tokens_are_slowed_down_and_lock_nobody_out(agent: Agent) -> None:
    answer = agent.ask("/login", "POST", body="token=wrong", **FORMS, **STRANGER)
    assert (answer.code, "That is not the token." in answer.text) == (401, True)

    codes = [agent.ask("/metrics", authorization="Bearer wrong", **STRANGER).code for _ in range(12)]

    assert codes[:9] == [401] * 9
    assert codes[9:] == [429] * 3
    assert agent.ask("/login", "POST", body="token=wrong", **FORMS, **STRANGER).code == 429
    assert agent.ask("/metrics", authorization=f"Bearer {agent.token()}", **STRANGER).code == 200
    assert agent.ask("/", host="localhost").code == 200, "who needs no token is not locked out"
    assert agent.ask("/livez", **STRANGER).code == 200


@pytest.mark.parametrize(
    ("body", "headers", "code"),
    [("", {}, 401), ("token=" + "x" * 5000, {}, 413), ("token=x", {"sec_fetch_site": "cross-site"}, 403), ("\xff" * 10, {}, 401)],
)
def test_odd_forms_open_nothing(agent: Agent, body: str, headers: dict[str, str], code: int) -> None:
    assert agent.ask("/login", "POST", body=body, **FORMS, **STRANGER, **headers).code == code


def test_a_token_in_the_address_opens_nothing(agent: Agent) -> None:
    assert agent.ask(f"/?token={agent.token()}", **STRANGER).code == 401


def test_every_answer_forbids_what_it_does_not_need(agent: Agent) -> None:
    for path in ("/", "/status.json", "/metrics", "/livez", "/nothing", "/v1/stop"):
        headers = agent.ask(path).headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert "server" not in headers


def test_another_machine_is_a_stranger(start: Start) -> None:
    """From an address of this machine that is no loopback one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError as error:
            pytest.skip(f"this machine has the loopback alone: {error}")
        address = probe.getsockname()[0]
    if address.startswith("127."):
        pytest.skip("this machine has the loopback alone")
    agent = start(serve="0.0.0.0:0")
    port = agent.listens()

    asked = subprocess.run(
        [sys.executable, "-c", f"import urllib.request as u; print(u.urlopen('http://{address}:{port}/status.json').read().decode())"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "no_proxy": "*"},
    )

    assert re.fullmatch(r'\{"ready":false,"stage":"start","since":null\}\s*', asked.stdout), asked.stderr


def test_a_pipe_for_a_token_file_holds_nothing_up(start: Start, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    agent = start(token_file=str(tmp_path / "pipe"))

    assert agent.answers("trouble")["words"].endswith("it is not a plain file")
    agent.listens()
    assert agent.ask("/livez", control=True).code == 200


def test_an_empty_token_file_of_an_earlier_agent_is_replaced(start: Start, tmp_path: Path) -> None:
    """Where the disk was full, there is a file and nothing in it."""
    (tmp_path / "instance/token").touch(mode=0o600)
    agent = start(hosts=["*.proxy.runpod.net"])
    agent.listens()

    assert agent.ask("/status.json", authorization=f"Bearer {agent.token()}", **STRANGER).code == 200
