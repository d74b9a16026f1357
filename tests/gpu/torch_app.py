"""The app of the PyTorch case: a matrix product on the GPU, checked. Same record and exit codes as cuda_app.py."""

import time

STARTED = time.monotonic()

import json  # noqa: E402 - the clock comes first
import os  # noqa: E402
import sys  # noqa: E402

NOT_PROVEN = 41


def main():
    """Record what PyTorch gives, and exit accordingly."""
    record = {"started": STARTED, "proven": 0, "visible": os.environ.get("CUDA_VISIBLE_DEVICES"), "seconds": {}}
    try:
        import torch

        record["seconds"]["import"] = round(time.monotonic() - STARTED, 6)
        ones = torch.ones(256, 256, device="cuda")
        if bool(((ones @ ones) == 256.0).all()):
            record["proven"] = torch.cuda.device_count()
        record["seconds"]["product"] = round(time.monotonic() - STARTED, 6)
    except (ImportError, RuntimeError) as error:
        record["error"] = str(error)
    with open(sys.argv[1], "w") as file:
        json.dump(record, file)
    sys.exit(0 if record["proven"] else NOT_PROVEN)


if __name__ == "__main__":
    main()
