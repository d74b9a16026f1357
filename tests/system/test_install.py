"""The installed command, and the one file where it has been built, put the tool on a volume; then everything on it is used."""

from __future__ import annotations

import importlib
import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from firstlight.cli import main
from firstlight.faults.catalogue import CATALOGUE
from firstlight.rehearse import scenario, stage
from firstlight.system.loop import Loop

ROOT = Path(__file__).parents[2]
FIRSTLIGHT = str(Path(sys.executable).parent / "firstlight")
ONE_FILE = ROOT / "dist/firstlight.pyz"
# What a name may be, and a shell must not take for anything else.
HARD_NAME = """a volume's "$(touch escaped)" `touch escaped` $HOME \\ %s *"""
# Where our tool is not, and nothing of this checkout.
BARE_PATH = "/usr/local/bin:/usr/bin:/bin"

SHELLS = {
    "sh": ("sh",),
    "dash -eu": ("dash", "-eu"),
    "bash": ("bash",),
    "bash -eu": ("bash", "-eu"),
    "bash --posix": ("bash", "--posix"),
    "bash --posix -eu": ("bash", "--posix", "-eu"),
    "busybox sh": ("busybox", "sh"),
    "busybox sh -eu": ("busybox", "sh", "-eu"),
    "zsh": ("zsh", "-f"),
    "zsh -eu": ("zsh", "-f", "-eu"),
}

linux = pytest.mark.skipif(sys.platform != "linux", reason="the simulated machine needs Linux")


def run(*words: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    options = {"stdin": subprocess.DEVNULL, "timeout": 100, **options}
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False, **options)


def install(folder: Path, *words: str, by: Sequence[str | Path] = (FIRSTLIGHT,), code: int = 0) -> str:
    """What it says: on standard output where it ends well, else on standard error."""
    done = run(*by, "install", "--dir", folder, *words)
    assert done.returncode == code, done.stderr
    assert done.stderr.count("\n") == (1 if code else 0), done.stderr
    return done.stderr if code else done.stdout


def tree(folder: Path) -> dict[str, tuple[object, ...]]:
    """All that is there, with modes and times."""
    return {str(path.relative_to(folder)): _state(path) for path in sorted(folder.rglob("*"))}


def _state(path: Path) -> tuple[object, ...]:
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        return (os.readlink(path),)
    return (found.st_mode, path.read_bytes(), found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else (found.st_mode,)


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """An empty volume."""
    folder = tmp_path / "volume"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A volume with a hard name on which everything is installed; tests leave it as it is."""
    folder = tmp_path_factory.mktemp("volumes") / HARD_NAME
    folder.mkdir()
    install(folder)
    return folder


@pytest.fixture(scope="module", params=["healthy", "gpu-lost", "visible-devices-invalid", "one-bad-gpu-of-four", "uvm-node-missing"])
def machine(request: pytest.FixtureRequest) -> Iterator[tuple[str, dict[str, str]]]:
    """A simulated machine: its name, and the environment in which a process finds itself on it."""
    yield from _machine(request.param)


def _machine(name: str) -> Iterator[tuple[str, dict[str, str]]]:
    loop = Loop()
    with stage.set_up(loop, scenario.load(name), os.environ, None) as built:
        loop.close()  # it has every signal blocked in this process
        yield name, {**built.process_environment(os.environ), "PATH": BARE_PATH}


healthy = pytest.fixture(scope="module")(lambda: (yield from _machine("healthy")))
lost = pytest.fixture(scope="module")(lambda: (yield from _machine("gpu-lost")))


# What is put there, and taken off.


@pytest.mark.parametrize("by", [(FIRSTLIGHT,), (sys.executable, "-I", "-S", ONE_FILE)], ids=["the installed command", "the one file"])
def test_the_tool_on_the_volume_starts_there_and_installs_itself_unchanged(by: Sequence[str | Path], volume: Path) -> None:
    if by[-1] == ONE_FILE and not ONE_FILE.exists():
        pytest.skip("the one file has not been built: make build")
    install(volume, by=by)
    tool = volume / "firstlight/firstlight.pyz"
    bare = {"PATH": BARE_PATH}

    assert run(tool, "--version", env=bare).stdout.startswith("firstlight ")
    assert run(volume / "firstlight/firstlight", "explain", "gpu-lost", env=bare).returncode == 0
    if by[-1] == ONE_FILE:
        assert tool.read_bytes() == ONE_FILE.read_bytes()
    before = tree(volume)
    assert "nothing to do" in install(volume, by=(sys.executable, "-I", "-S", tool))
    assert tree(volume) == before
    # It takes itself off: nothing of what it still has to do may lie in the file that is gone.
    assert f"removed  {tool}\n" in install(volume, "--uninstall", by=("sh", volume / "firstlight/firstlight"))
    assert not list(volume.iterdir())


def test_the_tool_on_the_volume_serves_its_page(installed: Path, tmp_path: Path) -> None:
    """It brings the libraries of the agent along: on the volume there are no others."""
    folders = ("--state-dir", tmp_path / "state", "--run-dir", tmp_path / "run")
    words = [installed / "firstlight/firstlight.pyz", "run", "--gpus", "none", "--serve", "127.0.0.1:0", *folders, "--", "cat"]
    with subprocess.Popen([str(word) for word in words], stdin=subprocess.PIPE, env={"PATH": BARE_PATH}) as process:
        told: list[str] = []
        while not told:
            assert process.poll() is None
            journals = list((tmp_path / "state").glob("boots/*.jsonl"))
            told = re.findall(r'"127\.0\.0\.1:([1-9]\d*)"', journals[0].read_text()) if journals else []
            time.sleep(0.01)
        with urllib.request.urlopen(f"http://127.0.0.1:{told[-1]}/") as answer:
            assert "<title>" in answer.read().decode()
        process.communicate()


def test_a_second_time_there_is_nothing_to_do(volume: Path) -> None:
    install(volume)
    before = tree(volume)
    assert install(volume) == f"nothing to do: firstlight is installed in {volume}\n"
    assert tree(volume) == before


def test_files_have_their_modes_whatever_the_umask(volume: Path) -> None:
    done = run("sh", "-c", 'umask 077; exec "$0" install --dir "$1"', FIRSTLIGHT, volume)
    assert done.returncode == 0, done.stderr
    modes = {name: oct(state[0] & 0o777) for name, state in tree(volume).items()}
    executable = {"firstlight", "firstlight/firstlight", "firstlight/firstlight.pyz", "cuda_init.sh", "start_comfyui.sh", "check_cuda.py"}
    assert modes == {name: "0o755" if name in executable else "0o644" for name in modes}
    assert modes.keys() == {
        *executable,
        *("CLAUDE.md", "COLD_START_CHECKLIST.md", "MONITORING.md", "TROUBLESHOOTING.md", "firstlight/installed.json"),
    }


def belongings(volume: Path) -> None:
    """What a user has on a volume, some of it under names of ours."""
    (volume / "CLAUDE.md").write_bytes(b"# Mine\r\n\xff no newline at the end")
    (volume / "CLAUDE.md").chmod(0o640)
    (volume / "cuda_init.sh").write_text("echo mine\n")
    (volume / "cuda_init.sh").chmod(0o700)
    (volume / "check_cuda.py").symlink_to("elsewhere.py")
    (volume / "MONITORING.md").write_text("mine\n")
    (volume / "MONITORING.md.before-firstlight").write_text("mine too\n")
    (volume / ".firstlight/boots").mkdir(parents=True)
    (volume / ".firstlight/boots/a.jsonl").write_text("{}\n")


@pytest.mark.parametrize("folder", [False, True], ids=["", "with a folder of the tool's name"])
def test_what_was_there_is_kept_and_put_back_exactly(folder: bool, volume: Path) -> None:
    belongings(volume)
    if folder:
        (volume / "firstlight").mkdir()
    before = tree(volume)
    said = install(volume)
    assert f"replaced  {volume}/cuda_init.sh (what was there is cuda_init.sh.before-firstlight)\n" in said
    assert (volume / "CLAUDE.md").read_bytes().startswith(b"# Mine\r\n\xff no newline at the end\n\n<!-- firstlight: ")
    assert (volume / "MONITORING.md.before-firstlight").read_text() == "mine too\n"
    assert (volume / "MONITORING.md.before-firstlight-2").read_text() == "mine\n"
    install(volume)
    install(volume, "--uninstall")
    after = tree(volume)
    assert {name: state[:2] for name, state in after.items()} == {name: state[:2] for name, state in before.items()}
    # All but the one that was written anew, it is the very file of before.
    del before["CLAUDE.md"], after["CLAUDE.md"]
    assert after == before
    assert install(volume, "--uninstall") == f"nothing to do: nothing of firstlight is left in {volume}\n"


def test_an_edit_of_a_file_of_ours_is_kept_by_install_and_uninstall(volume: Path) -> None:
    install(volume)
    for name in ("start_comfyui.sh", "MONITORING.md"):
        with (volume / name).open("a") as file:
            file.write("# edited\n")
    (volume / "CLAUDE.md").write_text((volume / "CLAUDE.md").read_text().replace("Facts that save time", "Facts"))
    edited = {name: (volume / name).read_bytes() for name in ("start_comfyui.sh", "MONITORING.md", "CLAUDE.md")}

    install(volume)
    assert {name: (volume / f"{name}.before-firstlight").read_bytes() for name in edited} == edited
    (volume / "MONITORING.md").write_text("edited again\n")
    said = install(volume, "--uninstall")
    assert f"kept     {volume}/MONITORING.md (somebody has edited it)\n" in said
    left = {name for name, state in tree(volume).items() if len(state) == 3}
    assert left == {"MONITORING.md", *(f"{name}.before-firstlight" for name in edited)}


def test_an_older_version_of_ours_is_renewed_without_a_backup(volume: Path) -> None:
    install(volume)
    record = json.loads((volume / "firstlight/installed.json").read_text())
    old = volume / "cuda_init.sh"
    old.write_text("an older one\n")
    digest = run("sha256sum", old).stdout.split()[0]
    record["entries"]["cuda_init.sh"]["ours"].append(digest)
    (volume / "firstlight/installed.json").write_text(json.dumps(record))

    assert install(volume) == f"renewed  {old}\n"
    assert not list(volume.glob("*.before-firstlight*"))


def test_the_section_goes_into_the_file_that_a_link_leads_to(volume: Path) -> None:
    (volume / "AGENTS.md").write_text("mine\n")
    (volume / "CLAUDE.md").symlink_to("AGENTS.md")
    install(volume)
    assert os.readlink(volume / "CLAUDE.md") == "AGENTS.md"
    assert "firstlight" in (volume / "AGENTS.md").read_text()
    install(volume, "--uninstall")
    assert (volume / "AGENTS.md").read_text() == "mine\n"


def test_a_link_that_leads_out_of_the_volume_is_left(volume: Path, tmp_path: Path) -> None:
    (tmp_path / "outside.md").write_text("mine\n")
    (volume / "CLAUDE.md").symlink_to("../outside.md")
    assert f"left     {volume}/CLAUDE.md (a symbolic link is there)" in install(volume)
    assert (tmp_path / "outside.md").read_text() == "mine\n"


def test_a_dry_run_says_what_would_be_done_and_does_nothing(volume: Path) -> None:
    belongings(volume)
    before = tree(volume)
    told = json.loads(install(volume, "--dry-run", "--format", "json"))
    assert tree(volume) == before
    assert (told["version"], told["dir"], told["done"]) == (1, str(volume), False)
    done = json.loads(install(volume, "--format", "json"))
    assert done == {**told, "done": True}
    assert {change["name"]: change["what"] for change in done["changes"]}["CLAUDE.md"] == "amended"
    before = tree(volume)
    assert "nothing was changed: this was a dry run" in install(volume, "--uninstall", "--dry-run")
    assert tree(volume) == before


def test_the_journal_is_removed_only_when_that_is_asked_for(volume: Path) -> None:
    belongings(volume)
    install(volume)
    assert install(volume, "--purge", code=64) == "firstlight: cannot take --purge without --uninstall\n"
    install(volume, "--uninstall")
    assert (volume / ".firstlight/boots/a.jsonl").exists()
    assert install(volume, "--uninstall", "--purge") == f"removed  {volume}/.firstlight\n"
    assert not (volume / ".firstlight").exists()


# What is refused, and what goes wrong.


def _folder(volume: Path) -> None:
    (volume / "cuda_init.sh").mkdir()


def _pipe(volume: Path) -> None:
    os.mkfifo(volume / "check_cuda.py")


def _tool_file(volume: Path) -> None:
    (volume / "firstlight").write_text("mine\n")


def _tool_link(volume: Path) -> None:
    (volume / "elsewhere").mkdir()
    (volume / "firstlight").symlink_to("elsewhere")


def _no_record(volume: Path) -> None:
    (volume / "firstlight").mkdir()
    (volume / "firstlight/installed.json").write_text("{")


IN_THE_WAY = {
    "a folder": (_folder, "cannot write cuda_init.sh: a folder is there; move it away"),
    "a pipe": (_pipe, "cannot write check_cuda.py: no ordinary file is there; move it away"),
    "a file in the place of the tool's folder": (_tool_file, "cannot use {volume}/firstlight: it is no folder; move it away"),
    "a link in the place of the tool's folder": (_tool_link, "cannot use {volume}/firstlight: it is a symbolic link; move it away"),
    "a record that is none": (_no_record, "cannot read firstlight/installed.json: it is no record of an installation; move it away"),
}


@pytest.mark.parametrize(("put", "words"), IN_THE_WAY.values(), ids=IN_THE_WAY.keys())
def test_what_is_in_the_way_is_said_and_nothing_is_changed(put, words: str, volume: Path) -> None:
    put(volume)
    names = sorted(path.name for path in volume.rglob("*"))
    assert install(volume, code=64) == f"firstlight: {words.format(volume=volume)}\n"
    assert sorted(path.name for path in volume.rglob("*")) == names


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    assert install(missing, code=64) == f"firstlight: cannot use {missing}: there is no such folder (is the volume mounted?)\n"
    (tmp_path / "file").touch()
    assert "it is no folder" in install(tmp_path / "file", code=64)
    (tmp_path / "two\nlines").mkdir()
    assert "control character" in install(tmp_path / "two\nlines", code=64)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "two\nlines"]


MOUNTED = 'mount -t tmpfs -o "$1" tmpfs "$2" && shift && { "$0" install --dir "$1"; echo "code $?"; ls -A "$1"; }'


@pytest.mark.parametrize(
    ("option", "words"),
    [("size=300k", "No space left on device; nothing was changed"), ("ro", "Read-only file system; nothing was changed")],
    ids=["full", "read-only"],
)
def test_a_volume_that_takes_nothing_is_left_as_it_is(option: str, words: str, volume: Path) -> None:
    if run("unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", volume).returncode:
        pytest.skip("nothing can be mounted here")
    done = run("unshare", "-rm", "sh", "-c", MOUNTED, FIRSTLIGHT, option, volume)
    assert done.stdout == "code 64\n"
    assert done.stderr == f"firstlight: cannot write into {volume}: {words}\n"


def test_one_at_a_time(volume: Path) -> None:
    with subprocess.Popen(["flock", str(volume), "sh", "-c", "echo held; read x"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert install(volume, code=64) == f"firstlight: cannot change {volume}: another firstlight install is at work there\n"
        assert not list(volume.iterdir())
        other.communicate()
    install(volume)


def test_some_at_once_give_what_one_gives(volume: Path) -> None:
    words = [FIRSTLIGHT, "install", "--dir", str(volume)]
    started = [subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    ends = [(process.communicate()[1], process.returncode) for process in started]
    refused = (f"firstlight: cannot change {volume}: another firstlight install is at work there\n", 64)
    assert ("", 0) in ends
    assert set(ends) <= {("", 0), refused}
    assert "nothing to do" in install(volume)
    assert not list(volume.glob(".firstlight-install-*"))


def test_a_kill_at_any_step_leaves_what_can_be_gone_on_with(tmp_path: Path, installed: Path) -> None:
    (tmp_path / "before").mkdir()
    belongings(tmp_path / "before")
    done = run(sys.executable, "-I", "-S", Path(__file__).parent / "killed_install.py", installed / "firstlight/firstlight.pyz", tmp_path)
    assert done.returncode == 0, done.stderr
    installing, uninstalling = map(int, done.stdout.split())
    assert installing > 30
    assert uninstalling > 10


def test_the_tool_is_not_replaced_under_a_firstlight_that_runs_from_it(volume: Path, tmp_path: Path) -> None:
    install(volume)
    tool = volume / "firstlight/firstlight.pyz"
    with zipfile.ZipFile(tool, "a") as archive:
        archive.comment = b"another version"
    before = tree(volume)
    words = [tool, "run", "--gpus", "none", "--serve", "off", "--state-dir", tmp_path / "state", "--", "sh", "-c", "echo up; read x"]
    with subprocess.Popen([str(word) for word in words], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"up\n"
        said = install(volume, code=64)
        assert said.startswith(f"firstlight: cannot replace {tool}: firstlight runs from it (pid {running.pid}")
        assert tree(volume) == before
        install(volume, "--while-running")
        assert install(volume, "--uninstall", code=64) == said
        running.communicate()
    assert (volume / "firstlight/firstlight.pyz.before-firstlight").read_bytes() == before["firstlight/firstlight.pyz"][1]


def test_installing_loads_no_library(volume: Path) -> None:
    done = run(sys.executable, "-X", "importtime", FIRSTLIGHT, "install", "--dir", volume, "--dry-run")
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "firstlight" in loaded
    assert not {"httpx2", "anyio", "asyncio", "starlette", "torch", "pynvml"} & loaded


# What is on the volume.


@pytest.mark.parametrize("name", ["cuda_init.sh", "start_comfyui.sh", "firstlight/firstlight"])
def test_shellcheck_finds_nothing_in_what_is_installed(name: str, installed: Path) -> None:
    done = run(
        Path(sys.executable).parent / "shellcheck", "--exclude=SC2016", installed / name
    )  # the name of the volume is meant as it stands
    assert done.returncode == 0, done.stdout


def test_each_file_says_what_made_it_and_how_to_remove_it(installed: Path) -> None:
    for path in installed.iterdir():
        if path.is_file():
            text = path.read_text().lower()
            assert "made by `firstlight install`" in text
            assert "--uninstall" in text


def test_the_guide_has_every_fault(installed: Path) -> None:
    guide = (installed / "TROUBLESHOOTING.md").read_text()
    for fault in CATALOGUE:
        assert f"\n## {fault.id}\n" in guide
        assert f"](#{fault.id}) |" in guide


@pytest.mark.parametrize("name", ["CLAUDE.md", "COLD_START_CHECKLIST.md", "MONITORING.md"])
def test_each_command_that_a_page_names_is_one(name: str, volume: Path) -> None:
    install(volume)
    text = (volume / name).read_text().replace(f"sh {volume}/firstlight/firstlight", "firstlight")
    commands = [shlex.split(words) for words in re.findall(r"`firstlight ([^`…]+)`", text)]
    assert commands
    for verb, *words in commands:
        assert verb in dict(main.VERBS)
        if verb not in main.GROUPS and words[:1] != ["run"] and (verb, words) != ("run", []):
            main.build(verb, importlib.import_module(f"firstlight.cli.{verb}")).parse_args(words)


# Sourced where its status is asked for; then what the shell has that it did not have before.
SOURCE = """
names() { set | sed -n 's/^\\([A-Za-z_][A-Za-z0-9_]*\\)=.*/\\1/p; s/^\\([A-Za-z_][A-Za-z0-9_]*\\) ()\\{0,1\\}.*/\\1()/p'; }
count=0 code=0 flags=$- before='' after=''
before=$(names; trap; pwd)
for count in 1 2; do if . "$1/cuda_init.sh"; then code=0; else code=$?; fi; done
after=$(names; trap; pwd)
echo "status $code"
echo "options $flags $-"
printf '%s\\n' "$before" >before.txt
printf '%s\\n' "$after" >after.txt
env >env.txt
"""
# Shells count in these, and remember in them.
OF_SHELLS = {
    "_",
    "BASH_LINENO",
    "BASH_SOURCE",
    "FUNCNAME",
    "LINENO",
    "RANDOM",
    "SECONDS",
    "EPOCHREALTIME",
    "EPOCHSECONDS",
    "SRANDOM",
    "PIPESTATUS",
}
SETS = {"CUDA_DEVICE_ORDER", "CUDA_VISIBLE_DEVICES"}


def shell(name: str) -> tuple[str, ...]:
    if shutil.which(SHELLS[name][0]) is None:
        pytest.skip(f"there is no {SHELLS[name][0]} here")
    return SHELLS[name]


@linux
@pytest.mark.parametrize("name", SHELLS)
@pytest.mark.parametrize("state", ["healthy", "lost"])
def test_a_shell_that_sources_it_gets_the_environment_and_the_status_and_nothing_else(
    name: str, state: str, installed: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    _, environment = request.getfixturevalue(state)
    done = run(*shell(name), "-c", SOURCE, "shell", installed, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    status, options = done.stdout.splitlines()
    assert status == f"status {0 if state == 'healthy' else 75}", done.stderr
    assert options.split()[1:2] == options.split()[2:]
    before, after = (set((tmp_path / f"{when}.txt").read_text().splitlines()) for when in ("before", "after"))
    assert len(before) > 5
    assert after - before - OF_SHELLS <= SETS
    assert before - after - OF_SHELLS == set()
    assert "CUDA_DEVICE_ORDER=PCI_BUS_ID" in (tmp_path / "env.txt").read_text().splitlines()
    assert "escaped" not in os.listdir(tmp_path)


@linux
@pytest.mark.parametrize("name", SHELLS)
def test_executed_it_ends_with_the_status(name: str, installed: Path, healthy, lost) -> None:
    for (_, environment), code in ((healthy, 0), (lost, 75)):
        done = run(*shell(name), installed / "cuda_init.sh", env=environment)
        assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert "gpu-lost" in done.stderr


@linux
@pytest.mark.parametrize("name", SHELLS)
def test_a_shell_that_does_not_ask_for_the_status_goes_on_unless_it_was_told_otherwise(name: str, installed: Path, lost) -> None:
    done = run(*shell(name), "-c", '. "$1/cuda_init.sh"; echo "went on with $?"', "shell", installed, env=lost[1])
    assert done.stdout == ("" if "e" in SHELLS[name][-1] and SHELLS[name][-1] == "-eu" else "went on with 75\n"), done.stderr


@linux
def test_it_cures_and_proves(machine: tuple[str, dict[str, str]], installed: Path) -> None:
    name, environment = machine
    script = '. "$1/cuda_init.sh"; echo "$?"; echo "${CUDA_VISIBLE_DEVICES-none}"'
    done = run("sh", "-c", script, "shell", installed, env={**environment, "FIRSTLIGHT_DELAY": "100ms"})
    code, visible = done.stdout.splitlines()
    if name == "visible-devices-invalid":
        assert code == "0"
        assert visible.startswith("GPU-")
    else:
        assert (code, visible) == ("0" if name in ("healthy", "uvm-node-missing") else "75", "none"), done.stderr


# Plays a scenario with its events, and a command of ours on its machine.
PLAY = """
import os, sys
from firstlight.rehearse import scenario, stage
from firstlight.system.loop import Loop
loop = Loop(())
with stage.set_up(loop, scenario.load(sys.argv[1]), os.environ, None) as machine:
    sys.exit(stage.play(loop, machine, sys.argv[2:], os.environ))
"""


@linux
def test_it_waits_for_a_gpu_that_comes_late(installed: Path) -> None:
    done = run(sys.executable, "-c", PLAY, "gpu-node-late", "/bin/sh", installed / "cuda_init.sh")
    assert done.returncode == 0, done.stderr
    assert "waiting for gpu-node-missing" in done.stderr


@linux
def test_without_wait_env_does_not_wait() -> None:
    done = run(FIRSTLIGHT, "rehearse", "gpu-node-late", "--verb", "env")
    assert done.returncode == 75
    assert "waiting for" not in done.stderr


@pytest.mark.parametrize("name", SHELLS)
def test_it_takes_nothing_of_the_standard_input_of_a_script(name: str, volume: Path) -> None:
    install(volume)
    (volume / "firstlight/firstlight").write_text("#!/bin/sh\ncat >/dev/null\n")  # a tool that reads all it can get
    done = run(*shell(name), "-s", volume, stdin=None, input='. "$1/cuda_init.sh"\necho "went on"\n')
    assert done.stdout == "went on\n"


@pytest.mark.parametrize("name", SHELLS)
def test_a_tool_that_is_killed_is_no_success(name: str, volume: Path) -> None:
    install(volume)
    (volume / "firstlight/firstlight").write_text("#!/bin/sh\necho export MADE=1\nkill -9 $$\n")
    done = run(*shell(name), "-c", 'if . "$1/cuda_init.sh"; then echo well; else echo "ill $? $MADE"; fi', "shell", volume)
    assert done.stdout == "ill 137 1\n"
    (volume / "firstlight/firstlight").write_text("#!/bin/sh\nkill -9 $PPID\n")  # the subshell that prints what is to be done
    done = run(*shell(name), "-c", '. "$1/cuda_init.sh"; echo "$?"', "shell", volume)
    assert done.stdout in ("", "1\n")
    assert done.returncode == 0 or not done.stdout


def test_without_the_tool_it_says_so(volume: Path) -> None:
    install(volume)
    shutil.rmtree(volume / "firstlight")
    for words in (
        (volume / "cuda_init.sh",),
        ("sh", "-c", '. "$0" || exit', volume / "cuda_init.sh"),
        (sys.executable, volume / "check_cuda.py"),
    ):
        done = run(*words)
        assert done.returncode not in (0, 2)
        assert f"cannot find {volume}/firstlight/firstlight: run firstlight install again" in done.stderr


def test_without_a_python_that_is_new_enough_the_launcher_says_so(volume: Path, tmp_path: Path) -> None:
    install(volume)
    old = tmp_path / "bin/python3"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    launcher = (volume / "firstlight/firstlight").read_text().replace("/usr/local/bin/python3 /usr/bin/python3", "")
    (volume / "firstlight/firstlight").write_text(launcher)
    done = run("/bin/sh", volume / "firstlight/firstlight", "doctor", env={"PATH": str(old.parent)})
    assert done.returncode == 127
    assert "cannot start" in done.stderr
    assert "no Python 3.10 or newer in PATH" in done.stderr


def test_the_launcher_is_found_through_a_link_and_after_the_volume_has_moved(volume: Path, tmp_path: Path) -> None:
    install(volume)
    (tmp_path / "link").symlink_to(volume / "firstlight/firstlight")
    assert run(tmp_path / "link", "--version").returncode == 0
    volume.rename(tmp_path / "moved")
    assert run(tmp_path / "moved/firstlight/firstlight", "--version").returncode == 0


CHECKED = {"healthy": (0, "well"), "gpu-lost": (1, "ill"), "one-bad-gpu-of-four": (2, "usable-but-ill")}


@linux
def test_check_cuda_tells_well_from_ill_and_from_usable(machine: tuple[str, dict[str, str]], installed: Path) -> None:
    name, environment = machine
    if name not in CHECKED:
        pytest.skip("it is about waiting")
    code, verdict = CHECKED[name]
    done = run("python3", installed / "check_cuda.py", "--json", env=environment)
    assert (done.returncode, json.loads(done.stdout)["verdict"]) == (code, verdict)
    done = run(installed / "check_cuda.py", env=environment)
    assert done.returncode == code
    assert done.stdout


COMFYUI = """
import json, os, sys
print(json.dumps({"words": sys.argv[1:], "folder": os.getcwd(), "order": os.environ.get("CUDA_DEVICE_ORDER"), "python": os.environ.get("WHICH")}))
"""


def comfyui(folder: Path, python: str = "") -> Path:
    """A ComfyUI that says how it was started."""
    (folder / "custom_nodes").mkdir(parents=True)  # ComfyUI is not started without it
    (folder / "main.py").write_text(COMFYUI)
    if python:
        program = folder / python
        program.parent.mkdir(parents=True)
        program.write_text(f'#!/bin/sh\nWHICH={python} exec {shlex.quote(sys.executable)} "$@"\n')
        program.chmod(0o755)
    return folder


def start(volume: Path, *words: str, by: Sequence[str] = ("sh",), **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": BARE_PATH, "HOME": str(volume), "FIRSTLIGHT_GPUS": "none", "FIRSTLIGHT_SERVE": "off", **variables}
    return run(*by, volume / "start_comfyui.sh", *words, env=environment, cwd="/")


LISTENS = ["--listen", "0.0.0.0", "--port", "8188"]


@pytest.mark.parametrize(
    ("place", "python"), [("ComfyUI", ""), ("ComfyUI", "venv/bin/python"), ("runpod-slim/ComfyUI", ".venv/bin/python")]
)
def test_comfyui_is_started_where_the_images_have_it(place: str, python: str, volume: Path) -> None:
    install(volume)
    comfyui(volume / place, python)
    done = start(volume, "--preview-method", "a b")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["words"] == [*LISTENS, "--preview-method", "a b"]
    assert told["folder"] == str(volume / place)
    assert told["python"] == (python or None) or not python


@pytest.mark.parametrize("by", [("dash",), ("bash",), ("busybox", "sh")], ids=lambda by: by[0])
def test_what_runpods_file_of_arguments_says_comes_before_what_is_given(by: Sequence[str], volume: Path) -> None:
    if shutil.which(by[0]) is None:
        pytest.skip(f"there is no {by[0]} here")
    install(volume)
    comfyui(volume / "runpod-slim/ComfyUI")
    (volume / "runpod-slim/comfyui_args.txt").write_text("# --cpu\n--fast *\n--port 9000\n")
    told = json.loads(start(volume, "--port", "9001", by=by).stdout)
    assert told["words"] == [*LISTENS, "--fast", "*", "--port", "9000", "--port", "9001"]


def test_variables_name_another_comfyui_and_another_python(volume: Path, tmp_path: Path) -> None:
    install(volume)
    comfyui(volume / "ComfyUI")
    other = comfyui(tmp_path / "an other", "bin/python")
    told = json.loads(start(volume, COMFYUI_DIR=str(other), COMFYUI_PYTHON=str(other / "bin/python")).stdout)
    assert (told["folder"], told["python"]) == (str(other), "bin/python")


def test_the_exit_code_of_comfyui_is_that_of_the_script(volume: Path) -> None:
    install(volume)
    comfyui(volume / "ComfyUI")
    (volume / "ComfyUI/main.py").write_text("raise SystemExit(7)")
    assert start(volume, FIRSTLIGHT_RESTART="never").returncode == 7


def test_where_there_is_no_comfyui_the_script_says_what_to_do(volume: Path) -> None:
    install(volume)
    done = start(volume, COMFYUI_DIR="/no such folder")
    assert done.returncode == 127
    assert done.stderr == "start_comfyui.sh: cannot find ComfyUI in /no such folder: name its folder in COMFYUI_DIR\n"


@linux
def test_comfyui_is_started_once_cuda_is_proven_and_not_without(installed: Path, healthy, lost, tmp_path: Path) -> None:
    other = comfyui(tmp_path / "ComfyUI")
    more = {"COMFYUI_DIR": str(other), "FIRSTLIGHT_SERVE": "off", "FIRSTLIGHT_STATE_DIR": str(tmp_path / "state")}
    well = run("sh", installed / "start_comfyui.sh", env={**healthy[1], **more})
    ill = run("sh", installed / "start_comfyui.sh", env={**lost[1], **more})
    assert (well.returncode, json.loads(well.stdout)["order"]) == (0, "PCI_BUS_ID"), well.stderr
    assert "CUDA proven on 1 GPU" in well.stderr
    assert (ill.returncode, ill.stdout) == (75, "")
