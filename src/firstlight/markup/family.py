"""What all our pages look like: colours for light and dark, type, and the parts that they share."""

from __future__ import annotations

import pkgutil


def asset(package: str, name: str) -> str:
    """A file of text that lies in a package."""
    data = pkgutil.get_data(package, name)
    assert data is not None
    return data.decode("utf-8")


STYLE = asset(__package__ or "", "family.css")
COLOURS = {"well": "1f8a53", "ill": "c77700", "bad": "c8372d", "busy": "3d74c6", "over": "77736b"}


def icon(kind: str) -> str:
    """A dot in the colour of how things stand."""
    return f"data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'><circle cx='8' cy='8' r='7' fill='%23{COLOURS[kind]}'/></svg>"
