"""A confined process, on the real kernel: it may read and write what is there, and change no name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOM = Path(__file__).parents[3] / "src/firstlight/programs"

SCRIPT = """
import os, sys
sys.path.insert(0, sys.argv[1])
from confine import confine
if not confine():
    sys.exit(77)
place = sys.argv[2]
refused = []
for name, call in {
    "mknod": lambda: os.mknod(place + "/node", 0o20666, os.makedev(1, 3)),
    "a plain file by mknod": lambda: os.mknod(place + "/plain"),
    "unlink": lambda: os.unlink(place + "/there"),
    "rmdir through unlinkat": lambda: os.unlink("there", dir_fd=os.open(place, os.O_RDONLY)),
    "mkdir": lambda: os.mkdir(place + "/folder"),
    "rename": lambda: os.rename(place + "/there", place + "/gone"),
    "chmod": lambda: os.chmod(place + "/there", 0),
    "chown": lambda: os.chown(place + "/there", 1, 1),
    "link": lambda: os.link(place + "/there", place + "/twice"),
    "symlink": lambda: os.symlink("there", place + "/too"),
    "mknod in a child": lambda: os.waitpid(os.posix_spawn("/bin/sh", ["sh", "-c", "rm -f " + place + "/there"], {}), 0)[1] or None,
}.items():
    try:
        call()
    except (PermissionError, FileNotFoundError):
        refused.append(name)
    except OSError as error:
        print(name, error)
print(len(refused), open(place + "/there").read())
"""


def test_a_confined_process_changes_no_name(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("untouched")
    outcome = subprocess.run([sys.executable, "-c", SCRIPT, str(ROOM), str(tmp_path)], capture_output=True, text=True, check=False)
    if outcome.returncode == 77:
        pytest.skip("this kernel refuses a seccomp filter")
    assert outcome.stdout.strip().endswith("10 untouched"), outcome.stdout + outcome.stderr
    assert sorted(os.listdir(tmp_path)) == ["there"]


def test_a_confined_process_ends_with_its_parent() -> None:
    # Parent and child hold the same pipe open. The parent kills itself once the child is confined: end of file means that both are gone.
    child = f"import sys, time; sys.path.insert(0, {str(ROOM)!r}); from confine import confine; confine(); print('ready', flush=True); time.sleep(600)"
    start = f"subprocess.Popen([sys.executable, '-c', {child!r}], stdout=subprocess.PIPE, close_fds=False)"
    parent = f"import os, subprocess, sys; {start}.stdout.readline(); os.kill(os.getpid(), 9)"
    read, write = os.pipe()
    process = subprocess.Popen([sys.executable, "-c", parent], pass_fds=[write])
    os.close(write)
    assert process.wait(timeout=60) == -9
    assert os.read(read, 1) == b""
    os.close(read)
