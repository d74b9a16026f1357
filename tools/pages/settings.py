"""docs/reference/settings.md, from settings.GROUPS and the keys of a table of checks."""

from __future__ import annotations

from firstlight import settings
from firstlight.apps import app, parse
from pages import markdown

_TEXT = """# Settings of `firstlight run`

Each setting has one name. It can be told in four places, and the first of these that tells it wins:

1. the flag `--NAME`
2. the variable `FIRSTLIGHT_NAME`, in capitals and with underscores
3. the key `NAME` in `firstlight.toml`
4. the recipe of the app, where `app` names one

Where none does, the default below holds. `firstlight config show`, with the flags of `run`, prints every setting, its value, and which place it
came from. A setting that can be repeated is taken whole from one place: a flag does not add to what the file says.

Every place is read whole. A wrong value ends the start also where a better place hides it: with [exit code](exit-codes.md) 64 for a flag and 78 for a
variable or the file. Nothing is started then.

## The file

`--config FILE` or `FIRSTLIGHT_CONFIG` names it. Where nobody does, it is `/workspace/firstlight.toml` where `/workspace` is a mount, as on a RunPod
pod; `--config none` reads no file. `firstlight config check FILE` says whether a file is in order.

It is [TOML](https://toml.io) in UTF-8, of at most 64 KiB. A key that is no setting is an error, which names the nearest setting. Links are followed, as a
mounted ConfigMap needs it; a folder, a pipe or a device is refused. A volume that does not give the file within 10 seconds is an error too, so that a
dead volume is told and not waited for. Whoever can write the file can start commands in the container (`with`, `exec`), as whoever can write the app can.

[examples/firstlight.toml](../../examples/firstlight.toml) is a whole one.

## The variables

An empty variable is none. A variable that begins with `FIRSTLIGHT_` and is no setting is an error, which names the nearest one: a typo does not pass
in silence. Two are left alone: `FIRSTLIGHT_TOKEN`, and what Kubernetes sets for a Service that is called firstlight, such as
`FIRSTLIGHT_SERVICE_HOST`, or `FIRSTLIGHT_PORT` with an address in it.

## What a value looks like

| in the tables | is | in `firstlight.toml` |
| --- | --- | --- |
| `TIME` | a number with `ms`, `s`, `m` or `h`; without, seconds; at most 7 days. `off` is 0 where 0 means that | also a number of seconds |
| `SIZE` | a number with `K`, `M` or `G`, of which each is 1024 times the one before; without, bytes | also a number of bytes |
| `SIGNAL` | `TERM`, `SIGTERM` or `15`; `RTMIN+3` | also a number |
| `ADDRESS` | `HOST:PORT`, with `[ ]` around an IPv6 address; port 0 is any free one; or `off` | a text |
| `CODES` | exit codes from 0 to 255 | a number, or an array |
| `SPEC` | `http://HOST:PORT/PATH` or `https://…`, `tcp:HOST:PORT`, `exec:COMMAND`, `log:REGEX` or `notify` | a text, or an array |
| a switch | true or false; the flag alone means true | `true` or `false` |

A setting with * can be repeated: the flag several times, the variable with a value a line, the key with an array. Those with ** also take commas. `none`
alone, or an empty array, empties what a lower place has told.

{groups}
## Tables of checks

A check that needs more than a `SPEC` is a table of the file, under a name of its own. It replaces the check of the recipe that has the same name.

```toml
[checks.queue]
http = "http://127.0.0.1:8188/queue"
level = "alive"
period = "5s"
```

One of `http`, `tcp`, `exec`, `log` and `notify` says what is asked; `level` is `ready` (the default) or `alive`. Beside them:

{checks}

## Tables of companions

A companion that needs more than `with` gives it is a table too: its `command`, a line or an array of words, and `restart`: `never`, `on-failure` (the
default) or `always`.

```toml
[companions.sync]
command = ["sh", "-c", "while sleep 600; do sync; done"]
restart = "always"
```
"""

# Words for the keys that a check has none for in its own module.
_CHECK_WORDS = {
    "period": "how long from one question to the next",
    "timeout": "how long the answer may take",
    "on-failure": "`restart` or `note`; an `alive` check restarts by default",
}


def pages() -> dict[str, str]:
    """The page."""
    groups = "".join(f"## {group[0].upper()}{group[1:]}\n\n{_table(options)}\n" for group, options in settings.GROUPS.items())
    text = _TEXT.format(groups=groups, checks=_checks().rstrip())
    return {"docs/reference/settings.md": markdown.notice("src/firstlight/settings") + text}


def _table(options: tuple[settings.Option, ...]) -> str:
    rows = [
        [
            f"`--{option.name}{' ' + option.metavar if option.metavar else ''}`"
            + ("\\**" if option.commas else "\\*" if option.many else ""),
            f"`{option.variable}`",
            f"`{option.default}`" if option.default else "",
            option.words,
        ]
        for option in options
    ]
    return markdown.table(["flag", "variable", "default", "meaning"], rows)


def _checks() -> str:
    comments = markdown.trailing_comments(app)["Check"]
    defaults = {field.name: field.default for field in app.Check.__dataclass_fields__.values()}
    rows = []
    for name, key in parse._KEYS.items():
        field = name.replace("-", "_")
        default = defaults[field]
        words = _CHECK_WORDS.get(name) or comments.get(field, "").removeprefix("http: ")
        shown = f"`{default:g}s`" if isinstance(default, float) else f"`{default}`" if isinstance(default, int) else ""
        rows.append([f"`{name}`", ", ".join(kind.value for kind in key.kinds), shown, words])
    return markdown.table(["key", "of", "default", "meaning"], rows)
