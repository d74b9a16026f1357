"""A ComfyUI that does as it is told: the answers of the real one (0.3.75) to what `accept` asks, for what the real one does too seldom to wait for.

In the test's own process, so that a test sees what came; or as the app of `run`: python3 scripted_comfyui.py --port=N --cpu. tests/comfyui has
the real one.
"""

from __future__ import annotations

import io
import json
import math
import signal
import sys
import threading
import wave
from array import array
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CLASSES: dict[str, Any] = {
    "LoadAudio": {"input": {"required": {"audio": [["ref.wav"], {"audio_upload": True}]}}, "output_node": False},
    "Speaks": {
        "input": {"required": {"text": ["STRING", {}], "seed": ["INT", {}]}, "optional": {"voice": ["AUDIO"]}},
        "output_node": False,
    },
    "SaveAudio": {"input": {"required": {"audio": ["AUDIO"], "filename_prefix": ["STRING", {}]}}, "output_node": True},
}
WORKFLOW: dict[str, Any] = {
    "1": {"class_type": "LoadAudio", "inputs": {"audio": "ref.wav"}},
    "2": {"class_type": "Speaks", "inputs": {"text": "Hello from the cloned voice.", "seed": 1, "voice": ["1", 0]}},
    "3": {"class_type": "SaveAudio", "inputs": {"audio": ["2", 0], "filename_prefix": "mine"}},
}


class ScriptedComfyUI:
    """Listens until `close`.

    Attributes:
        url: where.
        posted: what was posted, by path, in order.
        clip: the WAV that the output has written.
        cached: the nodes that it says were answered from its cache.
        error: the `execution_error` of the next prompts, None for success.
        refusal: the status and body with which /prompt is refused.
        holds: where prompts stay instead of being run: "queue_pending" or "queue_running"; any other word: nowhere, it has forgotten them.
        drops: of so many questions how far a prompt is the connection is closed without an answer.
        writes: whether a prompt leaves a file.
    """

    def __init__(self, port: int = 0) -> None:
        self.posted: list[tuple[str, bytes]] = []
        self.clip = clip()
        self.cached: list[str] = []
        self.error: dict[str, Any] | None = None
        self.refusal: tuple[int, Any] | None = None
        self.holds = ""
        self.drops = 0
        self.writes = True
        self._prompts: list[str] = []
        ours = self

        class Requests(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path.startswith("/history/") and ours.drops:
                    ours.drops -= 1
                    return
                self._answer(*ours.get(self.path))

            def do_POST(self) -> None:
                self._answer(*ours.post(self.path, self.rfile.read(int(self.headers.get("Content-Length", 0)))))

            def _answer(self, status: int, body: Any) -> None:
                content = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                """Nobody reads it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Requests)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def close(self) -> None:
        """No more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def prompts(self) -> list[dict[str, Any]]:
        """What was queued."""
        return [json.loads(body) for path, body in self.posted if path == "/prompt"]

    def get(self, path: str) -> tuple[int, Any]:
        """The answer to a question."""
        if path == "/object_info":
            return 200, CLASSES
        if path.startswith("/object_info/"):
            name = path.rpartition("/")[2]
            return 200, {name: CLASSES[name]} if name in CLASSES else {}
        if path == "/system_stats":
            return 200, {"system": {"comfyui_version": "0.3.75"}, "devices": [{"name": "cpu", "type": "cpu"}]}
        if path == "/queue":
            return 200, {
                where: [[0, self._prompts[-1], {}, {}, []]] if where == self.holds else [] for where in ("queue_running", "queue_pending")
            }
        if path.startswith("/view?"):
            return 200, self.clip
        if path.startswith("/history/") and not self.holds:
            return 200, {path.rpartition("/")[2]: self._entry()}
        return 200, {}

    def post(self, path: str, body: bytes) -> tuple[int, Any]:
        """The answer to an order."""
        self.posted.append((path, body))
        if path == "/upload/image":
            return 200, {"name": "voice-1.wav", "subfolder": "firstlight", "type": "input"}
        if path == "/prompt" and self.refusal:
            return self.refusal
        if path == "/prompt":
            self._prompts.append(json.loads(body)["prompt_id"])
            return 200, {"prompt_id": self._prompts[-1], "number": 1, "node_errors": {}}
        return 200, {}

    def _entry(self) -> dict[str, Any]:
        messages: list[Any] = [["execution_start", {"timestamp": 1000}], ["execution_cached", {"nodes": self.cached, "timestamp": 1001}]]
        if self.error:
            return {
                "status": {"status_str": "error", "completed": False, "messages": [*messages, ["execution_error", self.error]]},
                "outputs": {},
            }
        messages.append(["execution_success", {"timestamp": 3500}])
        written = {"3": {"audio": [{"filename": "accept_1.wav", "subfolder": "firstlight", "type": "output"}]}}
        return {"status": {"status_str": "success", "completed": True, "messages": messages}, "outputs": written if self.writes else {}}


def clip(seconds: float = 2.0, rate: int = 24_000, gain: float = 0.3) -> bytes:
    """A WAV with the outline of speech: four syllables a second. No model takes it for words."""
    samples = array(
        "h",
        (
            int(32767 * gain * max(math.sin(2 * math.pi * 2 * number / rate), 0.02) * math.sin(2 * math.pi * 150 * number / rate))
            for number in range(int(seconds * rate))
        ),
    )
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return buffer.getvalue()


def main() -> None:
    """Be the app until SIGINT, the way in which ComfyUI is stopped."""
    stop = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    port = next(int(word.partition("=")[2]) for word in sys.argv[1:] if word.startswith("--port="))
    print("Device: cpu", flush=True)
    server = ScriptedComfyUI(port)
    stop.wait()
    server.close()


if __name__ == "__main__":
    main()
