"""Every recipe, by name."""

from __future__ import annotations

from firstlight.apps import a1111, comfyui, http, jupyter, triton, vllm
from firstlight.apps.app import App

RECIPES: dict[str, App] = {app.name: app for app in (a1111.APP, comfyui.APP, http.APP, jupyter.APP, triton.APP, vllm.APP)}


def recipe(name: str) -> App:
    """The recipe of this name.

    Raises:
        ValueError: there is none.
    """
    if name not in RECIPES:
        raise ValueError(f"there is no recipe {name!r}; there are {', '.join(RECIPES)}")
    return RECIPES[name]
