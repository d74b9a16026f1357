"""docs/reference/faults/: one page for each fault, from the docstring that `firstlight explain` prints, and the list of all."""

from __future__ import annotations

from firstlight.faults import catalogue
from firstlight.faults.fault import Fault, Layer, Persistence
from firstlight.report import pages as fault_pages, words
from pages import markdown

_FOLDER = "docs/reference/faults"
_INDEX = """# Faults

In the order of diagnosis: root causes stand before what they cause. `firstlight explain FAULT` prints a page, and
`firstlight explain "MESSAGE"` finds the faults behind a pasted message. Each fault of the machine can be rehearsed on any Linux machine:
`firstlight rehearse FAULT -- COMMAND`. Those of the layer `app` are found by what an app's start shows, with the recipe of that app.

{table}
"""
_TIME = {
    Persistence.TRANSIENT: "yes: it passes by itself",
    Persistence.BOUNDED: "perhaps: worth the retry policy where a GPU was promised",
    Persistence.PERMANENT: "no",
}


def pages() -> dict[str, str]:
    """The list and the pages."""
    rows = [
        [f"[{fault.id}]({fault.id}.md)", fault.symptom, fault.layer.value, fault.persistence.value, fault.actor.value]
        for fault in catalogue.CATALOGUE
    ]
    index = _INDEX.format(table=markdown.table(["fault", "symptom", "layer", "persistence", "who must act"], rows))
    texts = {f"{_FOLDER}/README.md": markdown.notice("src/firstlight/faults") + index}
    for fault in catalogue.CATALOGUE:
        texts[f"{_FOLDER}/{fault.id}.md"] = markdown.notice(_source(fault)) + _page(fault)
    return texts


def _exit_code(fault: Fault) -> str:
    if fault.layer is Layer.APP:
        return "the app's own, or 79 after too many restarts"
    return "75: try another host" if fault.host_fault else "69"


def _source(fault: Fault) -> str:
    return "src/" + fault.evidence.__module__.replace(".", "/") + ".py"


def _page(fault: Fault) -> str:
    """The docstring's title and sections, and what the program knows of the fault beside them."""
    text = f"# {fault.id}\n\n{fault_pages.title(fault)}\n"
    for heading, section in fault_pages.sections(fault).items():
        text += f"\n## {heading}\n\n{section}\n"
    remedies = ", ".join(f"`{remedy.value}`" for remedy in fault.remedies) or "none"
    rows = [
        ["layer", fault.layer.value],
        ["can waiting cure it", _TIME[fault.persistence]],
        ["who must act when firstlight cannot", words.ACTOR[fault.actor]],
        ["remedies, in order", remedies],
        ["exit code of `run` when it stays", _exit_code(fault)],
    ]
    if fault.advice:
        rows.append(["advice", fault.advice])
    text += f"\n## In short\n\n{markdown.table(['', ''], rows)}"
    return text if fault.layer is Layer.APP else f"{text}\nRehearse it: `firstlight rehearse {fault.id} -- true`\n"
