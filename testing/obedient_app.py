"""A stand-in for an app: it says that it is ready, says which signals it gets, and ends when it is told to.

    obedient_app.py [--stubborn]

Prints `ready (pid: N)`, then `got N` for every signal. SIGTERM and SIGINT end it with exit code 7, unless it is stubborn.
"""

import os
import signal
import sys


def main() -> int:
    """Take signals until told to end."""
    signals = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    print(f"ready (pid: {os.getpid()})", flush=True)
    while True:
        number = signal.sigwait(signals)
        print(f"got {int(number)}", flush=True)
        if number in (signal.SIGTERM, signal.SIGINT) and "--stubborn" not in sys.argv:
            return 7


if __name__ == "__main__":
    sys.exit(main())
