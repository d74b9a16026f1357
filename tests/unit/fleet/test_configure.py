"""From a pod and wishes to a plan, and back: what is decided, on data alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import assume, given, settings, strategies as st

from firstlight.cli import main, run as run_verb
from firstlight.fleet import configure as fleet, plan as plans, previous, start
from firstlight.fleet.plan import Plan
from firstlight.providers.runpod import shapes
from firstlight.report.pods import plan as report

TOKEN = "t" * 43
APP = ("python3", "/workspace/ComfyUI/main.py", "--listen")
POD: dict[str, Any] = {
    "id": "abc123",
    "name": "comfy",
    "image": "runpod/pytorch:1.0.2-cu1281-torch280-ubuntu2404",
    "args": "python3 /workspace/ComfyUI/main.py --listen",
    "env": {"HF_TOKEN": "hunter2"},
    "ports": ["8188/http"],
    "disk": 20,
    "mounts": {"network": [{"volumeId": "vol", "path": "/workspace"}]},
    "status": "RUNNING",
    "actions": ["stop", "restart", "terminate"],
    "gpu": {"id": "NVIDIA L40S", "count": 1},
    "cudaVersion": "12.8",
}
TEMPLATE: dict[str, Any] = {**POD, "id": "tpl1", "mounts": {"persistent": {"size": 20, "path": "/workspace"}}}


def pod(**other: Any) -> shapes.Pod:
    return shapes.pod({**POD, **other})


def template(**other: Any) -> shapes.Template:
    return shapes.template({**TEMPLATE, **other})


def wishes(**other: Any) -> fleet.Wishes:
    return fleet.Wishes(**other)


def configure(container: shapes.Container, wished: fleet.Wishes, token: str = TOKEN) -> Plan:
    return fleet.configure(container, wished, token=token)


def done(plan: Plan) -> shapes.Container:
    """The container once the service has done as the plan says."""
    assert not plan.refusals
    told = {**plan.before.raw, **json.loads(json.dumps(plan.body))}
    return shapes.template(told) if isinstance(plan.before, shapes.Template) else shapes.pod(told)


def configured(**other: Any) -> shapes.Container:
    return done(configure(pod(), wishes(**other)))


def test_a_configured_pod_starts_firstlight_with_its_former_command_as_the_app() -> None:
    after = configured()

    assert after.command.entrypoint == ("/bin/sh", "-c", start.GUARD, "/workspace/firstlight/firstlight.pyz")
    assert after.command.cmd == (
        "run",
        "--on-failure",
        "hold",
        "--with",
        "/start.sh",
        "--serve",
        "0.0.0.0:8421",
        "--publish-env",
        "--",
        *APP,
    )
    assert after.ports == ("8188/http", "8421/http", "22/tcp")
    assert after.env.keys() == {"HF_TOKEN", "FIRSTLIGHT_TOKEN", "FIRSTLIGHT_PREVIOUS"}
    assert (after.env["HF_TOKEN"], after.env["FIRSTLIGHT_TOKEN"]) == ("hunter2", TOKEN)


def test_sessions_get_the_apps_environment_unless_that_is_not_wanted() -> None:
    assert "--publish-env" in configured().command.cmd
    private = configured(unpublished=True)
    assert "--publish-env" not in private.command.cmd
    again = done(configure(private, wishes(options={"watch": ("10s",)})))
    assert "--publish-env" not in again.command.cmd


def test_only_what_changes_is_sent() -> None:
    plan = configure(configured(), wishes(options={"watch": ("10s",)}))

    assert plan.body.keys() == {"args", "env"}  # env: what is remembered has a digest of the command


def test_an_option_is_updated_in_place_and_the_others_stay() -> None:
    after = done(configure(configured(options={"app": ("comfyui",), "grace": ("5s",)}), wishes(options={"grace": ("6s",)})))

    found = start.recognise(after.command)
    assert found is not None
    assert found.options["app"] == ("comfyui",)
    assert found.options["grace"] == ("6s",)
    assert found.command == APP


def test_what_was_left_out_once_stays_out() -> None:
    after = done(configure(configured(without=True), wishes()))

    assert "--with" not in after.command.cmd


@pytest.mark.parametrize(
    "args",
    [
        "python3 -IS /workspace/firstlight.pyz run --with /start.sh --app comfyui -- python3 main.py",
        '{"entrypoint":["python3","-IS","/workspace/firstlight.pyz","run","--app=comfyui","--with","/start.sh","--"],"cmd":["python3","main.py"]}',
        '{"entrypoint":["firstlight"],"cmd":["run","--app","comfyui","--with","/start.sh","--","python3","main.py"]}',
    ],
)
def test_a_start_command_of_firstlight_that_was_written_by_hand_is_taken_over(args: str) -> None:
    after = done(configure(pod(args=args), wishes()))

    assert after.command.entrypoint[3] == "/workspace/firstlight/firstlight.pyz"
    found = start.recognise(after.command)
    assert found is not None
    assert found.command == ("python3", "main.py")
    assert found.options == {"app": ("comfyui",), "serve": ("0.0.0.0:8421",)} | start.DEFAULTS


PERSISTENT = {"persistent": {"size": 20, "path": "/data"}}
MANY = {f"V{number}": "" for number in range(49)}

# What a pod is, what is wished, and what the refusal says.
REFUSED: list[tuple[str, Mapping[str, Any], Mapping[str, Any]]] = [
    ("locked", {"locked": True}, {}),
    ("cluster", {"cluster": {"id": "c", "rank": 0}}, {}),
    ("terminated", {"status": "TERMINATED"}, {}),
    ("--even-if-container-disk-is-lost", {"mounts": {}}, {"program": "/opt/fl", "in_image": True}),
    ("it has no volume", {"mounts": {}}, {"lose_disk": True}),
    ("its volume is at /data", {"mounts": PERSISTENT}, {}),
    ("its volume is at /work", {"mounts": {"network": [{"volumeId": "v", "path": "/work"}]}}, {}),
    ("51 variables", {"env": MANY}, {}),
    ("51 variables", {"env": MANY | {"W": ""}}, {"unset": ("V0",)}),
    ("11 http ports", {"ports": [f"{port}/http" for port in range(9000, 9010)]}, {}),
    ("102400", {"env": {"LARGE": "x" * 102_000}}, {}),
    ("of 32768", {"env": {"LARGE": "x" * 33_000}}, {"unset": ("LARGE",)}),
    ("'1A' cannot be the name", {}, {"env": {"1A": ""}}),
    ("'' cannot be the name", {}, {"env": {"": "x"}}),
    ("'A-B' cannot be the name", {}, {"unset": ("A-B",)}),
    ("the value of A holds", {}, {"env": {"A": "\0"}}),
    ("the value of A holds", {}, {"env": {"A": "\udc80"}}),
    ("the command holds", {}, {"command": ("a\udc80",)}),
    ("the command holds", {}, {"command": ("a\0",)}),
    ("FIRSTLIGHT_PREVIOUS is firstlight's own", {}, {"env": {"FIRSTLIGHT_PREVIOUS": "x"}}),
    ("FIRSTLIGHT_LEASE is firstlight's own", {}, {"unset": ("FIRSTLIGHT_LEASE",)}),
    ("both to be set", {}, {"env": {"A": ""}, "unset": ("A",)}),
    ("'8188' is no port", {}, {"ports": ("8188",)}),
    ("'8188/udp' is no port", {}, {"ports": ("8188/udp",)}),
    ("'70000/tcp' is no port", {}, {"ports": ("70000/tcp",)}),
    ("'\uff18\uff11/http' is no port", {}, {"ports": ("\uff18\uff11/http",)}),
    ("no absolute path", {}, {"program": "firstlight.pyz"}),
    ("goes through", {}, {"program": "/workspace/../opt/firstlight.pyz"}),
    ("it is empty", {}, {"command": ("",)}),
    ("give the app's command after --", {"args": ""}, {}),
    ("give the app's command after --", {"args": "/start.sh"}, {}),
    ("give the app's command after --", {"args": "bash -c /start.sh"}, {}),
    ("give the whole command after --", {"args": '{"entrypoint":["python3"]}'}, {}),
    ("add --no-with", {"args": "bash -c '/start.sh & exec python3 main.py'"}, {}),
    ("runs firstlight itself", {"args": "bash -c 'exec firstlight run -- python3 main.py'"}, {}),
    ("runs firstlight itself", {}, {"command": ("sh", "/workspace/firstlight/firstlight", "run", "--", "x")}),
    ("contradict", {}, {"without": True, "options": {"with": ("x",)}}),
    ("contradict", {}, {"unpublished": True, "options": {"publish-env": ("true",)}}),
    ("this version does not know: --new", {"args": "firstlight run --new x -- app"}, {}),
    ("names no command", {"args": "firstlight run --app comfyui"}, {}),
    ("cannot take --grace", {}, {"options": {"grace": ("soon",)}}),
    ("cannot take --ready", {}, {"options": {"ready": ("http:nowhere",)}}),
    ("it is for --app comfyui", {}, {"options": {"accept": ("accept.json",)}}),
    ("unrecognized arguments: --sedes", {}, {"options": {"app": ("comfyui",), "accept": ("accept.json --sedes 3",)}}),
    ("it is for an app with nodes", {}, {"options": {"app": ("vllm",), "node": ("VibeVoiceTTS",)}}),
    ("FIRSTLIGHT_ATEMPTS: there is no such setting", {}, {"env": {"FIRSTLIGHT_ATEMPTS": "3"}}),
    ("cannot take FIRSTLIGHT_GRACE", {"env": {"FIRSTLIGHT_GRACE": "soon"}}, {}),
    ("firstlight has not written", {"env": {"FIRSTLIGHT_PREVIOUS": "{}"}}, {}),
    ("firstlight has not written", {"env": {"FIRSTLIGHT_PREVIOUS": "no JSON"}}, {}),
    ("of version 2", {"env": {"FIRSTLIGHT_PREVIOUS": '{"version":2}'}}, {}),
]


@pytest.mark.parametrize(("words", "told", "wished"), REFUSED, ids=[words for words, _, _ in REFUSED])
def test_it_is_refused(words: str, told: Mapping[str, Any], wished: Mapping[str, Any]) -> None:
    plan = configure(pod(**told), wishes(**wished))

    assert any(words in refusal for refusal in plan.refusals), plan.refusals
    assert len(plan.refusals) == 1


@pytest.mark.parametrize(
    ("told", "wished"),
    [
        ({"mounts": {}, "status": "EXITED"}, {"program": "/opt/firstlight", "in_image": True}),
        ({"mounts": {}}, {"program": "/opt/firstlight", "in_image": True, "lose_disk": True}),
        ({"mounts": PERSISTENT}, {"program": "/data/firstlight.pyz"}),
        ({"args": "/start.sh"}, {"command": APP}),
        ({"args": "/start.sh"}, {"command": ("/start.sh",), "without": True}),
        ({"args": "python3 /workspace/start.sh"}, {}),
        ({"env": {"FIRSTLIGHT_GRACE": "5s"}}, {}),
        ({"env": {"FIRSTLIGHT_ON_FAILURE": "{{ RUNPOD_SECRET_policy }}"}}, {}),
    ],
)
def test_it_is_not_refused(told: Mapping[str, Any], wished: Mapping[str, Any]) -> None:
    assert not configure(pod(**told), wishes(**wished)).refusals


WARNED: list[tuple[str, Mapping[str, Any], Mapping[str, Any]]] = [
    ("what lies outside of /workspace is lost", {}, {}),
    ("external TCP ports change", {}, {}),
    ("takes effect when it is started", {"status": "EXITED"}, {}),
    ("an ENTRYPOINT of the image", {}, {}),
    ("CUDA 12.8 or newer", {}, {}),
    ("its host offers CUDA 12.4", {"cudaVersion": "12.4"}, {}),
    ("it has no GPU", {"gpu": None}, {}),
    ("start_comfyui.sh", {"args": "sh /workspace/start_comfyui.sh"}, {}),
    ("names /root/ComfyUI/main.py, on no volume", {"args": "python3 /root/ComfyUI/main.py --models /workspace/models"}, {}),
    ("names /root/app, /data, on no volume", {"args": "bash -c 'cd /root/app; exec /usr/bin/python3 main.py --to=/data'"}, {}),
    ("--on-failure hold", {}, {"options": {"on-failure": ("exit",)}}),
    ("--expose 8188/http", {"ports": []}, {"options": {"app": ("comfyui",)}}),
]


@pytest.mark.parametrize(("words", "told", "wished"), WARNED, ids=[words for words, _, _ in WARNED])
def test_it_is_said(words: str, told: Mapping[str, Any], wished: Mapping[str, Any]) -> None:
    plan = configure(pod(**told), wishes(**wished))

    assert not plan.refusals
    assert any(words in warning for warning in plan.warnings), plan.warnings


@pytest.mark.parametrize(
    ("words", "told", "wished"),
    [
        ("an ENTRYPOINT", {"args": '{"entrypoint":["python3"],"cmd":["main.py"]}'}, {}),
        ("an ENTRYPOINT", {}, {"command": APP}),
        ("its host offers", {}, {}),
        ("its host offers", {"cudaVersion": None}, {}),
        ("on no volume", {}, {"command": ("curl", "http://127.0.0.1/x", "a/b", "--x=/workspace/y", "$HOME/z", "../q", "/bin/sh")}),
        ("on no volume", {"args": "python3 /root/main.py", "status": "EXITED"}, {}),
        ("no GPU", {"gpu": None}, {"options": {"gpus": ("none",)}}),
        ("--expose", {}, {"options": {"app": ("comfyui",)}}),
    ],
)
def test_it_is_not_said(words: str, told: Mapping[str, Any], wished: Mapping[str, Any]) -> None:
    plan = configure(pod(**told), wishes(**wished))

    assert not plan.refusals
    assert not any(words in warning for warning in plan.warnings), plan.warnings


def test_a_template_without_a_volume_says_what_its_pods_need() -> None:
    plan = configure(template(mounts={}), wishes())

    assert not plan.refusals
    assert any("give each pod" in warning for warning in plan.warnings)


def test_a_serverless_template_is_refused() -> None:
    assert configure(template(serverless=True), wishes()).refusals


def test_a_public_template_gets_no_token() -> None:
    assert "FIRSTLIGHT_TOKEN" in configure(template(), wishes()).env
    assert "FIRSTLIGHT_TOKEN" not in configure(template(public=True), wishes()).env


def test_a_reference_to_a_secret_is_not_offered_to_runpod_a_second_time() -> None:
    secret = "{{ RUNPOD_SECRET_key }}"
    plan = configure(pod(env={"KEY": secret}), wishes(env={"KEY": "x", "OTHER": secret}))

    assert plan.env["OTHER"] == secret
    assert "{{" not in plan.env["FIRSTLIGHT_PREVIOUS"]
    assert fleet.restore(done(plan), lose_disk=False).env == {"KEY": secret}


# What is shown


def test_no_value_of_a_variable_and_no_secret_of_a_command_is_shown() -> None:
    args = "python3 main.py --api-key hunter2 --password=hunter2 http://me:hunter2@example.org HF_TOKEN=hunter2"
    plan = configure(pod(args=args), wishes(env={"HF_TOKEN": "hunter3", "NEW": "hunter2"}, unset=()))

    shown = report.render(plan) + json.dumps(report.plain(plan, applied=False))

    for secret in ("hunter", TOKEN):
        assert secret not in shown
    assert "~ HF_TOKEN (changed)" in shown
    assert "+ NEW" in shown
    assert "--api-key" in shown


def test_words_of_a_command_are_told_apart() -> None:
    shown = report.render(configure(pod(), wishes(command=("bash", "-c", "cd /workspace && exec python3 main.py"))))

    assert "+ cmd: 'cd /workspace && exec python3 main.py'\n" in shown


def test_nothing_that_a_terminal_obeys_is_shown() -> None:
    shown = report.render(configure(pod(name="\x1b[2J"), wishes(command=("a\x1b[2J",))))

    assert "\x1b" not in shown


# What holds for all


TEXT = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=30)
# Few enough that one is met again.
NAMES = st.sampled_from(["A", "B", "_c", "PATH", "x_1"])
ENV = st.dictionaries(NAMES, TEXT, max_size=6)
WORDS = st.lists(TEXT, min_size=1, max_size=5).map(tuple).filter(lambda words: not start.names_image_start(words) and bool(words[0]))
ARGS = st.one_of(
    TEXT,
    WORDS.map(" ".join),
    st.builds(lambda entrypoint, cmd: shapes.Command(entrypoint, cmd).args, st.one_of(st.just(()), WORDS), WORDS),
)
PORTS = st.lists(st.sampled_from(["22/tcp", "8188/http", "8421/http", "8888/http", "9000/tcp"]), max_size=5)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "grace": st.just(("5s",)),
        "app": st.just(("comfyui",)),
        "quiet": st.just(("true",)),
        "with": st.lists(st.sampled_from(["/start.sh", "sleep 'a  b'", "--odd"]), min_size=1, max_size=3).map(tuple),
        "log-dir": TEXT.map(lambda text: (text,)),
    },
)


def some_pod(env: dict[str, str], args: str, ports: list[str]) -> shapes.Pod:
    return pod(env=env, args=args, ports=ports)


@given(env=ENV, args=ARGS, ports=PORTS, command=WORDS, options=OPTIONS, wished=ENV)
def test_what_is_wished_arrives_byte_for_byte(
    env: dict[str, str], args: str, ports: list[str], command: tuple[str, ...], options: dict[str, tuple[str, ...]], wished: dict[str, str]
) -> None:
    after = done(configure(some_pod(env, args, ports), wishes(command=command, options=options, env=wished)))

    assert after.command.cmd[-len(command) - 1 :] == ("--", *command)
    assert {name: value for name, value in after.env.items() if not name.startswith("FIRSTLIGHT_")} == env | wished
    found = start.recognise(after.command)
    assert found is not None
    assert found.command == command
    assert options.items() <= found.options.items()


@given(
    env=ENV, args=ARGS, ports=PORTS, rounds=st.lists(st.tuples(WORDS, OPTIONS, ENV, st.lists(NAMES, max_size=3)), min_size=1, max_size=3)
)
def test_a_restoration_gives_back_what_was_there_before_the_first_of_several(
    env: dict[str, str],
    args: str,
    ports: list[str],
    rounds: list[tuple[tuple[str, ...], dict[str, tuple[str, ...]], dict[str, str], list[str]]],
) -> None:
    before = some_pod(env, args, ports)
    after: shapes.Container = before
    for command, options, wished, unset in rounds:
        names = tuple(name for name in unset if name not in wished)
        after = done(configure(after, wishes(command=command, options=options, env=wished, unset=names)))

    back = fleet.restore(after, lose_disk=False)

    assert not back.refusals
    assert (back.args, dict(back.env), back.ports) == (args, env, tuple(ports))


@given(env=ENV, args=ARGS, ports=PORTS, command=WORDS, options=OPTIONS, wished=ENV)
def test_a_second_time_changes_nothing(
    env: dict[str, str], args: str, ports: list[str], command: tuple[str, ...], options: dict[str, tuple[str, ...]], wished: dict[str, str]
) -> None:
    asked = {"command": command, "options": options, "env": wished}
    after = done(configure(some_pod(env, args, ports), wishes(**asked)))

    assert not configure(after, wishes(**asked), "another").body
    assert not configure(after, wishes(), "another").body


@given(env=ENV, args=ARGS, changed=ENV, gone=st.lists(NAMES, max_size=3))
@settings(max_examples=50)
def test_what_somebody_has_changed_since_is_kept_and_said(env: dict[str, str], args: str, changed: dict[str, str], gone: list[str]) -> None:
    assume(changed)
    wished = dict.fromkeys([*changed, *gone], "ours")
    assume("ours" not in changed.values())
    after = done(configure(some_pod(env, args, []), wishes(command=APP, env=wished)))
    theirs = {name: value for name, value in (dict(after.env) | changed).items() if name not in gone or name in changed}
    touched = shapes.pod({**after.raw, "env": theirs, "args": "somebody's command"})

    back = fleet.restore(touched, lose_disk=False)

    assert back.args == "somebody's command"
    for name, value in changed.items():
        if env.get(name) != "ours":
            assert back.env[name] == value
            assert any(name in words for words in back.warnings)
    for name in set(gone) - changed.keys():
        if env.get(name) != "ours":
            assert name not in back.env


def test_what_somebody_has_changed_is_what_the_next_configuration_remembers() -> None:
    first = configured(env={"A": "1"})
    touched = shapes.pod({**first.raw, "args": "python3 theirs.py", "env": {**first.env, "A": "theirs"}})

    second = done(configure(touched, wishes(env={"A": "2"})))

    back = fleet.restore(second, lose_disk=False)
    assert back.args == "python3 theirs.py"
    assert back.env["A"] == "theirs"


def test_of_several_configurations_the_first_former_value_comes_back() -> None:
    first = done(configure(pod(env={"A": "1"}), wishes(env={"A": "2"})))
    second = done(configure(first, wishes(env={"A": "3"})))

    assert fleet.restore(second, lose_disk=False).env == {"A": "1"}


def test_a_variable_that_is_as_it_was_is_remembered_no_more() -> None:
    first = done(configure(pod(env={"A": "1"}), wishes(env={"A": "2"})))
    second = done(configure(first, wishes(env={"A": "1"})))

    remembered = previous.read(second.env)
    assert remembered is not None
    assert remembered.env.keys() == {"FIRSTLIGHT_TOKEN"}


def test_a_start_command_of_ours_that_somebody_has_edited_is_still_ours() -> None:
    first = configured(options={"grace": ("5s",)})
    edited = shapes.pod({**first.raw, "args": first.args.replace('"5s"', '"6s"')})
    assert edited.args != first.args

    assert fleet.restore(edited, lose_disk=False).args == POD["args"]
    assert fleet.restore(done(configure(edited, wishes(command=("another",)))), lose_disk=False).args == POD["args"]


def test_the_same_command_in_another_form_is_no_difference() -> None:
    first = configured()
    stored = shapes.pod({**first.raw, "args": json.dumps(json.loads(first.args), indent=1)})

    assert configure(stored, wishes()).body == {}


@given(options=OPTIONS)
def test_the_options_are_those_that_run_takes_from_the_command_line(options: dict[str, tuple[str, ...]]) -> None:
    after = configured(options=options)
    words = after.command.cmd[1 : after.command.cmd.index("--")]

    taken = main.build("run", run_verb).parse_args(list(words))

    assert taken.serve == "0.0.0.0:8421"
    for name, values in options.items():
        told = getattr(taken, "with_" if name == "with" else name.replace("-", "_"))
        assert (tuple(told) if isinstance(told, list) else (told,)) == values


def test_a_pod_that_was_never_configured_cannot_be_restored() -> None:
    assert "carries no FIRSTLIGHT_PREVIOUS" in fleet.restore(pod(), lose_disk=False).refusals[0]


def test_a_restoration_is_refused_as_a_configuration_is() -> None:
    after = shapes.pod({**configured().raw, "locked": True})

    assert "locked" in fleet.restore(after, lose_disk=False).refusals[0]


def test_no_secret_is_in_what_a_debugger_shows() -> None:
    told = configured(env={"NEW": "hunter3"})
    plan = configure(shapes.pod({**told.raw, "args": told.args}), wishes(command=("app", "hunter4"), env={"NEW": "hunter5"}))
    remembered = previous.read(plan.env)

    assert remembered is not None
    shown = repr((plan, wishes(env={"A": "hunter6"}, command=("hunter7",)), remembered, previous.restore(remembered, done(plan))))
    assert "hunter" not in shown
    assert TOKEN not in shown


def test_what_is_remembered_is_read_as_it_was_written() -> None:
    told = previous.Previous(
        args="{{x}}", args_digest="a", ports=("1/tcp",), env={"A": previous.Touched(None, "b"), "B": previous.Touched("{{", "")}
    )

    assert previous.read({previous.NAME: previous.write(told)}) == told


def test_a_plan_says_what_is_not_as_it_should_be_without_values() -> None:
    plan = configure(pod(), wishes())

    assert plan.differs(done(plan)) == []
    assert plan.differs(pod(env={**plan.env, "HF_TOKEN": "x"})) == ["start command", "ports", "HF_TOKEN"]


def test_the_limits_are_those_that_runpod_names() -> None:
    assert (plans.MOST_VARIABLES, plans.MOST_HTTP_PORTS, plans.LONGEST_REQUEST) == (50, 10, 102_400)
