"""Ask the app's own PyTorch what it is built for and whether it finds its GPUs. Run by the app's interpreter.

Lines: interpreter, import, initializing, torch. The import alone can take many seconds on a cold disk.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def say(step: str, **fields: Any) -> None:
    """Print one step, at once and in one write."""
    fields["step"] = step
    os.write(1, (json.dumps(fields) + "\n").encode("utf-8", "backslashreplace"))


def architectures(torch: Any) -> list[str]:
    """What it has code for. Its own get_arch_list() gives nothing where CUDA does not work, which is where the answer matters most."""
    found = list(torch.cuda.get_arch_list())
    if not found and torch.version.cuda:
        try:
            found = torch._C._cuda_getArchFlags().split()  # noqa: SLF001 - nothing public tells it without a GPU
        except AttributeError:  # and this may go
            pass
    return found


def main() -> None:
    """Import torch, then ask it."""
    say("interpreter", version=sys.version.split()[0])
    try:
        import torch
    except Exception as error:  # whatever breaks in somebody else's import is the answer
        say("import", error="%s: %s" % (type(error).__name__, error))
        return
    say("import", version=str(torch.__version__), cuda_build=torch.version.cuda, arch_list=architectures(torch))
    say("initializing")
    message = ""
    try:
        # init() raises the true reason; is_available() turns it into False, often without a word.
        torch.cuda.init()
    except Exception as error:  # torch raises RuntimeError, AssertionError and others here
        message = str(error)
    say("torch", available=bool(torch.cuda.is_available()), device_count=int(torch.cuda.device_count()), message=message)


if __name__ == "__main__":
    main()
