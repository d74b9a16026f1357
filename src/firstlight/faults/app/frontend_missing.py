"""ComfyUI's frontend package is not installed.

You see
    "comfyui-frontend-package is not installed", exit code 255 after 8 seconds.
Why
    ComfyUI's web pages are a package of their own since 2025, and its requirements were not installed into the interpreter
    that it is started with.
Cure
    `PYTHON -m pip install -r requirements.txt` in ComfyUI's folder; or start it with `--front-end-root DIR`, where nobody
    wants its pages.
"""

from __future__ import annotations

from firstlight.faults.fault import Actor, Evidence, Fault, Layer, Persistence, Verdict
from firstlight.faults.start import Start
from firstlight.probe.facts import Unknown


def evidence(start: Start) -> Verdict:
    """The package is not in the app's interpreter and no flag does without it; or the app has said so."""
    told = start.line("frontend-missing")
    if told:
        return Evidence(f"ComfyUI ended because its frontend is missing: {told}", (("printed", told),))
    if isinstance(start.packages, Unknown):
        return start.packages
    if not start.needs_frontend or start.packages.get("comfyui-frontend-package") is not None:
        return None
    return Evidence(f"comfyui-frontend-package is not installed in {start.interpreter}, and no --front-end-root is given.")


FAULT = Fault(
    id="frontend-missing",
    symptom="comfyui-frontend-package is not installed",
    layer=Layer.APP,
    persistence=Persistence.PERMANENT,
    actor=Actor.IMAGE,
    advice="Run `pip install -r requirements.txt` in ComfyUI's folder, with the interpreter that starts it.",
    evidence=evidence,
)
