"""Commands in a pod, over its own sshd, through the OpenSSH that the user has.

Nothing of the user's configuration is read: what it forwards, sends, shares or runs is meant for hosts that the user knows, and a
rented one is none. What is wanted of it comes through the environment (SSH_AUTH_SOCK) or by name (`identity`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from firstlight import errors
from firstlight.fleet import state
from firstlight.providers.runpod.shapes import Endpoint
from firstlight.system import running
from firstlight.system.asking import Finished

# Seconds that a connection may take to come about. A command has its own.
CONNECT_TIMEOUT = 10

# The code with which ssh says that it was not the command that failed.
_OWN_CODE = 255

_LONGEST_WORDS = 300


@dataclass(frozen=True, kw_only=True)
class Ssh:
    """Whose OpenSSH is used, and with which key.

    Attributes:
        known_hosts: the folder of the host keys that were pinned, one file for each start of a pod.
        identity: the file of the private key; None for the agent's keys and those that OpenSSH looks for itself.
    """

    known_hosts: str
    identity: str | None = None
    program: str = "ssh"
    keyscan: str = "ssh-keyscan"


@dataclass(frozen=True)
class Pin:
    """The host keys that a start of a pod may show.

    Attributes:
        file: the known-hosts file that holds them, and nothing else.
        alias: the name that they have in it.
        compared: they are among those that the pod itself tells of, over TLS.
    """

    file: str
    alias: str
    compared: bool


class Trouble(Enum):
    """Why a command did not come to run in a pod."""

    REFUSED = "refused"  # nothing listens there, yet or any more
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"  # no way there, or one that broke
    AUTH = "auth"  # our key is not taken
    HOST_KEY = "host key"  # another machine answers there
    OTHER = "other"


class SshError(errors.Error):
    """A command did not come to run in a pod.

    Attributes:
        trouble: why.
    """

    exit_code = errors.ExitCode.CLOUD

    def __init__(self, message: str, trouble: Trouble) -> None:
        super().__init__(message)
        self.trouble = trouble


def default_folder(environment: Mapping[str, str]) -> str:
    """Where pinned host keys are kept: in the user's directory of state."""
    return state.folder(environment, "known-hosts")


def argv(ssh: Ssh, endpoint: Endpoint, pin: Pin, words: Sequence[str]) -> list[str]:
    """The command line that runs `words` in a pod. Pure."""
    options = {
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": _path(pin.file),
        "GlobalKnownHostsFile": "none",
        "HostKeyAlias": pin.alias,
        "CheckHostIP": "no",
        "UpdateHostKeys": "no",  # what a host says of its other keys is not compared with anything
        "VerifyHostKeyDNS": "no",
        "PreferredAuthentications": "publickey",
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "ConnectTimeout": str(CONNECT_TIMEOUT),
        "ConnectionAttempts": "1",
        "ServerAliveInterval": "5",
        "ServerAliveCountMax": "3",
        "ControlMaster": "no",
        "ControlPath": "none",
        "ClearAllForwardings": "yes",
        "ForwardAgent": "no",
        "ForwardX11": "no",
        "PermitLocalCommand": "no",
        "RequestTTY": "no",
        "LogLevel": "ERROR",
    }
    if ssh.identity is not None:
        options |= {"IdentityFile": _path(ssh.identity), "IdentitiesOnly": "yes"}
    told = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    return [ssh.program, "-F", "none", *told, "-p", str(endpoint.port), "-l", endpoint.username, "--", endpoint.host, quote(words)]


def _path(path: str) -> str:
    """A path as ssh takes it in an option: it splits at spaces, and reads %, ~ and ${…}.

    Raises:
        UsageError: it cannot be said there.
    """
    if any(character in path for character in '"\\\n') or "${" in path:
        raise errors.UsageError(f"cannot tell ssh of {path!r}: such a path cannot be said in its options")
    return f'"{os.path.abspath(path)}"'.replace("%", "%%")


def quote(words: Sequence[str]) -> str:
    """Words as one line that sh, bash, dash, ksh and zsh read back as these words. ssh itself would join them with spaces. Pure.

    Every word is quoted, so that none is taken for a keyword, an alias or an assignment.

    Raises:
        ValueError: there is none, or one holds a NUL, which no command line can.
    """
    if not words or any("\0" in word for word in words):
        raise ValueError("cannot quote these words: no command line can hold them")
    return " ".join("'" + word.replace("'", "'\\''") + "'" for word in words)


async def run(ssh: Ssh, endpoint: Endpoint, pin: Pin, words: Sequence[str], *, timeout: float, input: bytes = b"") -> Finished:  # noqa: A002 - the command's own, told in the error
    """Run a command in a pod; how it ended.

    Raises:
        SshError: it did not come to run, or did not end in time.
        UsageError: there is no OpenSSH here.
    """
    done = await call(argv(ssh, endpoint, pin, words), timeout, input)
    trouble = classify(done)
    if trouble is Trouble.HOST_KEY:
        other = "it shows another host key than this start of the pod was first seen with; another machine answers there"
        raise SshError(f"cannot trust {at(endpoint)}: {other}", trouble)
    if trouble is not None:
        raise SshError(f"cannot run {words[0]} at {at(endpoint)}: {say(done, timeout)}", trouble)
    return done


async def call(words: Sequence[str], timeout: float, input: bytes = b"") -> Finished:  # noqa: A002 - see run
    """A program of OpenSSH.

    Raises:
        UsageError: there is none here.
    """
    try:
        return await running.run(words, timeout=timeout, input=input)
    except OSError as error:
        raise errors.UsageError(f"cannot start {words[0]}: {error.strerror}; SSH to a pod needs the OpenSSH client") from None


# In the order in which they are looked for: a closed connection may have been closed for one of the first reasons.
_SIGNS = (
    (Trouble.HOST_KEY, r"host key verification failed|host identification has changed|no .* host key is known"),
    (Trouble.AUTH, r"permission denied|too many authentication failures"),
    (Trouble.REFUSED, r"connection refused"),
    (Trouble.TIMEOUT, r"timed? ?out|timeout, server|not responding"),
    (
        Trouble.UNREACHABLE,
        "could not resolve|getaddrinfo|no route to host|network is unreachable|(?:closed|reset) by|connection (?:closed|reset)|broken pipe|kex_ex|banner ex",
    ),
)


def classify(done: Finished) -> Trouble | None:
    """Whether it was ssh that failed, and why; None where the command ran. Pure.

    A command may end with ssh's own code too: then its words tell it from ssh.
    """
    if done.code is None:
        return Trouble.TIMEOUT
    if done.code != _OWN_CODE:
        return None
    words = done.err.decode("utf-8", "replace").lower()
    return next((trouble for trouble, sign in _SIGNS if re.search(sign, words)), Trouble.OTHER)


def say(done: Finished, timeout: float) -> str:
    """Its last words, in a line."""
    if done.code is None:
        return f"it did not end within {timeout:g} s"
    lines = [line.strip() for line in done.err.decode("utf-8", "replace").splitlines() if line.strip()]
    line = lines[-1] if lines else f"exit code {done.code} without a word"
    shown = "".join(character if character.isprintable() else " " for character in line)
    return shown if len(shown) <= _LONGEST_WORDS else shown[:_LONGEST_WORDS] + "…"


def at(endpoint: Endpoint) -> str:
    """The endpoint, for people."""
    return f"{endpoint.username}@{endpoint.host}:{endpoint.port}"
