"""The status page: one answer, nothing fetched from elsewhere, of use without its script too."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from typing import Any

from firstlight.markup import family
from firstlight.markup.tags import Child, Html, tag
from firstlight.serve import sections
from firstlight.serve.background import PastBoot
from firstlight.serve.view import View


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"


_STYLE = family.STYLE + family.asset(__package__ or "", "page.css")
_SCRIPT = family.asset(__package__ or "", "page.js")

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        f"style-src {_hash(_STYLE)}",
        f"script-src {_hash(_SCRIPT)}",
        "connect-src 'self'",
        "img-src data:",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)


def little(view: View | None) -> dict[str, Any]:
    """What everybody may know."""
    if view is None:
        return {"ready": False, "stage": "start", "since": None}
    return {"ready": view.status.ready, "stage": view.status.stage.value, "since": view.status.since}


def render(
    view: View | None,
    *,
    version: str,
    app: str,
    now: float,
    log: Sequence[str] | None,
    past: Sequence[PastBoot] | None,
    past_late: bool = False,
) -> str:
    """The whole page, for somebody who may see it. `now` is the wall clock, in seconds."""
    parts: list[Child] = []
    if view is None:
        parts.append(
            tag(
                "header",
                tag("p", "Starting", id="headline", role="status", aria_live="polite", class_="headline"),
                id="now",
                class_="now busy",
            )
        )
    else:
        parts += [
            sections.headline(view, now),
            sections.hold(view),
            sections.faults(view),
            sections.waterfall(view, now),
            sections.legs(view),
            sections.gpus(view),
            sections.app(view),
            sections.output(log),
            sections.past(past, late=past_late),
        ]
    footer = tag(
        "footer",
        tag("p", f"firstlight {version}", tag("span", view.status.boot, class_="boot") if view else None),
        tag(
            "p",
            "Orders are given from inside: ",
            tag("code", "firstlight ctl restart"),
            ", ",
            tag("code", "stop"),
            ", ",
            tag("code", "rediagnose"),
            ".",
        ),
    )
    top = tag("div", tag("span", "firstlight", class_="mark"), tag("span", app, class_="app") if app else None, class_="top")
    lost = tag("p", "The connection is lost. What you see is old.", id="lost", hidden=True)
    kind = sections.tone(view)
    title = f"{view.headline if view else 'Starting'} · {app or 'firstlight'}"
    return _document(
        title, kind, tag("body", top, lost, tag("main", *parts), footer, data_busy="yes" if kind == "busy" else None), live=True
    )


def stranger(view: View | None, *, wrong: bool = False) -> str:
    """What somebody without the token sees."""
    known = little(view)
    words = "Ready" if known["ready"] else "Not ready"
    form = tag(
        "form",
        tag("input", type="text", name="username", autocomplete="username", value="firstlight", hidden=True),  # for password keepers
        tag("label", "Token", for_="token"),
        tag(
            "input",
            type="password",
            id="token",
            name="token",
            autocomplete="current-password",
            required=True,
            aria_describedby="wrong" if wrong else None,
        ),
        tag("button", "Show the status", type="submit"),
        tag("p", "That is not the token.", id="wrong", role="alert", class_="wrong") if wrong else None,
        method="post",
        action="/login",
    )
    main = tag(
        "main",
        tag(
            "header",
            tag("p", tag("span", class_="dot", aria_hidden="true"), tag("span", words, id="headline"), class_="headline"),
            tag(
                "p",
                f"Stage {known['stage']}",
                (", since ", sections.moment(known["since"])) if known["since"] else None,
                ".",
                class_="since",
            ),
            class_=f"now {'well' if known['ready'] else 'busy'}",
        ),
        tag(
            "section",
            tag("h2", "More for those who have the token"),
            form,
            tag("p", "It lies in the instance's folder; the container's log says where.", class_="small"),
        ),
        class_="narrow",
    )
    return _document(
        words,
        "well" if known["ready"] else "busy",
        tag("body", tag("div", tag("span", "firstlight", class_="mark"), class_="top"), main),
        live=False,
    )


def _document(title: str, kind: str, body: Html, *, live: bool) -> str:
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("title", title),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("link", rel="icon", href=family.icon(kind), id="icon"),
        tag("noscript", tag("meta", http_equiv="refresh", content="5")) if live else None,
        tag("style", Html(_STYLE)),
        tag("script", Html(_SCRIPT), type="module") if live else None,
    )
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"
