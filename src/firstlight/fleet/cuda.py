"""Which CUDA an image needs, told by its name. Pure."""

from __future__ import annotations

import re

# cu1281, cuda1281, cu128, cu118, cu13: the major version has two digits, the minor one or two, and a patch may follow.
_SHORT = re.compile(r"(?<![a-z0-9])cu(?:da)?(\d{2})(\d?)\d{0,2}(?![0-9])")
# cuda12.4.1, cuda-12.6, cuda_13, cuda12-8
_LONG = re.compile(r"(?<![a-z0-9])cuda[-_]?(\d{2})(?:[._-](\d{1,2})(?![0-9]))?(?:\.\d+)*(?![0-9])")
# 12.8.1-cudnn-devel-ubuntu22.04, in the repositories whose tags begin with CUDA's own version
_PLAIN = re.compile(r"^(\d{2})\.(\d{1,2})(?:\.\d+)*(?:-|$)")

# The oldest and the newest that a name can mean; anything else is a number of something else.
_OLDEST, _NEWEST = 10, 19


def minimum(image: str) -> str | None:
    """The oldest CUDA, such as 12.8, that the image's host must offer; None where its name does not tell."""
    name, _, _digest = image.lower().partition("@")
    path, _, tag = name.rpartition(":") if ":" in name.rpartition("/")[2] else (name, "", "")
    repository = path.rpartition("/")[2]
    found = [match for text in (tag, repository) for pattern in (_LONG, _SHORT) for match in pattern.finditer(text)]
    if repository in ("cuda", "cudagl") or "-cudnn" in tag:
        found += _PLAIN.finditer(tag)
    for match in found:
        if _OLDEST <= int(match[1]) <= _NEWEST:
            return f"{int(match[1])}.{int(match[2] or 0)}"
    return None


def older(version: str, other: str) -> bool:
    """Whether the one version is older than the other, by their numbers: 12.11 is newer than 12.2."""
    return _numbers(version) < _numbers(other)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(digits) for digits in re.findall(r"\d+", version))
