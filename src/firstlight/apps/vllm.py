"""vLLM's OpenAI server.

It listens only once the model is loaded. `/health` asks the engine process: 503 (before late 2025: 500) when that has died. It needs no API key.
"""

from __future__ import annotations

from firstlight.apps import cuda_lines
from firstlight.apps.app import App, Check, Kind, Level, Meaning, OnFailure, Pattern

APP = App(
    name="vllm",
    words="vLLM, OpenAI-compatible server",
    port=8000,
    start_budget=1800.0,  # Weights from a network volume, then compilation and CUDA graphs.
    checks=(
        Check(name="health", level=Level.READY, kind=Kind.HTTP, target="http://127.0.0.1:{port}/health", status=(200,)),
        Check(
            name="engine",
            level=Level.ALIVE,
            kind=Kind.HTTP,
            target="http://127.0.0.1:{port}/health",
            # The server's own thread tokenizes: under load it may be late, and a restart costs minutes.
            timeout=10.0,
            threshold=6,
            status=(200,),
            on_failure=OnFailure.RESTART,
        ),
    ),
    patterns=(
        *cuda_lines.PATTERNS,
        Pattern(
            "vllm-engine-died", Meaning.ZOMBIE, (b"EngineDeadError",), rb"(?:^|\s)[\w.]*EngineDeadError: EngineCore encountered an issue\."
        ),
    ),
    defaults={"restart": "on-failure"},
)
