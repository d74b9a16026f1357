"""A folder that the app's configuration names is not there: most often a volume that is not mounted.

You see
    ComfyUI ends within a second with "FileNotFoundError: [Errno 2] No such file or directory" from
    `execute_prestartup_script`, exit code 1.
Why
    `extra_model_paths.yaml`, or `--base-directory`, names a folder of custom nodes on a volume that is not mounted, or not
    yet. ComfyUI lists each of them before anything else.
Cure
    Mount the volume, or take the entry out of the file. firstlight waits for the folder and starts the app once it is
    there.
"""

from __future__ import annotations

from firstlight.faults.fault import Actor, Evidence, Fault, Layer, Persistence, Verdict
from firstlight.faults.start import Start
from firstlight.probe.facts import Unknown


def evidence(start: Start) -> Verdict:
    """A folder that must be listed at the start is not there."""
    if isinstance(start.missing, Unknown):
        return start.missing
    if not start.missing:
        return None
    folder, named_in = start.missing[0]
    more = f", and {len(start.missing) - 1} more" if len(start.missing) > 1 else ""
    return Evidence(f"{folder} is not there, and {named_in} names it{more}.", tuple((named, path) for path, named in start.missing))


FAULT = Fault(
    id="app-folder-missing",
    symptom="FileNotFoundError: [Errno 2] No such file or directory, from execute_prestartup_script",
    layer=Layer.APP,
    persistence=Persistence.BOUNDED,
    actor=Actor.CONTAINER,
    advice="Mount the volume that the folder lies on, or take the entry out of the app's configuration.",
    evidence=evidence,
)
