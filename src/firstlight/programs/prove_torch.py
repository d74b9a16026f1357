"""Multiply matrices on every GPU with the PyTorch of a virtual environment, and compare with what the CPU makes of them.

Run by the interpreter of that environment. Lines: import, gpu for each, done. Small whole numbers, so that both must agree to the last bit.
"""

from __future__ import annotations

import json
import os
from typing import Any

SIDE = 64


def say(step: str, **fields: Any) -> None:
    """Print one step, at once and in one write."""
    fields["step"] = step
    os.write(1, (json.dumps(fields) + "\n").encode("utf-8", "backslashreplace"))


def main() -> None:
    """Prove each GPU."""
    try:
        import torch

        count = int(torch.cuda.device_count())
    except Exception as error:
        say("import", error="%s: %s" % (type(error).__name__, error))
        return
    say("import", version=str(torch.__version__), count=count)
    numbers = torch.arange(SIDE * SIDE, dtype=torch.float32).reshape(SIDE, SIDE).remainder(7)
    expected = numbers @ numbers
    for ordinal in range(count):
        try:
            there = numbers.to("cuda:%d" % ordinal)
            proven = bool(torch.equal((there @ there).cpu(), expected))
            say("gpu", ordinal=ordinal, proven=proven, error="" if proven else "the product is wrong")
        except Exception as error:
            say("gpu", ordinal=ordinal, proven=False, error="%s: %s" % (type(error).__name__, error))
    say("done")


if __name__ == "__main__":
    main()
