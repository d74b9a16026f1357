"""`cost_of.py RESULT COMMAND…` runs a command and writes what it took, as JSON.

It is a small process of its own, since Linux counts what the parent held at the fork to the peak of the child.
"""

import json
import resource
import subprocess
import sys
import time

LIMIT = 900.0  # seconds: then it is ended, and there is no result

begun = time.monotonic()
code = subprocess.call(sys.argv[2:], timeout=LIMIT)
wall = time.monotonic() - begun
used = resource.getrusage(resource.RUSAGE_CHILDREN)
with open(sys.argv[1], "w") as file:
    json.dump({"wall": wall, "cpu": used.ru_utime + used.ru_stime, "rss": used.ru_maxrss * 1024 / 1e6}, file)
sys.exit(code if code >= 0 else 128 - code)
