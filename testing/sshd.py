"""A real sshd on a port of its own, with host keys and an authorized key of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

SSHD = "/usr/sbin/sshd"


def make_key(path: Path, kind: str = "ed25519") -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", path], check=True)
    return path


def fingerprints(folder: Path) -> tuple[str, ...]:
    """What OpenSSH says of the host keys there."""
    keys = sorted(folder.glob("ssh_host_*_key.pub"))
    return tuple(subprocess.check_output(["ssh-keygen", "-lf", key], text=True).split()[1] for key in keys)


class Sshd:
    """One that listens. Whoever has `key` may log in as this user."""

    def __init__(
        self,
        folder: Path,
        key: Path,
        *,
        port: int = 0,
        kinds: tuple[str, ...] = ("ed25519", "rsa"),
        wrap: tuple[str, ...] = (),
        more: str = "",
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.port = port or free_port()
        for kind in kinds:
            if not (folder / f"ssh_host_{kind}_key").exists():
                make_key(folder / f"ssh_host_{kind}_key", kind)
        authorized = folder / "authorized_keys"
        authorized.write_text(key.with_suffix(".pub").read_text())
        lines = [
            f"Port {self.port}",
            "ListenAddress 127.0.0.1",
            *(f"HostKey {folder}/ssh_host_{kind}_key" for kind in kinds),
            f"AuthorizedKeysFile {authorized}",
            f"PidFile {folder}/sshd.pid",
            "StrictModes no",
            "PermitRootLogin prohibit-password",
            "UsePAM no",
            "PrintMotd no",
            "MaxStartups 100",
        ]
        # What Match selects comes last.
        (folder / "sshd_config").write_text("\n".join([*lines, more, ""]))
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
        self.log = folder / "log"
        with self.log.open("ab") as log:
            self.popen = subprocess.Popen([*wrap, SSHD, "-D", "-e", "-f", folder / "sshd_config"], stderr=log, stdin=subprocess.DEVNULL)
        self._await()

    def _await(self) -> None:
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)) as connection:
                if connection.recv(8).startswith(b"SSH-2.0"):
                    return
            assert self.popen.poll() is None, self.log.read_text()
            time.sleep(0.01)

    @property
    def fingerprints(self) -> tuple[str, ...]:
        return fingerprints(self.folder)

    def close(self) -> None:
        self.popen.send_signal(signal.SIGTERM)
        self.popen.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


@contextlib.contextmanager
def serving(folder: Path, key: Path, **more: object) -> Iterator[Sshd]:
    """One for a while."""
    sshd = Sshd(folder, key, **more)
    try:
        yield sshd
    finally:
        sshd.close()


def environment(**more: str) -> Mapping[str, str]:
    """A person's, without a key of the agent's."""
    return {**{name: value for name, value in os.environ.items() if name != "SSH_AUTH_SOCK"}, **more}
