"""The two ways in which firstlight is built: the wheel, and the one file. The rest of the suite runs the sources themselves."""

from __future__ import annotations

import http.server
import importlib.util
import json
import marshal
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent


def tool(name: str) -> ModuleType:
    """A module of tools/."""
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.pop(0)


INTERPRETERS = tool("interpreters").at_hand()


@pytest.fixture(scope="module")
def onefile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The one file, in a folder whose name has a space, readable by all and writable by nobody."""
    folder = tmp_path_factory.mktemp("a volume")
    target = folder / "firstlight.pyz"
    tool("build_onefile").build(target)
    target.chmod(0o555)
    return target


def run(*command: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, **options)


@pytest.mark.parametrize("tag", INTERPRETERS)
def test_the_one_file_runs_on_every_interpreter_at_hand(onefile: Path, tag: str) -> None:
    from firstlight import __version__

    result = run(INTERPRETERS[tag], "-I", "-S", onefile, "--version")

    assert (result.returncode, result.stdout.split(), result.stderr) == (0, ["firstlight", __version__], "")


@pytest.mark.parametrize("tag", INTERPRETERS)
def test_the_one_file_uses_byte_code_of_the_interpreter_that_runs_it(onefile: Path, tag: str) -> None:
    result = run(INTERPRETERS[tag], "-I", "-S", "-v", onefile, "--version")

    # Python says of each module where it took it from.
    places = dict(re.findall(r"^import '(firstlight[.\w]*)' # <(.*)>$", result.stderr, re.MULTILINE))
    assert "firstlight.cli.main" in places
    assert set(places.values()) == {f"byte code for {tag}"}
    # In the folder for children there is no source to compile instead, except of what a stranger's interpreter runs.
    names = [name for name in zipfile.ZipFile(onefile).namelist() if name.startswith(tag) and name.endswith(".py")]
    assert all(f"{name}c" in zipfile.ZipFile(onefile).namelist() for name in names)


@pytest.mark.parametrize("tag", INTERPRETERS)
def test_children_of_the_one_file_use_byte_code(onefile: Path, tag: str) -> None:
    script = f"import sys; sys.path[:0] = [{str(onefile / tag)!r}, {str(onefile)!r}]; import firstlight.programs.prove_gpu, pynvml"

    result = run(INTERPRETERS[tag], "-I", "-S", "-v", "-c", script)

    places = dict(re.findall(r"^import '(firstlight[.\w]*|pynvml)' # <zipimporter object \"(.*)\">$", result.stderr, re.MULTILINE))
    assert set(places) == {"firstlight", "firstlight.programs", "firstlight.programs.prove_gpu", "pynvml"}
    assert all(f"/{tag}/" in place for place in places.values()), places


def test_the_one_file_is_opened_a_few_times_however_many_modules_it_has(onefile: Path, tmp_path: Path) -> None:
    """Each open is a round trip on a network volume."""
    if not shutil.which("strace"):
        pytest.skip("strace is needed to see what is opened")
    trace = tmp_path / "trace"
    start = ("run", "--gpus", "none", "--state-dir", tmp_path, "--", "true")

    result = run("strace", "-o", trace, "-e", "trace=open,openat", sys.executable, "-I", "-S", onefile, *start)

    if not trace.exists() or "exited with 0" not in trace.read_text():
        pytest.skip(f"strace cannot work here: {result.stderr}")
    assert 1 <= len(re.findall(r"open.*firstlight\.pyz", trace.read_text())) <= 6


# Runs the one file until it starts its first child, and says what it has imported by then.
UNTIL_THE_FIRST_CHILD = """
import os, runpy, sys

def see(event, arguments):
    if event == "os.posix_spawn":
        os.write(1, " ".join(name for name in sys.modules if name.split(".")[0] == "firstlight").encode())
        os._exit(0)

sys.addaudithook(see)
runpy.run_path(sys.argv.pop(1), run_name="__main__")
"""


def test_what_comes_before_the_first_child_lies_in_the_piece_for_that(onefile: Path, tmp_path: Path) -> None:
    """Every other piece costs milliseconds to read, and CUDA has not begun to come up."""
    result = run(sys.executable, "-I", "-S", "-c", UNTIL_THE_FIRST_CHILD, onefile, "run", "--state-dir", tmp_path, "--", "true")

    with zipfile.ZipFile(onefile) as archive:
        _, pieces = marshal.loads(archive.read(f"{sys.implementation.cache_tag}/start"))
    assert "firstlight.probe.children" in result.stdout.split(), result.stderr
    assert set(result.stdout.split()) - pieces.keys() == set()


def test_an_app_is_supervised_without_the_byte_code_that_few_starts_need(onefile: Path, tmp_path: Path) -> None:
    """PID 1 would keep all of it in memory."""
    result = run(
        sys.executable, "-I", "-S", "-v", onefile, "run", "--gpus", "none", "--serve", "off", "--state-dir", tmp_path, "--", "true"
    )

    with zipfile.ZipFile(onefile) as archive:
        _, pieces = marshal.loads(archive.read(f"{sys.implementation.cache_tag}/on-demand"))
    imported = set(re.findall(r"^import '(firstlight[.\w]*)' # <byte code", result.stderr, re.MULTILINE))
    assert "firstlight.supervise.app" in imported
    assert imported & pieces.keys() == set()


def test_byte_code_of_a_preview_with_the_same_name_is_left_alone(onefile: Path, tmp_path: Path) -> None:
    """As if this interpreter had another magic number than the one that the byte code was made by."""
    target = tmp_path / "firstlight.pyz"
    with zipfile.ZipFile(onefile) as archive, zipfile.ZipFile(target, "w") as other:
        for name in archive.namelist():
            data = archive.read(name)
            if name == f"{sys.implementation.cache_tag}/start":
                magic, pieces = marshal.loads(data)
                data = marshal.dumps((bytes(len(magic)), pieces), 2)
            other.writestr(name, data)

    result = run(sys.executable, "-I", "-S", "-v", target, "--version")

    assert result.returncode == 0
    assert re.search(r"^import 'firstlight.cli.main' # <zipimporter", result.stderr, re.MULTILINE)


def test_the_one_file_runs_from_its_sources_on_an_interpreter_without_byte_code(tmp_path: Path) -> None:
    target = tmp_path / "firstlight.pyz"
    tool("build_onefile").build(target, tags={})

    result = run(sys.executable, "-I", "-S", target, "--version")

    assert (result.returncode, result.stderr) == (0, "")


def test_the_one_file_runs_by_a_relative_path_and_by_its_first_line(onefile: Path) -> None:
    relative = run(sys.executable, "-I", onefile.name, "--version", cwd=onefile.parent)
    by_itself = run(onefile, "--version")

    assert (relative.returncode, by_itself.returncode) == (0, 0), relative.stderr + by_itself.stderr
    assert relative.stdout == by_itself.stdout


def test_the_one_file_starts_its_children_out_of_itself(onefile: Path) -> None:
    result = run(sys.executable, "-I", "-S", onefile, "facts", "--format", "json", cwd="/")

    facts = json.loads(result.stdout)
    # The NVML child ran and found the bundled pynvml; what NVML said depends on the machine.
    assert "nvml" in facts
    assert "pynvml" not in json.dumps(facts["nvml"]), facts["nvml"]


PROGRAMS = sorted(path.stem for path in (ROOT / "src/firstlight/programs").glob("[!_]*.py"))


@pytest.mark.parametrize("tag", tool("interpreters").at_hand((3, 8)))
def test_a_stranger_of_any_version_can_run_the_programs_out_of_the_one_file(onefile: Path, tag: str) -> None:
    """The app's interpreter gets the folder of our own interpreter's byte code, which may not be for it."""
    interpreter = tool("interpreters").at_hand((3, 8))[tag]
    for room in (onefile / sys.implementation.cache_tag, onefile):
        script = "; ".join([f"import sys; sys.path.insert(0, {str(room)!r})", *(f"import firstlight.programs.{name}" for name in PROGRAMS)])

        result = run(interpreter, "-c", script)

        assert (result.returncode, result.stderr) == (0, ""), room


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_the_one_file_runs_for_a_user_who_may_write_nowhere(onefile: Path) -> None:
    for folder in (onefile.parent, *onefile.parent.parents):
        if folder.stat().st_mode & 0o005 != 0o005 and folder != Path("/tmp"):
            folder.chmod(folder.stat().st_mode | 0o005)

    result = run("/usr/bin/env", "-i", onefile.parent / "firstlight.pyz", "--version", user=65534, group=65534, extra_groups=[], cwd="/")

    assert (result.returncode, result.stderr) == (0, "")


def test_the_one_file_rehearses_out_of_itself(onefile: Path, tmp_path: Path) -> None:
    result = run(sys.executable, "-I", "-S", onefile, "rehearse", "healthy", "--state-dir", tmp_path, "--", "true")

    assert result.returncode == 0, result.stderr


def test_a_rehearsed_start_is_of_the_same_interpreter_without_what_a_site_adds(onefile: Path, tmp_path: Path) -> None:
    app = ("sh", "-c", "tr '\\0' '\\n' </proc/$PPID/cmdline")

    result = run(sys.executable, "-I", "-S", onefile, "rehearse", "healthy", "--serve", "off", "--state-dir", tmp_path, "--", *app)

    assert result.stdout.splitlines()[:4] == [sys.executable, "-I", "-S", str(onefile)], result.stderr


def test_the_one_file_is_the_same_bytes_when_built_again(onefile: Path, tmp_path: Path) -> None:
    again = tmp_path / "firstlight.pyz"
    tool("build_onefile").build(again)

    assert again.read_bytes() == onefile.read_bytes()


def test_the_one_file_carries_sources_licences_and_data(onefile: Path) -> None:
    names = set(zipfile.ZipFile(onefile).namelist())

    package = ROOT / "src/firstlight"
    expected = {
        f"firstlight/{path.relative_to(package)}" for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    }
    assert expected <= names
    assert {"pynvml.py", "tomli/__init__.py", "LICENSE", "LICENSE.tomli", "LICENSE.starlette", "LICENSE.typing-extensions"} <= names
    # The app's own interpreter may be older: what it runs is there as source beside the byte code.
    for tag in INTERPRETERS:
        assert {f"{tag}/{name}" for name in expected if name.startswith("firstlight/programs/")} <= names


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


def build_wheel(folder: Path) -> Path:
    result = run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    return next(folder.glob("*.whl"))


def test_the_wheel_is_the_same_bytes_when_built_again(wheel: Path, tmp_path: Path) -> None:
    again = build_wheel(tmp_path)

    assert (again.name, again.read_bytes()) == (wheel.name, wheel.read_bytes())


def test_the_wheel_carries_the_package_whole_and_nothing_else(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}

    package = ROOT / "src/firstlight"
    assert names == {
        f"firstlight/{path.relative_to(package)}" for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_runs_where_nothing_else_is_installed(wheel: Path, tmp_path: Path) -> None:
    shutil.unpack_archive(wheel, tmp_path / "site", "zip")
    script = f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r}); from firstlight.__main__ import main; sys.argv[0] = 'firstlight'; sys.exit(main())"

    version = run(sys.executable, "-I", "-S", "-c", script, "--version")
    facts = run(sys.executable, "-I", "-S", "-c", script, "facts", "--format", "json")

    assert (version.returncode, version.stderr) == (0, "")
    # nvidia-ml-py is missing here: a fact, not a crash.
    assert json.loads(facts.stdout)["nvml"]["cause"] == "absent"


def test_the_one_file_carries_what_the_wheel_declares() -> None:
    declared = re.search(r"^dependencies = \[(.*?)\]", (ROOT / "pyproject.toml").read_text(), re.MULTILINE | re.DOTALL)
    assert declared
    wheel_needs = {text.partition(";")[0].strip() for text in re.findall(r'"([^"]+)"', declared[1])}
    locked_from = {line for line in (ROOT / "requirements/runtime.in").read_text().splitlines() if line and not line.startswith("#")}

    assert wheel_needs == locked_from
    # And all that those need in turn.
    pins = re.findall(r"^([\w-]+)==(.*)", (ROOT / "requirements/runtime.txt").read_text(), re.MULTILINE)
    locked = {name for name, where in pins if "== 'emscripten'" not in where}  # a browser, where nothing of ours runs
    build_onefile = tool("build_onefile")
    assert locked == {*build_onefile.BUNDLED, *build_onefile.LIBRARIES, *build_onefile.CONTROL}


def agent_of(onefile: Path, tag: str, interpreter: str) -> list[str]:
    """The command line of the agent, as the core in the one file makes it."""
    script = (
        f"import sys; sys.path.insert(0, {str(onefile)!r}); from firstlight.system.process import module; "
        f"sys.path.insert(0, {str(onefile / tag)!r}); print(*module('firstlight.serve.agent'), sep='\\0')"
    )
    return run(interpreter, "-I", "-S", "-c", script).stdout.rstrip("\n").split("\0")


CONFIGURATION = '{"step":"configure","boot":"b","serve":"127.0.0.1:0"}\n'


@pytest.mark.parametrize("tag", INTERPRETERS)
def test_the_agent_serves_out_of_the_one_file_on_every_interpreter_at_hand(onefile: Path, tag: str, tmp_path: Path) -> None:
    argv = agent_of(onefile, tag, INTERPRETERS[tag])
    told_in = tmp_path / "told"
    with told_in.open("w") as file:  # it tells more than a pipe holds
        process = subprocess.Popen([*argv[:1], "-v", *argv[1:]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file, text=True)
    with process:
        process.stdin.write(CONFIGURATION)
        process.stdin.flush()
        said = json.loads(process.stdout.readline())
        with urllib.request.urlopen(f"http://{said['address']}/") as answer:
            page = answer.read().decode()
        process.stdin.close()
    told = told_in.read_text()

    assert process.returncode == 0
    assert "<title>Starting" in page
    # Python says of each module where it took it from: byte code out of the archive in memory, but for what opens that.
    places = dict(re.findall(r"^import '([\w.]+)' # <zipimporter object \"(.*)\">$", told, re.MULTILINE))
    assert {"starlette.applications", "uvicorn", "prometheus_client", "firstlight.serve.answers"} <= set(places)
    elsewhere = {name for name, place in places.items() if not place.startswith("/proc/self/fd/")}
    assert elsewhere == {"firstlight", "firstlight.programs", "firstlight.programs.bring_libraries"}
    assert not re.search(r"^# code object from .*\.py$", told, re.MULTILINE), "something was compiled"


def test_the_agent_serves_out_of_the_one_file_where_there_is_no_byte_code(tmp_path: Path) -> None:
    target = tmp_path / "firstlight.pyz"
    tool("build_onefile").build(target, tags={})
    argv = agent_of(target, "none", sys.executable)

    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    output, error = process.communicate(CONFIGURATION)

    assert (process.returncode, error) == (0, "")
    assert json.loads(output.splitlines()[0])["step"] == "listening"


class Refusing(http.server.BaseHTTPRequestHandler):
    """A service that knows no key."""

    def do_GET(self) -> None:
        self.send_error(401)

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("tag", INTERPRETERS)
def test_the_control_plane_works_out_of_the_one_file_on_every_interpreter_at_hand(onefile: Path, tag: str) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        asked = {"RUNPOD_API_KEY": "a-key", "RUNPOD_API_URL": f"http://127.0.0.1:{server.server_port}"}
        said = subprocess.run(
            [INTERPRETERS[tag], "-ISv", onefile, "pod", "stop", "no-pod"],
            capture_output=True,
            text=True,
            env={**os.environ, **asked},
            check=False,
        )
        server.shutdown()

    assert said.returncode == 77
    assert "firstlight: cannot list pods: RunPod does not know this key" in said.stderr
    assert not re.search(r"^# code object from .*firstlight.pyz.*\.py$", said.stderr, re.MULTILINE), "something was compiled"


@pytest.mark.parametrize("tag", INTERPRETERS)
def test_one_of_its_verbs_is_started_out_of_the_one_file(onefile: Path, tag: str) -> None:
    """As PID 1 does it for `pod relocate` and `accept`: its own path begins with the byte code for children."""
    script = (
        f"import sys; sys.path.insert(0, {str(onefile)!r}); from firstlight.system.process import verb; "
        f"sys.path.insert(0, {str(onefile / tag)!r}); print(*verb('pod', 'list'), sep='\\0')"
    )
    argv = run(INTERPRETERS[tag], "-I", "-S", "-c", script).stdout.rstrip("\n").split("\0")

    said = run(*argv, env={**os.environ, "RUNPOD_API_KEY": "", "RUNPOD_API_KEY_FILE": ""})

    assert said.returncode == 64
    assert said.stderr.startswith("firstlight: cannot ask RunPod")


def test_the_list_of_names_that_a_start_reads_holds_no_library(onefile: Path) -> None:
    """What lies in the archive's own list costs every start; see docs/decisions/0010-libraries-in-an-archive-of-their-own.md."""
    names = zipfile.ZipFile(onefile).namelist()

    assert not [name for name in names if "starlette" in name and not name.startswith("LICENSE")]
    archives = {f"{room}{name}.zip" for room in ("", *(f"{tag}/" for tag in INTERPRETERS)) for name in ("control", "libraries")}
    assert {name for name in names if name.endswith(".zip")} == archives


@pytest.mark.parametrize("tag", INTERPRETERS)
def test_an_acceptance_is_put_out_of_the_one_file_and_heard_by_the_run_that_put_it(onefile: Path, tag: str, tmp_path: Path) -> None:
    from scripted_comfyui import WORKFLOW

    (tmp_path / "ffmpeg").write_text("#!/bin/sh\nexit 1\n")  # its clips are WAV: it is looked for, and never asked
    (tmp_path / "ffmpeg").chmod(0o755)
    (tmp_path / "tts.json").write_text(json.dumps(WORKFLOW))
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    files = [f"--state-dir={tmp_path / 'state'}", f"--run-dir={tmp_path / 'run'}"]
    app = [sys.executable, ROOT / "testing/scripted_comfyui.py", f"--port={port}", "--cpu"]
    ours = ["--gpus=none", "--serve=off", "--restart=never", "--app=comfyui", f"--accept={tmp_path / 'tts.json'}"]
    command = [INTERPRETERS[tag], "-I", "-S", onefile, "run", *files, *ours, "--", *app]
    told = tmp_path / "told"
    with (
        told.open("w") as file,
        subprocess.Popen(
            [str(word) for word in command], stdout=file, stderr=file, env={**os.environ, "PATH": f"{tmp_path}:/usr/bin:/bin"}
        ) as process,
    ):
        events = []
        while process.poll() is None and not {"accepted", "executed"} <= {str(event.get("name", event["kind"])) for event in events}:
            time.sleep(0.05)
            lines = "".join(path.read_text() for path in tmp_path.glob("state/boots/*.jsonl")).split("\n")[:-1]
            events = [json.loads(line) for line in lines]
        process.terminate()

    assert [event["ok"] for event in events if event["kind"] == "accepted"] == [True], told.read_text() + str(events[-3:])
    assert {"prompt", "executed"} <= {event["name"] for event in events if event["kind"] == "leg"}
