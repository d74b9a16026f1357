"""The agent's process: the journal comes in on stdin, answers and orders go out on stdout, everybody else is served by HTTP.

    stdin     {"step":"configure", …}, then the journal's lines: all so far, then each as it happens. Its end is our end.
    stdout    listening (`address`, `control`), trouble (`words`), token (`file`), order (`order`, `by`)

It ends with 0 when its input does; with 75 when the journal has a gap, so that the core starts it anew with all of it; with
69 when it cannot serve here at all, which another start would not change.
"""

from __future__ import annotations

import signal
import sys

from firstlight.serve import telling


def main() -> int:
    """Serve until the input ends."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # sent to all by whoever stops the container; a stop is worth watching
    try:
        from firstlight.serve import running
    except ModuleNotFoundError as error:
        telling.answer(step="trouble", words=f"cannot serve the status page: {error}; `pip install firstlight` brings what it needs")
        return telling.CANNOT_SERVE
    return running.run()


if __name__ == "__main__":
    sys.exit(main())
