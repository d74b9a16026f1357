"""A custom node ends the app while it is imported.

You see
    ComfyUI ends before it serves, with an exit code and no error of its own.
Why
    ComfyUI catches what goes wrong in the import of a node, but not `sys.exit`, which some nodes call where they miss
    something.
Cure
    Find the node: `--disable-all-custom-nodes` starts without them, `--whitelist-custom-nodes A B` with some. Then disable
    it: `mv custom_nodes/NODE custom_nodes/NODE.disabled`.
"""

from __future__ import annotations

from firstlight.faults.fault import Actor, Evidence, Fault, Layer, Persistence, Verdict
from firstlight.faults.start import Start


def evidence(start: Start) -> Verdict:
    """It came as far as its device, then ended with a code of its own and without an error, before it served."""
    if not start.code or start.code > _HIGHEST or start.served or not start.line("device") or start.line("error", "frontend-missing"):
        return None
    return Evidence(
        f"The app ended with exit code {start.code} while its nodes were imported, and printed no error: something called sys.exit.",
        (("exit code", str(start.code)),),
    )


_HIGHEST = 125  # what is higher is a shell's or a signal's


FAULT = Fault(
    id="node-ends-app",
    symptom="ComfyUI ends while custom nodes are imported, without an error",
    layer=Layer.APP,
    persistence=Persistence.PERMANENT,
    actor=Actor.IMAGE,
    advice="Disable the custom node that calls sys.exit; `--whitelist-custom-nodes` finds it.",
    evidence=evidence,
)
