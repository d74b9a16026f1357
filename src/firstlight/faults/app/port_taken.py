"""The port that the app is to listen on is taken.

You see
    ComfyUI imports everything for 15 seconds and more, then ends with "OSError: [Errno 98] error while attempting to bind
    on address", exit code 1.
Why
    Another process holds the port: a second start of the app by the image, a life before this one that has not gone, or
    another server. ComfyUI binds last.
Cure
    `ss -ltnp` says who holds it. End that process, or give the app another port: `--port 8189`. firstlight looks before the
    import and starts the app once the port is free.
"""

from __future__ import annotations

from firstlight.faults.fault import Actor, Evidence, Fault, Layer, Persistence, Verdict
from firstlight.faults.start import Start
from firstlight.probe.facts import Unknown


def evidence(start: Start) -> Verdict:
    """Somebody holds the port before the app is started; or the app has said so."""
    told = start.line("port-taken")
    if told:
        return Evidence(f"The app could not bind its port {start.port}: {told}", (("printed", told),))
    if isinstance(start.holder, Unknown):
        return start.holder
    if not start.holder:
        return None
    return Evidence(f"Port {start.port} is held by {start.holder}, so that the app could not listen on it.", (("held by", start.holder),))


FAULT = Fault(
    id="port-taken",
    symptom="OSError: [Errno 98] error while attempting to bind on address: address already in use",
    layer=Layer.APP,
    persistence=Persistence.BOUNDED,
    actor=Actor.CONTAINER,
    advice="End the process that holds the port, or give the app another one with `--port`.",
    evidence=evidence,
)
