"""An app that goes on computing: one checked kernel on each visible GPU every half a second, and a line for each round.

`python3 computing_app.py` prints "computed N" after round N, and "cannot compute: …" once before it exits 41. SIGTERM ends it with 0.
Each round allocates anew on the contexts of the first one, so it is what an app does that has CUDA already.
"""

import signal
import sys
import time

import cuda_app


def main():
    """Compute until somebody ends us."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    rounds = 0
    while True:
        record = {"steps": {}, "proven": 0, "seconds": {}}
        try:
            cuda_app.prove_all(record)
        except (OSError, cuda_app.Refused) as error:
            print(f"cannot compute: {error}", flush=True)
            sys.exit(cuda_app.NOT_PROVEN)
        rounds += 1
        print(f"computed {rounds}", flush=True)
        time.sleep(0.5)


if __name__ == "__main__":
    main()
