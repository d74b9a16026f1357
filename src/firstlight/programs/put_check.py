"""Put one check to the app, once: the part of check_app.py that may block.

HTTP: a GET with no proxy; redirects are not followed, and one counts as an answer (200 to 399 are well, as for Kubernetes' probes); certificates are
not verified, as there. At most 1 MiB of the body is read, and none where no rule asks for it. A check with `fail_when` and no `expect`
fails for that alone; when it gets no answer, or one that is no JSON or too long, it cannot tell.
"""

import contextlib
import errno
import json
import os
import select
import signal
import socket
import subprocess
import threading
import time
from typing import Any, Callable, Dict, Optional, Tuple

BODY_LIMIT = 1 << 20
OUTPUT_KEPT = 4096
QUOTED = 160
TICK = 0.05  # seconds from one look to the next whether a program has ended that left somebody else with its output

# We lack something; that says nothing about the app.
OUR_LACK = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.ENOBUFS)


class Failed(Exception):  # noqa: N818 - it is an answer
    """The app's answer is not the one that is wanted, in words."""


class Matched(Exception):  # noqa: N818 - it is an answer
    """All that `fail_when` asks for holds."""


class Attempt:
    """A check being put once. The main thread may cut it at any moment."""

    def __init__(self, check: Dict[str, Any], life: Optional[int]) -> None:
        self.check = check
        self.life = life
        self.begun = time.monotonic()
        self.deadline: float = self.begun + check["timeout"]
        self.judged = False  # cut, or its life is over: what it still finds is of no interest
        self.lock = threading.Lock()
        self.connection: Optional[socket.socket] = None
        self.group = 0

    def hold(self, connection: socket.socket) -> None:
        """This connection is what must be shut down now when the attempt is cut."""
        with self.lock:
            self.connection = connection
            if self.judged:
                raise OSError(errno.ETIMEDOUT, "cut")

    def cut(self) -> None:
        """Make whatever it waits for end."""
        with self.lock:
            self.judged = True
            self.kill_group()
            with contextlib.suppress(OSError):  # not connected yet: then its own timeout ends it
                if self.connection is not None:
                    self.connection.shutdown(socket.SHUT_RDWR)

    def kill_group(self) -> None:
        """Kill the program and all that it started. Its leader has not been reaped, so that the number is nobody else's."""
        with contextlib.suppress(OSError):
            if self.group:
                os.killpg(self.group, signal.SIGKILL)


def connect(attempt: Attempt, host: str, port: int) -> socket.socket:
    """A connection to the first address of `host` that takes one."""
    why = OSError(None, "the name has no address")
    name: Any = host.encode("ascii") if host.isascii() else host  # bytes spare us the tables of IDNA
    for family, kind, protocol, _, address in socket.getaddrinfo(name, port, type=socket.SOCK_STREAM):
        connection = socket.socket(family, kind, protocol)
        try:
            attempt.hold(connection)
            connection.settimeout(attempt.check["timeout"] + 1)  # the main thread is to be the first
            connection.connect(address)
            return connection
        except OSError as error:
            why = error
            connection.close()
    raise why


def ask_tcp(attempt: Attempt) -> str:
    """Whether somebody takes connections."""
    host, _, port = attempt.check["target"].rpartition(":")
    connect(attempt, host.strip("[]"), int(port)).close()
    return "takes connections"


def ask_http(attempt: Attempt) -> str:
    """Whether a GET is answered as it should be."""
    import http.client  # 3 MiB that only an HTTP check needs
    import urllib.parse

    check = attempt.check
    url = urllib.parse.urlsplit(check["target"])
    host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
    connection = connect(attempt, host, port)
    try:
        if url.scheme == "https":
            connection = encrypt(attempt, connection, host)
        client = http.client.HTTPConnection(host, port)
        client.sock = connection
        headers = {"Host": url.netloc, "User-Agent": "firstlight-check", "Accept": "*/*", "Connection": "close"}
        headers.update(check["headers"])
        try:
            client.request("GET", urllib.parse.urlunsplit(("", "", url.path or "/", url.query, "")), headers=headers)
            with client.getresponse() as response:
                return judge_response(check, response.status, response.getheader("Location"), response)
        except http.client.RemoteDisconnected:
            raise Failed("the connection was closed without an answer") from None
        except http.client.HTTPException as error:
            raise Failed("the answer is no HTTP ({})".format(type(error).__name__)) from None
    finally:
        connection.close()


def encrypt(attempt: Attempt, connection: socket.socket, host: str) -> socket.socket:
    """TLS. Whom we talk to is no question for a check of an app beside us."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    encrypted = context.wrap_socket(connection, server_hostname=host, do_handshake_on_connect=False)
    attempt.hold(encrypted)
    encrypted.do_handshake()
    return encrypted


def judge_response(check: Dict[str, Any], status: int, location: Optional[str], body: Any) -> str:
    """In words that the answer is well."""
    words = "status {}".format(status)
    wanted = check["status"] or range(200, 400)
    if status not in wanted:
        raise Failed(words if status >= 400 else "{}, not {}".format(words, " or ".join(map(str, check["status"]))))
    if not check["expect"] and not check["fail_when"]:
        return words
    content = body.read(BODY_LIMIT + 1)
    if len(content) > BODY_LIMIT:
        raise Failed("the answer is longer than {} MiB".format(BODY_LIMIT >> 20))
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        leads = " (it leads to {})".format(location[:QUOTED]) if location else ""
        raise Failed("{}, but the answer is no JSON{}".format(words, leads)) from None
    for rule in check["expect"]:
        holds, found = judge_rule(rule, value)
        if not holds:
            raise Failed(found)
        words += ", " + found
    judged = [judge_rule(rule, value) for rule in check["fail_when"]]
    if judged and all(holds for holds, _ in judged):
        raise Matched(" and ".join(found for _, found in judged))
    return words


def judge_rule(rule: Dict[str, Any], value: Any) -> Tuple[bool, str]:
    """Whether a rule holds, and what was found."""
    path, relation, wanted = rule["path"], rule["relation"], rule["value"]
    name = "the answer" if path == "." else path
    for step in path.split(".") if path != "." else ():
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return False, "there is no {} in the answer".format(path)
    if relation == "present":
        return True, "{} is present".format(name)
    if relation == "equals":
        same = value == wanted and isinstance(value, bool) is isinstance(wanted, bool)
        found = "{} is {}".format(name, quote(value))
        return same, found if same else "{}, not {}".format(found, quote(wanted))
    if relation == "offers":
        offered = holds_text(value, wanted)
        return offered, "{} {} {}".format(name, "offers" if offered else "does not offer", quote(wanted))
    if value is not None and not isinstance(value, (str, list, dict)):
        return False, "{} is {}, which is neither empty nor not".format(name, quote(value))
    return bool(value) is (relation == "not-empty"), "{} is {}".format(name, "not empty" if value else "empty")


def holds_text(value: Any, text: Any) -> bool:
    """Whether a text stands anywhere in a value."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, (dict, list)):
            waiting += one.values() if isinstance(one, dict) else one
        elif one == text:
            return True
    return False


def quote(value: Any) -> str:
    """A value in a sentence."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= QUOTED else text[:QUOTED] + "…"


def ask_exec(attempt: Attempt) -> str:
    """Whether a program ends with code 0."""
    command, nothing, pipe = attempt.check["command"], subprocess.DEVNULL, subprocess.PIPE
    try:
        process = subprocess.Popen(command, stdin=nothing, stdout=pipe, stderr=subprocess.STDOUT, start_new_session=True)
    except OSError as error:
        if error.errno in OUR_LACK:
            raise
        raise Failed("cannot start {}: {}".format(quote(command[0]), error.strerror)) from None
    assert process.stdout is not None
    with process.stdout:
        with attempt.lock:
            attempt.group = process.pid
            if attempt.judged:
                attempt.kill_group()
        try:
            output = read_until_end(process.pid, process.stdout.fileno())
        finally:
            with attempt.lock:
                attempt.kill_group()  # what it has left behind
                attempt.group = 0
            code = process.wait()
    lines = output.decode("utf-8", "replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    if code == 0:
        return last if last and attempt.check.get("tells") else "ended with exit code 0"
    words = "ended with exit code {}".format(code) if code > 0 else "was killed by signal {}".format(-code)
    if last and attempt.check.get("tells"):
        raise Failed(last)
    raise Failed("{}: {}".format(words, quote(last)) if last else words)


def read_until_end(pid: int, pipe: int) -> bytes:
    """The end of what a program prints until it ends; whoever else holds the pipe is not waited for. It is left to be reaped."""
    output = b""
    while True:
        ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        if select.select([pipe], [], [], 0 if ended else TICK)[0]:
            piece = os.read(pipe, 1 << 16)
            output = (output + piece)[-OUTPUT_KEPT:]
            if not piece:
                ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT) is not None
        if ended:
            return output


ASK: Dict[str, Callable[[Attempt], str]] = {"http": ask_http, "tcp": ask_tcp, "exec": ask_exec}


def put(attempt: Attempt) -> Tuple[Optional[bool], str]:
    """Put a check once: well or failed or not to be told, and in words. Whatever goes wrong is an answer."""
    try:
        return True, ASK[attempt.check["kind"]](attempt)
    except Matched as matched:
        return False, str(matched)
    except Failed as failed:
        return failure(attempt.check), str(failed)
    except OSError as error:
        return None if error.errno in OUR_LACK else failure(attempt.check), error.strerror or str(error)
    except Exception as error:
        return None if isinstance(error, MemoryError) else failure(attempt.check), "{}: {}".format(type(error).__name__, error)


def failure(check: Dict[str, Any]) -> Optional[bool]:
    """What any failure but that of `fail_when` means. Where nothing else is asked, it cannot be told: another check asks for that."""
    return None if check["fail_when"] and not check["expect"] else False
