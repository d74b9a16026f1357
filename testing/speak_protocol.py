"""Stand-ins for servers that cannot be installed on a test machine: they answer what a check asks, in the shape that the real one gives.

    speak_protocol.py comfyui|vllm|triton|a1111

Prints `ready (port: N)`, then does what it reads, one word a line, and repeats the word once that holds:

    well       all answers as of a server that works (it begins so)
    starting   it listens, and is not ready yet (Triton alone listens before that)
    broken     what does the work has failed
    zombie     it takes work, and does none (ComfyUI)
    cpu        it runs without a GPU (ComfyUI)

Where each answer's shape comes from:
    comfyui    recorded from ComfyUI 0.3.75 (GET /system_stats, /queue, /prompt, /object_info/CLASS, /history/ID; POST /prompt); the zombie is ComfyUI issue 16312
    vllm       vllm/entrypoints/serve/instrumentator/health.py: 200 and no content, 503 on EngineDeadError (vLLM pull request 24897)
    triton     Open Inference Protocol, "Health": 200, or a 4xx; Triton's http_server.cc answers 400 with no content
    a1111      modules/ui.py, setup_ui_api: GET /internal/ping gives {}; a web UI that hangs does not answer
"""

from __future__ import annotations

import http.server
import json
import sys
import threading

STATE = {"word": "well"}

JOB = [1, "5d5a2c1c", {"1": {"class_type": "EmptyImage", "inputs": {}}}, {"client_id": "x"}, ["1"]]


def comfyui(path: str, word: str) -> tuple[int, object]:
    """ComfyUI's own routes. With a broken context, asking CUDA for its memory raises, and aiohttp answers 500."""
    if path == "/system_stats":
        if word == "broken":
            return 500, None
        kind = "cpu" if word == "cpu" else "cuda"
        device = {"name": f"{kind}:0 NVIDIA H200 : cudaMallocAsync", "type": kind, "index": 0, "vram_total": 1, "vram_free": 1}
        return 200, {"system": {"os": "posix", "comfyui_version": "0.3.75", "argv": ["main.py"]}, "devices": [device]}
    if path == "/queue":
        # A healthy one that is busy: one prompt runs while another waits.
        return 200, {"queue_running": [] if word == "zombie" else [JOB], "queue_pending": [JOB]}
    if path.startswith("/history/"):
        if word == "zombie":
            return 200, {}
        if word == "broken":
            error = {"exception_type": "RuntimeError", "exception_message": "CUDA error: unknown error\n"}
            return 200, {
                path.rpartition("/")[2]: {"status": {"status_str": "error", "completed": False, "messages": [["execution_error", error]]}}
            }
        status = {"status_str": "success", "completed": True, "messages": []}
        return 200, {path.rpartition("/")[2]: {"status": status, "outputs": {}}}
    if path == "/prompt":
        return 200, {"exec_info": {"queue_remaining": 2}}
    if path.startswith("/object_info/"):
        name = path.rpartition("/")[2]
        models = {"input": {"required": {"model": [["VibeVoice-1.5B", "VibeVoice-Large"], {}]}}, "output": ["AUDIO"]}
        known = {"EmptyImage": {"input": {}, "output": ["IMAGE"]}, "VibeVoiceSingleSpeakerNode": models}
        return 200, {name: known[name]} if name in known else {}
    return 404, None


def vllm(path: str, word: str) -> tuple[int, object]:
    """vLLM's health route."""
    return (503 if word == "broken" else 200, None) if path == "/health" else (404, None)


def triton(path: str, word: str) -> tuple[int, object]:
    """The health routes of the protocol."""
    if path == "/v2/health/live":
        return (400 if word == "broken" else 200), None
    if path == "/v2/health/ready":
        return (200 if word == "well" else 400), None
    return 404, None


def a1111(path: str, word: str) -> tuple[int, object]:
    """The web UI's own ping."""
    if path != "/internal/ping":
        return 404, {"detail": "Not Found"}
    return (500, None) if word == "broken" else (200, {})


PROTOCOLS = {"comfyui": comfyui, "vllm": vllm, "triton": triton, "a1111": a1111}


class Speaker(http.server.BaseHTTPRequestHandler):
    """Answers a GET as the protocol has it now."""

    def do_GET(self) -> None:
        status, value = PROTOCOLS[sys.argv[1]](self.path, STATE["word"])
        content = b"" if value is None else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:
        """A prompt is taken, whatever it is."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, *words: object) -> None:
        """Say nothing of each request."""


def main() -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Speaker)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"ready (port: {server.server_port})", flush=True)
    for line in sys.stdin:
        STATE["word"] = line.strip()
        print(STATE["word"], flush=True)


if __name__ == "__main__":
    main()
