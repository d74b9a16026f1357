"""ComfyUI-Manager keeps the app from starting while it fetches its lists.

You see
    "FETCH ComfyRegistry Data: 5/85" for minutes, and no port; `/object_info` does not answer.
Why
    The manager asks its registries during the start. Where the network is slow or closed to it, the port opens minutes
    later.
Cure
    Set `network_mode = offline` in `user/default/ComfyUI-Manager/config.ini` (section `[default]`), then `firstlight ctl
    restart`.
"""

from __future__ import annotations

from firstlight.faults.fault import Actor, Evidence, Fault, Layer, Persistence, Verdict
from firstlight.faults.start import Start


def evidence(start: Start) -> Verdict:
    """It fetches, and the app does not serve yet."""
    told = start.line("manager-fetches")
    if not told or start.served:
        return None
    where = f" ({start.manager_online})" if start.manager_online else ""
    return Evidence(f"ComfyUI-Manager fetches before the app serves{where}: {told}", (("printed", told),), stops=False)


FAULT = Fault(
    id="manager-blocks-start",
    symptom="FETCH ComfyRegistry Data, and no port for minutes",
    layer=Layer.APP,
    persistence=Persistence.TRANSIENT,
    actor=Actor.CONTAINER,
    advice="Set network_mode = offline in ComfyUI-Manager's config.ini.",
    evidence=evidence,
)
