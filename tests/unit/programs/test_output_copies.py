"""What the pump hands over, and what is made of it: lines, frames and files, each by itself."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from firstlight.programs import copy_output, output_frames
from firstlight.programs.kept_output import Kept
from firstlight.programs.output_frames import DATA, LIFE, MISSED, NUMBER, Incoming, Outgoing

LENGTHS = st.sampled_from([0, 1, 2, 100, 8190, 8191, 8192, 8193, 8194, 20_000])


@given(lengths=st.lists(LENGTHS, max_size=12))
def test_of_each_line_no_more_than_its_beginning_is_looked_at(lengths: list[int]) -> None:
    lines = [bytes([65 + number]) * length for number, length in enumerate(lengths)]

    assert copy_output.shorten(b"\n".join(lines)) == b"\n".join(line[: copy_output.LINE] for line in lines)


@given(lengths=st.lists(LENGTHS, max_size=6), cuts=st.lists(st.integers(0, 40_000), max_size=6))
def test_lines_are_put_together_however_they_are_cut(lengths: list[int], cuts: list[int]) -> None:
    output = b"".join(b"%c" % (65 + number) * length + b"\n" for number, length in enumerate(lengths))
    blocks: list[bytes] = []

    class Looking:
        def search(self, block: bytes, stream: str, life: int) -> None:
            blocks.append(block)

    lines = copy_output.Lines("stdout", Looking(), 1)
    places = [0, *sorted(min(cut, len(output)) for cut in cuts), len(output)]
    for start, end in itertools.pairwise(places):
        lines.feed(output[start:end])
    seen = b"\n".join(blocks).split(b"\n") if blocks else []

    assert seen == [line[: copy_output.LINE] for line in output.split(b"\n")[:-1]]


@pytest.fixture
def ends() -> Iterator[tuple[Outgoing, Incoming]]:
    """Both ends of a pipe to the copier."""
    read, write = os.pipe()
    outgoing = Outgoing(write)
    yield outgoing, Incoming(read)
    outgoing.close()
    os.close(read)


def everything(incoming: Incoming, outgoing: Outgoing) -> list[tuple[int, bytes]]:
    """All frames that arrive once the copier reads again."""
    frames: list[tuple[int, bytes]] = []
    while outgoing.rest:
        frames += incoming.read()
        outgoing.push(patient=False)
    outgoing.hand_over()
    assert not outgoing.rest
    outgoing.close()
    while not incoming.ended:
        frames += incoming.read()
    return frames


def test_little_is_gathered_and_handed_over_together(ends: tuple[Outgoing, Incoming]) -> None:
    outgoing, incoming = ends
    for word in (b"one ", b"two ", b"three"):
        outgoing.give(memoryview(word))

    assert everything(incoming, outgoing) == [(DATA, b"one two three")]


def test_a_life_begins_after_what_was_gathered_before_it(ends: tuple[Outgoing, Incoming]) -> None:
    outgoing, incoming = ends
    outgoing.give(memoryview(b"before"))
    outgoing.begin_life(b"{}")
    outgoing.give(memoryview(b"after"))

    assert everything(incoming, outgoing) == [(DATA, b"before"), (LIFE, b"{}"), (DATA, b"after")]


@pytest.mark.parametrize("size", [100, 60_000, 200_000])
def test_what_a_copier_that_hangs_was_not_given_is_counted_and_the_last_is_kept(ends: tuple[Outgoing, Incoming], size: int) -> None:
    outgoing, incoming = ends
    pieces = [b"%09d\n" % number * (size // 10) for number in range(5_000_000 // size)]
    for piece in pieces:
        outgoing.give(memoryview(piece))
    sent = b"".join(pieces)

    first, *middle, (missed_kind, missed), (last_kind, last) = everything(incoming, outgoing)

    copied = first[1] + b"".join(content for _, content in middle)
    assert {first[0], last_kind, *(kind for kind, _ in middle)} == {DATA}
    assert missed_kind == MISSED
    assert sent.startswith(copied)
    assert sent.endswith(last)
    assert len(last) >= output_frames.LAST
    assert len(copied) + NUMBER.unpack(missed)[0] + len(last) == len(sent)


def test_of_a_flood_the_copier_is_given_no_more_than_a_copy_is_worth(
    ends: tuple[Outgoing, Incoming], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output_frames.time, "monotonic", lambda: 0.0)  # no time passes: the burst is all there is
    outgoing, incoming = ends
    outgoing.taken = outgoing.last = 0.0
    piece = memoryview(b"x" * 262_144)
    frames: list[tuple[int, bytes]] = []
    for _ in range(400):
        outgoing.give(piece)
        while outgoing.rest:
            frames += incoming.read()
            outgoing.push(patient=False)
    handed_over = sum(len(content) for kind, content in frames if kind == DATA)

    frames += everything(incoming, outgoing)

    assert output_frames.BURST - len(piece) <= handed_over <= output_frames.BURST + len(piece)
    missed = sum(NUMBER.unpack(content)[0] for kind, content in frames if kind == MISSED)
    assert missed + sum(len(content) for kind, content in frames if kind == DATA) == 400 * len(piece)


def write(kept: Kept, data: bytes) -> None:
    """All of it."""
    while data:
        data = data[kept.append(data) :]


@pytest.mark.parametrize(
    ("size", "files", "written", "expected"),
    [
        pytest.param(10, 3, [b"one\n", b"two\n"], {"a.log": b"one\ntwo\n"}, id="there is room"),
        pytest.param(10, 3, [b"one\ntwo\nthree\n"], {"a.log.1": b"one\ntwo\n", "a.log": b"three\n"}, id="left at the end of a line"),
        pytest.param(
            10, 3, [b"one\n", b"three four\n"], {"a.log.2": b"one\n", "a.log.1": b"three four", "a.log": b"\n"}, id="a longer line"
        ),
        pytest.param(4, 2, [b"one\ntwo\nsix\n"], {"a.log.1": b"two\n", "a.log": b"six\n"}, id="the oldest goes"),
        pytest.param(4, 1, [b"one\ntwo\n"], {"a.log": b"two\n"}, id="one file alone"),
    ],
)
def test_files_are_bounded(tmp_path: Path, size: int, files: int, written: list[bytes], expected: dict[str, bytes]) -> None:
    kept = Kept(str(tmp_path), "a", size, files)
    for data in written:
        write(kept, data)
    kept.close()

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == expected


def test_a_name_cannot_leave_the_directory(tmp_path: Path) -> None:
    kept = Kept(str(tmp_path), "../a", 10, 1)
    write(kept, b"x")
    kept.close()

    assert [path.name for path in tmp_path.iterdir()] == [".._a.log"]
