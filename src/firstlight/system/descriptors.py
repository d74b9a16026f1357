"""How many files this process may have open: connections, locks and pipes of children are files too."""

from __future__ import annotations

import resource


def allow(wanted: int) -> int:
    """Take as many as wanted, as far as the hard limit lets us. How many there may be now.

    The soft limit is 1024 on most machines, for the sake of programs that use select(2), which we do not.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft
