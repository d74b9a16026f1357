"""How much space an upgrade needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from firstlight.pytorch import space
from firstlight.pytorch.space import GIB, Need


def need(**changes: int | bool) -> Need:
    """2 GiB to copy and 6 GiB to unpack, 3 GiB of downloads elsewhere, and plenty of room."""
    figures = {"copied": 2 * GIB, "unpacked": 6 * GIB, "free": 100 * GIB, "downloads": 3 * GIB, "downloads_free": 100 * GIB}
    return Need(**{**figures, "folder": "/tmp", "variable": "TMPDIR", "together": False, "shared": False, **changes})


CASES = {
    "plenty": (need(), ""),
    "exactly enough": (need(free=8 * GIB, downloads_free=3 * GIB), ""),
    "too little": (need(free=5 * GIB), "8.0 GiB are needed beside it and 5.0 GiB are free (2.0 GiB to copy, 6.0 GiB for the new torch)"),
    "too little to copy": (
        need(free=7 * GIB),
        "8.0 GiB are needed beside it and 7.0 GiB are free (2.0 GiB to copy, 6.0 GiB for the new torch; --hard-links copies nothing)",
    ),
    "too little for the downloads": (
        need(downloads_free=GIB),
        "3.0 GiB are needed for downloads in /tmp and 1.0 GiB are free; TMPDIR names another place",
    ),
    "too little for both in one place": (
        need(free=10 * GIB, downloads_free=10 * GIB, together=True),
        (
            "11.0 GiB are needed beside it and 10.0 GiB are free (2.0 GiB to copy, 6.0 GiB for the new torch, 3.0 GiB for downloads; "
            "--hard-links copies nothing)"
        ),
    ),
    "a cache whose files are shared": (need(free=8 * GIB, downloads_free=8 * GIB, downloads=6 * GIB, together=True, shared=True), ""),
}


@pytest.mark.parametrize(("found", "reason"), CASES.values(), ids=CASES.keys())
def test_the_figures(found: Need, reason: str) -> None:
    assert space.short(found) == reason


CACHES = {
    "named": ({"UV_CACHE_DIR": "{}/cache", "HOME": "/"}, "{}/cache"),
    "of the user": ({"XDG_CACHE_HOME": "{}/cache"}, "{}/cache/uv"),
    "at home": ({"HOME": "{}/home"}, "{}/home/.cache/uv"),
}


@pytest.mark.parametrize(("variables", "folder"), CACHES.values(), ids=CACHES.keys())
def test_where_uv_keeps_what_it_downloads(tmp_path: Path, variables: dict[str, str], folder: str) -> None:
    variables = {name: value.format(tmp_path) for name, value in variables.items()}

    def asked() -> str:
        return space.need(str(tmp_path), copied=0, unpacked=10, uv=True, variables=variables).folder

    assert asked() == str(tmp_path)  # it is not there yet
    Path(folder.format(tmp_path)).mkdir(parents=True)
    assert asked() == folder.format(tmp_path)


def test_pip_downloads_into_the_folder_for_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space.tempfile, "tempdir", str(tmp_path))

    found = space.need(str(tmp_path), copied=0, unpacked=10, uv=False, variables={})

    assert (found.folder, found.together, found.shared, found.downloads) == (str(tmp_path), True, False, 5)
