"""Where RunPod is, and the key that opens it: out of the environment, and out of a file."""

from __future__ import annotations

import ipaddress
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from firstlight import errors
from firstlight.system import files

API = "https://api.runpod.io/v2"
PROXY = "https://{pod}-{port}.proxy.runpod.net"

_READ_BY_OTHERS = stat.S_IRGRP | stat.S_IROTH


@dataclass(frozen=True)
class Access:
    """Everything that is needed to ask. The key is in no representation of it."""

    key: str = field(repr=False)
    api: str = API
    proxy: str = PROXY  # what a pod's http port is reached at

    def address(self, pod: str, port: int) -> str:
        """Where the proxy has a pod's http port."""
        return self.proxy.replace("{pod}", pod).replace("{port}", str(port))


def access(environment: Mapping[str, str], key_file: str | None = None) -> Access:
    """The key of --key-file, of the file that RUNPOD_API_KEY_FILE names, or of RUNPOD_API_KEY; RUNPOD_API_URL and RUNPOD_PROXY_URL
    say where to ask.

    Raises:
        UsageError: there is no key, or it cannot be one; or an address is none.
    """
    if key_file == "":  # a variable of a shell that is not set: another key than the one that was meant would be taken
        raise errors.UsageError("cannot ask RunPod: --key-file names no file")
    path = _path(environment, key_file)
    key = _read(path) if path else environment.get("RUNPOD_API_KEY", "").strip()
    if not key:
        if path:
            raise errors.UsageError(f"cannot ask RunPod: {path} holds no key; make one under Settings, API keys")
        raise errors.UsageError(
            "cannot ask RunPod: there is no key; make one under Settings, API keys, and name the file that holds it: --key-file FILE, "
            "or RUNPOD_API_KEY_FILE; or put it into RUNPOD_API_KEY"
        )
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise errors.UsageError(f"cannot ask RunPod: what {path or 'RUNPOD_API_KEY'} holds cannot be a key")
    proxy = environment.get("RUNPOD_PROXY_URL") or PROXY
    if "{pod}" not in proxy or "{port}" not in proxy or not _is_address(proxy.replace("{port}", "80").replace("{pod}", "pod")):
        raise errors.UsageError("cannot ask RunPod: RUNPOD_PROXY_URL is no address with {pod} and {port} in it")
    return Access(key=key, api=_api(environment.get("RUNPOD_API_URL") or API), proxy=proxy)


def open_to_others(environment: Mapping[str, str], key_file: str | None = None) -> tuple[str, int] | None:
    """The file of the key and its mode, where more than its owner can read it. A pipe, such as a shell's <(…), is nobody's to read."""
    path = _path(environment, key_file)
    try:
        mode = os.stat(path).st_mode if path else 0
    except OSError:
        return None  # whoever reads it complains of that
    return (path, stat.S_IMODE(mode)) if path and stat.S_ISREG(mode) and mode & _READ_BY_OTHERS else None


def _path(environment: Mapping[str, str], key_file: str | None) -> str | None:
    return key_file or environment.get("RUNPOD_API_KEY_FILE")


def _api(address: str) -> str:
    """The address without the slash at its end.

    Raises:
        UsageError: it is none, or the key must not go there.
    """
    if not _is_address(address):
        raise errors.UsageError("cannot ask RunPod: RUNPOD_API_URL is no address, or there is more in it than a host and a path")
    if urlsplit(address).scheme == "http" and not _is_near(urlsplit(address).hostname or ""):
        raise errors.UsageError("cannot ask RunPod: RUNPOD_API_URL begins with http, and everybody on the way could read the key")
    return address.rstrip("/")


def _is_address(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return bool(
            parts.scheme in ("http", "https")
            and parts.hostname
            and (parts.port is None or parts.port)
            and not (parts.username or parts.password or parts.query or parts.fragment)
            and address.isascii()
            and address.isprintable()
            and " " not in address
        )
    except ValueError:  # the port is no number, or the host is in half a bracket
        return False


def _is_near(host: str) -> bool:
    """This machine, or one of its own network."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return False


def _read(path: str) -> str:
    try:
        return files.read_text(path, 1 << 16).strip()
    except OSError as error:
        raise errors.UsageError(f"cannot read the key of RunPod from {path}: {error.strerror}") from None
