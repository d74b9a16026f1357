"""The client against a service out of a function, by a clock that takes no time."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import httpx2
import pytest
from cloud import virtual
from scripted import KEY, Service, call, problem, script

from firstlight import errors
from firstlight.providers.runpod.access import Access
from firstlight.providers.runpod.client import Client, CloudError
from firstlight.providers.runpod.exchange import LARGEST_BODY

POD = {"id": "p1", "name": "comfy", "status": "RUNNING"}

Asked = Callable[[Client], Awaitable[Any]]


def get(client: Client) -> Awaitable[Any]:
    return client.pod("p1")


def create(client: Client) -> Awaitable[Any]:
    return client.create_pod({"name": "new", "env": {"TOKEN": "hf_abcdefghijklmnop", "SHORT": "no"}})


def start(client: Client) -> Awaitable[Any]:
    return client.act("p1", "start")


def update(client: Client) -> Awaitable[Any]:
    return client.update_pod("p1", {"name": "other"})


def terminate(client: Client) -> Awaitable[Any]:
    return client.terminate("p1")


def fails(service: Service, told: Asked) -> CloudError:
    with pytest.raises(CloudError) as caught:
        call(service, told)
    return caught.value


def lost(kind: type[httpx2.TransportError], words: str = "") -> httpx2.TransportError:
    return kind(words)


# What is repeated.


@pytest.mark.parametrize(
    ("answer", "asked", "requests", "done"),
    [
        (problem(500), get, 6, True),
        (problem(502), update, 6, True),
        (problem(503), terminate, 6, True),
        (problem(500), create, 1, True),
        (problem(503), start, 1, True),
        (problem(408), start, 1, True),
        (problem(501), get, 1, True),
        (problem(404), get, 1, False),
        (problem(400), create, 1, False),
        (problem(409), start, 1, False),
        (problem(422), update, 1, False),
        (problem(402), create, 1, False),
        (problem(429), create, 6, False),
        (lost(httpx2.ConnectError), create, 6, False),
        (lost(httpx2.ConnectTimeout), start, 6, False),
        (lost(httpx2.ReadError), create, 1, True),
        (lost(httpx2.ReadTimeout), start, 1, True),
        (lost(httpx2.WriteError), create, 1, True),
        (lost(httpx2.RemoteProtocolError), get, 6, True),
        (httpx2.Response(200, content=b"<html>"), get, 6, True),
        (httpx2.Response(201, content=b"<html>"), create, 1, True),
        (httpx2.Response(201, content=b""), create, 1, True),
        (httpx2.Response(200, content=b""), get, 6, True),
        (httpx2.Response(200, content=b'{"id": "p'), update, 6, True),
        (httpx2.Response(200, json=[1]), get, 6, True),
        (httpx2.Response(200, json={"name": "no id"}), get, 1, True),
    ],
)
def test_what_is_repeated_and_what_may_have_been_done(answer: Any, asked: Asked, requests: int, done: bool) -> None:
    service = script(answer)

    error = fails(service, asked)

    assert (len(service.requests), error.done) == (requests, done), str(error)
    assert str(error).startswith("cannot ")
    assert service.times == sorted(service.times)


@pytest.mark.parametrize("asked", [get, create, start, update])
def test_after_a_failure_that_passes_all_is_well(asked: Asked) -> None:
    service = script(lost(httpx2.ConnectError), problem(429), POD)

    assert call(service, asked).id == "p1"
    assert len(service.requests) == 3


def test_pauses_grow_and_differ() -> None:
    pauses = []
    for _ in range(20):
        service = script(problem(500))
        fails(service, get)
        pauses.append([later - earlier - service.took for earlier, later in zip(service.times, service.times[1:], strict=False)])

    for place, longest in enumerate((1.0, 2.0, 4.0, 8.0, 16.0)):
        assert all(longest / 2 <= one[place] <= longest for one in pauses)
    assert len({one[0] for one in pauses}) > 1


@pytest.mark.parametrize("told", ["12", "12.0"])
def test_retry_after_is_kept(told: str) -> None:
    service = script(httpx2.Response(429, json={"title": "no"}, headers={"retry-after": told}), POD)

    call(service, create)

    assert 12.0 <= service.times[1] - service.times[0] - service.took <= 14.0


def test_who_asks_for_too_long_a_pause_is_not_waited_for() -> None:
    service = script(httpx2.Response(429, json={"detail": "hour window"}, headers={"retry-after": "1800"}))

    async def twice() -> None:
        async with service.client() as client:
            with pytest.raises(CloudError, match="hour window"):
                await client.pods()
            with pytest.raises(CloudError, match=r"cannot list templates: .* used up for the next 1\d\d\d s \(HTTP 429\)"):
                await client.templates()

    virtual.run(twice)
    assert len(service.requests) == 1


def test_a_pod_that_is_gone_is_terminated() -> None:
    assert call(script(problem(404)), terminate) is None
    assert call(script(httpx2.Response(204)), terminate) is None
    assert call(script(lost(httpx2.ReadError), problem(404)), terminate) is None


# What is said of a refusal.

CLOUDFLARE = httpx2.Response(403, content=b"error code: 1010", headers={"content-type": "text/plain", "server": "cloudflare"})
PAGE = httpx2.Response(502, content=b"<!DOCTYPE html><title>Bad gateway</title>" + b"x" * 100_000, headers={"content-type": "text/html"})


@pytest.mark.parametrize(
    ("answer", "words", "code"),
    [
        (problem(400, "no instances"), "cannot create a pod: no instances (HTTP 400)", 74),
        (problem(422, "wrong", errors=["$: 'a'", "$.b: 1"]), "cannot create a pod: wrong; $: 'a'; $.b: 1 (HTTP 422)", 74),
        (httpx2.Response(422, json={"error": "name is taken", "status": 422}), "cannot create a pod: name is taken (HTTP 422)", 74),
        (httpx2.Response(400, json={"message": "older"}), "cannot create a pod: older (HTTP 400)", 74),
        (httpx2.Response(400, json={"errors": [{"message": "graph"}]}), "cannot create a pod: graph (HTTP 400)", 74),
        (httpx2.Response(400, json={"title": "Bad Request"}), "cannot create a pod: Bad Request (HTTP 400)", 74),
        (httpx2.Response(400, json=["what"]), "cannot create a pod: it gives no reason (HTTP 400)", 74),
        (httpx2.Response(400), "cannot create a pod: it gives no reason (HTTP 400)", 74),
        (
            problem(401, "missing"),
            "cannot create a pod: RunPod does not know this key: it is wrong, was deleted, or has expired: missing",
            77,
        ),
        (problem(403, "denied"), "cannot create a pod: the key is right, but its rights do not suffice: denied (HTTP 403)", 77),
        (
            CLOUDFLARE,
            "cannot create a pod: whoever stands before RunPod turned the request away, before the key was looked at (HTTP 403)",
            74,
        ),
        (problem(402, "top up"), "cannot create a pod: the account's balance does not suffice: top up (HTTP 402)", 74),
        (problem(413, ""), "it is too large: RunPod takes at most 102,400 bytes, a template's own included", 74),
        (PAGE, "cannot create a pod: it gives no reason (HTTP 502)", 74),
        (problem(400, "two\nlines\x1b[31m\x00"), "cannot create a pod: two lines [31m  (HTTP 400)", 74),
        (
            httpx2.Response(302, headers={"location": "https://elsewhere.example/v3?x=1"}),
            "sent on to elsewhere.example, where the key does",
            74,
        ),
        (httpx2.Response(302, headers={"location": "http://["}), "sent on to elsewhere, where the key does", 74),
        (httpx2.Response(429, headers={"retry-after": "9" * 20}), "too many requests were made in too short a time (HTTP 429)", 74),
    ],
)
def test_a_refusal_is_one_line_and_has_its_exit_code(answer: httpx2.Response, words: str, code: int) -> None:
    error = fails(script(answer), create)

    assert words in str(error)
    assert error.exit_code == code
    assert "\n" not in str(error)
    assert len(str(error)) < 700


def test_a_redirect_is_not_followed() -> None:
    service = script(httpx2.Response(307, headers={"location": "https://elsewhere.example/v2/pods"}), POD)

    fails(service, create)

    assert [request.url.host for request in service.requests] == ["api.example"]


# Secrets.


@pytest.mark.parametrize(
    "answer",
    [
        problem(422, f"bad header Bearer {KEY} and hf_abcdefghijklmnop"),
        httpx2.Response(500, json={"error": f"env TOKEN=hf_abcdefghijklmnop {KEY}"}),
        lost(httpx2.ReadError, f"while sending {KEY} hf_abcdefghijklmnop"),
    ],
)
def test_no_secret_is_in_an_error_or_a_log(answer: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    service = script(answer)

    async def asked() -> str:
        async with service.client() as client:
            with pytest.raises(CloudError) as caught:
                await create(client)
            error = caught.value
            return "".join(traceback.format_exception(error)) + repr(error) + error.detail + repr(client) + repr(vars(client))

    said = virtual.run(asked) + caplog.text
    assert service.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert "cannot create a pod" in said
    assert "[the key]" in said
    assert "[TOKEN]" in said
    assert "SECRET" not in said
    assert "hf_abc" not in said


def test_the_key_is_in_no_representation() -> None:
    assert KEY not in repr(Access(KEY))


# Addresses.


@pytest.mark.parametrize(
    ("api", "url"),
    [
        ("https://api.example/v2", "https://api.example/v2/catalog/gpus/NVIDIA%20RTX%2F6000%3F%23%25"),
        ("https://api.example/v2/", "https://api.example/v2/catalog/gpus/NVIDIA%20RTX%2F6000%3F%23%25"),
        ("https://api.example", "https://api.example/catalog/gpus/NVIDIA%20RTX%2F6000%3F%23%25"),
        ("https://api.example:8443/a/b/v2", "https://api.example:8443/a/b/v2/catalog/gpus/NVIDIA%20RTX%2F6000%3F%23%25"),
    ],
)
def test_an_id_is_one_part_of_the_path(api: str, url: str) -> None:
    service = script({"id": "x", "price": {"secure": 0.44, "community": None}})

    async def asked() -> None:
        async with Client(Access(KEY, api), httpx2.MockTransport(service.handle)) as client:
            price = await client.price("NVIDIA RTX/6000?#%")
            assert (price.secure, price.community) == (0.44, None)

    virtual.run(asked)
    assert str(service.requests[0].url) == url


@pytest.mark.parametrize("pod_id", ["", ".", ".."])
def test_what_would_be_another_address_is_no_id(pod_id: str) -> None:
    service = script(POD)

    with pytest.raises(errors.UsageError, match="that is no id"):
        call(service, lambda client: client.terminate(pod_id))
    assert service.requests == []


def test_each_request_says_who_asks() -> None:
    service = script(POD)
    call(service, get)

    assert service.requests[0].headers["user-agent"].startswith("firstlight/")
    assert "key" not in str(service.requests[0].url)


# Lists.


@pytest.mark.parametrize(
    ("more", "query"),
    [
        ({"nextCursor": "c/2 =", "hasMore": True}, {"cursor": "c/2 ="}),
        ({"pagination": {"nextCursor": "c2"}}, {"cursor": "c2"}),
        ({"pageInfo": {"hasNextPage": True, "endCursor": "c2"}}, {"cursor": "c2"}),
        ({"next_page_token": "t"}, {"page_token": "t"}),
        ({"next": "https://elsewhere.example/v2/pods?cursor=c2&limit=5"}, {"cursor": "c2", "limit": "5"}),
        ({"next": "c2"}, {"cursor": "c2"}),
    ],
)
def test_a_list_is_followed_to_its_end(more: dict[str, Any], query: dict[str, str]) -> None:
    service = script({"pods": [{"id": "a"}], **more}, {"pods": [{"id": "b"}], "nextCursor": None, "hasMore": False})

    assert [pod.id for pod in call(service, lambda client: client.pods())] == ["a", "b"]
    assert dict(service.requests[0].url.params) == {}
    assert dict(service.requests[1].url.params) == query
    assert service.requests[1].url.host == "api.example"


@pytest.mark.parametrize("more", [{"pageInfo": {"hasNextPage": False, "endCursor": "c2"}}, {"nextCursor": ""}, {"pagination": "none"}, {}])
def test_a_list_without_more_is_one_page(more: dict[str, Any]) -> None:
    service = script({"pods": [{"id": "a"}], **more})

    assert len(call(service, lambda client: client.pods())) == 1
    assert len(service.requests) == 1


@pytest.mark.parametrize(
    ("answers", "words", "requests"),
    [
        ([{"pods": [{"id": "a"}], "nextCursor": "same"}], "cannot list pods: the list has no end", 2),
        ([{"pods": [{"id": "a"}], "nextCursor": "1"}, {"pods": [], "nextCursor": "2"}, {"pods": [], "nextCursor": "1"}], "no end", 3),
        ([{"pods": None}], "cannot list pods: the answer holds no pods", 1),
        ([{"other": []}], "cannot list pods: the answer holds no pods", 1),
        ([{"pods": [{"id": "a"}, {"name": "b"}]}], "cannot list pods: the answer holds something without an id", 1),
        ([{"pods": ["a"]}], "cannot list pods: the answer holds something without an id", 1),
    ],
)
def test_a_list_that_is_none_is_an_error_and_never_a_part(answers: list[Any], words: str, requests: int) -> None:
    service = script(*answers)

    assert words in str(fails(service, lambda client: client.pods()))
    assert len(service.requests) == requests


# What an answer may be.


def test_an_answer_without_bounds_is_not_read_to_its_end() -> None:
    read = 0

    async def body() -> Any:
        nonlocal read
        while True:
            read += 1 << 20
            yield b" " * (1 << 20)

    service = Service(lambda _, __: httpx2.Response(201, content=body()))

    error = fails(service, create)

    assert str(error) == "cannot create a pod: the answer is larger than 32 MiB; it may have been done all the same"
    assert error.done
    assert read <= LARGEST_BODY + (1 << 21)


def test_an_answer_that_drips_ends() -> None:
    async def body() -> Any:
        while True:
            await anyio.sleep(30)
            yield b" "

    error = fails(Service(lambda _, __: httpx2.Response(201, content=body())), create)

    assert str(error) == "cannot create a pod: no whole answer came in time; it may have been done all the same"
    assert error.done


def test_unknown_values_are_no_errors() -> None:
    told = {
        "id": 7,
        "status": "HIBERNATING",
        "actions": ["start", "dream"],
        "gpu": None,
        "cost": "much",
        "runtime": {"ports": [None, {"private": "x"}]},
        "ssh": {"direct": {"port": 22}},
        "ports": "8188/http",
        "mounts": [],
        "env": None,
        "disk": 1.0,
        "new": {"field": 1},
    }

    pod = call(script(told), get)

    assert (pod.id, pod.status, pod.actions, pod.ssh, pod.cost, pod.ports, pod.disk) == (
        *("7", "HIBERNATING", frozenset({"start", "dream"}), None, 0.0, (), 1),
    )
    assert pod.raw["new"] == {"field": 1}
    json.dumps(pod.raw)
