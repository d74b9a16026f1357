"""Whatever is asked, the answer is one that docs/reference/openapi.json foretells."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings, strategies

from firstlight.serve import access

from .conftest import Agent, Answer, Unix, tell_a_healthy_boot

DOCUMENT = json.loads((Path(__file__).parents[3] / "docs/reference/openapi.json").read_text())
ORDERS = [path for path in DOCUMENT["paths"] if path.startswith("/v1/")]
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE")


def fits(value: Any, schema: dict[str, Any]) -> bool:
    """Whether a value is what a schema says: the part of JSON Schema that the document uses."""
    if "$ref" in schema:
        return fits(value, DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    if "anyOf" in schema:
        return any(fits(value, one) for one in schema["anyOf"])
    if "enum" in schema and value not in schema["enum"]:
        return False
    kinds = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "object": dict, "array": list, "null": type(None)}
    names = schema.get("type", list(kinds))
    names = [names] if isinstance(names, str) else names
    if not any(isinstance(value, kinds[name]) and (not isinstance(value, bool) or name == "boolean") for name in names):
        return False
    if isinstance(value, list):
        return all(fits(item, schema.get("items", {})) for item in value)
    if isinstance(value, dict) and "properties" in schema:
        known = schema["properties"]
        return set(schema["required"]) <= set(value) <= set(known) and all(fits(item, known[name]) for name, item in value.items())
    return True


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    folder = tmp_path_factory.mktemp("instance")
    agent = Agent(folder)
    agent.listens()
    tell_a_healthy_boot(agent)
    agent.write("finding", "ready", fault="gpu-lost", sentence="it is lost", quotes={"a": "b"}, actor="provider", persistence="permanent")
    agent.write("companion-started", "ready", name="/start.sh", pid=9)
    agent.write("remedy", "ready", remedy="raise-limits", outcome="applied", words="x")
    agent.caught_up()
    yield agent
    assert agent.close() == ""


def ask(agent: Agent, method: str, target: str, headers: dict[str, str], body: bytes | None, *, control: bool) -> Answer:
    connection = Unix(agent.control) if control else http.client.HTTPConnection("127.0.0.1", agent.port, timeout=30)
    with contextlib.closing(connection):
        connection.putrequest(method, target, skip_host="Host" in headers)
        for name, value in headers.items():
            connection.putheader(name, value.encode("latin-1", "replace"))
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        if response.headers.get_content_type() == "text/event-stream":  # it never ends
            answer = Answer.__new__(Answer)
            answer.code, answer.text = response.status, ""
            answer.headers = {name.lower(): value for name, value in response.getheaders()}
            return answer
        return Answer(response)


def foretold(path: str, method: str, answer: Answer) -> None:
    """The status is one of those named, the content type too, and JSON has its shape."""
    operation = DOCUMENT["paths"][path][method.lower()]
    response = operation["responses"][str(answer.code)]
    if "content" not in response:
        return
    kind = answer.headers["content-type"].partition(";")[0]
    assert kind in response["content"], (path, answer.code, kind)
    if kind == "application/json" and method != "HEAD":
        assert fits(answer.json, response["content"][kind]["schema"]), answer.text


def test_the_document_and_the_table_of_access_know_the_same_addresses() -> None:
    assert set(DOCUMENT["paths"]) == set(access.TABLE)


@pytest.mark.parametrize("path", [path for path in DOCUMENT["paths"] if path not in ORDERS])
def test_every_address_answers_as_foretold(agent: Agent, path: str) -> None:
    for method in DOCUMENT["paths"][path]:
        for headers in ({}, {"Host": "10.0.0.1"}, {"Host": "evil.example.com"}, {"X-Forwarded-For": "1"}):
            for control in (False, True):
                answer = ask(agent, method.upper(), path, headers, b"" if method == "post" else None, control=control)
                foretold(path, method.upper(), answer)


def test_a_status_of_another_shape_would_be_seen(agent: Agent) -> None:
    """The test of the test."""
    schema = DOCUMENT["components"]["schemas"]["Status"]
    good = agent.ask("/status.json").json
    assert fits(good, schema)
    for name in schema["required"]:
        assert not fits({key: value for key, value in good.items() if key != name}, schema)
    assert not fits({**good, "more": 1}, schema)
    assert not fits({**good, "ready": 1}, schema)
    assert not fits({**good, "stage": "nowhere"}, schema)


header_values = strategies.text(strategies.characters(codec="latin-1", exclude_categories=("Cc",)), max_size=40).map(str.strip)
headers = strategies.dictionaries(
    strategies.sampled_from(
        ["Host", "Accept", "Cookie", "Last-Event-ID", "X-Forwarded-For", "Content-Type", "Sec-Fetch-Site", "Range", "If-None-Match"]
    ),
    header_values,
    max_size=3,
)
queries = strategies.dictionaries(
    strategies.sampled_from(["verbose", "exclude", "token", "x"]),
    strategies.text(strategies.characters(codec="utf-8"), max_size=12),
    max_size=3,
)
paths = strategies.sampled_from([path for path in DOCUMENT["paths"] if path not in ORDERS]) | strategies.text(
    strategies.characters(codec="utf-8"), max_size=20
).map(lambda text: "/" + quote(text, safe="/"))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    strategies.sampled_from(METHODS), paths, queries, headers, strategies.none() | strategies.binary(max_size=5000), strategies.booleans()
)
def test_no_request_is_answered_with_anything_else(
    agent: Agent, method: str, path: str, query: dict[str, str], head: dict[str, str], body: bytes | None, control: bool
) -> None:
    answer = ask(agent, method, path + ("?" + urlencode(query) if query else ""), head, body, control=control)

    known = DOCUMENT["paths"].get(path, {})
    if method.lower() in known:
        foretold(path, method, answer)
    else:
        assert answer.code in ((405,) if known else (404, 405)), (answer.code, answer.text)


def test_there_is_a_page_for_every_kind_of_order() -> None:
    from firstlight.cli.ctl import ORDERS as KNOWN

    assert {path.rpartition("/")[2] for path in ORDERS} == set(KNOWN) - {"status"}
