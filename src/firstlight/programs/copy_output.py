"""Keep copies of the app's output, and look for patterns in it. Started by pump_output.py, which hands it what was passed on.

Configuration: `streams` (see pump_output.py); `tail`, `tail_size`: the instance's own directory ("" for none), and the bytes kept there for each
name in NAME.log and NAME.log.1; `directory`, `size`, `files`: the same on a volume, "" for none; `patterns`: `id` and `regex`, looked
for in each line of a stream that is passed on, the first 8 KiB of it; `life`: which one is under way (0, unless another pump has died).

Nothing in this process can hold the app up: a volume that hangs, or a pattern that takes for ever, costs copies and matches alone.
"""

import json
import os
import re
import select
import time
from typing import Any, Dict, List, Optional, Tuple

from .kept_output import Kept, Volume, answer, marker
from .output_frames import DATA, LIFE, MISSED, NUMBER, Incoming

LINE = 8 << 10  # of a longer line, that much is looked at
QUOTED = 500  # characters of a line that matched
TOLD_AGAIN = 10.0  # seconds after which a pattern that still matches is told again


class Patterns:
    """What is looked for. The first line in each life that matches a pattern is told, and later ones now and then."""

    def __init__(self, patterns: List[Dict[str, str]]) -> None:
        self.patterns: Dict[str, Any] = {}
        self.told: Dict[str, Tuple[int, float]] = {}  # by pattern: in which life, and when
        for pattern in patterns:
            try:
                self.patterns[pattern["id"]] = re.compile(os.fsencode(pattern["regex"]), re.MULTILINE)
            except re.error as error:
                answer(step="trouble", words="cannot look for {!r} in the output: {}".format(pattern["regex"], error))

    def search(self, block: bytes, stream: str, life: int) -> None:
        """Look at complete lines. Each pattern goes over all of them at once; only where it finds something are they taken apart."""
        for name, pattern in self.patterns.items():
            last_life, last = self.told.get(name, (None, 0.0))
            if (last_life == life and time.monotonic() - last < TOLD_AGAIN) or not pattern.search(block):
                continue
            line = next((line for line in block.split(b"\n") if pattern.search(line)), None)
            if line is not None:
                self.told[name] = (life, time.monotonic())
                answer(step="matched", id=name, stream=stream, life=life, line=line.decode("utf-8", "replace")[:QUOTED])


class Lines:
    """The lines of one stream, as far as patterns are concerned."""

    def __init__(self, stream: str, patterns: Patterns, life: int) -> None:
        self.stream = stream
        self.patterns = patterns
        self.life = life
        self.unfinished = b""

    def feed(self, data: bytes) -> None:
        """Look at what is complete, keep the rest."""
        end = data.rfind(b"\n")
        if end < 0:
            self.unfinished += data[: LINE - len(self.unfinished)]
            return
        block = self.unfinished + data[:end]
        self.unfinished = data[end + 1 : end + 1 + LINE]
        self.patterns.search(shorten(block), self.stream, self.life)

    def end(self) -> None:
        """No more belongs to the last line."""
        self.patterns.search(self.unfinished, self.stream, self.life)
        self.unfinished = b""


def shorten(block: bytes) -> bytes:
    """The lines of a block, of each at most `LINE` bytes. It hops from line to line by as much, which costs next to nothing."""
    kept = []
    start = place = 0
    while place + LINE < len(block):
        newline = block.rfind(b"\n", place, place + LINE + 1)
        if newline >= 0:
            place = newline + 1
            continue
        kept.append(block[start : place + LINE])
        newline = block.find(b"\n", place + LINE)
        if newline < 0:
            return b"".join(kept)
        start = place = newline
    return b"".join(kept) + block[start:] if kept else block


class Copied:
    """One name, such as `app`: both of its streams go into the same copies."""

    def __init__(self, name: str, ring: Optional[Kept], volume: Optional[Volume], life: int) -> None:
        self.name = name
        self.ring = ring
        self.volume = volume
        self.life = life  # the one that is under way, as far as the copies say
        self.torn = False  # the last line is not finished: a line of ours begins on one of its own
        self.ring_troubled = False

    def write(self, data: bytes) -> None:
        """Into the ring, and on its way to the volume."""
        if self.volume is not None:
            self.volume.put(self.name, data)
        self.keep(data)

    def keep(self, data: bytes) -> None:
        """Into the ring."""
        self.torn = not data.endswith(b"\n")
        if self.ring is None:
            return
        try:
            while data:
                data = data[self.ring.append(data) :]
            self.ring_troubled = False
        except OSError as error:
            if not self.ring_troubled:
                self.ring_troubled = True
                answer(step="trouble", words="cannot keep the last lines in {}: {}".format(self.ring.directory, error.strerror or error))

    def miss(self, size: int) -> None:
        """So many bytes were left out here."""
        if self.volume is not None:
            self.volume.miss(self.name, size)
        self.keep((b"\n" if self.torn else b"") + marker(size))

    def come_to(self, life: int) -> None:
        """Something was printed in this life; where it is the first thing, a line says so before it."""
        if life > self.life:
            self.life = life
            self.write((b"\n" if self.torn else b"") + b"[firstlight: life %d of the app begins]\n" % life)


class Stream:
    """One stream: what is to be done with its frames."""

    def __init__(self, incoming: Incoming, copied: Copied, lines: Optional[Lines]) -> None:
        self.incoming = incoming
        self.copied = copied
        self.lines = lines

    def read(self) -> bool:
        """Take what is there. False at the end."""
        for kind, data in self.incoming.read():
            self.take(kind, data)
        if self.incoming.ended and self.lines is not None:
            self.lines.end()
        return not self.incoming.ended

    def take(self, kind: int, data: bytes) -> None:
        """One frame."""
        if kind in (DATA, MISSED) and self.lines is not None:
            self.copied.come_to(self.lines.life)
        if kind == DATA:
            self.copied.write(data)
            if self.lines is not None:
                self.lines.feed(data)
        elif kind == MISSED:
            self.copied.miss(NUMBER.unpack(data)[0])
        elif kind == LIFE and self.lines is not None:
            order = json.loads(data)
            self.lines.end()
            self.lines.life = order["life"]
            if order.get("over"):
                answer(step="over", life=order["life"])


def main(configuration: Dict[str, Any], pipes: List[int]) -> None:
    """Copy until all pipes have ended."""
    os.nice(10)  # where the machine is short of cores, the app goes first
    life = configuration.get("life", 0)
    names = list(dict.fromkeys(stream["name"] for stream in configuration["streams"]))
    volume = None
    if configuration["directory"]:
        size, files = configuration["size"], configuration["files"]
        volume = Volume(configuration["directory"], {name: Kept(configuration["directory"], name, size, files) for name in names})
    # Where nothing can be written there is no instance directory.
    rings = {name: Kept(configuration["tail"], name, configuration["tail_size"], 2) for name in names if configuration["tail"]}
    copied = {name: Copied(name, rings.get(name), volume, life) for name in names}
    patterns = Patterns(configuration["patterns"])
    streams: Dict[int, Stream] = {}
    poll = select.poll()
    for number, stream in enumerate(configuration["streams"]):
        lines = None
        if stream["to"] is not None:
            lines = Lines(stream["stream"], patterns, life)
        streams[pipes[number]] = Stream(Incoming(pipes[number]), copied[stream["name"]], lines)
        poll.register(pipes[number], select.POLLIN)
    while streams:
        for pipe, _ in poll.poll():
            if not streams[pipe].read():
                poll.unregister(pipe)
                del streams[pipe]
    if volume is not None:
        volume.close()
