"""What is asked of ComfyUI, over its HTTP API: its classes, an upload, one prompt followed to its end, the files that came of it.

Progress is told by /queue and /history: ComfyUI's websocket would add a library, and VibeVoice says nothing over it while it speaks.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import json
import select
import urllib.parse
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from firstlight.acceptance import answers
from firstlight.acceptance.answers import ComfyUIError, Done
from firstlight.errors import UsageError
from firstlight.system import clock

# One answer of the server, in seconds: a model that is being loaded holds Python's lock for seconds at a time.
_PATIENCE = 30.0
# How often it is asked how far it is, in seconds.
_PERIOD = 0.25
# Between two prompts nothing runs for a moment. A worker that takes none for so many seconds is dead (ComfyUI issue 16312).
_IDLE = 10.0
# How long it may be without an answer that can be used while a prompt runs.
_SILENCE = 55.0
# What a prompt that nobody wants is worth: whoever has pressed Ctrl-C waits for it.
_CANCELLING = 5.0
# Bytes of one answer. The list of classes is the longest, where there is no audio of hours.
_LARGEST = 256 << 20
# Of so many prompts is it asked what has run before.
_LOOKED_AT = 100


class GoneError(ComfyUIError):
    """Nobody listens there: it has ended, or is not up yet."""


class Server:
    """One ComfyUI. Its address is never shown with what may be a secret in it.

    Attributes:
        shown: the address as it may be shown.
        here: it is on this machine.
    """

    def __init__(self, url: str) -> None:
        """An address such as http://127.0.0.1:8188.

        Raises:
            UsageError: it is none.
        """
        try:
            parts = urllib.parse.urlsplit(url)
            port = parts.port
        except ValueError:
            parts, port = urllib.parse.SplitResult("", "", "", "", ""), None
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or parts.username:
            raise UsageError("cannot take --url: it is an address such as http://127.0.0.1:8188")
        self.shown = f"{parts.hostname}:{port or (443 if parts.scheme == 'https' else 80)}"
        self.here = _is_here(parts.hostname)
        self._host = parts.hostname
        self._port = port
        self._path = parts.path.rstrip("/")
        self._connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection

    def classes(self) -> dict[str, Any]:
        """Every class of nodes, as /object_info describes it."""
        found = self._json("GET", "/object_info")
        if not isinstance(found, dict) or not found:
            raise ComfyUIError(f"cannot ask {self.shown} for its nodes: the answer is none of ComfyUI's")
        return found

    def ran(self) -> frozenset[str]:
        """The classes of the nodes in the prompts that it has run last."""
        entries = self._json("GET", f"/history?max_items={_LOOKED_AT}")
        found: set[str] = set()
        for entry in entries.values() if isinstance(entries, dict) else ():
            prompt = entry.get("prompt") or []
            nodes = prompt[2] if len(prompt) > 2 else {}
            found |= {str(node.get("class_type")) for node in nodes.values()}
        return frozenset(found)

    def upload(self, name: str, content: bytes) -> str:
        """Put a file into ComfyUI's input folder; the name that a node finds it by."""
        boundary = f"firstlight-{uuid.uuid4().hex}"
        fields = {"type": "input", "overwrite": "true", "subfolder": "firstlight"}
        body = b"".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'.encode() for field, value in fields.items()
        )
        # The field is called so for audio too.
        body += f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n'.encode()
        body += b"Content-Type: application/octet-stream\r\n\r\n" + content + f"\r\n--{boundary}--\r\n".encode()
        kept = self._json("POST", "/upload/image", body, f"multipart/form-data; boundary={boundary}")
        if not isinstance(kept, dict) or not kept.get("name"):
            raise ComfyUIError(f"cannot upload the voice to {self.shown}: it does not say where it has put it")
        return f"{kept['subfolder']}/{kept['name']}" if kept.get("subfolder") else str(kept["name"])

    def run(
        self, prompt: Mapping[str, Any], prompt_id: str, *, timeout: float, tell: Callable[[str], None], queued: Callable[[], None]
    ) -> Done:
        """Queue a prompt under an id of our own, and follow it to its end. `queued` is called once ComfyUI has it.

        Whatever comes before that end, such as Ctrl-C, takes the prompt out of ComfyUI's hands: nobody waits for it any more.
        """
        try:
            self._queue(prompt, prompt_id)
            queued()
            entry = self._follow(prompt_id, timeout, tell)
        except BaseException:
            self._cancel(prompt_id)
            raise
        return answers.done(entry)

    def fetch(self, file: Mapping[str, Any]) -> bytes:
        """The content of a file that an output has written."""
        query = urllib.parse.urlencode({key: str(file.get(key, "")) for key in ("filename", "subfolder", "type")})
        status, body = self._ask("GET", f"/view?{query}")
        if status != 200:
            raise ComfyUIError(f"cannot fetch {file.get('filename')}: {self.shown} has answered with status {status}")
        return body

    def _queue(self, prompt: Mapping[str, Any], prompt_id: str) -> None:
        order = json.dumps({"prompt": prompt, "prompt_id": prompt_id, "client_id": f"firstlight-{prompt_id[:8]}"}).encode()
        status, body = self._ask("POST", "/prompt", order, "application/json")
        if status == 400:
            raise ComfyUIError(f"cannot queue the workflow: {answers.refusal(body)}")
        if status != 200:
            raise ComfyUIError(f"cannot queue the workflow: {self.shown} has answered with status {status}")
        if answers.parsed(body).get("prompt_id") != prompt_id:
            raise ComfyUIError(f"cannot queue the workflow: {self.shown} has given it another id than ours, so it is too old or no ComfyUI")

    def _follow(self, prompt_id: str, timeout: float, tell: Callable[[str], None]) -> Mapping[str, Any]:
        """Wait until the history has a prompt, and tell how far it is."""
        began = since = clock.now()
        told = trouble = ""
        while True:
            asked, before = clock.now(), trouble
            try:
                entry = self._json("GET", f"/history/{prompt_id}")
                if isinstance(entry, dict) and prompt_id in entry:
                    return dict(entry[prompt_id])
                how, trouble = self._standing(prompt_id)
                patience = _IDLE
            except GoneError:
                raise
            except ComfyUIError as error:  # one answer that is late or cut off says nothing yet: a model may be coming off a slow disk
                how, trouble, patience = "not answering", str(error), _SILENCE
            if trouble != before:
                since = asked
            now = clock.now()
            if trouble and now - since > patience:
                raise ComfyUIError(trouble)
            if now - began > timeout:
                raise ComfyUIError(f"cannot wait any longer: it is {how} after {timeout:g} s (--timeout)")
            if how != told:
                tell(f"ComfyUI: {how}")
                told = how
            pause(_PERIOD)

    def _standing(self, prompt_id: str) -> tuple[str, str]:
        """Where a prompt is, in words; and what is wrong where that lasts, empty for nothing."""
        running, pending = self._queued()
        if prompt_id in running:
            return "running", ""
        if prompt_id not in pending:
            return "between the queue and its end", (
                "cannot follow the prompt: ComfyUI knows nothing of it any more: it was started anew, or somebody has cleared its lists"
            )
        before = len(running) + len(pending) - 1
        dead = f"cannot get it run: prompts have waited for {_IDLE:.0f} s while none runs: what runs them is dead; restart ComfyUI"
        return f"waiting behind {before} others" if before else "waiting", "" if running else dead

    def _cancel(self, prompt_id: str) -> None:
        """Take a prompt out of the queue, or stop it; nobody needs to hear that this failed.

        Only where it is the one that runs is that interrupted: an older ComfyUI interrupts whatever runs, and that may be a user's.
        """
        with contextlib.suppress(ComfyUIError):
            self._order("/queue", {"delete": [prompt_id]})
            if prompt_id in self._queued(_CANCELLING)[0]:
                self._order("/interrupt", {"prompt_id": prompt_id})

    def _queued(self, patience: float = _PATIENCE) -> tuple[list[str], list[str]]:
        """The prompts that run, and those that wait."""
        queue = self._json("GET", "/queue", patience=patience)
        found = [queue.get(f"queue_{part}") or [] for part in ("running", "pending")] if isinstance(queue, dict) else [[], []]
        running, pending = ([str(item[1]) for item in items] for items in found)
        return running, pending

    def _order(self, path: str, order: Mapping[str, Any]) -> None:
        self._ask("POST", path, json.dumps(order).encode(), "application/json", patience=_CANCELLING)

    def _json(self, method: str, path: str, body: bytes | None = None, kind: str = "", *, patience: float = _PATIENCE) -> Any:
        status, answer = self._ask(method, path, body, kind, patience=patience)
        if status != 200:
            raise ComfyUIError(f"cannot ask {self.shown} for {path}: it has answered with status {status}")
        try:
            return json.loads(answer)
        except (ValueError, RecursionError):
            raise ComfyUIError(f"cannot ask {self.shown} for {path}: its answer is no JSON") from None

    def _ask(self, method: str, path: str, body: bytes | None = None, kind: str = "", *, patience: float = _PATIENCE) -> tuple[int, bytes]:
        connection = self._connect(self._host, self._port, timeout=patience)
        try:
            connection.request(method, self._path + path, body, {"Content-Type": kind} if kind else {})
            answer = connection.getresponse()
            content = answer.read(_LARGEST + 1)
        except ConnectionRefusedError as error:
            raise GoneError(f"cannot reach ComfyUI at {self.shown}: {error.strerror}") from None
        except (OSError, http.client.HTTPException) as error:
            raise ComfyUIError(f"cannot reach ComfyUI at {self.shown}: {_words(error)}") from None
        finally:
            connection.close()
        if len(content) > _LARGEST:
            raise ComfyUIError(
                f"cannot take the answer of {self.shown} to {path.partition('?')[0]}: it is longer than {_LARGEST >> 20} MiB"
            )
        return answer.status, content


def _is_here(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return address.is_loopback or address.is_unspecified


def pause(seconds: float) -> None:
    """Wait; Ctrl-C ends it."""
    select.select([], [], [], seconds)


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
