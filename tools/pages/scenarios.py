"""docs/reference/scenarios.md, from the dataclasses of rehearse/scenario.py and from the scenarios themselves."""

from __future__ import annotations

from importlib import resources

from firstlight.rehearse import scenario
from pages import dataclass_tables, markdown

_TEXT = """# Scenarios

A scenario is a machine as data: a TOML file that says in what it differs from a well container with one GPU, what happens on it while
a boot runs, and how the boot must end. `firstlight rehearse NAME -- COMMAND` runs a cold start on it, `firstlight rehearse ./FILE.toml -- COMMAND`
on one of your own. This is a whole one:

```toml
{example}```

## Those that come with firstlight

{table}
# The format

The fields of `Scenario` stand at the top of the file; every other table below is a table of that name, or a list of them (`[[gpus]]`).

"""
_EXAMPLE = "uvm-node-missing"


def pages() -> dict[str, str]:
    """The page."""
    known = [scenario.load(name) for name in scenario.names()]
    rows = [
        [f"`{item.name}`", item.description, str(item.expect.exit), ", ".join(item.expect.faults), ", ".join(item.expect.remedies)]
        for item in known
    ]
    head = ["scenario", "the machine", "exit code", "faults named", "remedies applied"]
    text = _TEXT.format(example=_text(_EXAMPLE), table=markdown.table(head, rows))
    text += dataclass_tables.sections(scenario, scenario.Scenario).replace("\n## ", "\n### ").replace("## ", "### ", 1)
    return {"docs/reference/scenarios.md": markdown.notice("src/firstlight/rehearse") + text}


def _text(name: str) -> str:
    return (resources.files(scenario.__package__) / "scenarios" / f"{name}.toml").read_text("utf-8")
