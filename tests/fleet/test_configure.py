"""`pod configure` and `pod restore`: the installed command against a cloud that holds every request against RunPod's document."""

from __future__ import annotations

import json
import string
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import anyio
import pytest
from cloud import contract, service, virtual
from cloud.habits import Habits, Trouble
from cloud.pods import EXITED, RUNNING
from cloud.transport import Transport
from cloud.world import World
from hypothesis import HealthCheck, given, settings, strategies as st

from firstlight import errors
from firstlight.fleet import apply, configure as fleet, start
from firstlight.providers.runpod import shapes
from firstlight.providers.runpod.access import Access
from firstlight.providers.runpod.client import Client

FIRSTLIGHT = str(Path(sys.executable).parent / "firstlight")

IMAGE = "runpod/pytorch:1.0.2-cu1281-torch280-ubuntu2404"
MOUNTS = {"persistent": {"size": 20, "path": "/workspace"}}
ARGS = "python3 '/workspace/my app/main.py' --listen"
WORDS = ("python3", "/workspace/my app/main.py", "--listen")
SECRET = "hunter2-hunter2"


def ordered(cloud: Any, name: str = "comfy", **other: Any) -> Any:
    """A running pod as somebody made it by hand."""
    told = {"mounts": MOUNTS, "ports": ["8188/http"], "env": {"HF_TOKEN": SECRET, "MODE": "a"}, "cmd": [], "entrypoint": [], **other}
    pod = cloud.pod(name, **told)
    pod.args = ARGS
    return pod


def template(cloud: Any, **other: Any) -> str:
    """A template of the account; its id."""
    told = {"name": "mine", "image": IMAGE, "args": ARGS, "mounts": MOUNTS, "env": {"HF_TOKEN": SECRET}, "ports": ["8188/http"], **other}
    request = urllib.request.Request(
        cloud.addresses["control"] + "/templates", json.dumps(told).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["id"]


def run(cloud: Any, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`firstlight pod …` to its end."""
    return subprocess.run(
        [FIRSTLIGHT, "pod", *words],
        env={**cloud.environment, **environment},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def writes(cloud: Any) -> list[tuple[str, str | None]]:
    """What was asked that changes something."""
    return [(call.operation, call.pod) for call in cloud.service.calls if call.method != "GET"]


def status(cloud: Any, pod: Any) -> dict[str, Any]:
    """What the pod's own agent tells whoever has its token."""
    address = cloud.access.address(pod.id, 8421) + "/status.json"
    request = urllib.request.Request(address, headers={"Authorization": f"Bearer {pod.env['FIRSTLIGHT_TOKEN']}", "User-Agent": "test"})
    while True:
        try:
            with urllib.request.urlopen(request) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code != 502:
                raise


def test_the_difference_is_shown_and_nothing_is_changed(cloud):
    pod = ordered(cloud)
    before = (pod.args, dict(pod.env), pod.ports)

    result = run(cloud, "configure", "comfy", "--env", "MODE=b", "--env", "NEW=x")

    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines()[0] == f"Pod {pod.id} (comfy)"
    lines = result.stdout.splitlines()
    for line in (
        "  + entrypoint: /bin/sh",
        "    cmd: python3",
        "    cmd: '/workspace/my app/main.py'",
        "  + cmd: --with",
        "  + 8421/http",
        "  ~ MODE (changed)",
        "  + FIRSTLIGHT_TOKEN",
    ):
        assert line in lines
    assert "RunPod resets a running pod" in result.stdout
    assert result.stdout.endswith("nothing was changed: --apply does it\n")
    assert SECRET not in result.stdout
    assert writes(cloud) == []
    assert (pod.args, dict(pod.env), pod.ports) == before


def test_a_configured_pod_runs_firstlight_and_its_token_opens_its_status(cloud):
    pod = ordered(cloud)

    result = run(cloud, "configure", pod.id, "--env", "MODE=b", "--unset", "HF_TOKEN", "--apply")

    assert (result.returncode, result.stderr) == (0, "")
    assert "RunPod has it as it was sent" in result.stdout
    assert writes(cloud) == [("updatePod", pod.id)]
    assert pod.ports == ("8188/http", "8421/http", "22/tcp")
    assert pod.env.keys() == {"MODE", "FIRSTLIGHT_TOKEN", "FIRSTLIGHT_PREVIOUS"}
    assert len(pod.env["FIRSTLIGHT_TOKEN"]) == 43
    assert pod.env["FIRSTLIGHT_TOKEN"] not in result.stdout
    assert status(cloud, pod)["gpus"]
    assert pod.container.cmd[-4:] == ("--", *WORDS)


def test_a_second_time_changes_nothing(cloud):
    pod = ordered(cloud)
    words = ("configure", pod.id, "--app", "comfyui", "--env", "MODE=b", "--apply")
    run(cloud, *words)

    again = run(cloud, *words)
    plain = run(cloud, "configure", pod.id)

    assert (again.returncode, again.stdout) == (0, f"Pod {pod.id} (comfy)\n  is as it should be\n")
    assert (plain.returncode, plain.stdout) == (0, f"Pod {pod.id} (comfy)\n  is as it should be\n")
    assert writes(cloud) == [("updatePod", pod.id)]


def test_a_restoration_gives_back_what_was_there(cloud):
    pod = ordered(cloud)
    before = (pod.args, dict(pod.env), pod.ports)
    run(cloud, "configure", pod.id, "--env", "MODE=b", "--apply")
    run(cloud, "configure", pod.id, "--app", "http", "--unset", "MODE", "--expose", "9000/tcp", "--apply", "--", "another", "app")
    assert pod.args.endswith('"another","app"]}')

    shown = run(cloud, "restore", pod.id)
    result = run(cloud, "restore", pod.id, "--apply")

    assert shown.stdout.endswith("nothing was changed: --apply does it\n")
    assert (result.returncode, result.stderr) == (0, "")
    assert (pod.args, dict(pod.env), pod.ports) == before
    again = run(cloud, "restore", pod.id, "--apply")
    assert again.returncode == errors.ExitCode.USAGE
    assert "it carries no FIRSTLIGHT_PREVIOUS" in again.stderr


def test_a_restoration_keeps_what_was_changed_since_and_says_so(cloud):
    pod = ordered(cloud)
    run(cloud, "configure", pod.id, "--env", "MODE=b", "--env", "NEW=x", "--apply")
    pod.env["MODE"] = "theirs"

    result = run(cloud, "restore", pod.id, "--apply")

    assert "MODE was changed since: it stays as it is" in result.stdout
    assert pod.env == {"HF_TOKEN": SECRET, "MODE": "theirs"}


def test_a_pod_that_is_made_from_a_configured_template_starts_right(cloud):
    pod = ordered(cloud)
    template_id = template(cloud)

    result = run(cloud, "configure", "comfy", "--template", "mine", "--apply")

    assert (result.returncode, result.stderr) == (0, "")
    assert writes(cloud) == [("updateTemplate", None), ("updatePod", pod.id)]
    assert "RunPod reads a template once" in result.stdout
    made = cloud.world.create({"name": "made", "templateId": template_id, "gpu": {"id": pod.gpu, "count": 1}})
    cloud.world.hurry(made, RUNNING)
    assert status(cloud, made)["gpus"]
    assert made.container.cmd[-4:] == ("--", *WORDS)
    assert made.env["FIRSTLIGHT_TOKEN"] != pod.env["FIRSTLIGHT_TOKEN"]


def test_a_template_gets_its_own_back(cloud):
    template_id = template(cloud)
    before = json.dumps(cloud.world.templates[template_id])
    run(cloud, "configure", "--template", template_id, "--apply")
    assert json.dumps(cloud.world.templates[template_id]) != before

    result = run(cloud, "restore", "--template", "mine", "--apply")

    assert (result.returncode, result.stderr) == (0, "")
    assert json.dumps(cloud.world.templates[template_id]) == before


def test_where_one_of_two_is_refused_nothing_is_changed(cloud):
    pod = ordered(cloud)
    pod.locked = True
    template(cloud)

    result = run(cloud, "configure", pod.id, "--template", "mine", "--apply")

    assert result.returncode == errors.ExitCode.USAGE
    assert result.stderr.startswith(f"firstlight: cannot configure pod {pod.id} (comfy): it is locked")
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""
    assert writes(cloud) == []


def test_a_public_template_of_another_account_is_refused(cloud):
    name = template(cloud, public=True)
    cloud.world.others[name] = cloud.world.templates.pop(name)

    result = run(cloud, "configure", "--template", name, "--apply")

    assert result.returncode == errors.ExitCode.USAGE
    assert "it is public and another account's" in result.stderr
    assert writes(cloud) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("configure",), "cannot configure without a pod or a template"),
        (("restore",), "cannot restore without a pod or a template"),
        (("configure", "nobody"), "cannot find the pod 'nobody'"),
        (("configure", "--template", "nobody"), "cannot find the template 'nobody'"),
        (("configure", "comfy", "--env", "MODE"), "cannot take --env: it is not NAME=VALUE"),
        (("configure", "comfy", "--env-file", "/nowhere"), "cannot read the variables from /nowhere: No such file"),
        (("configure", "comfy", "--"), "cannot take an empty command"),
        (("configure", "comfy", "--grace", "soon"), "cannot take --grace 'soon'"),
        (("configure", "comfy", "--app", "nothing"), "cannot take --app 'nothing'"),
        (("configure", "comfy", "--serve", "off"), "cannot understand the command line"),
        (("configure", "comfy", "--dry-run"), "cannot understand the command line"),
        (("configure", "comfy", "--expose", "8188"), "'8188' is no port"),
        (("configure", "comfy", "--env", "FIRSTLIGHT_LEASE=x"), "FIRSTLIGHT_LEASE is firstlight's own"),
        (("restore", "comfy"), "it carries no FIRSTLIGHT_PREVIOUS"),
        (("restore", "comfy", "--", "true"), "cannot take a command"),
    ],
)
def test_bad_input_is_one_clear_line(cloud, words, said):
    ordered(cloud)

    result = run(cloud, *words)

    assert result.returncode == errors.ExitCode.USAGE
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""
    assert writes(cloud) == []


def test_a_running_pod_without_a_volume_is_changed_only_where_its_loss_is_agreed_to(cloud):
    pod = ordered(cloud, mounts={})
    words = ("configure", pod.id, "--program", "/opt/firstlight", "--in-image", "--apply")

    refused = run(cloud, *words)
    done = run(cloud, *words, "--even-if-container-disk-is-lost")

    assert refused.returncode == errors.ExitCode.USAGE
    assert "--even-if-container-disk-is-lost" in refused.stderr
    assert done.returncode == 0, done.stderr
    assert "/opt/firstlight" in pod.args


def test_variables_of_a_file_arrive_byte_for_byte_and_are_never_shown(cloud, tmp_path):
    pod = ordered(cloud)
    file = tmp_path / "env"
    file.write_text(f"# a comment\n\nKEY={SECRET} \"quoted\" $(id) 'x' = # \\n\nOTHER=\n")

    result = run(cloud, "configure", pod.id, "--env-file", str(file), "--apply")

    assert result.returncode == 0, result.stderr
    assert pod.env["KEY"] == f"{SECRET} \"quoted\" $(id) 'x' = # \\n"
    assert pod.env["OTHER"] == ""
    assert SECRET not in result.stdout


def test_json_holds_the_difference_without_values(cloud):
    pod = ordered(cloud)

    result = run(
        cloud, "configure", pod.id, "--env", f"MODE={SECRET}", "--unset", "HF_TOKEN", "--format", "json", "--", "app", "--token", SECRET
    )

    assert SECRET not in result.stdout
    (plan,) = json.loads(result.stdout)["plans"]
    assert plan["env"] == {"added": ["FIRSTLIGHT_PREVIOUS", "FIRSTLIGHT_TOKEN"], "changed": ["MODE"], "removed": ["HF_TOKEN"]}
    assert plan["command"]["before"] == {"entrypoint": [], "cmd": list(WORDS)}
    assert plan["command"]["after"]["cmd"][-4:] == ["--", "app", "--token", "***"]
    assert (plan["differs"], plan["applied"], plan["cuda"]) == (True, False, "12.8")


def test_a_running_pod_is_restarted_where_that_is_asked_for(cloud):
    cloud.habits(patch_resets=False)
    pod = ordered(cloud)

    result = run(cloud, "configure", pod.id, "--apply", "--restart-pod")

    assert writes(cloud) == [("updatePod", pod.id), ("podAction", pod.id)]
    assert result.stdout.endswith(f"pod {pod.id} (comfy) restarts\n")


def test_a_stopped_pod_is_changed_and_stays_stopped(cloud):
    pod = ordered(cloud)
    cloud.world.act(pod.id, "stop")
    cloud.world.hurry(pod, EXITED)

    result = run(cloud, "configure", pod.id, "--apply", "--restart-pod")

    assert "takes effect when it is started" in result.stdout
    assert writes(cloud) == [("updatePod", pod.id)]
    assert pod.status == EXITED


@pytest.mark.parametrize(("field", "value"), [("args", "somebody's"), ("ports", ("1/tcp",)), ("env", {"A": "b"})])
def test_a_change_by_somebody_else_before_ours_is_not_written_over(cloud, field, value):
    pod = ordered(cloud)

    async def story():
        async with Client(cloud.access) as client:
            plan = fleet.configure(await client.pod(pod.id), fleet.Wishes(), token="t")
            setattr(pod, field, value)
            with pytest.raises(apply.NotDoneError, match="somebody else has just changed it; nothing was done"):
                await apply.apply(client, plan)

    anyio.run(story)
    assert getattr(pod, field) == value
    assert writes(cloud) == []


def test_a_change_by_somebody_else_after_ours_is_said(cloud):
    pod = ordered(cloud)

    class Meddled(Client):
        async def update_pod(self, pod_id, body):
            told = await super().update_pod(pod_id, body)
            pod.env["HF_TOKEN"] = "theirs"
            return told

    async def story():
        async with Meddled(cloud.access) as client:
            plan = fleet.configure(await client.pod(pod.id), fleet.Wishes(), token="t")
            with pytest.raises(apply.NotDoneError, match="RunPod has something else for HF_TOKEN") as raised:
                await apply.apply(client, plan)
            assert "theirs" not in str(raised.value)

    anyio.run(story)


@pytest.fixture
def in_process():
    """A world on a virtual clock: retries wait for nobody."""
    place = contract.path()
    return lambda: service.application(World(habits=Habits(), clock=anyio.current_time), contract.Contract.read(place) if place else None)


def _client(application: service.Service) -> Client:
    return Client(Access(key=application.world.key, api="http://cloud/v2"), Transport(application))


@pytest.mark.parametrize(("after", "changed"), [(True, True), (False, False)])
def test_where_every_answer_is_lost_what_is_there_decides(in_process, after, changed):
    """A yes that nobody heard is a yes; a pod that has not changed is none."""
    application = in_process()

    async def story():
        pod = application.world.create(
            {"name": "p", "image": IMAGE, "gpu": {"id": "NVIDIA GeForce RTX 4090", "count": 1}, "mounts": MOUNTS, "args": ARGS}
        )
        application.world.troubles.append(Trouble(on="updatePod", status=500, after=after, times=1000))
        async with _client(application) as client:
            plan = fleet.configure(await client.pod(pod.id), fleet.Wishes(), token="t")
            if changed:
                await apply.apply(client, plan)
            else:
                with pytest.raises(errors.Error, match="cannot change pod"):
                    await apply.apply(client, plan)
        assert ("FIRSTLIGHT_TOKEN" in pod.env) is changed

    virtual.run(story)


TEXT = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=40)
NAMES = st.text(string.ascii_letters + "_", min_size=1, max_size=8).filter(lambda name: not name.upper().startswith("FIRSTLIGHT"))
ENV = st.dictionaries(NAMES, TEXT, max_size=6)


@given(
    env=ENV,
    args=st.one_of(TEXT, st.lists(TEXT, min_size=1).map(lambda words: shapes.Command(cmd=tuple(words)).args)),
    wished=ENV,
    command=st.lists(TEXT, min_size=1, max_size=4).filter(lambda words: bool(words[0]) and not start.names_image_start(words)),
    of_template=st.booleans(),
)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_variable_and_any_command_go_there_and_come_back_byte_for_byte(in_process, env, args, wished, command, of_template):
    application = in_process()

    async def story():
        world = application.world
        body = {"name": "p", "image": IMAGE, "mounts": MOUNTS, "args": args, "env": env, "ports": ["8188/http"]}
        async with _client(application) as client:

            async def read():
                return (await client.templates())[0] if of_template else (await client.pods())[0]

            if of_template:
                from cloud import catalogue

                catalogue.add_template(world, body)
            else:
                world.create({**body, "gpu": {"id": "NVIDIA GeForce RTX 4090", "count": 1}})
            before = await read()
            plan = fleet.configure(before, fleet.Wishes(command=tuple(command), env=wished), token="t")
            assert not plan.refusals
            await apply.apply(client, plan)
            now = await read()
            assert now.command.cmd[-len(command) - 1 :] == ("--", *command)
            assert {name: value for name, value in now.env.items() if not name.startswith("FIRSTLIGHT_")} == env | wished

            await apply.apply(client, fleet.restore(now, lose_disk=False))
            back = await read()
            assert (back.args, dict(back.env), back.ports) == (args, env, ("8188/http",))

    virtual.run(story)
    assert application.complaints == []
    assert application.violations == []
