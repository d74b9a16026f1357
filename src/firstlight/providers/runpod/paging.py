"""Whether a list goes on, and how to ask for the rest. Pure.

The documents of API v2 name no pages for the lists that we read, and say elsewhere that there are some. So what other lists of the kind do is
looked for: a cursor in the body under one of its usual names, or a link to what follows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

# The name in the answer → the name in the next question.
_CURSORS = {
    "nextCursor": "cursor",
    "next_cursor": "cursor",
    "endCursor": "cursor",
    "nextPageToken": "pageToken",
    "next_page_token": "page_token",
    "nextToken": "nextToken",
    "cursor": "cursor",
}
_WITHIN = ("pagination", "pageInfo", "page_info", "page", "meta", "paging")
_MORE = ("hasMore", "has_more", "hasNextPage", "has_next_page")


def following(told: Mapping[str, Any]) -> Mapping[str, str]:
    """The query for what follows this page; empty where nothing does."""
    for place in (told, *(told.get(name) for name in _WITHIN)):
        if isinstance(place, dict) and (query := _query(place)):
            return query
    return {}


def _query(place: Mapping[str, Any]) -> Mapping[str, str]:
    if any(place.get(name) is False for name in _MORE):
        return {}
    for name, parameter in _CURSORS.items():
        value = place.get(name)
        if isinstance(value, (str, int)) and not isinstance(value, bool) and value != "":
            return {parameter: str(value)}
    link = place.get("next")
    if isinstance(link, str) and link:
        query = dict(parse_qsl(urlsplit(link).query))  # never the link itself: the key goes to one address alone
        return query or ({} if "/" in link else {"cursor": link})
    return {}
