"""A picture as a PNG: its size, and whether anything is on it. Pure, and without a library: ComfyUI saves nothing else by default."""

from __future__ import annotations

import struct
import zlib

from firstlight.acceptance.gates import Finding, Outcome

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Samples of one pixel, by the kind of colour.
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# A picture that nobody has to fear: larger ones are not unpacked.
_LARGEST = 512 << 20
# All samples within so much of each other, of 255, are one colour. A model that fails paints black or grey all over.
BLANK = 8


def judge(data: bytes, *, width: int = 0, height: int = 0) -> list[Finding]:
    """Look at a picture; a wanted size of 0 is any."""
    if not data.startswith(_SIGNATURE):
        return [Finding("decodable", Outcome.UNCHECKED, "it is no PNG"), Finding("blank", Outcome.UNCHECKED, "it is no PNG")]
    try:
        size, spread = _spread(data)
    except (ValueError, struct.error, zlib.error) as error:
        return [Finding("decodable", Outcome.FAILED, f"it is broken: {error}")]
    found = [Finding("decodable", Outcome.PASSED, "a PNG")]
    shown = f"{size[0]} x {size[1]}"
    if width and height:
        well = Outcome.PASSED if size == (width, height) else Outcome.FAILED
        found.append(Finding("size", well, f"{shown}, {width} x {height} wanted"))
    else:
        found.append(Finding("size", Outcome.UNCHECKED, f"{shown}; the workflow names no size"))
    if spread is None:
        return [*found, Finding("blank", Outcome.UNCHECKED, "it is interlaced, or not of 8 bits")]
    words = f"its samples differ by {spread} of 255, more than {BLANK} wanted"
    return [*found, Finding("blank", Outcome.PASSED if spread > BLANK else Outcome.FAILED, words)]


def _spread(data: bytes) -> tuple[tuple[int, int], int | None]:
    """Its size, and by how much the samples of the colour that varies most differ; None where that is not told here."""
    header, body, place, ended = b"", [], len(_SIGNATURE), False
    while not ended:
        length, kind = struct.unpack_from(">I4s", data, place)
        chunk = data[place + 8 : place + 8 + length]
        (checksum,) = struct.unpack_from(">I", data, place + 8 + length)
        if zlib.crc32(kind + chunk) != checksum:
            raise ValueError(f"the checksum of {kind.decode('latin-1')!r} is wrong")
        place += 12 + length
        if kind == b"IHDR":
            header = chunk
        elif kind == b"IDAT":
            body.append(chunk)
        ended = kind == b"IEND"
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    samples = _SAMPLES.get(colour)
    if samples is None or not width or not height:
        raise ValueError("its header is wrong")
    if depth != 8 or interlaced or colour == 3 or width * height * samples > _LARGEST:
        return (width, height), None
    row = width * samples
    packed = b"".join(body)
    unpacked = zlib.decompressobj().decompress(packed, (row + 1) * height + 1)
    if len(unpacked) != (row + 1) * height:
        raise ValueError("it ends too early" if len(unpacked) < (row + 1) * height else "it is longer than it says")
    return (width, height), _range(unpacked, row, samples)


def _range(unpacked: bytes, row: int, samples: int) -> int:
    least, most = [255] * samples, [0] * samples
    before = bytearray(row)
    for place in range(0, len(unpacked), row + 1):
        line = _unfiltered(unpacked[place], bytearray(unpacked[place + 1 : place + 1 + row]), before, samples)
        for sample in range(samples):
            column = line[sample::samples]
            least[sample] = min(least[sample], *column)
            most[sample] = max(most[sample], *column)
        before = line
    return max(high - low for low, high in zip(least, most, strict=True))


def _unfiltered(kind: int, line: bytearray, before: bytearray, samples: int) -> bytearray:
    """A row as it was before it was written as differences: to the left, above, their mean, or the likeliest of three."""
    if kind == 1:
        for place in range(samples, len(line)):
            line[place] = (line[place] + line[place - samples]) & 255
    elif kind == 2:
        return bytearray(map(lambda one, other: (one + other) & 255, line, before))
    elif kind == 3:
        for place in range(len(line)):
            left = line[place - samples] if place >= samples else 0
            line[place] = (line[place] + ((left + before[place]) >> 1)) & 255
    elif kind == 4:
        for place in range(len(line)):
            left, corner = (line[place - samples], before[place - samples]) if place >= samples else (0, 0)
            line[place] = (line[place] + _likeliest(left, before[place], corner)) & 255
    elif kind:
        raise ValueError(f"there is no filter {kind}")
    return line


def _likeliest(left: int, above: int, corner: int) -> int:
    """Paeth's choice: the neighbour nearest to left + above - corner."""
    guess = left + above - corner
    one, two, three = abs(guess - left), abs(guess - above), abs(guess - corner)
    if one <= two and one <= three:
        return left
    return above if two <= three else corner
