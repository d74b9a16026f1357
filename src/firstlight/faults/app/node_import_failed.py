"""A custom node could not be imported.

You see
    "(IMPORT FAILED)" in the list of import times; the server comes up, and prompts with nodes of this pack are refused with
    "Cannot execute because node … does not exist".
Why
    The pack needs a package that is not installed, or another version of one. ComfyUI goes on without it.
Cure
    `PYTHON -m pip install -r custom_nodes/PACK/requirements.txt` with the app's own interpreter, then `firstlight ctl
    restart`.
"""

from __future__ import annotations

from firstlight.faults.fault import Actor, Evidence, Fault, Layer, Persistence, Verdict
from firstlight.faults.start import Start


def evidence(start: Start) -> Verdict:
    """The app says so, once for each."""
    failed = start.printed.get("node-import-failed", ())
    if not failed:
        return None
    reasons = start.printed.get("node-cannot-import", ())
    quotes = tuple(("printed", line) for line in (*failed, *reasons))
    names = ", ".join(dict.fromkeys(line.rpartition("/")[2] for line in failed))
    why = f": {reasons[-1].partition(' module for custom nodes: ')[2]}" if reasons else ""
    return Evidence(f"The app runs without {names}, which could not be imported{why}.", quotes, stops=False)


FAULT = Fault(
    id="node-import-failed",
    symptom="(IMPORT FAILED) in ComfyUI's list of import times",
    layer=Layer.APP,
    persistence=Persistence.PERMANENT,
    actor=Actor.IMAGE,
    advice="Install what the node pack needs with the app's interpreter, and restart the app.",
    evidence=evidence,
)
