"""In the one file: open the archive of libraries that lies in it, for a child that needs them. Elsewhere: do nothing.

The archive is a file inside the one file, so that no other start reads its long list of names. Python imports from no
archive within an archive: it is laid into memory, where it has a path of its own as long as this process lives.
"""

import os
import sys


def bring(*names: str) -> None:
    """Put these archives, by default the agent's, with those of our own modules that lie in them, in front of what is found already."""
    archive = getattr(__loader__, "archive", None)  # type: ignore[name-defined]
    if archive is None:
        return
    folder = f"{archive}/{sys.implementation.cache_tag}"
    room = folder if folder in sys.path else archive  # else byte code is for another Python
    for name in names or ("libraries.zip",):
        _open(f"{room}/{name}")


def _open(name: str) -> None:
    data = memoryview(__loader__.get_data(name))  # type: ignore[name-defined]
    descriptor = os.memfd_create("firstlight-libraries")
    while data:
        data = data[os.write(descriptor, data) :]
    path = f"/proc/self/fd/{descriptor}"
    sys.path.insert(0, path)
    sys.modules["firstlight"].__path__.insert(0, f"{path}/firstlight")
