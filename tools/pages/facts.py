"""docs/reference/facts.md, from the dataclasses of probe/facts.py."""

from __future__ import annotations

import dataclasses
import inspect
from enum import Enum

from firstlight.probe import facts
from pages import markdown

_TEXT = """# Facts: what `firstlight facts --format json` prints

One JSON object, of version {version}. Each field holds a value, or `{{"unknown": reason, "cause": cause}}` where the fact could
not be established. A reader should accept fields that it does not know: they can be added without a new version.

The same file, given to `firstlight doctor --from FILE`, is diagnosed on any machine.

## Causes of an unknown fact

{causes}
"""


def pages() -> dict[str, str]:
    """The page: Facts first, then every class that it is made of, in the order of the source."""
    comments = markdown.trailing_comments(facts)
    causes = markdown.table(["cause", "meaning"], [[f"`{cause.value}`", comments["Cause"][cause.name]] for cause in facts.Cause])
    text = _TEXT.format(version=facts.FACTS_VERSION, causes=causes)
    classes = [item for _name, item in inspect.getmembers(facts, inspect.isclass) if item.__module__ == facts.__name__]
    classes.sort(key=lambda item: (item is not facts.Facts, inspect.getsourcelines(item)[1]))
    for item in classes:
        if item in (facts.Cause, facts.Unknown):
            continue
        text += f"\n## {item.__name__}\n\n{markdown.summary(item.__doc__)}\n\n{_fields(item, comments.get(item.__name__, {}))}"
    return {"docs/reference/facts.md": markdown.notice("src/firstlight/probe/facts.py") + text}


def _fields(item: type, comments: dict[str, str]) -> str:
    if issubclass(item, Enum):
        return markdown.table(["value", "meaning"], [[f"`{member.value}`", comments.get(member.name, "")] for member in item])
    rows = [[f"`{field.name}`", f"`{_type(field)}`", comments.get(field.name, "")] for field in dataclasses.fields(item)]
    return markdown.table(["field", "type", "meaning"], rows)


def _type(field: dataclasses.Field[object]) -> str:
    return str(field.type).replace(" | Unknown", "").replace("Unknown | ", "")
