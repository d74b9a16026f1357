"""`python testing/cloud`: prints where it listens as one line of JSON, and serves until it is told to end."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path

import anyio

sys.path[0] = str(Path(__file__).resolve().parents[1])

from cloud import contract, machine, server, service  # noqa: E402 - it is found only now
from cloud.habits import Habits  # noqa: E402
from cloud.world import World  # noqa: E402


async def _serve(application: service.Service, port: int, machines: machine.Machines | None) -> None:
    running = server.server(application, port)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve, running)
        while not running.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await anyio.sleep(0.01)
        if machines:
            machines.api_port = server.port(running)
        print(json.dumps({**server.addresses(server.port(running)), "key": application.world.key}), flush=True)


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="testing/cloud", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="where to listen; 0 for any free port")
    parser.add_argument("--habits", type=json.loads, default={}, help="habits that differ, as a JSON object: see habits.py")
    parser.add_argument("--real", metavar="FOLDER", help="pods are real processes, their layers and volumes in this folder; needs root")
    chosen = parser.parse_args()
    if chosen.real and machine.missing():
        sys.exit(f"testing/cloud: {machine.missing()}")
    document = contract.here()
    if document is None:
        print("testing/cloud: nothing is held against RunPod's document: it is not here (FIRSTLIGHT_CONTRACT)", file=sys.stderr)
    machines = machine.Machines(Path(chosen.real).resolve()) if chosen.real else None
    world = World(habits=Habits(**chosen.habits), runner=machines)
    if machines:
        machines.world = world
    # uvicorn raises it anew once it has ended: that must not keep us from taking down what runs.
    signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        anyio.run(_serve, service.application(world, document), chosen.port, machines)
    finally:
        if machines:
            machines.close()


if __name__ == "__main__":
    main()
