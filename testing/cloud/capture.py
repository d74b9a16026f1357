"""What the installed firstlight tells at /status.json on a simulated machine: `python testing/cloud/capture.py SCENARIO` keeps it for the
simulated pods, in status/."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

_STAGES = ("ready", "hold")


def capture(scenario: str) -> dict[str, Any]:
    """The status once the boot has come to its end: the app is ready, or none will be."""
    command = [Path(sys.executable).parent / "firstlight", "rehearse", scenario, "--serve", "127.0.0.1:0", "--on-failure", "hold"]
    options = ["--attempts", "2", "--delay", "100ms", "--", "sleep", "infinity"]
    with subprocess.Popen(
        [*command, *options], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as boot:
        try:
            assert boot.stderr is not None
            address = next(found[1] for line in boot.stderr if (found := re.search(r"status page is at (\S+)", line)))
            # The events are a stream that wakes us at each; the status is asked for anew.
            with urllib.request.urlopen(f"{address}events", timeout=60) as events:
                for _ in events:
                    with urllib.request.urlopen(f"{address}status.json", timeout=60) as answer:
                        told: dict[str, Any] = json.load(answer)
                    if told["stage"] in _STAGES:
                        return {**told, "ssh_host_keys": []}  # they would be this machine's own
            raise AssertionError("its events ended before its boot did")
        finally:
            boot.terminate()


def main() -> None:
    """Keep one for each scenario that is named."""
    for scenario in sys.argv[1:]:
        place = Path(__file__).parent / "status" / f"{scenario}.json"
        place.write_text(json.dumps(capture(scenario), indent=1) + "\n")


if __name__ == "__main__":
    main()
