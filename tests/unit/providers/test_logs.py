"""A pod's log: events out of bytes, and lines over connections that end and break."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any

import anyio
import httpx2
import pytest
from cloud import virtual
from hypothesis import given, strategies
from scripted import KEY, Service, problem

from firstlight.providers.runpod import logs, shapes
from firstlight.providers.runpod.client import CloudError
from firstlight.providers.runpod.events import LONGEST, Event, Reader


def read(*pieces: bytes) -> list[Event]:
    reader = Reader()
    return [event for piece in pieces for event in reader.read(piece)]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"id: 1\ndata: a\n\n", [Event("1", "a")]),
        (b"id:1\r\ndata:a\r\n\r\n", [Event("1", "a")]),
        (b"id: 1\rdata: a\r\r", [Event("1", "a")]),
        (b"data: a\ndata:  b\n\n", [Event("", "a\n b")]),
        (b": still here\n\n: and now\n\n", []),
        (b"id: 1\n\ndata: a\n\n", [Event("1", "a")]),
        (b"id: 1\ndata: a\n\ndata: b\n\n", [Event("1", "a"), Event("1", "b")]),
        (b"event: log\nretry: 5\nid: 1\ndata: a\n\n", [Event("1", "a")]),
        (b"id: x\0y\ndata: a\n\n", [Event("", "a")]),
        (b"data: a\n", []),
        (b"data\n\n", [Event("", "")]),
        (b"data: \xff\n\n", [Event("", "�")]),
        # Python calls these line ends, and the standard does not.
        ("data: a\u2028b\x0bc\x1cd\x85e\n\n".encode(), [Event("", "a\u2028b\x0bc\x1cd\x85e")]),
    ],
)
def test_events_are_read_as_the_standard_says(stream: bytes, events: Sequence[Event]) -> None:
    assert read(stream) == list(events)


@given(
    strategies.lists(
        strategies.tuples(
            strategies.text("abc012/:", min_size=1), strategies.text().filter(lambda text: "\r" not in text and "\n" not in text)
        )
    ),
    strategies.sampled_from([b"\n", b"\r\n", b"\r"]),
    strategies.randoms(use_true_random=False),
)
def test_pieces_may_be_cut_anywhere(told: list[tuple[str, str]], end: bytes, random: Any) -> None:
    stream = b"".join(
        b"id: " + event_id.encode() + end + b"data: " + text.encode("utf-8", "surrogatepass") + end + end for event_id, text in told
    )
    pieces = []
    while stream:
        cut = random.randint(1, len(stream))
        pieces.append(stream[:cut])
        stream = stream[cut:]

    expected = [Event(event_id, text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")) for event_id, text in told]
    assert read(*pieces) == expected


def test_a_line_end_of_two_bytes_may_be_cut_in_two() -> None:
    assert read(b"data: a\r", b"\ndata: b\r", b"\n\r", b"\n") == [Event("", "a\nb")]


def test_what_was_seen_is_kept_for_one_moment_alone() -> None:
    seen = logs._Seen()
    for second in range(1000):
        assert seen.first(shapes.LogLine(str(second), str(second), "container", "line"))

    assert len(seen._lines) == 1


def test_a_line_without_an_end_is_not_kept_for_ever() -> None:
    reader = Reader()
    for _ in range(20):
        list(reader.read(b"x" * (1 << 20)))

    assert len(reader._rest) <= 5 << 20
    assert list(reader.read(b"\ndata: a\n\n")) == [Event("", "a")]


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ('{"ts":"T","source":"system","line":"pull"}', shapes.LogLine("7", "T", "system", "pull")),
        ('{"line":"no more"}', shapes.LogLine("7", "", "", "no more")),
        ("bare", shapes.LogLine("7", "", "", "bare")),
        ("[1]", shapes.LogLine("7", "", "", "[1]")),
        ("{", shapes.LogLine("7", "", "", "{")),
    ],
)
def test_a_line_is_told_in_json_or_taken_as_it_is(data: str, line: shapes.LogLine) -> None:
    assert logs.line_of(Event("7", data)) == line


# Over connections.


def told(second: int, text: str, number: int | None = None) -> bytes:
    at = f"2026-06-01T12:00:{second:02}Z"
    name = at if number is None else f"{at}/{number:012}"
    return f"id: {name}\ndata: {json.dumps({'ts': at, 'source': 'container', 'line': text})}\n\n".encode()


class Stream:
    """What a service streams, one list of pieces for each connection; an error among them breaks it, None is silence for ever."""

    def __init__(self, *connections: Any) -> None:
        self.connections = connections
        self.service = Service(self._answer, took=0.0)

    def _answer(self, _: httpx2.Request, number: int) -> httpx2.Response:
        told = self.connections[min(number, len(self.connections) - 1)]
        return told if isinstance(told, httpx2.Response) else httpx2.Response(200, content=self._body(told))

    async def _body(self, pieces: Sequence[Any]) -> AsyncIterator[bytes]:
        for piece in pieces:
            if piece is None:
                await anyio.sleep_forever()
            if isinstance(piece, Exception):
                raise piece
            yield piece

    def lines(self, count: int, **asked: Any) -> list[str]:
        """The first so many lines, or all where it ends before."""

        async def read() -> list[str]:
            found = []
            async with self.service.client() as client:
                lines: AsyncGenerator[shapes.LogLine, None] = client.logs("p1", **asked)
                async for line in lines:
                    found.append(line.line)
                    if len(found) == count:
                        break
                await lines.aclose()
            return found

        return virtual.run(read)


CUT = httpx2.RemoteProtocolError("peer closed connection")


def test_after_a_cut_it_goes_on_behind_the_last_line() -> None:
    stream = Stream([told(1, "a"), told(2, "b"), CUT], [told(3, "c"), CUT], [told(4, "d"), None])

    assert stream.lines(4, source="container", tail=5) == ["a", "b", "c", "d"]
    first, second, third = stream.service.requests
    assert dict(first.url.params) == {"source": "container", "tail": "5"}
    assert "last-event-id" not in first.headers
    assert dict(second.url.params) == {"source": "container"}
    assert second.headers["last-event-id"] == "2026-06-01T12:00:02Z"
    assert third.headers["last-event-id"] == "2026-06-01T12:00:03Z"
    assert first.headers["accept"] == "text/event-stream"
    assert first.headers["authorization"] == f"Bearer {KEY}"


def test_lines_that_come_again_are_passed_over_and_equal_ones_are_not() -> None:
    again = [told(2, "b"), told(2, "b"), told(2, "c")]
    stream = Stream([told(1, "a"), *again, CUT], [*again, told(2, "b"), told(3, "d"), None])

    assert stream.lines(6) == ["a", "b", "b", "c", "b", "d"]


def test_lines_of_one_moment_with_numbers_may_all_come_again() -> None:
    same = [told(2, "b", 1), told(2, "c", 2)]
    stream = Stream([told(1, "a", 9), *same, CUT], [*same, told(2, "d", 3), None])

    assert stream.lines(4) == ["a", "b", "c", "d"]


def test_a_stream_that_ends_is_asked_for_again_with_longer_and_longer_pauses() -> None:
    stream = Stream([told(1, "a")], [], [], [], [], [], [], [told(9, "z"), None])

    assert stream.lines(2) == ["a", "z"]
    times = stream.service.times
    assert [round(later - earlier) for earlier, later in itertools.pairwise(times)] == [1, 2, 4, 8, 16, 30, 30]


def test_without_follow_it_ends_where_the_service_ends_it() -> None:
    stream = Stream([told(1, "a"), told(2, "b")])

    assert stream.lines(9, follow=False, since="2026-06-01T12:00:00Z") == ["a", "b"]
    assert dict(stream.service.requests[0].url.params) == {"since": "2026-06-01T12:00:00Z"}
    assert len(stream.service.requests) == 1


def test_without_follow_it_ends_where_nothing_more_comes() -> None:
    """Signs of life do not count."""

    async def alive() -> AsyncIterator[bytes]:
        yield told(1, "a")
        while True:
            await anyio.sleep(1)
            yield b": alive\n\n"

    stream = Stream([])
    stream.service.answer = lambda *_: httpx2.Response(200, content=alive())

    assert stream.lines(9, follow=False) == ["a"]
    assert len(stream.service.requests) == 1


def test_a_silence_is_ended_and_the_line_begun_anew() -> None:
    stream = Stream([told(1, "a"), None], [told(2, "b"), None])

    assert stream.lines(2) == ["a", "b"]
    assert stream.service.requests[1].headers["last-event-id"] == "2026-06-01T12:00:01Z"
    assert stream.service.times[1] > 300


def test_after_an_id_nothing_else_says_where_to_begin() -> None:
    stream = Stream([told(3, "c")])

    assert stream.lines(9, follow=False, after="2026-06-01T12:00:02Z", tail=3) == ["c"]
    assert dict(stream.service.requests[0].url.params) == {}
    assert stream.service.requests[0].headers["last-event-id"] == "2026-06-01T12:00:02Z"


@pytest.mark.parametrize(
    ("connections", "words", "requests"),
    [
        ([problem(404, "pod not found")], "cannot read the log of pod p1: pod not found (HTTP 404)", 1),
        ([problem(403, "denied")], "its rights do not suffice", 1),
        ([problem(500, "no log")], "no log (HTTP 500)", 6),
        ([[CUT]], "cannot read the log of pod p1: peer closed connection", 6),
        ([[told(1, "a"), CUT], problem(404, "gone")], "gone (HTTP 404)", 2),
    ],
)
def test_what_does_not_pass_ends_it(connections: Sequence[Any], words: str, requests: int) -> None:
    stream = Stream(*connections)

    with pytest.raises(CloudError) as caught:
        stream.lines(9)

    assert words in str(caught.value)
    assert len(stream.service.requests) == requests


def test_an_event_that_never_ends_does_not_grow_for_ever() -> None:
    reader = Reader()
    for _ in range(6):
        assert list(reader.read(b"data: " + b"x" * (1 << 20) + b"\n")) == []

    (event,) = reader.read(b"\n")
    assert len(event.data) <= LONGEST
    assert [event.data for event in reader.read(b"data: next\n\n")] == ["next"]


def test_what_tells_no_time_is_not_remembered_for_ever() -> None:
    seen = logs._Seen()
    for number in range(logs._REMEMBERED + 5):
        assert seen.first(shapes.LogLine(id="", at="", source="", line=str(number)))
    assert len(seen._lines) == 5
