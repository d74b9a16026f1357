"""Give the running firstlight an order, or ask it how it stands.

It is asked over its control socket, which lies in the directory of its instance and is for its own user alone.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
from typing import Any

from firstlight import errors, settings
from firstlight.system import control, instance

# What may be asked. The core knows what each of them means; see docs/reference/openapi.json.
ORDERS = {
    "restart": "start the app anew",
    "stop": "stop the app, and end",
    "retry": "try once more, after a boot that holds",
    "rediagnose": "look at the GPUs again",
    "status": "say how the boot stands",
}

# The order after which nobody may be left to answer.
_LAST = "stop"


def configure(parser: argparse.ArgumentParser) -> None:
    """The order, and whom to give it to."""
    parser.add_argument(
        "order", choices=tuple(ORDERS), metavar="ORDER", help="; ".join(f"{order}: {words}" for order, words in ORDERS.items())
    )
    parser.add_argument("--run-dir", metavar="DIR", help="where the instance's directory is [FIRSTLIGHT_RUN_DIR]")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="text for people, json for programs")


def run(arguments: argparse.Namespace) -> int:
    """Ask, and print the answer."""
    path = os.path.join(instance.latest(os.environ, settings.load({"run_dir": arguments.run_dir}, os.environ).run_dir), instance.CONTROL)
    if arguments.order == "status":
        answer = _ask(path, "GET", "/status.json")
        text = _standing(answer)
    else:
        answer = _ask(path, "POST", f"/v1/{arguments.order}")
        text = f"{answer['order']}: {answer['words'] or 'taken'}"
    if arguments.format == "json":
        print(json.dumps(answer, indent=2))
    else:
        print("".join(character if character.isprintable() or character == "\n" else "\N{REPLACEMENT CHARACTER}" for character in text))
    return int(errors.ExitCode.OK)


def _standing(answer: dict[str, Any]) -> str:
    """How the boot stands, in two lines at most."""
    lines = [answer.get("headline") or f"stage {answer['stage']}"]
    if answer.get("detail"):
        lines.append(answer["detail"])
    return "\n".join(lines)


def _ask(path: str, method: str, address: str) -> dict[str, Any]:
    """One request to the instance's agent.

    Raises:
        UsageError: nobody answers there, or not as an agent would.
    """
    connection = control.Connection(path)
    try:
        connection.request(method, address)
        response = connection.getresponse()
        body = response.read()
    except (FileNotFoundError, ConnectionRefusedError):
        raise errors.UsageError(f"cannot reach firstlight: nobody listens on {path}; it has ended, or has not come so far") from None
    except (http.client.RemoteDisconnected, ConnectionResetError) as error:
        if address == f"/v1/{_LAST}":
            return {"order": _LAST, "words": "everything has ended"}  # before the agent could say so
        raise errors.UsageError(f"cannot reach firstlight over {path}: {error}") from None
    except PermissionError:
        raise errors.UsageError(f"cannot reach firstlight: {path} belongs to another user; ask as that user, or as root") from None
    except (OSError, http.client.HTTPException) as error:
        raise errors.UsageError(f"cannot reach firstlight over {path}: {error}") from None
    finally:
        connection.close()
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    if response.status >= 300 or not isinstance(answer, dict):
        raise errors.UsageError(f"cannot do that: {body.decode('utf-8', 'replace').strip()[:300] or f'status {response.status}'}")
    return answer
