"""The cloud on localhost: what it does by the document, and the habits that no document has."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import anyio
import httpx2
import pytest
from cloud import catalogue, transport, virtual
from cloud.habits import Habits, Trouble
from cloud.hosts import Host
from cloud.pods import ACTIONS, EXITED, PROVISIONING, RUNNING, STARTING

GPU = "NVIDIA GeForce RTX 4090"
BODY = {"name": "a", "image": "i", "gpu": {"id": GPU, "count": 1}, "ports": ["8188/http", "22/tcp"], "env": {"A": "1", "B": "2"}}


@pytest.fixture
def tell(in_process):
    """Runs a story with a world and a plain HTTP client of it, on a virtual clock."""

    def run(story, **world):
        async def main():
            application = in_process(**world)
            headers = {"Authorization": f"Bearer {application.world.key}"}
            inner = transport.Transport(application)
            async with httpx2.AsyncClient(transport=inner, base_url="http://cloud/v2/", headers=headers) as http:
                return await story(application, http)

        return virtual.run(main)

    return run


async def made(http, status=RUNNING, **changed):
    """A new pod, once it has come this far."""
    answer = await http.post("pods", json={**BODY, **changed})
    assert answer.status_code == 201, answer.text
    return await become(http, answer.json()["id"], status)


async def become(http, pod, status):
    for _ in range(1000):
        told = (await http.get(f"pods/{pod}")).json()
        if told["status"] == status:
            return told
        await anyio.sleep(0.01)
    raise AssertionError(f"it never was {status}")


async def act(http, pod, action):
    return await http.post(f"pods/{pod['id']}/action", json={"action": action})


def test_status_is_asynchronous(tell):
    async def story(_, http):
        pod = (await http.post("pods", json=BODY)).json()
        seen = []
        for _ in range(4):
            seen.append((await http.get(f"pods/{pod['id']}")).json()["status"])
            await anyio.sleep(10)
        await act(http, pod, "stop")
        seen.append((await http.get(f"pods/{pod['id']}")).json()["status"])
        await anyio.sleep(5)
        seen.append((await http.get(f"pods/{pod['id']}")).json()["status"])
        return seen

    seen = tell(story, habits=Habits(provisioning=10, starting=20, stopping=5))
    assert seen == [PROVISIONING, STARTING, STARTING, RUNNING, RUNNING, EXITED]


@pytest.mark.parametrize("status", [PROVISIONING, STARTING, RUNNING, EXITED])
@pytest.mark.parametrize("action", ["start", "stop", "restart", "terminate"])
def test_actions_are_those_that_are_told(tell, status, action):
    async def story(application, http):
        pod = await made(http, PROVISIONING)
        if status == EXITED:
            application.world.hurry(application.world.pod(pod["id"]), RUNNING)
            await act(http, pod, "stop")
        application.world.hurry(application.world.pod(pod["id"]), status)
        told = (await http.get(f"pods/{pod['id']}")).json()
        return told["actions"], (await act(http, pod, action)).status_code

    allowed, code = tell(story, habits=Habits(provisioning=100, starting=100, stopping=100))
    assert allowed == list(ACTIONS[status])
    assert code == ((204 if action == "terminate" else 200) if action in allowed else 409)


def test_a_pod_of_a_cluster_is_another_apis(tell):
    async def story(application, http):
        pod = await made(http)
        application.world.pods[pod["id"]].cluster = "cluster_1"
        place = f"pods/{pod['id']}"
        lists = [len((await http.get(f"pods{query}")).json()["pods"]) for query in ("", "?includeClusterPods=true", "?status=RUNNING")]
        answers = [await http.patch(place, json={"name": "b"}), await http.delete(place), await act(http, pod, "stop")]
        return lists, [answer.status_code for answer in answers]

    assert tell(story) == ([0, 1, 0], [409, 409, 409])


def test_a_change_replaces_what_it_names_and_leaves_the_rest(tell):
    async def story(_, http):
        pod = await made(http)
        return (await http.patch(f"pods/{pod['id']}", json={"env": {"C": "3"}})).json()

    told = tell(story)
    assert told["env"] == {"C": "3"}
    assert told["ports"] == BODY["ports"]


@pytest.mark.parametrize(("resets", "seen"), [(True, "3"), (False, None)])
def test_a_change_reaches_the_container_by_a_new_start_alone(tell, resets, seen):
    async def story(application, http):
        pod = await made(http)
        await http.patch(f"pods/{pod['id']}", json={"env": {"C": "3"}})
        await become(http, pod["id"], RUNNING)
        return application.world.pods[pod["id"]].container.env.get("C")

    assert tell(story, habits=Habits(patch_resets=resets)) == seen


@pytest.mark.parametrize(
    ("before", "body", "after"),
    [
        ("", {"args": "python main.py --name 'a b'"}, ([], ["python", "main.py", "--name", "a b"])),
        ("", {"args": "echo $HOME && true"}, ([], ["echo", "$HOME", "&&", "true"])),
        ("", {"args": "it's"}, ([], ["it's"])),
        ("", {"args": '{"entrypoint":["sh","-c"],"cmd":["a b"]}'}, (["sh", "-c"], ["a b"])),
        ("", {"entrypoint": ["sh", "-c"], "cmd": ["a b"]}, (["sh", "-c"], ["a b"])),
        ("a b", {"entrypoint": ["x"]}, (["x"], ["a", "b"])),
        ("a b", {"cmd": []}, ([], [])),
        ("a b", {"args": ""}, ([], [])),
        ("a b", {"name": "other"}, ([], ["a", "b"])),
        ("", {"args": "a b", "cmd": ["a", "b"]}, ([], ["a", "b"])),
        ("", {"args": "a b", "cmd": ["a"]}, 400),
        ("", {"args": "a b", "entrypoint": ["c"]}, 400),
    ],
)
def test_the_command_has_two_forms_that_must_agree(tell, before, body, after):
    async def story(_, http):
        pod = await made(http, args=before)
        answer = await http.patch(f"pods/{pod['id']}", json=body)
        return (answer.json()["entrypoint"], answer.json()["cmd"]) if answer.is_success else answer.status_code

    assert tell(story) == after


PERSISTENT = {"persistent": {"size": 20, "path": "/workspace"}}


def network(volume, path="/workspace"):
    return {"network": [{"volumeId": volume, "path": path}]}


@pytest.mark.parametrize(
    ("at_create", "change", "code"),
    [
        (PERSISTENT, {}, 200),
        (PERSISTENT, {"persistent": {"size": 30, "path": "/data"}}, 200),
        (PERSISTENT, {"persistent": {"path": "/data"}}, 422),
        (PERSISTENT, {"persistent": {"size": 5, "path": "/data"}}, 422),
        (PERSISTENT, network("vol0000001"), 400),
        (network("vol0000001"), {"network": []}, 400),
        (network("vol0000001"), network("vol0000001", "/models"), 200),
        (network("vol0000001"), network("vol0000002"), 400),
        (network("vol0000001"), {"network": [{"volumeId": "vol0000001"}]}, 422),
        (network("vol0000001"), PERSISTENT, 400),
        ({}, PERSISTENT, 400),
    ],
)
def test_mounts_are_changed_by_the_documents_rules(tell, at_create, change, code):
    async def story(application, http):
        for _ in range(2):
            catalogue.add_volume(application.world)
        pod = await made(http, mounts=at_create)
        return (await http.patch(f"pods/{pod['id']}", json={"mounts": change})).status_code

    assert tell(story) == code


def test_a_locked_pod_is_neither_stopped_nor_reset(tell):
    async def story(_, http):
        pod = await made(http)
        place = f"pods/{pod['id']}"
        answers = [
            await http.patch(place, json={"locked": True}),
            await act(http, pod, "stop"),
            await act(http, pod, "restart"),
            await http.patch(place, json={"env": {}}),
            await http.patch(place, json={"env": {}, "locked": False}),
        ]
        return [answer.status_code for answer in answers]

    assert tell(story) == [200, 409, 409, 400, 200]


def test_a_template_is_resolved_once(tell):
    async def story(application, http):
        name = catalogue.add_template(application.world, {"name": "t", "image": "ti", "args": "x", "env": {"A": "t", "T": "t"}})["id"]
        answer = await http.post("pods", json={"name": "p", "templateId": name, "gpu": BODY["gpu"], "env": {"A": "mine"}})
        pod = answer.json()
        await http.patch(f"templates/{name}", json={"env": {"A": "later"}, "image": "later"})
        again = (await http.get(f"pods/{pod['id']}")).json()
        applied = (await http.patch(f"pods/{pod['id']}", json={"templateId": name})).json()
        return pod, again, applied

    pod, again, applied = tell(story)
    assert (pod["image"], pod["args"], pod["env"], pod["template"]) == ("ti", "x", {"A": "mine", "T": "t"}, None)
    assert (again["image"], again["env"]) == ("ti", {"A": "mine", "T": "t"})
    assert (applied["image"], applied["env"]) == ("later", {"A": "later"})


TWO = {"minCudaVersion": "12.0", "allowedCudaVersions": ["12.8"]}


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"gpu": {"id": GPU}}, 400),  # no count: no machine matches
        ({"gpu": {"id": GPU, "count": 9}}, 400),
        ({"gpu": {"id": "NVIDIA Unknown", "count": 1}}, 400),
        ({"gpu": {"id": GPU, "count": 1, **TWO}}, 400),
        ({"gpu": {"id": GPU, "count": 1, "minCudaVersion": "12.9"}}, 400),
        ({"gpu": {"id": GPU, "count": 1, "minCudaVersion": "12.8"}}, 201),
        ({"gpu": {"id": GPU, "count": 1, "minCudaVersion": "12"}}, 422),
        ({"gpu": {"id": GPU, "count": 1, "allowedCudaVersions": ["12.4"]}}, 400),
        ({"dataCenterIds": ["US-TX-3"]}, 400),
        ({"cloud": "COMMUNITY"}, 400),
        ({"cloud": "COMMUNITY", "mounts": network("vol0000001")}, 400),
        ({"mounts": {**PERSISTENT, **network("vol0000001")}}, 400),
        ({"mounts": network("vol0000009")}, 400),
        ({"mounts": network("vol0000002")}, 400),  # its data centre has no such GPU
        ({"cpu": {"id": "cpu3c", "vcpuCount": 2}}, 400),
        ({"env": {f"V{number}": "" for number in range(51)}}, 400),
        ({"ports": ["22"]}, 400),
        ({"templateId": "tpl9"}, 404),
        ({"dockerArgs": "x"}, 422),
        ({"env": {"A": 1}}, 422),
        ({"name": ""}, 422),
        ({"env": {"A": "x" * 110_000}}, 413),
    ],
)
def test_what_cannot_be_made_is_refused(tell, changed, code):
    async def story(application, http):
        catalogue.add_volume(application.world)
        catalogue.add_volume(application.world, data_center="US-TX-3")
        answer = await http.post("pods", json={**BODY, **changed})
        assert len(application.world.pods) == (answer.status_code == 201)
        return answer.status_code

    assert tell(story) == code


def test_the_accounts_own_limits_are_told_apart(tell):
    async def story(application, http):
        application.world.balance = 0.0
        poor = (await http.post("pods", json=BODY)).status_code
        application.world.balance = None
        application.world.forbidden.add(GPU)
        return poor, (await http.post("pods", json=BODY)).status_code

    assert tell(story) == (402, 403)


def test_versions_of_cuda_are_compared_by_number(tell):
    async def story(_, http):
        return (await http.post("pods", json={**BODY, "gpu": {"id": GPU, "count": 1, "minCudaVersion": "12.2"}})).status_code

    assert tell(story, machines=[Host(name="h", cuda="12.11")]) == 201


def test_a_deleted_pod_is_gone_without_a_word(tell):
    async def story(_, http):
        pod = await made(http)
        answer = await http.delete(f"pods/{pod['id']}")
        return answer.status_code, answer.content, (await http.delete(f"pods/{pod['id']}")).status_code

    assert tell(story) == (204, b"", 404)


@pytest.mark.parametrize("form", ["timestamp", "example"])
def test_a_log_is_told_from_where_the_asker_stands(tell, form):
    async def story(application, http):
        pod = await made(http)
        application.world.pods[pod["id"]].logs += [(2000.0, "container", f"line {number}") for number in range(5)]

        async def ask(query="", **headers):
            text = (await http.get(f"pods/{pod['id']}/logs{query}", headers=headers)).text
            events = [event.splitlines() for event in text.split("\n\n") if event.startswith("id: ")]
            return [(event[0].removeprefix("id: "), json.loads(event[1].removeprefix("data: "))["line"]) for event in events]

        whole = await ask("?source=container")
        assert len({name for name, _ in whole}) == len(whole)
        assert [line for _, line in await ask("?tail=2")] == ["line 3", "line 4"]
        assert await ask("?tail=0") == []
        if form == "timestamp":  # the document's own example of an id is none that its schema of the header allows
            assert [line for _, line in await ask("?source=container", **{"Last-Event-ID": whole[-3][0]})] == ["line 3", "line 4"]
        return (await http.get(f"pods/{pod['id']}/logs?tail=5001")).status_code

    assert tell(story, habits=Habits(log_ids=form)) == 422


def test_too_many_requests_are_told_when_to_come_again(tell):
    async def story(_, http):
        answers = [await http.get("pods") for _ in range(3)]
        await anyio.sleep(int(answers[2].headers["retry-after"]))
        return [answer.status_code for answer in [*answers, await http.get("pods")]], answers[0].headers

    codes, headers = tell(story, habits=Habits(quotas={"minute": 2, "hour": 3000}))
    assert codes == [200, 200, 429, 200]
    assert headers["ratelimit"].startswith('"minute";r=1;t=')
    assert headers["ratelimit-policy"] == '"minute";q=2;w=60, "hour";q=3000;w=3600'


@pytest.mark.parametrize(
    ("form", "read"), [("top", lambda told: told.get("nextCursor")), ("block", lambda told: told["pagination"]["nextCursor"])]
)
def test_a_long_list_comes_in_pages(tell, form, read):
    async def story(_, http):
        for number in range(5):
            await made(http, PROVISIONING, name=str(number))
        sizes, cursor = [], ""
        while cursor is not None:
            told = (await http.get("pods", params={"cursor": cursor})).json()
            sizes.append([pod["name"] for pod in told["pods"]])
            cursor = read(told)
        return sizes

    assert tell(story, machines=[Host(name="h", count=5)], habits=Habits(page=2, page_form=form)) == [["0", "1"], ["2", "3"], ["4"]]


def test_what_no_document_names_can_be_told(tell):
    async def story(_, http):
        pod = await made(http, "MIGRATING")
        return pod["status"], "placementGroup" in pod

    assert tell(story, habits=Habits(strange_status="MIGRATING", strange_fields=True)) == ("MIGRATING", True)


@pytest.mark.parametrize(
    ("trouble", "code", "there"),
    [
        (Trouble(on="createPod", status=500), 500, 0),
        (Trouble(on="createPod", status=500, after=True), 500, 1),
        (Trouble(on="createPod", status=500, after=True, shape="error"), 500, 1),
        (Trouble(on="createPod", status=502, shape="html"), 502, 0),
        (Trouble(on="createPod"), None, 0),
        (Trouble(on="createPod", after=True), None, 1),
        (Trouble(on="createPod", status=429, retry_after=7), 429, 0),
    ],
)
def test_an_answer_may_be_lost_before_and_after_the_thing_was_done(tell, trouble, code, there):
    async def story(application, http):
        application.world.troubles.append(Trouble(**vars(trouble)))
        try:
            answer = await http.post("pods", json=BODY)
        except httpx2.TransportError:
            return None, len(application.world.pods)
        told = answer.json() if trouble.shape != "html" else None
        assert told is None or set(told) == ({"error", "status"} if trouble.shape == "error" else {"title", "status", "detail"})
        assert answer.headers.get("retry-after") == (str(trouble.retry_after) if trouble.retry_after else None)
        return answer.status_code, len(application.world.pods)

    assert tell(story) == (code, there)


@pytest.mark.parametrize(("after", "there"), [(False, 0), (True, 1)])
def test_a_connection_is_cut_on_a_socket_too(cloud, after, there):
    cloud.world.troubles.append(Trouble(on="createPod", after=after))
    with pytest.raises(httpx2.TransportError):
        httpx2.post(cloud.access.api + "/pods", json=BODY, headers={"Authorization": f"Bearer {cloud.world.key}"})
    assert len(cloud.world.pods) == there


def test_a_new_pod_may_be_listed_late(tell):
    async def story(_, http):
        pod = (await http.post("pods", json=BODY)).json()
        early = [(await http.get("pods")).json()["pods"], (await http.get(f"pods/{pod['id']}")).status_code]
        await anyio.sleep(30)
        return early, len((await http.get("pods")).json()["pods"])

    assert tell(story, habits=Habits(list_lag=30)) == ([[], 200], 1)


def test_urllib_is_turned_away_with_a_page(cloud):
    request = urllib.request.Request(cloud.access.api + "/pods", headers={"Authorization": f"Bearer {cloud.world.key}"})
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request)
    with caught.value as answer:
        assert (answer.code, answer.headers["content-type"].partition(";")[0]) == (403, "text/html")
        assert b"1010" in answer.read()


@pytest.mark.parametrize(
    ("key", "method", "path", "code"),
    [
        (None, "GET", "pods", 401),
        ("nobody", "GET", "pods", 401),
        ("reader", "GET", "pods", 200),
        ("reader", "POST", "pods", 403),
        ("pod", "GET", "pods/{pod}", 200),
        ("pod", "DELETE", "pods/{pod}", 204),
        ("pod", "GET", "pods", 403),
    ],
)
def test_a_key_opens_what_it_may(tell, key, method, path, code):
    async def story(application, http):
        pod = await made(http)
        application.world.keys["reader"] = "read"
        word = application.world.pods[pod["id"]].container.env["RUNPOD_API_KEY"] if key == "pod" else key
        headers = {"Authorization": f"Bearer {word}"} if key else {"Authorization": ""}
        body = BODY if method == "POST" else None
        return (await http.request(method, path.format(pod=pod["id"]), json=body, headers=headers)).status_code

    assert tell(story) == code


def test_a_pod_keeps_its_host_and_loses_its_gpu_to_others(tell):
    async def story(application, http):
        pod = await made(http)
        await act(http, pod, "stop")
        await become(http, pod["id"], EXITED)
        answer = await act(http, pod, "start")
        application.world.hosts["host-1"].taken = 0
        again = (await act(http, pod, "start")).status_code
        return answer.status_code, answer.json()["detail"], again, application.world.pods[pod["id"]].host.name

    code, words, again, host = tell(story, habits=Habits(rivals=1.0))
    assert (code, again, host) == (400, 200, "host-1")
    assert "not enough free GPUs" in words


@pytest.mark.parametrize(("says", "count"), [(False, 1), (True, 0)])
def test_a_start_may_give_no_gpu(tell, says, count):
    async def story(application, http):
        pod = await made(http, cmd=["run", "--serve", "0.0.0.0:8421", "--", "x"], ports=["8421/http"], env={"FIRSTLIGHT_TOKEN": "t"})
        await act(http, pod, "stop")
        await become(http, pod["id"], EXITED)
        await act(http, pod, "start")
        told = await become(http, pod["id"], RUNNING)
        await anyio.sleep(1)
        report = await http.get(f"http://cloud/proxy/{pod['id']}/8421/status.json", headers={"Authorization": "Bearer t"})
        container = application.world.pods[pod["id"]].container
        return told["gpu"]["count"], container.env["RUNPOD_GPU_COUNT"], report.json()["cause"]["fault"]

    assert tell(story, habits=Habits(rivals=1.0, no_gpu="zero", tells_zero=says)) == (count, "0", "gpu-not-granted")


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [("never-starts", STARTING, 502), ("dark", RUNNING, 502), ("restart-loop", RUNNING, 502), ("", RUNNING, 200)],
)
def test_a_broken_host_breaks_as_told(tell, fault, status, code):
    async def story(_, http):
        pod = await made(http, status)
        await anyio.sleep(3600)
        told = (await http.get(f"pods/{pod['id']}")).json()
        app = await http.get(f"http://cloud/proxy/{pod['id']}/8188/system_stats")
        return told["status"], app.status_code, (told["runtime"] or {}).get("uptime", 0) < 10

    assert tell(story, machines=[Host(name="h", fault=fault)]) == (status, code, bool(fault) and fault != "dark")


def test_a_start_may_be_refused_without_a_reason(tell):
    async def story(application, http):
        pod = await made(http)
        await act(http, pod, "stop")
        await become(http, pod["id"], EXITED)
        application.world.hosts["host-1"].fault = "start-refused"
        return (await act(http, pod, "start")).status_code, (await become(http, pod["id"], EXITED))["status"]

    assert tell(story) == (500, EXITED)


def test_the_ssh_port_is_another_and_told_late(tell):
    async def story(_, http):
        pod = await made(http)
        await act(http, pod, "restart")
        stale = await become(http, pod["id"], RUNNING)
        await anyio.sleep(90)
        fresh = (await http.get(f"pods/{pod['id']}")).json()
        return [told["ssh"]["direct"]["port"] for told in (pod, stale, fresh)]

    first, stale, fresh = tell(story, habits=Habits(stale_port=60))
    assert first == stale != fresh


def test_a_stopped_pod_costs_nothing_more(tell):
    async def story(application, http):
        pod = await made(http)
        await anyio.sleep(3600)
        await act(http, pod, "stop")
        told = await become(http, pod["id"], EXITED)
        spent = application.world.spent()
        await anyio.sleep(3600)
        return told["cost"], round(spent, 2), application.world.spent() - spent

    assert tell(story) == (0.0, 0.69, 0.0)
