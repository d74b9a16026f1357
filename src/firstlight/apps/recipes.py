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


def misfit(name: str, *, node: str, model: str, accept: str) -> tuple[str, str] | None:
    """Of what is asked of the app of this recipe, the setting that makes no sense, by its name, and why. Empty: not asked, or no recipe."""
    try:
        app = recipe(name) if name else None
    except ValueError as error:
        return "app", str(error)
    if node and (app is None or app.node is None):
        return "node", "it is for an app with nodes, such as --app comfyui"
    if model and not node:
        return "model", "it is what a node must offer, and no node is named"
    if accept and app is not comfyui.APP:
        return "accept", "it is for --app comfyui"
    return None
