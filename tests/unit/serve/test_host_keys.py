"""The fingerprints of host keys, as OpenSSH itself tells them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from firstlight.serve import host_keys

KINDS = ("ed25519", "ecdsa", "rsa")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ssh")
    for kind in KINDS:
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", folder / f"ssh_host_{kind}_key"], check=True)
    return folder


def test_they_are_what_openssh_says(folder: Path) -> None:
    told = [subprocess.check_output(["ssh-keygen", "-lf", path], text=True).split()[1] for path in folder.glob("*.pub")]

    assert sorted(host_keys.fingerprints(str(folder))) == sorted(told)


def test_without_keys_there_are_none(tmp_path: Path) -> None:
    assert host_keys.fingerprints(str(tmp_path)) == ()
    assert host_keys.fingerprints(str(tmp_path / "nowhere")) == ()


def test_what_is_no_key_is_left_out(folder: Path, tmp_path: Path) -> None:
    good = (folder / "ssh_host_ed25519_key.pub").read_bytes()
    for name, content in {"half": good[:20], "empty": b"", "words": b"ssh-rsa not!base64 x\n", "good": good, "again": good}.items():
        (tmp_path / f"ssh_host_{name}_key.pub").write_bytes(content)
    os.mkfifo(tmp_path / "ssh_host_fifo_key.pub")
    (tmp_path / "ssh_host_folder_key.pub").mkdir()
    (tmp_path / "ssh_host_ed25519_key").write_text("PRIVATE")

    whole = subprocess.check_output(["ssh-keygen", "-lf", folder / "ssh_host_ed25519_key.pub"], text=True).split()[1]
    assert [one for one in host_keys.fingerprints(str(tmp_path)) if one == whole] == [whole]
    assert len(host_keys.fingerprints(str(tmp_path))) <= 2  # a key that was cut can still be base64


def test_no_more_are_read_than_a_container_has(folder: Path, tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / f"ssh_host_{number:02}_key.pub").write_text(f"ssh-rsa {number:04}\n")

    assert len(host_keys.fingerprints(str(tmp_path))) == 16
