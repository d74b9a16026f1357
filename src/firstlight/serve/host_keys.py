"""The fingerprints of this container's SSH host keys: who logs in can so be sure that it is this one, since this page came over TLS."""

from __future__ import annotations

import base64
import hashlib
import os
import stat
from collections.abc import Sequence

FOLDER = "/etc/ssh"

# A container has four of them, of half a kilobyte.
_MOST = 16
_LONGEST = 16 << 10


def fingerprints(folder: str) -> Sequence[str]:
    """Those of FOLDER/ssh_host_*_key.pub as OpenSSH writes them, SHA256:…; none where there are no such files yet."""
    try:
        names = sorted(name for name in os.listdir(folder) if name.startswith("ssh_host_") and name.endswith("_key.pub"))
    except OSError:
        return ()
    found = (_fingerprint(os.path.join(folder, name)) for name in names[:_MOST])
    return tuple(dict.fromkeys(filter(None, found)))


def _fingerprint(path: str) -> str:
    """Empty where the file holds no key, such as one that is just being written."""
    try:
        # O_NONBLOCK: somebody may have put a FIFO there.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return ""
            _, key, *_ = file.read(_LONGEST).split()
        digest = hashlib.sha256(base64.b64decode(key, validate=True)).digest()
    except (OSError, ValueError):
        return ""
    return "SHA256:" + base64.b64encode(digest).decode("ascii").rstrip("=")
