"""docs/reference/recipes.md, from the recipes."""

from __future__ import annotations

import importlib

from firstlight.apps.app import PROGRAM, App, Check, Kind, Meaning, OnFailure
from firstlight.apps.recipes import RECIPES
from pages import markdown

_TEXT = """# Recipes

`firstlight run --app NAME -- COMMAND` adds what is known of an app: how to ask it whether it is alive and ready, which lines of its output mean
something, and which settings suit it. A setting of your own wins. Own checks are [written beside them](../howto/checks.md).

The port is `--port`, or else what the app's command says, or else the app's own. Checks go to 127.0.0.1.

An *alive* check that fails asks for a restart, a *ready* check takes readiness back until it succeeds again. Where a line says that CUDA
has failed the app, its end is followed by a new proof of the GPU and not counted as the app's own. *Poisoned* means that its CUDA context is
broken for good, *zombie* that it serves while what does its work is dead: both are restarted.

{recipes}"""

_MEANINGS = {
    Meaning.CUDA: "CUDA failed it: if it ends now, that is why",
    Meaning.POISONED: "poisoned",
    Meaning.TOLD: "evidence for a [fault of the app](faults/README.md)",
    Meaning.ZOMBIE: "zombie",
}


def pages() -> dict[str, str]:
    """The page."""
    text = _TEXT.format(recipes="\n".join(_recipe(app) for app in RECIPES.values()))
    return {"docs/reference/recipes.md": markdown.notice("src/firstlight/apps/") + text}


def _recipe(app: App) -> str:
    module = importlib.import_module(f"firstlight.apps.{app.name}")
    story = markdown.summary(module.__doc__).partition("\n\n")[2]
    flag = "" if app.port_flag == "--port" else f", or what the command says behind `{app.port_flag}`"
    settings = ", ".join(f"`{name} = {value}`" for name, value in app.defaults.items())
    parts = [
        f"## {app.name}",
        f"{app.words}. Its own port is {app.port}{flag}. A start may take {app.start_budget / 60:g} minutes. Settings: {settings}.",
        story,
    ]
    checks = app.checks if app.node is None else (*app.checks, app.node)
    parts.append(markdown.table(["check", "level", "asks", "well when", "period", "failed after"], [_check(check) for check in checks]))
    if app.patterns:
        parts.append(markdown.table(["line", "means"], [[f"`{pattern.name}`", _MEANINGS[pattern.meaning]] for pattern in app.patterns]))
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def _check(check: Check) -> list[str]:
    asks = f"connect to `{check.target}`" if check.kind is Kind.TCP else f"GET `{check.target.replace('{port}', 'PORT')}`"
    asks = asks.replace("{port}", "PORT")
    asks = asks.replace("{node}", "CLASS")
    if check.kind is Kind.EXEC:
        asks = f"`{check.command[1]}`" if check.command[0] == PROGRAM else f"`{' '.join(check.command)}`"
        return [
            f"`{check.name}`",
            check.level.value,
            asks,
            "it ends with code 0",
            "once in a life" if check.once else f"{check.period:g} s",
            "never",
        ]
    well = [] if check.kind is Kind.TCP else [f"status {' or '.join(map(str, check.status)) or '200 to 399'}"]
    well += [f"`{rule}`{' (unless the command says otherwise)' if rule.needs_gpu else ''}" for rule in check.expect]
    if check.fail_when:
        well = ["not " + " and ".join(f"`{rule}`" for rule in check.fail_when)]
    failed = f"{check.threshold} failures, {check.timeout:g} s each at most"
    then = "; restart" if check.on_failure is OnFailure.RESTART else ""
    means = f" as a {check.means.value}" if check.means else ""
    return [
        f"`{check.name}`",
        check.level.value,
        asks,
        ", ".join(well) or "somebody takes connections",
        f"{check.period:g} s",
        failed + then + means,
    ]
