"""sd_notify, both ways, through the installed command: whoever manages us is told how we are, and the app can tell us."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .conftest import OBEDIENT, Starter, eventually
from .test_lives import in_life, of

NO_GPU = ("--gpus", "none")
# On a machine without a GPU: waits for the one that was promised.
WAITING = ("--gpus", "all", "--delay", "1h", "--deadline", "2h")


class Outer:
    """A manager's socket."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.inbox = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.inbox.bind("\0" + address[1:] if address.startswith("@") else address)

    def next(self) -> dict[str, str]:
        """The next message."""
        return dict(line.split("=", 1) for line in self.inbox.recv(4096).decode().split("\n"))

    def until(self, name: str) -> dict[str, str]:
        """The next message in which a variable stands."""
        while name not in (message := self.next()):
            pass
        return message

    def environment(self, **more: str) -> dict[str, str]:
        """That of a service of this manager."""
        return {**os.environ, "NOTIFY_SOCKET": self.address, "RUNPOD_GPU_COUNT": "1", **more}


@pytest.fixture(params=["a path", "an abstract name"])
def outer(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Outer]:
    manager = Outer(str(tmp_path / "manager") if request.param == "a path" else f"@firstlight-test-{os.getpid()}")
    yield manager
    manager.inbox.close()


def test_a_manager_is_told_of_the_start_the_readiness_and_the_stop(start: Starter, outer: Outer) -> None:
    app = start(*OBEDIENT, env=outer.environment())
    assert outer.next() == {"STATUS": "the app is starting"}
    assert outer.next() == {"READY": "1", "STATUS": "ready"}
    app.line()
    app.send(signal.SIGTERM)
    assert outer.next() == {"STOPPING": "1", "STATUS": "stopping"}
    assert app.code() == 7


def test_ready_is_said_once_and_a_restart_in_words(start: Starter, outer: Outer) -> None:
    app = start(*in_life(life_1="exit 3"), options=[*NO_GPU, "--restart", "on-failure", "--restart-delay", "1ms"], env=outer.environment())
    assert app.code() == 0
    said = [outer.next() for _ in range(5)]
    assert [message.get("READY") for message in said] == [None, "1", None, None, None]
    assert [message["STATUS"] for message in said] == [
        "the app is starting",
        "ready",
        "restarting the app: the app ended with exit code 3",
        "the app is starting",
        "ready",
    ]


def test_a_stop_for_a_restart_is_not_the_end(start_plainly: Starter, outer: Outer) -> None:
    late = ("--ready", "log:never printed", "--ready-timeout", "10ms", "--restart", "on-failure", "--restart-delay", "1ms")
    app = start_plainly(*in_life(life_1="exec sleep 1000"), options=[*NO_GPU, *late], env=outer.environment())
    assert [outer.next() for _ in range(2)] == [{"STATUS": "the app is starting"}, {"STATUS": "stopping the app"}]
    assert outer.next()["STATUS"].startswith("restarting the app: it was not ready within 0.01 s")
    assert app.code() == 0


def test_ready_waits_for_the_check(start: Starter, outer: Outer) -> None:
    script = "read line; echo serving; exec sleep 1000"
    app = start("sh", "-c", script, options=[*NO_GPU, "--ready", "log:serving"], env=outer.environment(), stdin=-1)
    assert outer.next() == {"STATUS": "the app is starting"}
    app.popen.stdin.write(b"\n")
    app.popen.stdin.flush()
    assert outer.next() == {"READY": "1", "STATUS": "ready"}
    app.send(signal.SIGTERM)
    assert app.code() == 143


def test_a_wait_for_a_gpu_asks_for_more_time(start: Starter, outer: Outer) -> None:
    boot = start("true", options=WAITING, env=outer.environment())
    assert outer.next()["STATUS"] == "bringing CUDA up"
    message = outer.next()
    assert message["STATUS"].startswith("waiting for ")
    assert int(message["EXTEND_TIMEOUT_USEC"]) > 3600 * 1_000_000  # more than the wait itself
    boot.send(signal.SIGTERM)
    assert boot.code() == 143


def test_a_probe_asks_for_more_time(start: Starter, outer: Outer) -> None:
    boot = start("true", options=[*WAITING, "--probe-timeout", "50s"], env=outer.environment())
    message = outer.next()
    assert message["STATUS"] == "bringing CUDA up"
    assert int(message["EXTEND_TIMEOUT_USEC"]) > 50 * 1_000_000
    outer.next()
    boot.send(signal.SIGTERM)
    assert boot.code() == 143


@pytest.mark.parametrize("options", [NO_GPU, WAITING], ids=["while the app runs", "while a GPU is waited for"])
def test_the_watchdog_is_fed(start_plainly: Starter, outer: Outer, options: tuple[str, ...]) -> None:
    run = start_plainly(*OBEDIENT, options=options, env=outer.environment(WATCHDOG_USEC="100000"))
    for _ in range(5):
        outer.until("WATCHDOG")
    run.send(signal.SIGTERM)
    run.code()


def fed(outer: Outer, run: Callable[[], object]) -> bool:
    """Whether the watchdog got anything by the time that something else was over."""
    run()
    outer.inbox.setblocking(False)
    try:
        while "WATCHDOG" not in outer.next():
            pass
    except BlockingIOError:
        return False
    return True


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"WATCHDOG_USEC": "100000"}, True),
        ({"WATCHDOG_USEC": "100000", "WATCHDOG_PID": "2147483000"}, False),
        ({"WATCHDOG_USEC": "soon"}, False),
        ({"WATCHDOG_USEC": "0"}, False),
        ({}, False),
    ],
    ids=["ours", "another's", "no number", "off", "not asked for"],
)
def test_only_our_own_watchdog_is_fed(start_plainly: Starter, outer: Outer, variables: dict[str, str], *, expected: bool) -> None:
    app = start_plainly("true", env=outer.environment(**variables))
    assert fed(outer, app.code) is expected


def test_a_manager_that_has_gone_harms_nothing(start: Starter, tmp_path: Path) -> None:
    for address in (str(tmp_path / "nobody"), "@nobody-is-here", "vsock:2:1234", ""):
        code, output, error = start("echo", "well", env={**os.environ, "NOTIFY_SOCKET": address, "WATCHDOG_USEC": "100000"}).finish()
        assert (code, output, error) == (0, b"well\n", b"")


def test_the_app_and_a_companion_do_not_get_what_is_ours(start: Starter, outer: Outer, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    ours = "${NOTIFY_SOCKET-none} ${WATCHDOG_USEC-none} ${WATCHDOG_PID-none}"
    companion = f"sh -c 'echo {ours} >{seen}.new; mv {seen}.new {seen}; exec sleep 1000'"
    script = f'until test -e {seen}; do sleep 0.01; done; echo "{ours}"'
    app = start("sh", "-c", script, options=[*NO_GPU, "--with", companion], env=outer.environment(WATCHDOG_USEC="60000000"))
    assert app.finish()[:2] == (0, b"none none none\n")
    assert seen.read_text() == "none none none\n"


# Tells its state on the socket that it was given, when it is told to.
TELLING = r"""
import os, socket, sys
out = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
address = os.environ["NOTIFY_SOCKET"]
print(address[0], flush=True)
address = address.replace("@", "\0")
for line in sys.stdin:
    out.sendto(eval(line), address)
"""


@pytest.mark.parametrize("directory", ["", "/proc/none"], ids=["by a path", "by an abstract name, where no directory is to be had"])
def test_the_app_says_itself_that_it_is_ready(start: Starter, outer: Outer, directory: str) -> None:
    options = (*NO_GPU, "--quiet", "--ready", "notify", *(("--run-dir", directory) if directory else ()))
    app = start(sys.executable, "-ISc", TELLING, options=options, env=outer.environment(), stdin=-1)
    assert app.line() == ("@" if directory else "/")

    def tell(words: bytes) -> None:
        app.popen.stdin.write(repr(words).encode() + b"\n")
        app.popen.stdin.flush()

    assert outer.next() == {"STATUS": "the app is starting"}
    tell(b"STATUS=loading the model")
    eventually(lambda: of(app.events(), "notify"))
    assert not of(app.events(), "ready")
    tell(b"no assignment\nREADY=1\n\xff")
    assert outer.next() == {"READY": "1", "STATUS": "ready"}
    tell(b"RELOADING=1")
    eventually(lambda: of(app.events(), "unready"))
    tell(b"READY=1")
    assert outer.next() == {"STATUS": "ready"}
    app.popen.stdin.close()
    app.popen.stdin = None
    assert app.code() == 0
    assert [event["status"] for event in of(app.events(), "notify")] == ["loading the model"]


# Sockets that were passed to us by number (sd_listen_fds(3))

LISTENING = 'echo $LISTEN_FDS $([ "$LISTEN_PID" = $$ ] && echo mine); cat <&3'


@pytest.mark.parametrize(("pid", "expected"), [("$$", b"1 mine\n"), ("2147483000", b"1\n")], ids=["ours", "another's"])
def test_what_was_passed_to_us_is_the_apps(start: Starter, tmp_path: Path, pid: str, expected: bytes) -> None:
    passed = tmp_path / "passed"
    passed.write_bytes(b"passed\n")
    before = ("sh", "-c", f'exec 3<{passed}; export LISTEN_FDS=1 LISTEN_PID={pid}; exec "$@"', "sh")
    assert start("sh", "-c", LISTENING, before=before).finish() == (0, expected + b"passed\n", b"")


def test_what_was_passed_to_us_is_no_companions(start: Starter, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    companion = f"sh -c 'echo ${{LISTEN_FDS-none}} ${{LISTEN_PID-none}} >{seen}.new; mv {seen}.new {seen}; exec sleep 1000'"
    before = ("sh", "-c", 'export LISTEN_FDS=1 LISTEN_PID=$$; exec "$@"', "sh")
    app = start("sh", "-c", f"until test -e {seen}; do sleep 0.01; done", options=[*NO_GPU, "--with", companion], before=before)
    assert app.code() == 0
    assert seen.read_text() == "none none\n"


TALKING = """
import os, socket
app = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
app.connect(os.environ["NOTIFY_SOCKET"])
for number in range(500):
    app.send(b"STATUS=request %d" % number)
"""


def test_what_the_app_says_of_itself_all_the_time_does_not_fill_the_journal(start: Starter) -> None:
    app = start(sys.executable, "-c", TALKING, options=(*NO_GPU, "--quiet", "--ready", "notify"))
    assert app.code() == 0
    said = [event["status"] for event in of(app.events(), "notify")]
    assert said[0] == "request 0"
    assert len(said) < 100
