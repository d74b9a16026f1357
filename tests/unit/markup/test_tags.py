"""What is put into the page stays text."""

from __future__ import annotations

import html
from html.parser import HTMLParser

from hypothesis import given, strategies

from firstlight.markup.tags import escape, prose, tag


class Seen(HTMLParser):
    """What a browser would make of it."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.data = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.data += data


@given(strategies.text(), strategies.text())
def test_no_text_becomes_a_tag_or_leaves_its_attribute(text: str, value: str) -> None:
    seen = Seen(tag("p", text, ["<b>", None], title=value))

    assert seen.tags == [("p", {"title": html.unescape(escape(value))})]
    assert seen.data == html.unescape(escape(text)) + "<b>"


@given(strategies.text(strategies.sampled_from("ab`<&\n")))
def test_prose_makes_code_of_backticks_and_nothing_else(text: str) -> None:
    assert {name for name, _ in Seen(prose(text)).tags} <= {"code"}


def test_what_is_not_seen_is_made_visible() -> None:
    assert escape("a\u202eb\x1b[2J\x00") == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}"


def test_an_attribute_is_there_or_not() -> None:
    assert tag("input", type="text", required=True, hidden=False, id=None) == '<input type="text" required>'
