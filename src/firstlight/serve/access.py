"""Who may see and do what. Pure: what is known of a request goes in, a level comes out.

    level     what it opens                                    who has it
    OPEN      health in one word; ready, stage and since       everybody
    METRICS   the metrics                                      the metrics token
    ADMIN     the page, the status, the events, all words      the token; a local asker; the control socket
    and orders (restart, stop, retry, rediagnose), and what    the control socket alone, whoever asks
    an acceptance tells

A local asker came over the loopback, by a loopback name, and through no proxy: on a public proxy requests may come from the
loopback too, and a page elsewhere can point its own name at it. A proxy in this container that speaks HTTP/1.1, asks by a loopback
name and says nothing of itself cannot be told from somebody local: whoever sets one up must let it pass on the Host.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from ipaddress import IPv6Address, ip_address

# Shorter ones can be guessed.
SHORTEST_TOKEN = 20


class Level(IntEnum):
    """What somebody may see. Each includes those before it."""

    OPEN = 0
    METRICS = 1
    ADMIN = 2


class Transport(Enum):
    """How a request came."""

    SOCKET = "control socket"
    TCP = "TCP"


class Denied(Enum):
    """Why a request gets no answer."""

    HOST = "host"  # asked for by a name that is not ours
    TOKEN = "token"  # noqa: S105 - the token that came is wrong
    LEVEL = "level"  # not without a token
    TRANSPORT = "transport"  # orders are taken over the control socket alone


@dataclass(frozen=True)
class Need:
    """What an address asks for. `stranger` is True where those without the level are told a little instead of nothing."""

    level: Level
    socket_alone: bool = False
    stranger: bool = False


TABLE: Mapping[str, Need] = {
    "/": Need(Level.ADMIN, stranger=True),
    "/status.json": Need(Level.ADMIN, stranger=True),
    "/events": Need(Level.ADMIN),
    "/metrics": Need(Level.METRICS),
    "/livez": Need(Level.OPEN),
    "/readyz": Need(Level.OPEN),
    "/startupz": Need(Level.OPEN),
    "/healthz": Need(Level.OPEN),
    "/login": Need(Level.OPEN),
    "/acceptance": Need(Level.ADMIN, socket_alone=True),
    "/v1/restart": Need(Level.ADMIN, socket_alone=True),
    "/v1/stop": Need(Level.ADMIN, socket_alone=True),
    "/v1/retry": Need(Level.ADMIN, socket_alone=True),
    "/v1/rediagnose": Need(Level.ADMIN, socket_alone=True),
}


@dataclass(frozen=True, kw_only=True)
class Asker:
    """What is known of a request."""

    transport: Transport
    peer: str = ""  # the other end's IP address
    host: str = ""  # the Host header
    forwarded: bool = False  # a proxy has left its mark
    bearer: str | None = None
    cookie: str | None = None


@dataclass(frozen=True, kw_only=True)
class Keys:
    """The secrets that open, and the names that we answer to."""

    token: str | None = None
    metrics_token: str | None = None
    hosts: tuple[str, ...] = ()


def decide(asker: Asker, need: Need, keys: Keys) -> Level | Denied:
    """The level that the asker has, or why there is no answer."""
    if asker.transport is Transport.SOCKET:
        return Level.ADMIN
    if need.socket_alone:
        return Denied.TRANSPORT
    level = _by_secret(asker, keys)
    if level is None:
        return Denied.TOKEN
    if level is Level.OPEN and not host_is_ours(asker.host, keys.hosts):
        return Denied.HOST
    if level is not Level.ADMIN and local(asker):
        level = Level.ADMIN
    return level if level >= need.level or need.stranger else Denied.LEVEL


def _by_secret(asker: Asker, keys: Keys) -> Level | None:
    """What the token or the cookie opens; None when the token is wrong. A stale cookie is no attempt."""
    if asker.bearer is not None:
        if keys.token is not None and same(asker.bearer, keys.token):
            return Level.ADMIN
        if keys.metrics_token is not None and same(asker.bearer, keys.metrics_token):
            return Level.METRICS
        return None
    if asker.cookie is not None and keys.token is not None and same(asker.cookie, cookie(keys.token)):
        return Level.ADMIN
    return Level.OPEN


def local(asker: Asker) -> bool:
    """Whether somebody on this machine asks, through nothing in between."""
    return _is_loopback(asker.peer) and not asker.forwarded and loopback_name(_name(asker.host))


def cookie(token: str) -> str:
    """What a browser keeps in place of the token: made from it, so that it holds as long as the token does."""
    return hmac.new(token.encode(), b"firstlight browser", hashlib.sha256).hexdigest()


def same(one: str, other: str) -> bool:
    """Compared in a time that tells nothing."""
    return hmac.compare_digest(one.encode("utf-8", "surrogateescape"), other.encode("utf-8", "surrogateescape"))


def host_is_ours(host: str, hosts: Iterable[str]) -> bool:
    """Whether a Host header names us: an IP address, which no page elsewhere can point at us; a loopback name; a name of `hosts`."""
    name = _name(host)
    if _is_address(name) or loopback_name(name):
        return True
    for known in hosts:
        pattern = known.lower().rstrip(".")
        if name == pattern or (pattern.startswith("*.") and name.endswith(pattern[1:]) and name != pattern[1:]):
            return True
    return False


def loopback_name(name: str) -> bool:
    """Such as localhost, 127.0.0.1, ::1."""
    return name == "localhost" or name.endswith(".localhost") or _is_loopback(name)


_MARKS = ("x-forwarded-", "cf-", "x-runpod-", "x-envoy-", "fly-")
_MARK = frozenset(("forwarded", "via", "x-real-ip", "true-client-ip", "x-client-ip", "x-cluster-client-ip", "x-original-host"))


def was_forwarded(names: Iterable[str], version: str) -> bool:
    """Whether one of these headers is a proxy's, or the version of HTTP: nginx asks in 1.0 and leaves no other mark, unless told to."""
    return version == "1.0" or any(name.lower() in _MARK or name.lower().startswith(_MARKS) for name in names)


_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^:\[\]@]*))(?::\d*)?", re.ASCII)


def _name(host: str) -> str:
    """The name in a Host header, without its port; empty where it is none."""
    match = _HOST.fullmatch(host.strip().lower())
    return (match[1] or match[2] or "").rstrip(".") if match else ""


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(name: str) -> bool:
    try:
        address = ip_address(name)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback


class Failures:
    """Wrong tokens by whence they came: a few at once, then one in a while."""

    def __init__(self, burst: int = 10, seconds: float = 6.0, addresses: int = 1000) -> None:
        """`burst` at once, and one more each `seconds`. No more than `addresses` are remembered."""
        self._burst = burst
        self._seconds = seconds
        self._addresses = addresses
        self._counted: dict[str, tuple[float, float]] = {}  # how many count still, and when that was so

    def too_many(self, peer: str, now: float) -> bool:
        """Whether this address must wait before its next token is looked at."""
        return self._count(peer, now) > self._burst - 1

    def note(self, peer: str, now: float) -> None:
        """Count a wrong token."""
        count = self._count(peer, now) + 1
        self._counted.pop(peer, None)
        self._counted[peer] = (count, now)
        if len(self._counted) > self._addresses:
            del self._counted[next(iter(self._counted))]

    def _count(self, peer: str, now: float) -> float:
        count, at = self._counted.get(peer, (0.0, now))
        return max(0.0, count - (now - at) / self._seconds)
