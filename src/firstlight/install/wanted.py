"""What an installation consists of: each file with its content and its mode, in the order in which they come to be."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

from firstlight.install import section

TOOL = "firstlight/firstlight.pyz"
LAUNCHER = "firstlight/firstlight"
SECTION = "CLAUDE.md"
_EXECUTABLE, _READABLE = 0o755, 0o644

# The tool first: the others call it.
_FILES = {
    LAUNCHER: _EXECUTABLE,
    "cuda_init.sh": _EXECUTABLE,
    "start_comfyui.sh": _EXECUTABLE,
    "check_cuda.py": _EXECUTABLE,
    "COLD_START_CHECKLIST.md": _READABLE,
    "MONITORING.md": _READABLE,
}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """One file below the folder. Of a section, `data` is that section, and its mode that of a file which is new."""

    name: str
    data: bytes
    mode: int

    @property
    def digest(self) -> str:
        """What its content is known by."""
        return digest(self.data)


def digest(data: bytes) -> str:
    """What a content is known by."""
    return hashlib.sha256(data).hexdigest()


def files(folder: str, tool: bytes, pages: Mapping[str, str]) -> tuple[Wanted, ...]:
    """Every file that is ours as a whole. `pages` are texts that are made elsewhere, by name."""
    made = [Wanted(name=TOOL, data=tool, mode=_EXECUTABLE)]
    made += [Wanted(name=name, data=_text(name.rpartition("/")[2], folder), mode=mode) for name, mode in _FILES.items()]
    made += [Wanted(name=name, data=_placed(text, folder), mode=_READABLE) for name, text in pages.items()]
    return tuple(made)


def sections(folder: str) -> tuple[Wanted, ...]:
    """Our section of each file that is the user's."""
    return (Wanted(name=SECTION, data=section.make(_text(SECTION, folder)), mode=_READABLE),)


def _text(name: str, folder: str) -> bytes:
    return _placed((resources.files("firstlight.install") / "files" / name).read_text(encoding="utf-8"), folder)


def _placed(text: str, folder: str) -> bytes:
    """The text with the folder in it, as a shell reads it."""
    return text.replace("@volume@", shlex.quote(folder)).encode("utf-8", "surrogateescape")
