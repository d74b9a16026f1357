"""Which CUDA an image was made for, out of its name. Pure."""

from __future__ import annotations

import re

# runpod/pytorch:1.0.2-cu1281-torch280-ubuntu2404, pytorch:2.8.0-cuda12.8-cudnn9-devel, nvidia/cuda:12.4.1-base-ubuntu22.04
_SHORT = re.compile(r"(?<![a-z0-9])cu(1[1-9])(\d)\d?(?!\d)")
_LONG = re.compile(r"(?<![a-z0-9])cuda[-_:]?(1[1-9])\.(\d{1,2})")


def of_image(image: str) -> str | None:
    """Such as "12.8"; None where the name does not tell."""
    name = image.lower()
    found = _SHORT.search(name) or _LONG.search(name)
    return f"{found[1]}.{found[2]}" if found else None
