"""Whatever answers HTTP on a port.

An open port proves that it is alive, an answer of 200 to 399 that it is ready.
"""

from __future__ import annotations

from firstlight.apps import cuda_lines
from firstlight.apps.app import App, Check, Kind, Level, OnFailure

_ROOT = "http://127.0.0.1:{port}/"

APP = App(
    name="http",
    words="Anything that answers HTTP on a port",
    port=8000,
    checks=(
        Check(name="http", level=Level.READY, kind=Kind.HTTP, target=_ROOT),
        Check(name="answers", level=Level.ALIVE, kind=Kind.TCP, target="127.0.0.1:{port}", on_failure=OnFailure.RESTART),
    ),
    patterns=cuda_lines.PATTERNS,
    defaults={"restart": "on-failure"},
)
