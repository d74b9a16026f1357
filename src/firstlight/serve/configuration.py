"""What the core tells the agent in its first line."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from firstlight import __version__


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """The agent's orders for its whole life.

    Attributes:
        serve: the address to listen on, "host:port" or "[host]:port"; "off" for the control socket alone.
        control: the path of the control socket, in a folder that is ours alone; None where there is no such folder.
        token_file: a file with the token that opens everything.
        token: that token itself; without both, one is made beside the control socket.
        metrics_token_file: a file with a token that opens the metrics alone.
        greeting: how many events follow at once, as the core has kept them.
        hosts: names by which others may ask for us; "*.example.org" stands for every name under that.
    """

    boot: str
    serve: str
    control: str | None = None
    token_file: str | None = None
    token: str | None = field(default=None, repr=False)
    metrics_token_file: str | None = None
    hosts: tuple[str, ...] = ()
    logs: str | None = None
    state_dir: str | None = None
    version: str = __version__
    app: str = ""
    greeting: int = 0


def parse(line: bytes) -> Configuration:
    """The configuration out of the first line.

    Raises:
        ValueError: it is none.
    """
    data = json.loads(line)
    if not isinstance(data, dict) or data.pop("step", None) != "configure":
        raise ValueError("cannot take the first line for a configuration")
    known = {name: data[name] for name in Configuration.__dataclass_fields__ if data.get(name) is not None}
    hosts, greeting = known.pop("hosts", []), known.pop("greeting", 0)
    if not isinstance(greeting, int):
        raise ValueError("cannot take the first line for a configuration: greeting must be a number")
    if {"boot", "serve"} - set(known) or not all(isinstance(value, str) for value in (*known.values(), *hosts)):
        raise ValueError("cannot take the first line for a configuration: boot and serve must be there, and all values be text")
    return Configuration(**known, hosts=tuple(hosts), greeting=greeting)


def address(text: str) -> tuple[str, int]:
    """Host and port of "127.0.0.1:8421" or "[::1]:8421"; ":8421" means every IPv4 address.

    Raises:
        ValueError: it is no address.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535 or (":" in host and not host.startswith("[")):
        raise ValueError(f"cannot take {text!r} for an address: it is HOST:PORT")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 - somebody has asked for it
