"""Have ComfyUI run a prompt that needs no model: whether the thread that runs prompts does.

    arguments    PORT PATIENCE        the seconds that the prompt may take

It makes a picture of one colour, of 64 points, on the processor, and keeps it in ComfyUI's temporary folder. The colour is new each time: an answer
out of ComfyUI's cache would prove nothing. A prompt that is not run in time is taken out of the queue. Ends with 0 where it was run; else the last
line says why not.
"""

import contextlib
import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid
from typing import Any, Dict, Optional

TICK = 0.05  # seconds between two looks at how far it is
ANSWER_LIMIT = 1 << 20


class NotRun(Exception):  # noqa: N818 - an answer, not an error
    """Why the prompt was not run."""


def workflow() -> Dict[str, Any]:
    """The prompt, in the format of the API."""
    colour = int.from_bytes(os.urandom(3), "big")
    return {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": colour}},
        "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
    }


def ask(port: str, path: str, timeout: float, body: Optional[Dict[str, Any]] = None) -> Any:
    """What ComfyUI answers."""
    data = None if body is None else json.dumps(body).encode("ascii")
    url = "http://127.0.0.1:{}{}".format(port, path)
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})  # noqa: S310 - http alone
    # No proxy of the environment leads to ourselves.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=timeout) as response:
        content = response.read(ANSWER_LIMIT)
    return json.loads(content) if content else None


def run(port: str, patience: float) -> None:
    """Queue it and see it run.

    Raises:
        NotRun: it was not.
    """
    until = time.monotonic() + patience
    prompt = str(uuid.uuid4())
    try:
        ask(port, "/prompt", patience, {"prompt": workflow(), "prompt_id": prompt, "client_id": "firstlight"})
    except urllib.error.HTTPError as error:
        raise NotRun("the prompt was refused: status {}".format(error.code)) from None
    while time.monotonic() < until:
        entry = (ask(port, "/history/" + prompt, patience) or {}).get(prompt)
        status = (entry or {}).get("status") or {}
        if status.get("completed") or status.get("status_str") == "success":
            # What comes next is still the first that a person asked for.
            with contextlib.suppress(OSError, ValueError):
                ask(port, "/history", patience, {"delete": [prompt]})
            return
        if status.get("status_str") == "error":
            raise NotRun("the prompt failed: {}".format(failure(status.get("messages") or [])))
        time.sleep(TICK)
    with contextlib.suppress(OSError, ValueError):
        ask(port, "/queue", patience, {"delete": [prompt]})
    raise NotRun("a prompt without a model was not run within {:g} s".format(patience))


def failure(messages: Any) -> str:
    """What ComfyUI says of an error."""
    for message in messages:
        if message[0] == "execution_error":
            return "{}: {}".format(message[1].get("exception_type"), str(message[1].get("exception_message")).strip())
    return "it does not say why"


def main() -> int:
    """0 where it was run."""
    try:
        run(sys.argv[1], float(sys.argv[2]))
    except NotRun as error:
        print(error)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        print("cannot ask ComfyUI: {}".format(getattr(error, "reason", None) or error))
    else:
        return 0
    return 1
