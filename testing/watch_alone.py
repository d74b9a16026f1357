"""The watch without an app: prove CUDA on this machine, then look at it every so often and print what comes of it.

    watch_alone.py PERIOD DEADLINE POLICY

Prints one JSON object a line: {"proven": …} once, {"look": N} after each look, {"condition": …} when it changes, and {"requested": …}
where the policy asks for something. Ends when its stdin does.
"""

from __future__ import annotations

import json
import os
import sys

from firstlight.faults import diagnose
from firstlight.journal.journal import Journal
from firstlight.probe import children, collect
from firstlight.supervise.vigil import Policy
from firstlight.supervise.watch import Watch
from firstlight.system import clock
from firstlight.system.loop import Loop, Requested


def say(**fields: object) -> None:
    print(json.dumps(fields), flush=True)


def ignore(line: str) -> None:
    pass


def main() -> None:
    period, deadline, policy = float(sys.argv[1]), float(sys.argv[2]), Policy(sys.argv[3])
    loop = Loop()
    environment = dict(os.environ)
    prover = children.prover(loop, environment, hold=0)
    facts = collect.with_prover(loop, environment, prover, 60.0, ignore)
    said: list[str] = []
    journal = Journal(loop, None, environment, started=clock.now())
    watch = Watch(loop, environment, facts, period=period, deadline=deadline, policy=policy, journal=journal, tell=said.append)
    ended: list[bool] = []
    loop.receive(0, lambda: ended.append(os.read(0, 4096) == b""))
    say(proven=diagnose.diagnose(facts).usable, pid=os.getpid())
    looks = events = 0
    while not any(ended):
        for happening in loop.turn(None):
            if isinstance(happening, Requested):
                say(requested=happening.action, cause=happening.cause, words=happening.words)
        for event in list(journal.events)[events:]:
            say(kind=event.kind, stage=event.stage.value, said=said[:], **event.data)
            said.clear()
        events = len(journal.events)
        if watch.looks != looks:
            looks = watch.looks
            say(look=looks)
    watch.end()


if __name__ == "__main__":
    main()
