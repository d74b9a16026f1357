"""NVIDIA Triton, and any server of the Open Inference Protocol (KServe v2).

`/v2/health/live` and `/v2/health/ready` are the protocol's own: 200, and 4xx or 5xx otherwise. Ready means that every model is loaded, as
Triton's --strict-readiness has it by default. The body may be empty.
"""

from __future__ import annotations

from firstlight.apps import cuda_lines
from firstlight.apps.app import App, Check, Kind, Level, OnFailure

APP = App(
    name="triton",
    words="NVIDIA Triton, or another server of KServe's v2 protocol",
    port=8000,
    port_flag="--http-port",
    start_budget=1800.0,  # Every model of the repository is loaded first.
    checks=(
        Check(name="ready", level=Level.READY, kind=Kind.HTTP, target="http://127.0.0.1:{port}/v2/health/ready", status=(200,)),
        Check(
            name="live",
            level=Level.ALIVE,
            kind=Kind.HTTP,
            target="http://127.0.0.1:{port}/v2/health/live",
            status=(200,),
            on_failure=OnFailure.RESTART,
        ),
    ),
    patterns=cuda_lines.PATTERNS,
    defaults={"restart": "on-failure"},
)
