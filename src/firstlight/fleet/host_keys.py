"""Which host keys a pod may show: pinned at the first contact of each start, since RunPod makes new ones then.

They are asked for first, with ssh-keyscan, and compared with the fingerprints that the pod itself tells of over TLS; only what was
found good is written down, and ssh is then never to take another. So no word of ours goes to a machine that is not the pod.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import tempfile
from collections.abc import Iterable, Sequence

from firstlight import errors
from firstlight.fleet.ssh import CONNECT_TIMEOUT, Pin, Ssh, SshError, Trouble, at, call, classify, say
from firstlight.providers.runpod.shapes import Endpoint
from firstlight.system.asking import Finished

# A start of a month ago is over, or was not asked for since: its keys are asked for anew.
_KEPT = 30 * 86400.0

# How long all of a host's keys may take to be told, beyond the time to connect, in seconds.
_PATIENCE = 10.0

_KEY = re.compile(r"\S+ ([\w.@-]+) ([A-Za-z0-9+/]+=*)")


def try_folder(ssh: Ssh | None) -> None:
    """Find out that host keys can be kept before anything is begun that needs them.

    Raises:
        UsageError: they cannot.
    """
    if ssh is None:
        return
    try:
        os.makedirs(ssh.known_hosts, mode=0o700, exist_ok=True)
        with tempfile.TemporaryFile(dir=ssh.known_hosts):
            pass
    except OSError as error:
        raise _unkept(ssh.known_hosts, error) from None


async def pin(ssh: Ssh, endpoint: Endpoint, *, pod: str, start: str, reported: Sequence[str]) -> Pin:
    """Find out which host keys this start of a pod may show. `reported` are the fingerprints that the pod tells of; none where it tells none.

    `start` names the start: what was pinned for an earlier one is forgotten. Empty where nothing tells starts apart: then nothing that
    was pinned before is trusted.

    Raises:
        SshError: nothing answers there, or another machine does.
    """
    file, alias = _file(ssh.known_hosts, pod, start), f"firstlight-{_name(pod)}"
    pinned = _read(file) if start else ()
    if reported and not judge(pinned, reported):
        pinned = ()  # the pod itself knows better than what was found at an earlier contact
    if pinned:
        return Pin(file, alias, compared=bool(reported))
    keys = await _offered(ssh, endpoint)
    good = judge(keys, reported) if reported else keys
    if not good:
        shown, true = ", ".join(map(fingerprint, keys)), ", ".join(reported)
        raise SshError(
            f"cannot trust {at(endpoint)}: it shows the host key {shown}, and the pod says that its own are {true}; another machine answers there",
            Trouble.HOST_KEY,
        )
    _keep(file, alias, good, pod)
    return Pin(file, alias, compared=bool(reported))


def forget(pin: Pin) -> None:
    """What was pinned turned out to be another machine's."""
    try:
        os.unlink(pin.file)
    except FileNotFoundError:
        pass


def judge(keys: Iterable[str], reported: Sequence[str]) -> tuple[str, ...]:
    """Those of the keys ("ssh-ed25519 AAAA…") that the pod tells of. Pure."""
    return tuple(key for key in keys if fingerprint(key) in reported)


def fingerprint(key: str) -> str:
    """SHA256:… of "ssh-ed25519 AAAA…". Pure."""
    digest = hashlib.sha256(base64.b64decode(key.split()[1])).digest()
    return "SHA256:" + base64.b64encode(digest).decode("ascii").rstrip("=")


async def _offered(ssh: Ssh, endpoint: Endpoint) -> tuple[str, ...]:
    """The keys that whoever listens there shows."""
    patience = CONNECT_TIMEOUT + _PATIENCE
    words = [ssh.keyscan, "-T", str(CONNECT_TIMEOUT), "-p", str(endpoint.port), "--", endpoint.host]
    done = await call(words, patience)
    keys = _keys(done.out.decode("utf-8", "replace"))
    if keys:
        return keys
    # It tells in words alone why it got none, and nothing at all where the connection was refused.
    said = b"\n".join(line for line in done.err.splitlines() if not line.startswith(b"#"))
    why = Finished(None if done.code is None else 255, b"", said or b"connection refused: nothing shows a host key there")
    raise SshError(f"cannot ask {at(endpoint)} for its host keys: {say(why, patience)}", classify(why) or Trouble.OTHER)


def _keys(text: str) -> tuple[str, ...]:
    """The keys in lines such as "[host]:port ssh-ed25519 AAAA…"."""
    found = (_KEY.fullmatch(line.strip()) for line in text.splitlines() if not line.startswith("#"))
    return tuple(f"{match[1]} {match[2]}" for match in found if match)


def _name(text: str) -> str:
    """A name that may stand in a file's name and in an option."""
    return re.sub(r"[^\w.-]", "_", text, flags=re.ASCII)


def _file(folder: str, pod: str, start: str) -> str:
    return os.path.join(folder, f"{_name(pod)}@{_name(start) or 'start'}")


def _read(file: str) -> tuple[str, ...]:
    try:
        with open(file, encoding="ascii", errors="replace") as lines:
            return _keys(lines.read(1 << 16))
    except OSError:
        return ()


def _keep(file: str, alias: str, keys: Iterable[str], pod: str) -> None:
    """Write them down for this start, whole or not at all, and forget what is of earlier ones."""
    folder = os.path.dirname(file)
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        descriptor, fresh = tempfile.mkstemp(prefix=".", dir=folder)  # of mode 0600
        with open(descriptor, "w", encoding="ascii") as lines:
            lines.writelines(f"{alias} {key}\n" for key in keys)
        os.replace(fresh, file)
        now = os.stat(file).st_mtime
        for name in os.listdir(folder):
            path = os.path.join(folder, name)
            if path != file and (name.startswith(f"{_name(pod)}@") or now - os.stat(path).st_mtime > _KEPT):
                os.unlink(path)
    except FileNotFoundError:
        pass  # another verification has forgotten the same old start
    except OSError as error:
        raise _unkept(folder, error) from None


def _unkept(folder: str, error: OSError) -> errors.UsageError:
    return errors.UsageError(f"cannot keep host keys in {folder}: {error.strerror}")
