"""Who may see and do what: every address, way in and secret, in one table."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, strategies

from firstlight.serve import access
from firstlight.serve.access import TABLE, Asker, Denied, Failures, Keys, Level, Transport, decide

TOKEN = "the-token-of-everything-0123456789"
METRICS = "the-token-of-the-metrics-0123456789"
KEYS = Keys(token=TOKEN, metrics_token=METRICS, hosts=("gpu.example.org", "*.proxy.runpod.net"))

WAYS = {
    "control socket": {"transport": Transport.SOCKET},
    "loopback": {"transport": Transport.TCP, "peer": "127.0.0.1", "host": "localhost:8421"},
    "loopback, IPv6": {"transport": Transport.TCP, "peer": "::1", "host": "[::1]:8421"},
    "loopback, mapped": {"transport": Transport.TCP, "peer": "::ffff:127.0.0.1", "host": "127.0.0.1:8421"},
    "a page elsewhere": {"transport": Transport.TCP, "peer": "127.0.0.1", "host": "evil.example.com"},
    "a proxy beside us": {"transport": Transport.TCP, "peer": "127.0.0.1", "host": "pod-8421.proxy.runpod.net"},
    "a proxy that says localhost": {"transport": Transport.TCP, "peer": "127.0.0.1", "host": "localhost", "forwarded": True},
    "the network, by address": {"transport": Transport.TCP, "peer": "10.0.0.9", "host": "10.0.0.1:8421"},
    "the network, by name": {"transport": Transport.TCP, "peer": "10.0.0.9", "host": "gpu.example.org"},
    "the network, as localhost": {"transport": Transport.TCP, "peer": "10.0.0.9", "host": "localhost"},
    "no name at all": {"transport": Transport.TCP, "peer": "10.0.0.9", "host": ""},
}
SECRETS = {
    "nothing": {},
    "the token": {"bearer": TOKEN},
    "the metrics token": {"bearer": METRICS},
    "a wrong token": {"bearer": TOKEN[:-1]},
    "an empty token": {"bearer": ""},
    "the cookie": {"cookie": access.cookie(TOKEN)},
    "a stale cookie": {"cookie": access.cookie("another-token-0123456789")},
}
STRANGE = ("a page elsewhere", "no name at all")
LOCAL = ("loopback", "loopback, IPv6", "loopback, mapped")
WRONG = ("a wrong token", "an empty token")
NAMELESS = ("nothing", "a stale cookie")


def expected(way: str, secret: str, path: str) -> Level | Denied:
    """The rules in the words of the documentation."""
    need = TABLE[path]
    if way == "control socket":
        return Level.ADMIN
    if need.socket_alone:
        return Denied.TRANSPORT
    if secret in WRONG:
        return Denied.TOKEN
    if secret in ("the token", "the cookie") or (way in LOCAL):
        return Level.ADMIN
    if secret in NAMELESS and way in STRANGE:
        return Denied.HOST
    level = Level.METRICS if secret == "the metrics token" else Level.OPEN
    if need.level <= level or path in ("/", "/status.json"):
        return level
    return Denied.LEVEL


@pytest.mark.parametrize(("way", "secret"), list(itertools.product(WAYS, SECRETS)))
def test_every_address_is_open_to_whom_it_should_be(way: str, secret: str) -> None:
    for path, need in TABLE.items():
        assert decide(Asker(**WAYS[way], **SECRETS[secret]), need, KEYS) == expected(way, secret, path), path


def test_without_a_token_of_ours_no_token_opens_anything() -> None:
    for bearer in ("", "None", "x" * 40):
        asker = Asker(transport=Transport.TCP, peer="10.0.0.9", host="10.0.0.1", bearer=bearer)
        assert decide(asker, TABLE["/"], Keys()) is Denied.TOKEN


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("gpu.example.org", True),
        ("GPU.example.ORG.:8421", True),
        ("x-8421.proxy.runpod.net", True),
        ("proxy.runpod.net", False),
        ("proxy.runpod.net.evil.com", False),
        ("xproxy.runpod.net", False),
        ("gpu.example.org.evil.com", False),
        ("localhost.evil.com", False),
        ("127.0.0.1.evil.com", False),
        ("192.168.1.4", True),
        ("[fe80::1]:80", True),
        ("pod.localhost", True),
        ("", False),
        ("[]", False),
        ("[::1].evil.com", False),
        ("[localhost]", False),
        ("localhost:80@evil.com", False),
        ("localhost:", True),
    ],
)
def test_a_host_name_is_ours_or_not(host: str, ours: bool) -> None:
    assert access.host_is_ours(host, KEYS.hosts) is ours


@pytest.mark.parametrize("header", ["X-Forwarded-For", "x-forwarded-host", "Forwarded", "Via", "CF-Ray", "X-Real-IP", "x-runpod-request"])
def test_a_proxy_is_told_by_its_headers(header: str) -> None:
    assert access.was_forwarded(["host", header], "1.1")
    assert not access.was_forwarded(["host", "accept", "user-agent", "authorization"], "1.1")


def test_a_proxy_is_told_by_the_version_that_it_speaks() -> None:
    assert access.was_forwarded(["host", "accept"], "1.0")


@given(strategies.text(), strategies.text())
def test_secrets_of_any_characters_are_compared(one: str, other: str) -> None:
    assert access.same(one, other) is (one == other)


def test_wrong_tokens_are_looked_at_a_few_times_and_then_one_in_a_while() -> None:
    failures = Failures(burst=3, seconds=10.0)
    for _ in range(3):
        assert not failures.too_many("a", 0.0)
        failures.note("a", 0.0)

    assert failures.too_many("a", 9.0)
    assert not failures.too_many("b", 9.0)
    assert not failures.too_many("a", 10.5)


def test_no_crowd_of_addresses_fills_the_memory() -> None:
    failures = Failures(addresses=100)
    for number in range(1000):
        failures.note(str(number), 0.0)

    assert len(failures._counted) == 100
