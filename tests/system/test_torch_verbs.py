"""`firstlight torch`, with real virtual environments and real installers. The packages are stand-ins of a few kilobytes."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "testing"))

import torch_wheels as wheels  # noqa: E402 - it lies beside the tests

FIRSTLIGHT = str(Path(sys.executable).parent / "firstlight")
UV = shutil.which("uv") or str(ROOT / ".tools/uv/bin/uv")
OLD, NEW = "2.8.0+cu126", "2.9.0+cu128"

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="it asks Linux to exchange two names"),
    pytest.mark.skipif(not os.access(UV, os.X_OK), reason=f"there is no {UV}"),
]


@pytest.fixture(scope="session")
def links(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of wheels: the old torch, a right new one, and wrong ones of every kind."""
    folder = tmp_path_factory.mktemp("wheels")
    wheels.torch(folder, OLD, cuda="12.6", architectures=wheels.HOPPER)
    wheels.torch(folder, NEW, cuda="12.8", architectures=wheels.BLACKWELL)
    wheels.torch(folder, "2.9.1+cu128", cuda="13.0", architectures=wheels.BLACKWELL)
    wheels.torch(folder, "2.9.2+cu128", cuda="12.8", architectures=["sm_100"])
    wheels.torch(folder, "2.9.3+cu128", cuda="12.8", architectures=wheels.BLACKWELL, wrong=True)
    wheels.torch(folder, "2.9.4+cu128", cuda="12.8", architectures=wheels.BLACKWELL, requires=("plain>=2",))
    wheels.torch(folder, "2.9.5+cu128", cuda="12.8", architectures=wheels.BLACKWELL, big=12 << 20)
    importing = "import sys, torch\n"
    wheels.wheel(folder, "torchvision", "0.23.0+cu126", {"torchvision/__init__.py": importing}, ("torch==2.8.0",))
    wheels.wheel(folder, "torchvision", "0.24.0+cu128", {"torchvision/__init__.py": importing}, ("torch==2.9.0",))
    says = "def main():\n    print(torch.__version__, sys.prefix)\n"
    wheels.wheel(folder, "speaker", "1.0", {"speaker/__init__.py": importing + says}, ("torch",), script="main")
    for version in ("1.0", "2.0"):
        wheels.wheel(folder, "plain", version, {"plain/__init__.py": f"version = '{version}'\n"})
    wheels.wheel(folder, "pinned", "1.0", {"pinned/__init__.py": importing}, ("torch==2.8.0",))
    wheels.wheel(folder, "pinned", "2.0", {"pinned/__init__.py": importing}, ("torch==2.9.0",))
    fragile = importing + "if torch.__version__ > '2.9':\n    sys.exit('it knows no such torch')\n"
    wheels.wheel(folder, "fragile", "1.0", {"fragile/__init__.py": fragile}, ("torch",))
    wheels.wheel(folder, "broken", "1.0", {"broken/__init__.py": "import no_such_module\n"}, ("torch",))
    return folder


class Environment:
    """A virtual environment under test, and the installed command on it."""

    def __init__(self, path: Path, links: Path, variables: dict[str, str]) -> None:
        self.path = path
        self.links = links
        self.variables = variables
        self.versions = Path(f"{path}.versions")

    def make(self, *packages: str, pip: bool = False) -> Environment:
        """Make it with these packages beside the old torch."""
        if pip:
            self.do(sys.executable, "-m", "venv", str(self.path))
            self.do(str(self.path / "bin/pip"), "install", "--quiet", "--find-links", str(self.links), f"torch=={OLD}", *packages)
        else:
            self.do(UV, "venv", "--quiet", "--python", sys.executable, str(self.path))
            self.install(f"torch=={OLD}", *packages)
        return self

    def install(self, *packages: str) -> None:
        self.do(UV, "pip", "install", "--quiet", "--python", str(self.path / "bin/python"), "--find-links", str(self.links), *packages)

    def do(self, *argv: str) -> str:
        """Run a program that must succeed; what it prints."""
        done = subprocess.run(argv, env=self.variables, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def words(self, verb: str, *words: str) -> list[str]:
        extra = ["--find-links", str(self.links), "--format", "json"] if verb == "upgrade" else []
        return [FIRSTLIGHT, "torch", verb, "--venv", str(self.path), *extra, *words]

    def ask(self, verb: str, *words: str, before: Sequence[str] = (), **variables: str) -> subprocess.CompletedProcess[str]:
        """Run `firstlight torch VERB` to its end."""
        argv = [*before, *self.words(verb, *words)]
        return subprocess.run(argv, env={**self.variables, **variables}, capture_output=True, text=True, check=False)

    def upgrade(self, *words: str, to: str = NEW, **more: str | Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Upgrade it, without a GPU."""
        return self.ask("upgrade", "--no-gpu", "--to", to, *words, **more)

    def torch(self) -> str:
        """The torch that the environment's own interpreter imports now."""
        return self.do(str(self.path / "bin/python"), "-B", "-c", "import torch; print(torch.__version__)")

    def version_of(self, package: str) -> str:
        script = f"from importlib import metadata; print(metadata.version({package!r}))"
        return self.do(str(self.path / "bin/python"), "-B", "-c", script)

    def snapshot(self) -> dict[str, tuple[int, ...]]:
        """Every file, with what a write to it would change."""
        found = {}
        for path in [self.path, *sorted(self.path.rglob("*"))]:
            status = path.lstat()
            found[str(path)] = (status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns, status.st_nlink)
        return found

    def folders(self) -> set[str]:
        """The versions that lie beside it."""
        return {path.name for path in self.versions.iterdir() if path.is_dir()} if self.versions.exists() else set()


@pytest.fixture
def environment(tmp_path: Path, links: Path) -> Environment:
    """An environment that nobody has made yet; installers see the folder of wheels alone."""
    variables = {
        "HOME": str(tmp_path),
        "PATH": f"{Path(UV).parent}:/usr/bin:/bin",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INDEX": "1",
        "UV_CACHE_DIR": str(tmp_path / "cache"),
        "UV_NO_CONFIG": "1",
        "UV_OFFLINE": "1",
        "UV_PYTHON_DOWNLOADS": "never",
    }
    return Environment(tmp_path / "venv", links, variables)


def on_a_gpu(scenario: str = "healthy") -> list[str]:
    """What runs a command on a simulated machine."""
    return [FIRSTLIGHT, "rehearse", scenario, "--gpus", "none", "--quiet", "--"]


# --- the way it should go ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_another_torch_takes_the_place_of_the_old_one_and_nothing_else_changes(environment: Environment, installer: str) -> None:
    environment.make("torchvision", "speaker", "plain==1.0", pip=installer == "pip")
    if installer == "pip":
        environment.variables["PATH"] = "/usr/bin:/bin"

    done = environment.upgrade()

    assert done.returncode == 0, done.stderr
    assert f"with {installer}" in done.stderr
    assert environment.torch() == NEW
    assert environment.version_of("torchvision") == "0.24.0+cu128"
    assert environment.version_of("plain") == "1.0"
    told = json.loads(done.stdout)
    assert (told["torch"], told["now"], told["before"]) == (NEW, f"venv.versions/{NEW}", f"venv.versions/{OLD}")
    assert told["imported"] == ["torch", "speaker", "torchvision"]
    assert told["proven"] is False


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_commands_of_the_environment_work_after_each_swap(environment: Environment, installer: str) -> None:
    environment.make("speaker", pip=installer == "pip")
    if installer == "pip":
        environment.variables["PATH"] = "/usr/bin:/bin"

    for verb, version in (("upgrade", NEW), ("rollback", OLD), ("rollback", NEW)):
        done = environment.upgrade() if verb == "upgrade" else environment.ask(verb)
        assert done.returncode == 0, done.stderr
        assert environment.do(str(environment.path / "bin/speaker")) == f"{version} {environment.path}"
        activated = f". {environment.path}/bin/activate && echo $VIRTUAL_ENV && speaker"
        assert environment.do("bash", "-c", activated) == f"{environment.path}\n{version} {environment.path}"
    if installer == "pip":
        assert f"torch                {NEW}".split() in [
            line.split() for line in environment.do(str(environment.path / "bin/pip"), "list").splitlines()
        ]


def test_a_script_that_the_new_packages_bring_names_the_environment_as_its_users_do(environment: Environment) -> None:
    environment.make("speaker")

    done = environment.upgrade("--also", "speaker")

    assert done.returncode == 0, done.stderr
    assert (environment.path / "bin/speaker").read_text().startswith(f"#!{environment.path}/bin/python")


def test_a_link_that_the_user_made_is_swapped_and_rolled_back(environment: Environment) -> None:
    real = Environment(environment.path.parent / "real", environment.links, environment.variables).make("speaker")
    environment.path.symlink_to(real.path)

    assert environment.upgrade().returncode == 0
    assert environment.torch() == NEW
    assert real.torch() == OLD
    assert environment.do(str(environment.path / "bin/speaker")).split()[0] == NEW
    assert environment.ask("rollback").returncode == 0
    assert os.readlink(environment.path) == str(real.path)


def test_rollback_goes_back_to_what_was_before_and_forward_again(environment: Environment) -> None:
    environment.make()
    environment.upgrade()
    environment.upgrade(to="2.9.3+cu128")

    assert [environment.ask("rollback").returncode, environment.torch()] == [0, NEW]
    assert [environment.ask("rollback").returncode, environment.torch()] == [0, "2.9.3+cu128"]
    assert [environment.ask("rollback", "--to", OLD).returncode, environment.torch()] == [0, OLD]


def test_what_was_made_before_is_used_again(environment: Environment) -> None:
    environment.make()
    environment.upgrade()
    environment.ask("rollback")

    again = environment.upgrade()

    assert json.loads(again.stdout)["resumed"] is True
    assert environment.torch() == NEW
    assert environment.folders() == {OLD, NEW}


def test_what_was_made_before_is_made_anew_once_the_environment_has_changed(environment: Environment) -> None:
    environment.make()
    environment.upgrade()
    environment.ask("rollback")
    environment.install("plain==2.0")

    again = environment.upgrade()

    assert json.loads(again.stdout)["resumed"] is False
    assert environment.version_of("plain") == "2.0"


def test_what_was_made_before_and_changed_since_is_kept_and_made_anew(environment: Environment) -> None:
    environment.make("plain==1.0")
    environment.upgrade()
    environment.install("plain==2.0")
    environment.ask("rollback")

    again = environment.upgrade()

    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["resumed"] is False
    assert environment.folders() == {OLD, NEW, f"{NEW}-2"}
    assert environment.version_of("plain") == "1.0"
    assert environment.ask("rollback", "--to", NEW).returncode == 0
    assert environment.version_of("plain") == "2.0"


@pytest.mark.parametrize("part", ["", "bin/python"])
def test_what_a_user_has_removed_by_hand_is_made_anew(environment: Environment, part: str) -> None:
    environment.make()
    environment.upgrade()
    environment.ask("rollback")
    removed = environment.versions / NEW / part
    removed.unlink() if part else shutil.rmtree(removed)

    assert environment.ask("rollback").returncode == 64  # there is nothing to go forward to
    again = environment.upgrade()

    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["resumed"] is False
    assert environment.torch() == NEW
    assert environment.folders() == ({OLD, NEW, f"{NEW}-2"} if part else {OLD, NEW})


def test_old_environments_are_kept_unless_told_otherwise(environment: Environment) -> None:
    environment.make()
    environment.upgrade()
    environment.upgrade(to="2.9.3+cu128")
    assert environment.folders() == {OLD, NEW, "2.9.3+cu128"}

    done = environment.upgrade("--keep", "2", to="2.9.5+cu128")
    assert done.returncode == 0, done.stderr
    assert environment.folders() == {NEW, "2.9.3+cu128", "2.9.5+cu128"}
    environment.ask("rollback")
    done = environment.upgrade("--keep", "1", to="2.9.5+cu128")
    assert done.returncode == 0, done.stderr
    assert environment.folders() == {"2.9.3+cu128", "2.9.5+cu128"}
    assert environment.ask("rollback").returncode == 0
    assert environment.torch() == "2.9.3+cu128"


def test_hard_links_share_what_stays_and_no_script(environment: Environment) -> None:
    environment.make("speaker", "plain==1.0")
    environment.upgrade("--hard-links")

    site = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    old, new = environment.versions / OLD, environment.versions / NEW
    assert (old / site / "plain/__init__.py").samefile(new / site / "plain/__init__.py")
    assert environment.torch() == NEW
    assert environment.ask("rollback").returncode == 0
    assert environment.torch() == OLD


def test_a_dry_run_says_what_would_be_done_and_changes_nothing(environment: Environment) -> None:
    environment.make("torchvision", "speaker")
    before = environment.snapshot()

    done = environment.upgrade("--dry-run")

    plan = json.loads(done.stdout)["plan"]
    assert (plan["from"], plan["to"], plan["changing"]) == (OLD, NEW, ["torch", "torchvision"])
    assert plan["space"]["needed"] > 0
    assert environment.snapshot() == before
    assert not environment.versions.exists()


def test_what_still_runs_out_of_the_old_environment_is_named(environment: Environment) -> None:
    environment.make()
    argv = [str(environment.path / "bin/python"), "-c", "import torch; print(flush=True); input()"]
    app = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        app.stdout.readline()
        done = environment.upgrade()
        assert json.loads(done.stdout)["running"] == [app.pid]
        assert f"pid {app.pid}" in done.stderr
    finally:
        app.communicate(b"\n")


def test_the_address_of_an_index_may_hold_a_password(environment: Environment, tmp_path: Path) -> None:
    """The installer gets it where nobody else reads it, and it is kept nowhere."""
    environment.make()
    folder = tmp_path / "installer"
    folder.mkdir()
    (folder / "uv").write_text(
        f"#!/bin/sh\necho $UV_DEFAULT_INDEX >{tmp_path}/index\necho $@ >{tmp_path}/words\ncat {environment.versions}/*.json >{tmp_path}/records\nexit 1\n"
    )
    (folder / "uv").chmod(0o755)
    address = "https://somebody:secret@127.0.0.1/simple"

    done = environment.upgrade("--index-url", address, PATH=f"{folder}:/usr/bin:/bin")

    assert done.returncode == 1
    assert (tmp_path / "index").read_text().strip() == address
    records = (tmp_path / "records").read_text()
    assert "copying" in records
    assert "secret" not in "".join([done.stdout, done.stderr, records, (tmp_path / "words").read_text()])


# --- with a GPU, on a simulated machine -------------------------------------------------------------------------------


def test_a_kernel_is_proven_on_the_gpu_before_the_swap(environment: Environment) -> None:
    environment.make()

    done = environment.ask("upgrade", "--to", NEW, before=on_a_gpu(), STAND_IN_GPUS="1")

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["proven"] is True
    assert environment.torch() == NEW


def test_a_version_without_a_build_takes_whichever_fits(environment: Environment) -> None:
    """As PyPI's, whose versions name none."""
    environment.make()

    done = environment.ask("upgrade", "--to", "2.9.0", before=on_a_gpu(), STAND_IN_GPUS="1")

    assert done.returncode == 0, done.stderr
    assert environment.torch() == NEW


# What is installed, the GPUs that it finds, why it is not used, and whether it is kept for another proof.
WRONG = {
    "a GPU that miscalculates": ("2.9.3+cu128", "1", "the product is wrong", True),
    "no GPU for torch": (NEW, "0", "torch finds no GPU", True),
    "no code for the GPU, by the wheel's own list": ("2.9.2+cu128", "1", "it has no code for NVIDIA H100", False),
    "built for another CUDA": ("2.9.1+cu128", "1", "is built for CUDA 13.0", False),
}


@pytest.mark.parametrize(("to", "gpus", "reason", "kept"), WRONG.values(), ids=WRONG.keys())
def test_what_is_not_proven_is_never_put_into_place(environment: Environment, to: str, gpus: str, reason: str, kept: bool) -> None:
    environment.make("speaker")
    before = environment.snapshot()

    done = environment.ask("upgrade", "--to", to, before=on_a_gpu(), STAND_IN_GPUS=gpus)

    assert done.returncode == 1
    assert reason in done.stderr
    assert "firstlight: cannot use " in done.stderr
    assert environment.snapshot() == before
    assert environment.torch() == OLD
    assert environment.folders() == ({to} if kept else set())


def test_a_build_that_the_driver_cannot_run_is_refused_before_anything_is_made(environment: Environment) -> None:
    environment.make()

    done = environment.ask("upgrade", "--to", "2.9.0+cu130", before=on_a_gpu("driver-too-old"))

    assert done.returncode == 64
    assert "CUDA 13 needs driver 580.65.06 or newer" in done.stderr
    assert not environment.versions.exists()


def test_where_the_installed_torch_fits_nothing_is_done(environment: Environment) -> None:
    environment.make()

    checked = environment.ask("check", before=on_a_gpu())
    done = environment.ask("upgrade", before=on_a_gpu())

    assert (checked.returncode, done.returncode) == (0, 0), done.stderr
    assert json.loads(done.stdout)["changed"] is False
    assert not environment.versions.exists()


def test_a_check_names_the_build_to_take_where_the_installed_one_does_not_fit(environment: Environment, tmp_path: Path) -> None:
    environment.make()
    machine = tmp_path / "blackwell.toml"
    machine.write_text('description = "a newer GPU"\n[[gpus]]\nname = "NVIDIA B200"\ncapability = 100\n')

    done = environment.ask("check", "--format", "json", before=on_a_gpu(str(machine)))

    told = json.loads(done.stdout)
    assert done.returncode == 1
    assert told["installed"]["version"] == OLD
    assert "no code for NVIDIA B200" in told["installed"]["reason"]
    assert told["recommended"] == "cu129"  # the newest that has torch 2.8.0


# --- what must not be put into place ----------------------------------------------------------------------------------

UNFIT = {
    "a package that does not import with the new torch": (("fragile",), NEW, "fragile cannot be imported there: SystemExit: it knows no such torch"),
    "a package that requires the old torch": (("pinned==1.0",), NEW, "pinned"),
    "a torch that would change another package": (("plain==1.0",), "2.9.4+cu128", "plain"),
    "a torch that nobody has": ((), "2.9.9+cu128", "2.9.9+cu128"),
}  # fmt: skip


@pytest.mark.parametrize(("packages", "to", "reason"), UNFIT.values(), ids=UNFIT.keys())
def test_an_environment_that_would_break_is_not_put_into_place(
    environment: Environment, packages: tuple[str, ...], to: str, reason: str
) -> None:
    environment.make("speaker", *packages)
    before = environment.snapshot()

    done = environment.upgrade(to=to)

    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("firstlight: cannot ")
    assert reason in last
    assert "is as it was" in last
    assert environment.snapshot() == before


def test_a_package_may_change_with_torch_where_the_user_says_so(environment: Environment) -> None:
    environment.make("pinned==1.0")

    done = environment.upgrade("--also", "pinned")

    assert done.returncode == 0, done.stderr
    assert environment.version_of("pinned") == "2.0"


def test_what_did_not_import_before_need_not_now_unless_it_is_named(environment: Environment) -> None:
    environment.make("broken")

    named = environment.upgrade("--import", "broken")
    assert named.returncode == 1
    assert "broken cannot be imported there: ModuleNotFoundError" in named.stderr
    done = environment.upgrade()
    assert done.returncode == 0, done.stderr
    assert "broken cannot be imported, as before" in done.stderr


# --- kills ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def stuck(environment: Environment, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """An upgrade that has made the new environment, and stands still in the first import of its torch."""
    environment.make("speaker")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    variables = {**environment.variables, "STAND_IN_STOPS": NEW, "STAND_IN_FIFO": str(fifo)}
    argv = environment.words("upgrade", "--no-gpu", "--to", NEW)
    with subprocess.Popen(argv, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as popen:
        with fifo.open() as reading:
            assert reading.readline() == "stopped\n"
        yield popen
        if popen.poll() is None:
            popen.kill()
        popen.communicate()


def wait_for_the_lock(environment: Environment) -> None:
    """Until everybody is gone who works here: those on the leash die with firstlight, and hold the lock until then."""
    with (environment.versions / "lock").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)


def test_a_second_upgrade_at_the_same_time_is_one_clear_error(environment: Environment, stuck: subprocess.Popen[str]) -> None:
    second = environment.upgrade()

    assert second.returncode == 1
    assert second.stderr.startswith(f"firstlight: cannot work on {environment.path}: another firstlight is at work on it")
    assert second.stderr.count("\n") == 1
    assert environment.ask("rollback").returncode == 64  # nothing is kept yet
    assert environment.torch() == OLD


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_an_upgrade_that_ended_before_the_proof_leaves_the_old_one_and_is_resumed(
    environment: Environment, stuck: subprocess.Popen[str], number: int
) -> None:
    stuck.send_signal(number)
    stuck.wait()
    assert stuck.returncode == (-number if number == signal.SIGKILL else 128 + number)
    wait_for_the_lock(environment)
    assert environment.torch() == OLD

    done = environment.upgrade()

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["resumed"] is True
    assert environment.torch() == NEW


def test_a_kill_while_the_installer_works_takes_the_installer_along_and_the_next_call_cleans(
    environment: Environment, tmp_path: Path
) -> None:
    environment.make("speaker")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    folder = tmp_path / "slow"
    folder.mkdir()
    (folder / "uv").write_text(f"#!/bin/sh\nset -e\necho $$ $5 > {fifo}\nexec sleep infinity\n")
    (folder / "uv").chmod(0o755)
    argv = environment.words("upgrade", "--no-gpu", "--to", NEW)
    with subprocess.Popen(argv, env={**environment.variables, "PATH": f"{folder}:/usr/bin:/bin"}, stderr=subprocess.DEVNULL) as popen:
        with fifo.open() as reading:
            pid, _ = reading.readline().split()
        popen.kill()
    descriptor = os.pidfd_open(int(pid)) if Path(f"/proc/{pid}").exists() else None
    try:
        wait_for_the_lock(environment)
    finally:
        if descriptor is not None:  # where it was not taken along
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            os.close(descriptor)
    assert environment.torch() == OLD
    assert environment.folders() == {NEW}

    done = environment.upgrade()

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["resumed"] is False
    assert environment.torch() == NEW
    assert environment.folders() == {OLD, NEW}


def test_a_disk_that_fills_up_while_files_are_copied_gets_its_space_back(environment: Environment, strace: Path) -> None:
    environment.make("speaker")

    done = environment.upgrade(before=traced(strace, "copy_file_range:error=ENOSPC:when=5"))

    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "is as it was" in done.stderr
    assert environment.folders() == set()
    assert environment.torch() == OLD


CALLS = "rename,renameat2,symlink,unlink,unlinkat,rmdir,copy_file_range,flock,fsync"


def traced(log: Path, *injections: str) -> list[str]:
    """What lets firstlight itself be killed, or fail, at a call of its own; its children are left alone.

    Python would rename what it compiles, where it has to: then the calls would not be the same each time.
    """
    options = ["-qq", "-E", "PYTHONDONTWRITEBYTECODE=1", "-o", str(log), "-e", f"trace={CALLS}"]
    return ["strace", *options, *(word for text in injections for word in ("-e", f"inject={text}"))]


def calls(log: Path) -> list[str]:
    return [line for line in log.read_text().splitlines() if "(" in line and not line.startswith(("---", "+++"))]


@pytest.fixture
def strace(tmp_path: Path) -> Path:
    """Where strace writes; skipped where nobody may trace."""
    log = tmp_path / "strace.log"
    tried = subprocess.run([*traced(log), "true"], capture_output=True, text=True, check=False) if shutil.which("strace") else None
    if tried is None or tried.returncode:
        pytest.skip(f"cannot trace: {tried.stderr.strip() if tried else 'there is no strace'}")
    return log


@pytest.mark.slow
def test_a_kill_at_any_call_leaves_an_environment_that_works_and_the_next_call_ends_it(environment: Environment, strace: Path) -> None:
    """Every call with which firstlight changes a name, and some of those that copy, in turn."""
    environment.make("speaker")
    pristine = environment.path.parent / "pristine"
    shutil.copytree(environment.path, pristine, symlinks=True)
    assert environment.upgrade(before=traced(strace)).returncode == 0
    seen = calls(strace)
    copied = [place for place, line in enumerate(seen) if line.startswith("copy_file_range")]
    moments = [place for place in range(len(seen)) if place not in copied[1:-1]]
    assert any(line.startswith("renameat2") for line in seen)
    outcomes = set()

    for moment in moments:
        name = seen[moment].partition("(")[0]
        number = sum(line.startswith(f"{name}(") for line in seen[: moment + 1])
        for path in (environment.path, environment.versions):
            path.unlink() if path.is_symlink() else shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(pristine, environment.path, symlinks=True)
        killed = environment.upgrade(before=traced(strace, f"{name}:signal=SIGKILL:when={number}"))
        assert killed.returncode == -signal.SIGKILL, (seen[moment], killed.stderr)
        outcomes.add(environment.torch())
        if environment.versions.exists() and (environment.versions / "lock").exists():
            wait_for_the_lock(environment)

        done = environment.upgrade()

        assert done.returncode == 0, (seen[moment], done.stderr)
        assert environment.torch() == NEW, seen[moment]
        assert {path.name for path in environment.versions.iterdir()} <= {OLD, NEW, f"{NEW}.json", "lock", "swap.json"}, seen[moment]
    assert OLD in outcomes


def test_a_file_system_that_cannot_exchange_names_is_told_of_before_anything_is_made(environment: Environment, strace: Path) -> None:
    environment.make()

    done = environment.upgrade(before=traced(strace, "renameat2:error=EINVAL"))

    assert done.returncode == 1
    assert "at one stroke" in done.stderr
    assert "--allow-gap" in done.stderr
    assert environment.folders() == set()
    assert environment.torch() == OLD


@pytest.mark.parametrize("verb", ["upgrade", "rollback"])
def test_a_kill_in_the_gap_is_healed_by_the_next_call(environment: Environment, strace: Path, verb: str) -> None:
    """Two renames stand for the exchange; the kill is at the second."""
    environment.make()
    pristine = environment.path.parent / "pristine"
    shutil.copytree(environment.path, pristine, symlinks=True)
    assert environment.upgrade("--allow-gap", before=traced(strace, "renameat2:error=EINVAL")).returncode == 0
    assert environment.torch() == NEW
    renames = [line for line in calls(strace) if line.startswith("rename(")]
    second = next(place for place, line in enumerate(renames, 1) if f'"{environment.path}")' in line)
    environment.path.unlink()
    shutil.rmtree(environment.versions)
    pristine.rename(environment.path)

    killed = environment.upgrade("--allow-gap", before=traced(strace, "renameat2:error=EINVAL", f"rename:signal=SIGKILL:when={second}"))

    assert killed.returncode == -signal.SIGKILL
    assert not environment.path.exists()
    done = environment.upgrade() if verb == "upgrade" else environment.ask("rollback")
    assert done.returncode == 0, done.stderr
    assert environment.torch() == (NEW if verb == "upgrade" else OLD)


# --- space ------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def mounted(folder: Path, size: int) -> Iterator[None]:
    """A file system of this size."""
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"cannot mount: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.root
def test_a_disk_that_is_too_small_is_told_of_before_anything_is_made(environment: Environment, tmp_path: Path) -> None:
    with mounted(tmp_path / "small", 20 << 20):
        environment.path = tmp_path / "small/venv"
        environment.versions = tmp_path / "small/venv.versions"
        environment.make()
        environment.install("torch==2.9.5+cu128")

        done = environment.upgrade(to=NEW)

        assert done.returncode == 1
        assert "MiB are needed beside it and" in done.stderr
        assert environment.folders() == set()
        assert environment.torch() == "2.9.5+cu128"


@pytest.mark.root
def test_a_disk_that_fills_up_leaves_the_old_one_and_gets_its_space_back(environment: Environment, tmp_path: Path) -> None:
    with mounted(tmp_path / "small", 10 << 20):
        environment.path = tmp_path / "small/venv"
        environment.versions = tmp_path / "small/venv.versions"
        environment.make("speaker")

        done = environment.upgrade(to="2.9.5+cu128")

        assert done.returncode == 1
        assert "No space left on device" in done.stderr
        assert environment.folders() == set()
        assert environment.torch() == OLD
        done = environment.upgrade()
        assert done.returncode == 0, done.stderr
        assert environment.torch() == NEW


@pytest.mark.root
def test_a_mount_point_cannot_be_exchanged(environment: Environment, tmp_path: Path) -> None:
    with mounted(environment.path, 20 << 20):
        environment.make()

        done = environment.upgrade()

        assert done.returncode == 64
        assert "it is a mount point of its own" in done.stderr
        assert not environment.versions.exists()
        assert environment.torch() == OLD


# --- bad input --------------------------------------------------------------------------------------------------------

BAD = {
    "no environment": (["upgrade", "--venv", "/no/such/venv"], "there is no /no/such/venv"),
    "a folder that is none": (["upgrade", "--venv", "/etc"], "no pyvenv.cfg"),
    "a version of letters": (["upgrade", "--venv", "VENV", "--to", "newest"], "--to 'newest'"),
    "a build of letters": (["upgrade", "--venv", "VENV", "--build", "cuda12"], "--build 'cuda12'"),
    "two builds": (["upgrade", "--venv", "VENV", "--to", "2.9.0+cu128", "--build", "cu126"], "two builds"),
    "a version that the build has not": (["upgrade", "--venv", "VENV", "--no-gpu", "--to", "2.5.1+cu128"], "begin with 2.7.0"),
    "no build, and no GPU to choose by": (["upgrade", "--venv", "VENV"], "cannot choose a build"),
    "a build that nobody can judge here": (["upgrade", "--venv", "VENV", "--to", "2.9.0+cu128"], "--no-gpu"),
    "a module that is none": (["upgrade", "--venv", "VENV", "--import", "a-b"], "no name of a module"),
    "none to keep": (["upgrade", "--venv", "VENV", "--keep", "0"], "fewer than one"),
    "a time of letters": (["upgrade", "--venv", "VENV", "--probe-timeout", "long"], "--probe-timeout"),
    "nothing to roll back": (["rollback", "--venv", "VENV"], "never upgraded"),
    "nothing to check": (["check"], "--venv"),
    "two things to check": (["check", "--venv", "VENV", "--from", "facts.json"], "--venv"),
    "facts that are not there": (["check", "--from", "/no/such/file"], "/no/such/file"),
}  # fmt: skip


@pytest.fixture(scope="module")
def plain_venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plain") / "venv"
    subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, str(path)], check=True)
    return path


@pytest.mark.parametrize(("words", "reason"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_one_line_and_changes_nothing(plain_venv: Path, words: list[str], reason: str) -> None:
    argv = [FIRSTLIGHT, "torch", *(str(plain_venv) if word == "VENV" else word for word in words)]

    done = subprocess.run(argv, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (64, ""), done.stderr
    assert done.stderr.startswith("firstlight: cannot ")
    assert reason in done.stderr
    assert done.stderr.count("\n") == 1
    assert [path.name for path in plain_venv.parent.iterdir()] == ["venv"]


def test_an_installer_must_be_there(environment: Environment) -> None:
    environment.make()

    done = environment.ask("upgrade", "--no-gpu", "--to", NEW, PATH="/usr/bin:/bin")

    assert done.returncode == 64
    assert "it has no pip, and uv is not on PATH" in done.stderr


@pytest.mark.parametrize(("name", "code"), [("h200-healthy.json", 1)])
def test_recorded_facts_are_enough_for_a_check(name: str, code: int) -> None:
    facts = ROOT / "tests/data/facts" / name

    done = subprocess.run(
        [FIRSTLIGHT, "torch", "check", "--from", str(facts), "--format", "json"], capture_output=True, text=True, check=False
    )

    told = json.loads(done.stdout)
    assert done.returncode == code
    assert told["recommended"] == "cu130"
    assert all(build["fits"] for build in told["builds"])
