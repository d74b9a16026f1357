"""What an installation remembers, there and back; and what is no such thing."""

from __future__ import annotations

import json

import pytest

from firstlight import errors
from firstlight.install.record import Entry, Part, Record, decode, encode

RECORD = Record(
    entries={
        "b.sh": Entry(ours=("1", "2"), backup="b.sh.before-firstlight", kept=("b.sh.before-firstlight-2",)),
        "a \udcff.sh": Entry(ours=("3",)),
    },
    parts={"CLAUDE.md": Part(ours=("4",), joint="\n\n", created=True)},
    made_folder=True,
)


def test_a_record_survives():
    assert decode(encode(RECORD)) == RECORD


def told(**changes: object) -> bytes:
    return json.dumps({**json.loads(encode(RECORD)), **changes}).encode()


ENTRY = {"ours": [], "backup": None, "kept": []}
BAD = {
    "no JSON": b"{",
    "no text": b"\xff",
    "a list": b"[]",
    "another version": told(version=2),
    "no entries": told(entries=None),
    "an entry outside of the folder": told(entries={"../a": ENTRY}),
    "an entry from the root": told(entries={"/etc/passwd": ENTRY}),
    "a backup outside of the folder": told(entries={"a": {**ENTRY, "backup": "../../etc/passwd"}}),
    "a part without its words": told(parts={"a": {}}),
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD.keys())
def test_what_is_no_record_is_refused(data: bytes):
    with pytest.raises(errors.UsageError, match=r"^cannot read firstlight/installed\.json: "):
        decode(data)
