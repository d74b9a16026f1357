"""Where RunPod is, and the key that opens it: out of the environment, and out of a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from firstlight import errors
from firstlight.system import files

API = "https://api.runpod.io/v2"
PROXY = "https://{pod}-{port}.proxy.runpod.net"


@dataclass(frozen=True)
class Access:
    """Everything that is needed to ask. The key is in no representation of it."""

    key: str = field(repr=False)
    api: str = API
    proxy: str = PROXY  # what a pod's http port is reached at

    def address(self, pod: str, port: int) -> str:
        """Where the proxy has a pod's http port."""
        return self.proxy.format(pod=pod, port=port)


def access(environment: Mapping[str, str], key_file: str | None = None) -> Access:
    """The key of --key-file, of the file that RUNPOD_API_KEY_FILE names, or of RUNPOD_API_KEY; RUNPOD_API_URL and RUNPOD_PROXY_URL
    say where to ask.

    Raises:
        UsageError: there is no key, or it cannot be one; or an address is none.
    """
    path = key_file or environment.get("RUNPOD_API_KEY_FILE")
    key = _read(path) if path else environment.get("RUNPOD_API_KEY", "").strip()
    if not key:
        raise errors.UsageError(f"cannot ask RunPod: {path or 'RUNPOD_API_KEY'} holds no key; make one under Settings, API keys")
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise errors.UsageError(f"cannot ask RunPod: what {path or 'RUNPOD_API_KEY'} holds cannot be a key")
    api = environment.get("RUNPOD_API_URL") or API
    if urlsplit(api).scheme not in ("http", "https") or not urlsplit(api).hostname:
        raise errors.UsageError(f"cannot ask RunPod: RUNPOD_API_URL is no address: {api!r}")
    return Access(key=key, api=api.rstrip("/"), proxy=environment.get("RUNPOD_PROXY_URL") or PROXY)


def _read(path: str) -> str:
    try:
        return files.read_text(path).strip()
    except OSError as error:
        raise errors.UsageError(f"cannot read the key of RunPod from {path}: {error.strerror}") from None
