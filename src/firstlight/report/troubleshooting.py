"""The guide that `firstlight install` puts on a volume: every fault's page, from the catalogue of this very tool."""

from __future__ import annotations

from firstlight.faults import catalogue
from firstlight.faults.fault import Fault
from firstlight.report import pages, words

_HEAD = """# Troubleshooting

Made by `firstlight install` from the faults that this firstlight knows; `@volume@/firstlight/firstlight install --uninstall --dir @volume@` removes it.

`sh @volume@/firstlight/firstlight doctor` finds out which of these it is here, on what evidence, and who must act.
`sh @volume@/firstlight/firstlight explain "MESSAGE"` finds those behind a message that you paste.

Root causes stand before what they cause.

| what is seen | fault |
| --- | --- |
"""


def render() -> str:
    """The guide, as Markdown. `@volume@` stands for the folder of the volume."""
    rows = [f"| {_cell(fault.symptom)} | [{fault.id}](#{fault.id}) |\n" for fault in catalogue.CATALOGUE]
    return _HEAD + "".join(rows) + "".join(map(_page, catalogue.CATALOGUE))


def _page(fault: Fault) -> str:
    text = f"\n## {fault.id}\n\n{pages.title(fault)}\n"
    for heading, section in pages.sections(fault).items():
        text += f"\n**{heading}.** {section}\n"
    return f"{text}\n**Who must act.** {words.ACTOR[fault.actor].capitalize()}; {words.TIME[fault.persistence]}.\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
