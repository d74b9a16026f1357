"""Builds the folder of a simulated machine for one start of a pod: `python build_machine.py FOLDER < what it is like as JSON`.

In a process of its own: the compiler is a child, and firstlight's loop wants a process's signals to itself.
"""

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

from firstlight.rehearse import scenario, stage
from firstlight.system.loop import Loop


def main() -> None:
    """Print the machine's environment and its libraries' folders."""
    told = json.load(sys.stdin)
    chosen = scenario.load(told["scenario"])
    first = chosen.gpus[0] if chosen.gpus else scenario.Gpu()
    gpus = tuple(
        replace(chosen.gpus[place] if place < len(chosen.gpus) else first, name=told["name"], uuid=uuid)
        for place, uuid in enumerate(told["uuids"])
    )
    chosen = replace(chosen, gpus=gpus or chosen.gpus, driver=replace(chosen.driver, version=told["driver"]))
    folder = Path(sys.argv[1])
    with stage.set_up(Loop(), chosen, os.environ, str(folder)) as machine:
        libraries = [str(folder / library.directory.lstrip("/")) for library in chosen.libraries if library.path]
        print(json.dumps({"environment": machine.environment, "libraries": libraries}))


main()
