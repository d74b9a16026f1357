"""The documentation is true: its commands run, its links lead somewhere, what is generated is current."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    path
    for path in sorted(
        [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md"), *(ROOT / "bench").glob("*.md")]
    )
    if path.is_file()
]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]

# What a page tells its reader to run: the lines of a console block that begin with "$ ".
BLOCK = re.compile(r"^ *```console\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)

# The words of the Makefile have tests of their own, and two of them would run this very test.
MAKE = re.compile(r"make (\w+)$")

# Exit codes that a page announces for its own command.
ANNOUNCED = {
    "firstlight doctor": {0, 1, 2},
    "firstlight rehearse gpu-not-granted -- echo never printed": {69},
    "firstlight rehearse gpu-busy --attempts 2 --delay 100ms -- true": {75},
}


def commands(page: Path) -> list[str]:
    """The commands of a page, in order."""
    return [line.strip()[2:] for block in BLOCK.findall(page.read_text()) for line in block.splitlines() if line.strip().startswith("$ ")]


SHOWN = [(name, command) for name, page in zip(NAMES, PAGES, strict=True) for command in commands(page)]


@pytest.mark.parametrize(("page", "command"), [shown for shown in SHOWN if not MAKE.match(shown[1])])
def test_a_command_that_is_shown_runs(page: str, command: str, tmp_path: Path) -> None:
    """Through the installed command, in the project's folder, with a state directory of its own."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "XDG_STATE_HOME": str(tmp_path),
    }
    if "dist/firstlight.pyz" in command:
        subprocess.run([sys.executable, "tools/build_onefile.py"], cwd=ROOT, check=True, capture_output=True)

    result = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )

    assert result.returncode in ANNOUNCED.get(command, {0}), result.stderr
    assert "Traceback" not in result.stderr
    assert "never printed" not in result.stdout


@pytest.mark.parametrize("word", sorted({match[1] for _page, command in SHOWN if (match := MAKE.match(command))}))
def test_a_word_of_make_that_is_shown_exists(word: str) -> None:
    result = subprocess.run(["make", "--dry-run", word], cwd=ROOT, capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stderr


def test_make_lists_every_word_that_the_contributing_guide_names() -> None:
    listed = set(
        re.findall(r"^  make ([a-z]+)", subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout, re.MULTILINE)
    )
    named = set(re.findall(r"`make ([a-z]+)", (ROOT / "CONTRIBUTING.md").read_text()))

    assert named <= listed


def test_the_journal_page_lists_the_kinds_that_are_written() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "src/firstlight").rglob("*.py"))
    written = set(re.findall(r'journal\.(?:write|note)\(\s*"([a-z-]+)"', sources))
    listed = re.findall(r"^\| `([a-z-]+)` \|", (ROOT / "docs/reference/journal.md").read_text().partition("## Kinds")[2], re.MULTILINE)

    assert written == set(listed)


LINK = re.compile(r"\[[^]\n]*\]\(([^)\s]+)\)")


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as web pages make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for target in LINK.findall(re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)):
        file, _, anchor = target.partition("#")
        if "://" in target:
            continue
        place = page.parent / file if file else page
        if not place.exists() or (anchor and anchor not in anchors(place)):
            broken.append(target)

    assert not broken


def test_options_that_are_shown_exist() -> None:
    from firstlight import settings

    known = {f"--{option.name}" for option in settings.OPTIONS}
    for page in PAGES:
        for line in re.findall(r"firstlight(?:\.pyz)? run (.*?)(?: -- |$)", page.read_text(), re.MULTILINE):
            shown = {word.partition("=")[0] for word in re.findall(r"(--[a-z-]+)", line)}
            assert shown <= known, (page.name, line)


def test_variables_that_are_shown_exist() -> None:
    from firstlight import settings

    known = {option.variable for option in settings.OPTIONS} | {
        "FIRSTLIGHT_NAME",  # stands for any of them
        "FIRSTLIGHT_SERVICE_HOST",  # what Kubernetes sets
        "FIRSTLIGHT_LIFE",  # what each life of the app is told
        *settings.NOT_FOR_APPS,  # the page's token, and what `pod` verbs leave with a pod
    }
    for page in PAGES:
        assert set(re.findall(r"FIRSTLIGHT_[A-Z_]*[A-Z]", page.read_text())) <= known, page.name


def test_what_is_generated_is_current() -> None:
    result = subprocess.run([sys.executable, "tools/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_completion_script_is_printed_and_its_shell_takes_it(shell: str, tmp_path: Path) -> None:
    script = subprocess.run(
        [Path(sys.executable).parent / "firstlight", "completion", shell], capture_output=True, text=True, check=True
    ).stdout
    for option in ("run", "--on-failure", "rehearse"):
        assert option in script

    file = tmp_path / "script"
    file.write_text(script)
    try:
        checked = subprocess.run([shell, "-n", file], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip(f"no {shell} here")
    assert (checked.returncode, checked.stderr) == (0, "")


def test_bash_completes_verbs_options_and_their_values() -> None:
    script = f"""
source <({shlex.quote(str(Path(sys.executable).parent / "firstlight"))} completion bash)
complete_words() {{ COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${{#COMP_LINE}}; COMPREPLY=(); "$function"; printf '%s ' "${{COMPREPLY[@]}}"; echo; }}
function=$(complete -p firstlight | sed 's/.*-F \\([^ ]*\\).*/\\1/')
complete_words firstlight doc
complete_words firstlight run --on-f
complete_words firstlight run --restart al
complete_words firstlight config sh
"""

    result = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True, check=True)

    assert result.stdout.split("\n")[:4] == ["doctor ", "--on-failure ", "always ", "show "], result.stdout + result.stderr


def test_every_code_that_the_table_of_exit_codes_names_is_one_of_ours() -> None:
    from firstlight import errors

    codes = re.findall(r"^\| (\d+) \|", (ROOT / "docs/reference/exit-codes.md").read_text(), re.MULTILINE)

    assert [int(code) for code in codes] == [code.value for code in errors.ExitCode]


NAMED_TESTS = re.findall(r"`([\w/]+\.py)::(test_\w+)`", (ROOT / "docs/reference/pid1.md").read_text())


def test_the_checklist_of_pid_1_is_not_empty() -> None:
    assert len(NAMED_TESTS) > 80


@pytest.mark.parametrize("path", sorted({path for path, _ in NAMED_TESTS}))
def test_a_test_that_the_checklist_of_pid_1_names_exists(path: str) -> None:
    existing = set(re.findall(r"^def (test_\w+)\(", (ROOT / "tests" / path).read_text(), re.MULTILINE))

    assert {name for named, name in NAMED_TESTS if named == path} <= existing
