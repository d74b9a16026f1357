"""Running a command and taking its time."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping, Sequence

from measure import NotMeasured


def wall(argv: Sequence[str], *, expect: int | None = None, environment: Mapping[str, str] | None = None, limit: float = 120.0) -> float:
    """Seconds from just before the spawn to the end of `argv`.

    Raises:
        NotMeasured: it could not be started, did not end in time, or ended with something else than `expect`.
    """
    begun = time.monotonic()
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, env=environment, timeout=limit, check=False)
    except OSError as error:
        raise NotMeasured(f"cannot start {argv[0]}: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise NotMeasured(f"{argv[0]} did not end within {limit:.0f} s") from None
    took = time.monotonic() - begun
    if expect is not None and done.returncode != expect:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise NotMeasured(f"exit {done.returncode}, not {expect}: {said[-1] if said else 'it said nothing'}")
    return took
