"""From what is wanted and what is there to what is to be done."""

from __future__ import annotations

import pytest

from firstlight import errors
from firstlight.install import section
from firstlight.install.plan import (
    JOURNAL,
    Change,
    Found,
    Kind,
    Move,
    Plan,
    Put,
    Remove,
    RemoveTree,
    SetMode,
    There,
    install,
    uninstall,
)
from firstlight.install.record import Entry, Part, Record
from firstlight.install.wanted import Wanted, digest

NEW = Wanted(name="a.sh", data=b"new", mode=0o755)
PUT = Put("a.sh", b"new", 0o755)
SECTION = Wanted(name="NOTES.md", data=section.make(b"ours\n"), mode=0o644)
OLD_SECTION = section.make(b"older\n")


def file(data: bytes, mode: int = 0o755) -> Found:
    return Found(kind=Kind.FILE, place="a.sh", data=data, mode=mode)


def text(data: bytes) -> Found:
    return Found(kind=Kind.FILE, place="NOTES.md", data=data, mode=0o640, owner=(1, 2))


def there(record: Record | None = None, /, *others: str, **files: Found) -> There:
    """`files` by name, "_" for the dot."""
    named = {name.replace("_", "."): found for name, found in files.items()}
    names = {name for name, found in named.items() if found.kind is not Kind.NOTHING}
    return There(files=named, names=frozenset({*names, *others, *(["firstlight"] if record else [])}), record=record)


def known(*ours: bytes, backup: str | None = None, kept: tuple[str, ...] = ()) -> Record:
    return Record(entries={"a.sh": Entry(ours=tuple(map(digest, ours)), backup=backup, kept=kept)})


def part(*ours: bytes, joint: str = "", created: bool = False) -> Record:
    return Record(parts={"NOTES.md": Part(ours=tuple(map(digest, ours)), joint=joint, created=created)})


BACKUP = "a.sh.before-firstlight"

# What is there; the changes; the entry that is remembered.
FILES = {
    "nothing is there": (there(), [Change("a.sh", "created", (PUT,))], Entry(ours=(NEW.digest,))),
    "the very same is there": (there(a_sh=file(b"new")), [], Entry(ours=(NEW.digest,))),
    "the mode is another": (
        there(known(b"new"), a_sh=file(b"new", 0o600)),
        [Change("a.sh", "mended", (SetMode("a.sh", 0o755),), "its mode was 600")],
        Entry(ours=(NEW.digest,)),
    ),
    "an older one of ours": (
        there(known(b"old"), a_sh=file(b"old")),
        [Change("a.sh", "renewed", (PUT,))],
        Entry(ours=(digest(b"old"), NEW.digest)),
    ),
    "one of the user's": (
        there(a_sh=file(b"theirs")),
        [Change("a.sh", "replaced", (Move("a.sh", BACKUP), PUT), f"what was there is {BACKUP}")],
        Entry(ours=(NEW.digest,), backup=BACKUP),
    ),
    "a link of the user's": (
        there(a_sh=Found(kind=Kind.LINK)),
        [Change("a.sh", "replaced", (Move("a.sh", BACKUP), PUT), f"what was there is {BACKUP}")],
        Entry(ours=(NEW.digest,), backup=BACKUP),
    ),
    "one of the user's, and a backup that is not ours": (
        there(None, BACKUP, a_sh=file(b"theirs")),
        [Change("a.sh", "replaced", (Move("a.sh", f"{BACKUP}-2"), PUT), f"what was there is {BACKUP}-2")],
        Entry(ours=(NEW.digest,), backup=f"{BACKUP}-2"),
    ),
    "one of the user's, and a kill before it was moved": (
        there(known(b"new", backup=BACKUP), a_sh=file(b"theirs")),
        [Change("a.sh", "replaced", (Move("a.sh", BACKUP), PUT), f"what was there is {BACKUP}")],
        Entry(ours=(NEW.digest,), backup=BACKUP),
    ),
    "a kill after it was moved": (
        there(known(b"new", backup=BACKUP), BACKUP),
        [Change("a.sh", "created", (PUT,))],
        Entry(ours=(NEW.digest,), backup=BACKUP),
    ),
    "one of ours that was edited, where nothing was before": (
        there(known(b"new"), a_sh=file(b"edited")),
        [Change("a.sh", "replaced", (Move("a.sh", BACKUP), PUT), f"somebody had edited it; that is {BACKUP}")],
        Entry(ours=(NEW.digest,), kept=(BACKUP,)),
    ),
    "one of ours that was edited, beside the backup of what was before": (
        there(known(b"new", backup=BACKUP), BACKUP, a_sh=file(b"edited")),
        [Change("a.sh", "replaced", (Move("a.sh", f"{BACKUP}-2"), PUT), f"somebody had edited it; that is {BACKUP}-2")],
        Entry(ours=(NEW.digest,), backup=BACKUP, kept=(f"{BACKUP}-2",)),
    ),
}


@pytest.mark.parametrize(("found", "changes", "entry"), FILES.values(), ids=FILES.keys())
def test_a_file_becomes_ours_and_nothing_is_lost(found: There, changes: list[Change], entry: Entry):
    plan = install([NEW], [], found)
    assert list(plan.changes) == changes
    assert plan.record is not None
    assert plan.record.entries == {"a.sh": entry}


def test_a_second_time_there_is_nothing_to_do():
    first = install([NEW], [SECTION], there())
    second = install([NEW], [SECTION], there(first.record, a_sh=file(b"new"), NOTES_md=text(SECTION.data)))
    assert second == Plan((), first.record, to_do=False)


@pytest.mark.parametrize("kind", [Kind.FOLDER, Kind.OTHER])
def test_what_is_no_file_is_not_moved(kind: Kind):
    with pytest.raises(errors.UsageError, match=r"^cannot write a.sh: .*; move it away"):
        install([NEW], [], there(a_sh=Found(kind=kind)))


ADDED = "a section was added"
# What is there; the changes; the part that is remembered.
SECTIONS = {
    "no file": (there(), [Change("NOTES.md", "created", (Put("NOTES.md", SECTION.data, 0o644),))], (SECTION, "", True)),
    "a text": (
        there(NOTES_md=text(b"theirs")),
        [Change("NOTES.md", "amended", (Put("NOTES.md", b"theirs\n\n" + SECTION.data, 0o640, (1, 2)),), ADDED)],
        (SECTION, "\n\n", False),
    ),
    "a text whose section somebody took out": (
        there(part(SECTION.data, joint="\n\n"), NOTES_md=text(b"theirs\n")),
        [Change("NOTES.md", "amended", (Put("NOTES.md", b"theirs\n\n" + SECTION.data, 0o640, (1, 2)),), ADDED)],
        (SECTION, "\n", False),
    ),
    "our section between two texts": (
        there(part(SECTION.data, joint="\n"), NOTES_md=text(b"a\n\n" + SECTION.data + b"b")),
        [],
        (SECTION, "\n", False),
    ),
    "no ordinary file": (there(NOTES_md=Found(kind=Kind.LINK)), [Change("NOTES.md", "left", words="a symbolic link is there")], None),
    "damaged markers": (
        there(NOTES_md=text(section.BEGIN)),
        [Change("NOTES.md", "left", words="the markers of our section are damaged")],
        None,
    ),
}


@pytest.mark.parametrize(("found", "changes", "remembered"), SECTIONS.values(), ids=SECTIONS.keys())
def test_a_section_is_put_in_and_the_text_around_it_stays(found: There, changes: list[Change], remembered: tuple[Wanted, str, bool] | None):
    plan = install([], [SECTION], found)
    assert list(plan.changes) == changes
    assert plan.record is not None
    expected = Part(ours=(remembered[0].digest,), joint=remembered[1], created=remembered[2]) if remembered else None
    assert plan.record.parts.get("NOTES.md") == expected


def test_an_older_section_of_ours_is_renewed_in_its_place():
    found = there(part(OLD_SECTION), NOTES_md=text(b"a\n" + OLD_SECTION + b"b\n"))
    (change,) = install([], [SECTION], found).changes
    assert change.actions == (Put("NOTES.md", b"a\n" + SECTION.data + b"b\n", 0o640, (1, 2)),)


def test_a_section_that_somebody_has_edited_is_kept_before_it_is_renewed():
    edited = text(b"a\n" + section.make(b"edited\n"))
    plan = install([], [SECTION], there(part(SECTION.data), NOTES_md=edited))
    (change,) = plan.changes
    backup = "NOTES.md.before-firstlight"
    assert change.actions == (Put(backup, edited.data, 0o640, (1, 2)), Put("NOTES.md", b"a\n" + SECTION.data, 0o640, (1, 2)))
    assert plan.record is not None
    assert plan.record.parts["NOTES.md"].kept == (backup,)


EDITED = "somebody has edited it"
BACK = {
    "ours": (there(known(b"new"), a_sh=file(b"new")), [Change("a.sh", "removed", (Remove("a.sh"),))]),
    "an older one of ours": (there(known(b"old", b"new"), a_sh=file(b"old")), [Change("a.sh", "removed", (Remove("a.sh"),))]),
    "ours, in place of another": (
        there(known(b"new", backup=BACKUP), BACKUP, a_sh=file(b"new")),
        [Change("a.sh", "put back", (Move(BACKUP, "a.sh"),))],
    ),
    "gone, and another was there before": (
        there(known(b"new", backup=BACKUP), BACKUP),
        [Change("a.sh", "put back", (Move(BACKUP, "a.sh"),))],
    ),
    "gone": (there(known(b"new")), []),
    "edited": (there(known(b"new"), a_sh=file(b"edited")), [Change("a.sh", "kept", words=EDITED)]),
    "edited, and another was there before": (
        there(known(b"new", backup=BACKUP), BACKUP, a_sh=file(b"edited")),
        [Change("a.sh", "kept", words=f"{EDITED}; what was there before it is {BACKUP}")],
    ),
    "back already": (there(known(b"new", backup=BACKUP), a_sh=file(b"theirs")), []),
    "a copy of what somebody edited": (
        there(known(b"new", kept=(BACKUP, "gone")), BACKUP, a_sh=file(b"new")),
        [Change("a.sh", "removed", (Remove("a.sh"),)), Change(BACKUP, "kept", words="somebody's edits of a file of ours")],
    ),
    "our section in a text": (
        there(part(SECTION.data, joint="\n"), NOTES_md=text(b"a\n\n" + SECTION.data + b"b\n")),
        [Change("NOTES.md", "amended", (Put("NOTES.md", b"a\nb\n", 0o640, (1, 2)),), "our section was taken out")],
    ),
    "our section alone, in a file of ours": (
        there(part(SECTION.data, created=True), NOTES_md=text(SECTION.data)),
        [Change("NOTES.md", "removed", (Remove("NOTES.md"),))],
    ),
    "our section alone, in a file that was empty": (
        there(part(SECTION.data), NOTES_md=text(SECTION.data)),
        [Change("NOTES.md", "amended", (Put("NOTES.md", b"", 0o640, (1, 2)),), "our section was taken out")],
    ),
    "a section that was edited": (
        there(part(SECTION.data), NOTES_md=text(section.make(b"edited\n"))),
        [Change("NOTES.md", "kept", words="somebody has edited our section")],
    ),
    "damaged markers": (
        there(part(SECTION.data), NOTES_md=text(section.END)),
        [Change("NOTES.md", "kept", words="our section cannot be told from the rest of it")],
    ),
    "a text whose section is gone": (there(part(SECTION.data), NOTES_md=text(b"theirs")), []),
}


@pytest.mark.parametrize(("found", "changes"), BACK.values(), ids=BACK.keys())
def test_uninstalling_puts_back_what_was_and_keeps_what_was_edited(found: There, changes: list[Change]):
    plan = uninstall(found, purge=False)
    assert list(plan.changes) == changes
    assert (plan.record, plan.to_do) == (None, True)


def test_where_nothing_was_installed_nothing_is_taken_off():
    assert uninstall(there(a_sh=file(b"new")), purge=False) == Plan((), None, to_do=False)


def test_the_journal_goes_only_when_asked_for():
    found = There(files={JOURNAL: Found(kind=Kind.FOLDER)}, names=frozenset({JOURNAL}), record=None)
    assert uninstall(found, purge=False).changes == ()
    assert uninstall(found, purge=True).changes == (Change(JOURNAL, "removed", (RemoveTree(JOURNAL),)),)
