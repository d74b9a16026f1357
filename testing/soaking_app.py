"""An app to be killed over and over: it prints numbered lines on both streams, leaves orphans, and says over HTTP how it is.

    soaking_app.py PORT FOLDER

A line is `PID NUMBER CHECKSUM BYTES`, where the bytes are of any sort but a newline. What is written at once fits into a pipe at once, so
that a kill tears no line. FOLDER/PID.1 and FOLDER/PID.2 hold two numbers each: how many lines it was about to have written on that stream, and
how many it has. FOLDER/PID.well appears just before it says for the first time that it is well; it never does while FOLDER/sick exists.
"""

import http.server
import mmap
import os
import random
import signal
import struct
import sys
import threading
import time
import zlib

PIECE = 4096  # PIPE_BUF: what is written at once is there wholly or not at all
NUMBERS = struct.Struct("QQ")


class Stream:
    """One of the two."""

    def __init__(self, descriptor: int, folder: str) -> None:
        self.descriptor = descriptor
        self.number = 0
        path = f"{folder}/{os.getpid()}.{descriptor}"
        with open(path, "w+b") as file:
            file.write(NUMBERS.pack(0, 0))
            file.flush()
            self.numbers = mmap.mmap(file.fileno(), NUMBERS.size)

    def print(self) -> None:
        """As many lines as go at once."""
        piece, before = b"", self.number
        while True:
            text = random.randbytes(random.randrange(120)).replace(b"\n", b"")
            line = b"%d %d %d " % (os.getpid(), self.number, zlib.crc32(text)) + text + b"\n"
            if len(piece) + len(line) > PIECE:
                break
            piece += line
            self.number += 1
        self.numbers[:] = NUMBERS.pack(self.number, before)
        os.write(self.descriptor, piece)
        self.numbers[:] = NUMBERS.pack(self.number, self.number)


def leave_orphan() -> None:
    """Leave a process that has lost its parent, now and then in a session of its own, for a moment or for long."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    if random.random() < 0.3:
        os.setsid()
    if os.fork() == 0:
        os.execv("/bin/sleep", ["sleep", random.choice(["0", "0.05", "0.5", "600"])])
    os._exit(0)


def serve(port: int, folder: str) -> None:
    """Answer for how it is."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            well = not os.path.exists(f"{folder}/sick")
            if well:
                with open(f"{folder}/{os.getpid()}.well", "a"):
                    pass
            self.send_response(200 if well else 503)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    http.server.ThreadingHTTPServer(("127.0.0.1", port), Answer).serve_forever()


def main() -> int:
    """Print until killed, or until SIGTERM."""
    port, folder = int(sys.argv[1]), sys.argv[2]
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH):
        signal.signal(number, lambda *_: None)  # somebody forwards them to us
    ending: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: ending.append(number))
    streams = [Stream(1, folder), Stream(2, folder)]
    threading.Thread(target=serve, args=(port, folder), daemon=True).start()
    next_orphan = 0.0
    while not ending:
        for _ in range(random.choice([1, 1, 1, 100])):
            random.choice(streams).print()
        if time.monotonic() > next_orphan:
            leave_orphan()
            next_orphan = time.monotonic() + random.random()
        time.sleep(random.random() / 20)
    return 0


if __name__ == "__main__":
    sys.exit(main())
