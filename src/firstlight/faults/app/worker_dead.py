"""ComfyUI serves, and the thread that runs prompts is dead.

You see
    Prompts stay pending with nothing running, while every page answers 200; "Exception in thread Thread-1 (prompt_worker)"
    in the log.
Why
    An exception outside of a prompt ends the one thread that runs prompts: most often a CUDA error while memory is freed.
    ComfyUI does not notice (issue 16312).
Cure
    Only a new process helps. firstlight restarts the app, and proves the GPUs before where CUDA was the reason.
"""

from __future__ import annotations

from firstlight.faults.fault import Actor, Evidence, Fault, Layer, Persistence, Verdict
from firstlight.faults.start import Start


def evidence(start: Start) -> Verdict:
    """The line that the thread leaves behind."""
    told = start.line("comfyui-worker-died")
    return Evidence(f"The app goes on to answer and will run no prompt: {told}", (("printed", told),)) if told else None


FAULT = Fault(
    id="worker-dead",
    symptom="Prompts stay pending with nothing running; Exception in thread Thread-1 (prompt_worker)",
    layer=Layer.APP,
    persistence=Persistence.TRANSIENT,
    actor=Actor.CONTAINER,
    advice="Restart the app: `firstlight ctl restart`.",
    evidence=evidence,
)
