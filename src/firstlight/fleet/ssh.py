"""Commands in a pod, over its own sshd, through the OpenSSH that the user has."""

from __future__ import annotations

from dataclasses import dataclass


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
