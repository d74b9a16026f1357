"""ComfyUI.

`/system_stats` asks CUDA for its free memory each time, so it tells more than that a server listens. It answers once all custom nodes are
imported, because the port is bound last. Whether a node was imported can be told by its class alone: `--node CLASS`, and `--model NAME` for a
model that it must offer. Whether prompts are run is told by one that needs no model.

The thread that runs prompts can die of an exception (ComfyUI issue 16312), and the server goes on to answer and to take prompts that it never
runs. Then prompts are pending while none is running; in a healthy one that lasts for a moment between two prompts. The answer of `/queue` holds
whole workflows, so that it may be too long to look into; the line that the thread leaves behind tells all the same. One death cannot be
told: a node that calls `sys.exit` while it runs ends the thread without a word, and its prompt counts as running for ever, as one that takes long does.

On SIGTERM ComfyUI dies at once; SIGINT is its way to stop.
"""

from __future__ import annotations

from firstlight.apps import cuda_lines
from firstlight.apps.app import PROGRAM, App, Check, Kind, Level, Meaning, OnFailure, Pattern, Relation, Rule

APP = App(
    name="comfyui",
    words="ComfyUI",
    port=8188,
    start_budget=1800.0,  # ComfyUI-Manager alone has been seen to take 20 minutes where the network is slow.
    checks=(
        Check(
            name="system-stats",
            level=Level.READY,
            kind=Kind.HTTP,
            target="http://127.0.0.1:{port}/system_stats",
            # A model that is being loaded holds Python's lock for seconds at a time.
            timeout=10.0,
            expect=(Rule("devices.0.type", Relation.EQUALS, "cuda", needs_gpu=True),),
            status=(200,),
        ),
        Check(
            name="queue",
            level=Level.ALIVE,
            kind=Kind.HTTP,
            target="http://127.0.0.1:{port}/queue",
            period=5.0,
            timeout=10.0,
            # Three in a row, 5 s apart: longer than the moment between two prompts.
            threshold=3,
            fail_when=(Rule("queue_pending", Relation.NOT_EMPTY), Rule("queue_running", Relation.EMPTY)),
            on_failure=OnFailure.RESTART,
            means=Meaning.ZOMBIE,
            status=(200,),
        ),
        Check(
            name="answers",
            level=Level.ALIVE,
            kind=Kind.HTTP,
            target="http://127.0.0.1:{port}/prompt",
            # Two minutes: a restart would load the model again that keeps the server from answering.
            timeout=10.0,
            threshold=6,
            on_failure=OnFailure.RESTART,
            status=(200,),
        ),
        Check(
            name="worker",
            level=Level.READY,
            kind=Kind.EXEC,
            command=(PROGRAM, "prompt_comfyui", "{port}", "20"),
            start_interval=1.0,
            timeout=30.0,
            once=True,  # in a life that works a prompt of the user's may take an hour
        ),
    ),
    node=Check(
        name="node",
        level=Level.READY,
        kind=Kind.HTTP,
        target="http://127.0.0.1:{port}/object_info/{node}",
        timeout=10.0,
        # A class that is not there gives {} with status 200.
        expect=(Rule(".", Relation.NOT_EMPTY),),
        status=(200,),
    ),
    patterns=(
        *cuda_lines.PATTERNS,
        # What it tells of its start; each name is a word of faults/app.
        Pattern("device", Meaning.TOLD, (b"Device: ",), rb"^(?:\[INFO\] )?Device: \S"),
        Pattern("error", Meaning.TOLD, (b"Error",), rb"^[\w.]*Error(?::|$)"),
        Pattern("frontend-missing", Meaning.TOLD, (b"comfyui-frontend-package",), rb"comfyui-frontend-package is not installed"),
        Pattern(
            "hub-unreachable", Meaning.TOLD, (b"huggingface.co",), rb"thrown while requesting (?:HEAD|GET) https://huggingface\.co/\S+"
        ),
        Pattern("manager-fetches", Meaning.TOLD, (b"FETCH ComfyRegistry",), rb"FETCH ComfyRegistry Data: \d+/\d+"),
        Pattern("node-cannot-import", Meaning.TOLD, (b"Cannot import",), rb"Cannot import \S.* module for custom nodes: "),
        Pattern("node-import-failed", Meaning.TOLD, (b"(IMPORT FAILED)",), rb"^\s*[\d.]+ seconds \(IMPORT FAILED\): \S"),
        Pattern("port-taken", Meaning.TOLD, (b"[Errno 98]",), rb"^OSError: \[Errno 98\] error while attempting to bind on address "),
        Pattern("torch-without-cuda", Meaning.TOLD, (b"AssertionError",), rb"^AssertionError: Torch not compiled with CUDA enabled"),
        Pattern(
            "vibevoice-versions",
            Meaning.TOLD,
            (b"already used", b"resolve_revision"),
            rb"VibeVoice\w*'>' is already used by a Transformers model|cannot import name 'resolve_revision' from 'huggingface_hub'",
        ),
        Pattern("comfyui-worker-died", Meaning.ZOMBIE, (b"prompt_worker",), rb"^Exception in thread Thread-\d+ \(prompt_worker\):?\s*$"),
    ),
    defaults={"restart": "on-failure", "stop-signal": "INT", "budget": "5m"},
    no_gpu_flags=("--cpu",),
    legs={"device": "device", "system-stats": "port", "node": "nodes", "worker": "worker"},
    look="look_at_comfyui",
)
