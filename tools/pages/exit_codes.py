"""docs/reference/exit-codes.md, from errors.ExitCode."""

from __future__ import annotations

from firstlight import errors
from pages import markdown

_TEXT = """# Exit codes

`firstlight run` gives the app's own exit code once the app was started: its code, or 128 + N when signal N ended it.
Before that, and from every other verb, the codes are these. They follow sysexits.h where it has a fitting one, and the
shell for 126 and 127.

{table}
A code of 64 or 78 means that nothing was started and nothing was changed. 128 + N from `run` also means that signal N
arrived before the app was started.

An app may use the same numbers. The journal tells whose code it was: `firstlight status` says so.

## What to do on which code

- **69**: the container cannot use a GPU, and starting it again will not help. The report names the cause and who must act.
- **75**: the host is at fault. Ask the provider for another machine; the same image works there.
- **70**: an error of firstlight itself. Please report it, with the journal of that boot.
"""


def pages() -> dict[str, str]:
    """The page."""
    comments = markdown.trailing_comments(errors)["ExitCode"]
    rows = [[str(code.value), f"`{code.name}`", comments.get(code.name, "all is well")] for code in errors.ExitCode]
    text = markdown.notice("src/firstlight/errors.py") + _TEXT.format(table=markdown.table(["code", "name", "meaning"], rows))
    return {"docs/reference/exit-codes.md": text}
