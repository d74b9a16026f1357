"""docs/reference/facts.md, from the dataclasses of probe/facts.py."""

from __future__ import annotations

from firstlight.probe import facts
from pages import dataclass_tables, markdown

_TEXT = """# Facts: what `firstlight facts --format json` prints

One JSON object, of version {version}. Each field holds a value, or `{{"unknown": reason, "cause": cause}}` where the fact could
not be established. A reader should accept fields that it does not know: they can be added without a new version.

The same file, given to `firstlight doctor --from FILE`, is diagnosed on any machine.

## Causes of an unknown fact

{causes}
"""


def pages() -> dict[str, str]:
    """The page: Facts first, then every class that it is made of."""
    comments = markdown.trailing_comments(facts)["Cause"]
    causes = markdown.table(["cause", "meaning"], [[f"`{cause.value}`", comments[cause.name]] for cause in facts.Cause])
    text = _TEXT.format(version=facts.FACTS_VERSION, causes=causes)
    text += dataclass_tables.sections(facts, facts.Facts, (facts.Cause, facts.Unknown))
    return {"docs/reference/facts.md": markdown.notice("src/firstlight/probe/facts.py") + text}
