"""AUTOMATIC1111's stable-diffusion-webui, and Forge.

`/internal/ping` belongs to the web UI and answers {} from the start of the server, which is after the first model was chosen. With --nowebui
there is the API alone, on another port and without this route: give the check yourself.

The launcher asks PyTorch for CUDA in a process of its own, and ends when there is none. SIGINT ends the server at once, with exit code 0.
"""

from __future__ import annotations

from firstlight.apps import cuda_lines
from firstlight.apps.app import App, Check, Kind, Level, Meaning, OnFailure, Pattern

_PING = "http://127.0.0.1:{port}/internal/ping"

APP = App(
    name="a1111",
    words="AUTOMATIC1111's Stable Diffusion web UI, Forge",
    port=7860,
    start_budget=1800.0,  # Extensions install what they need on each start.
    checks=(
        Check(name="ping", level=Level.READY, kind=Kind.HTTP, target=_PING, timeout=10.0, status=(200,)),
        Check(
            name="answers",
            level=Level.ALIVE,
            kind=Kind.HTTP,
            target=_PING,
            # Loading a model holds Python's lock.
            timeout=10.0,
            threshold=6,
            status=(200,),
            on_failure=OnFailure.RESTART,
        ),
    ),
    patterns=(
        *cuda_lines.PATTERNS,
        Pattern(
            "a1111-no-cuda",
            Meaning.CUDA,
            (b"Torch is not able",),
            rb"^(?:RuntimeError|AssertionError): Torch is not able to use GPU; add --skip-torch-cuda-test",
        ),
    ),
    defaults={"restart": "on-failure"},
)
