"""The agent at work: one event loop over the core's lines, the sockets and whoever asks."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import stat
import time
from functools import partial

from firstlight.serve import background, configuration, connections, host_keys, telling
from firstlight.serve.access import SHORTEST_TOKEN, Keys
from firstlight.serve.answers import Answers
from firstlight.serve.background import Lookup
from firstlight.serve.configuration import Configuration
from firstlight.serve.live import Gap, Live
from firstlight.serve.redact import Redactor

# How often a taken port is tried again, in seconds.
_RETRY = 2.0

# What a token must be.
_TOKEN_RULE = f"it must be one word of {SHORTEST_TOKEN} characters or more"

# A line of the journal. The facts of a sick machine with many GPUs are the longest.
_LONGEST_LINE = 8 << 20

# How long what lies in files is good for, in seconds.
_LOG_KEPT = 0.5
_PAST_KEPT = 60.0
_HOST_KEYS_KEPT = 0.5


def run() -> int:
    """Serve until standard input ends; give the exit code."""
    return asyncio.run(_run())


async def _run() -> int:
    stdin = os.fdopen(0, "rb", buffering=0, closefd=False)
    lines = asyncio.StreamReader(limit=_LONGEST_LINE)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), stdin)
    first = await lines.readline()
    if not first:
        return 0
    try:
        orders = configuration.parse(first)
    except ValueError as error:
        telling.answer(step="trouble", words=str(error))
        return telling.CANNOT_SERVE
    token = _token(orders)
    redactor = Redactor(os.environ, [token] if token else [])
    live = Live(redactor, orders.greeting)
    answers = Answers(
        live,
        version=orders.version,
        app=redactor.text(orders.app),
        log=Lookup(partial(background.tail, orders.logs, redactor) if orders.logs else tuple, kept=_LOG_KEPT),
        past=Lookup(
            partial(background.past_boots, orders.state_dir, orders.boot, redactor) if orders.state_dir else tuple, kept=_PAST_KEPT
        ),
        host_keys=Lookup(partial(host_keys.fingerprints, host_keys.FOLDER), kept=_HOST_KEYS_KEPT),
        order=lambda order, by: telling.answer(step="order", order=order, by=by),
        tell=lambda event: telling.answer(step="told", event=event),
        now=time.monotonic,
        wall=time.time,
    )
    answers.keys = Keys(token=token, metrics_token=_read_token(orders.metrics_token_file), hosts=orders.hosts)
    serving = asyncio.create_task(_serve(orders, answers))
    following = asyncio.create_task(_follow(lines, live))
    done, _ = await asyncio.wait({serving, following}, return_when=asyncio.FIRST_COMPLETED)
    logging.disable()  # whoever is still being answered is cut off, which is no news
    return next(iter(done)).result()


async def _follow(lines: asyncio.StreamReader, live: Live) -> int:
    """Take the journal's lines until there are no more."""
    while True:
        try:
            line = await lines.readline()
            if not line.endswith(b"\n"):
                return 0
            live.feed(line)
        except (Gap, ValueError) as error:  # a line that is too long is a ValueError
            telling.answer(step="trouble", words=str(error))
            return telling.START_ANEW


async def _serve(orders: Configuration, answers: Answers) -> int:
    """Open the control socket, then the port, however long that takes; then wait for ever."""
    listener = connections.Listener(answers.application)
    servers = []
    control = orders.control
    try:
        if control is not None:
            servers.append(await listener.open(connections.listen_on_path(control)))
    except OSError as error:
        control = None
        telling.answer(step="trouble", words=f"cannot make the control socket {orders.control}: {error.strerror or error}")
    if orders.serve == "off":
        telling.answer(step="listening", address=None, control=control)
    else:
        servers.append(await _open_port(orders.serve, listener, control))
    await asyncio.Event().wait()
    return 0


async def _open_port(text: str, listener: connections.Listener, control: str | None) -> asyncio.Server:
    troubled = False
    while True:
        try:
            host, port = configuration.address(text)
            listening = connections.listen_on_address(host, port)
        except (OSError, ValueError) as error:
            if not troubled:
                troubled = True
                reason = str(error) if isinstance(error, ValueError) else f"cannot listen on {text}: {error.strerror or error}"
                telling.answer(step="trouble", words=f"{reason}; `firstlight ctl status` still tells")
                telling.answer(step="listening", address=None, control=control)
            await asyncio.sleep(_RETRY)
            continue
        place = listening.getsockname()
        server = await listener.open(listening)
        telling.answer(
            step="listening", address=f"[{place[0]}]:{place[1]}" if ":" in place[0] else f"{place[0]}:{place[1]}", control=control
        )
        return server


def _token(orders: Configuration) -> str | None:
    """The token that opens everything: the one given, else our own, which outlives a restart of this process."""
    if orders.token_file is not None:
        return _read_token(orders.token_file)
    if orders.token:
        if _can_be_token(orders.token):
            return orders.token
        telling.answer(step="trouble", words=f"cannot take the token in FIRSTLIGHT_TOKEN: {_TOKEN_RULE}; another one is made")
    if orders.control is None:
        return None  # nowhere to keep one: local askers see the page, and nobody else
    path = os.path.join(os.path.dirname(orders.control), "token")
    token = secrets.token_urlsafe(32)
    try:
        if os.path.getsize(path):
            return _read_token(path)
        os.unlink(path)  # an earlier agent found no room for it
    except OSError:
        pass  # there is none yet
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w", encoding="ascii") as file:
            file.write(token + "\n")
    except OSError as error:
        telling.answer(step="trouble", words=f"cannot keep a token in {path}: {error.strerror}; none but local askers see the page")
        return None
    telling.answer(step="token", file=path)
    return token


def _read_token(path: str | None) -> str | None:
    """The token in a file; None, and a word about it, where there is none to be trusted."""
    if path is None:
        return None
    try:
        # O_NONBLOCK: somebody may have put a FIFO there. It may be a link, as Kubernetes makes them.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, encoding="utf-8") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(None, "it is not a plain file")  # noqa: TRY301 - told as every other reason is
            token = file.read(4096).strip()
    except (OSError, ValueError) as error:
        telling.answer(step="trouble", words=f"cannot read the token in {path}: {getattr(error, 'strerror', None) or error}")
        return None
    if not _can_be_token(token):
        telling.answer(step="trouble", words=f"cannot take the token in {path}: {_TOKEN_RULE}")
        return None
    return token


def _can_be_token(text: str) -> bool:
    return len(text) >= SHORTEST_TOKEN and text.isprintable() and " " not in text
