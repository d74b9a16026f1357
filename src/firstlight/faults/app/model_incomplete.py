"""A model is not there as a whole: its download was cut off.

You see
    The model is in the node's list, and the first generation fails with a missing shard or a header that cannot be read; or
    it starts to download gigabytes.
Why
    The node packs take a folder for a model that has an index and any shard. A download that was interrupted, or a volume
    that was full, leaves such a one.
Cure
    Fetch it again: `huggingface-cli download REPOSITORY --local-dir FOLDER` goes on where it stopped. `df -h` tells whether
    the volume is full.
"""

from __future__ import annotations

from firstlight.faults.fault import Actor, Evidence, Fault, Layer, Persistence, Verdict
from firstlight.faults.start import Start
from firstlight.probe.facts import Unknown


def evidence(start: Start) -> Verdict:
    """A file that the index names is not there, or is shorter than it says itself."""
    if isinstance(start.models, Unknown):
        return start.models
    lacking = [model for model in start.models if model.lacks]
    if not lacking:
        return None
    quotes = tuple((model.folder, "; ".join(model.lacks)) for model in lacking)
    return Evidence(f"The model in {lacking[0].folder} is not complete: {lacking[0].lacks[0]}.", quotes, stops=False)


FAULT = Fault(
    id="model-incomplete",
    symptom="A model is listed, and its first use fails with a missing or cut-off safetensors file",
    layer=Layer.APP,
    persistence=Persistence.PERMANENT,
    actor=Actor.CONTAINER,
    advice="Fetch the model again: `huggingface-cli download REPOSITORY --local-dir FOLDER`.",
    evidence=evidence,
)
