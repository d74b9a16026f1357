"""`python testing/cloud`: prints where it listens as one line of JSON, and serves until it is told to end."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

import anyio

from cloud import contract, machine, server, service
from cloud.habits import Habits
from cloud.world import World


async def _serve(application: service.Service, port: int, machines: machine.Machines | None) -> None:
    running = server.server(application, port)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve, running)
        while not running.started:
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
    place = contract.path()
    if place is None:
        print("testing/cloud: nothing is held against RunPod's document: it is not here (FIRSTLIGHT_CONTRACT)", file=sys.stderr)
    machines = machine.Machines(Path(chosen.real).resolve()) if chosen.real else None
    world = World(habits=Habits(**chosen.habits), runner=machines)
    if machines:
        machines.world = world
    try:
        anyio.run(_serve, service.application(world, contract.Contract.read(place) if place else None), chosen.port, machines)
    finally:
        if machines:
            machines.close()


if __name__ == "__main__":
    main()
