"""Build dist/firstlight.pyz: everything in one file that any python3 from 3.10 on runs.

The archive holds, in this order of search (see onefile_main.py, and docs/decisions/0007-one-file-layout.md for the why):

    __main__.py                      blocks signals, chooses the byte code, starts
    cpython-311/start                byte code of what comes before the first probe, in one piece, for each interpreter at hand
    cpython-311/modules              byte code of the rest of the core, in one piece
    cpython-311/on-demand            byte code of ours that few starts need, in one piece
    cpython-311/firstlight/….pyc     byte code of what children run, one such folder for each interpreter at hand
    cpython-311/libraries.zip        byte code of the agent's libraries, and of what uses them: see docs/decisions/0010-libraries-in-an-archive-of-their-own.md
    cpython-311/control              byte code of the control plane, in one piece
    cpython-311/control.zip          byte code of the libraries that it needs beside the agent's
    firstlight/….py  pynvml.py …     the sources: for any other interpreter, and for whoever wants to read them
    libraries.zip, control.zip       the sources of the libraries

Two builds with the same interpreters are the same bytes.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import io
import json
import marshal
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import interpreters

ROOT = Path(__file__).resolve().parent.parent
SHEBANG = b"#!/usr/bin/env -S python3 -IS\n"
# The clock of every entry. Zip cannot tell an earlier time than 1980; this is what the wheel has too.
TIMESTAMP = (2020, 1, 1, 0, 0, 0)

# What child processes need, and Python 3.10 for lack of a tomllib: by distribution, the modules that go in. pynvml.py
# carries its licence in its first lines.
BUNDLED = {"nvidia-ml-py": ("pynvml.py",), "tomli": ("tomli/",)}

# What the agent needs lies in an archive of its own: by distribution, what of it no agent imports.
LIBRARIES = {
    "anyio": ("anyio/_backends/_trio.py", "anyio/pytest_plugin.py"),
    "click": (),
    "exceptiongroup": (),
    "h11": ("h11/tests/",),
    "prometheus-client": ("prometheus_client/bridge/", "prometheus_client/twisted/"),
    "starlette": ("starlette/testclient.py",),
    "typing-extensions": (),
    "uvicorn": ("uvicorn/protocols/http/httptools_impl.py", "uvicorn/protocols/http/zttp_impl.py", "uvicorn/protocols/websockets/"),
}
# What the control plane (`firstlight pod`) needs beside those.
CONTROL = {
    "httpcore2": (),
    "httpx2": ("httpx2/_main.py",),
    # anyio asks for it when it connects to a name, and the agent connects to nobody. Its tables are as long as all the rest.
    "idna": (),
    "truststore": ("truststore/_macos.py", "truststore/_windows.py"),
}

# What a stranger's interpreter runs (the app's Python, 3.8 or newer) needs its source beside the byte code: byte code of
# another version is passed over only where a source follows.
SHARED_WITH_STRANGERS = ("firstlight/__init__.py", "firstlight/programs/")

# What the agent imports of ours, beside itself, does not lie in the folder of what children run: it goes into its archive.
WITH_LIBRARIES = (
    "firstlight/__init__.pyc",
    "firstlight/errors.pyc",
    "firstlight/faults/",
    "firstlight/journal/",
    "firstlight/markup/",
    "firstlight/probe/__init__.pyc",
    "firstlight/probe/facts.pyc",
    "firstlight/serve/",
    "firstlight/system/",
)

# Here lie the page's style and script too. Only an archive hands those out, so none of it is in one of the pieces.
OF_THE_PAGE = ("firstlight/markup/", "firstlight/serve/")

# These ask for their own version by it.
TELLS_VERSION = ("httpx2", "httpcore2")

# The control plane, and the acceptance: a piece that PID 1 never reads.
OF_CONTROL = (
    "firstlight/acceptance/",
    "firstlight/cli/pods/",
    "firstlight/cli/torches/",
    "firstlight/fleet/",
    "firstlight/providers/",
    "firstlight/pytorch/",
    "firstlight/report/builds.pyc",
    "firstlight/report/pods/",
    "firstlight/system/asking.pyc",
    "firstlight/system/running.pyc",
)

# What no start of a container needs is left out of the byte code: it would be read at each.
SOURCES_ALONE = ("firstlight/install/", "firstlight/rehearse/", "firstlight/py.typed")

# What `run` imports before the first probe starts.
START = (
    "firstlight/__init__.pyc",
    "firstlight/boot/__init__.pyc",
    "firstlight/boot/parts.pyc",
    "firstlight/entrypoint.pyc",
    "firstlight/errors.pyc",
    "firstlight/settings/__init__.pyc",
    "firstlight/settings/options.pyc",
    "firstlight/settings/values.pyc",
    "firstlight/cli/__init__.pyc",
    "firstlight/cli/main.pyc",
    "firstlight/cli/run.pyc",
    "firstlight/probe/__init__.pyc",
    "firstlight/probe/children.pyc",
    "firstlight/probe/fingerprint.pyc",
    "firstlight/supervise/__init__.pyc",
    "firstlight/supervise/command.pyc",
    "firstlight/system/",
)

# What a start that comes to its app needs only for a recipe, a file or a companion: PID 1 would keep all of it in memory.
ON_DEMAND = (
    "firstlight/__main__.pyc",
    "firstlight/apps/a1111.pyc",
    "firstlight/apps/comfyui.pyc",
    "firstlight/apps/http.pyc",
    "firstlight/apps/jupyter.pyc",
    "firstlight/apps/parse.pyc",
    "firstlight/apps/recipes.pyc",
    "firstlight/apps/triton.pyc",
    "firstlight/apps/vllm.pyc",
    "firstlight/cli/",
    "firstlight/journal/read.pyc",
    "firstlight/journal/status.pyc",
    "firstlight/journal/timeline.pyc",
    "firstlight/report/",
    "firstlight/settings/firstlight_toml.pyc",
    "firstlight/supervise/chosen.pyc",
    "firstlight/supervise/companions.pyc",
)

_HEADER = 16  # bytes before the code in a .pyc: magic number, flags, hash or time and size
_MAGIC = 4  # bytes of the magic number
_WITHOUT_DOCSTRINGS = 2  # nobody reads those of libraries here, and they are a third of the byte code
_PLAIN = 2  # the newest form of marshal without references, whose bytes depend on nothing but the values

# Compiles inside the interpreter that the byte code is for. Unchecked: the source is never looked at, however it is dated.
_COMPILE = """
import json, py_compile, sys
for source, target, shown, level in json.load(sys.stdin):
    py_compile.compile(source, target, shown, doraise=True, optimize=level, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
"""


def build(target: Path, *, compression: int = zipfile.ZIP_DEFLATED, tags: dict[str, str] | None = None) -> None:
    """Write the one file. `tags` are the interpreters to make byte code for, by cache tag; by default those at hand."""
    contents = _sources()
    libraries = _libraries(LIBRARIES)
    control = _libraries(CONTROL)
    entries = dict(contents)
    entries["libraries.zip"] = _archive(libraries)
    entries["control.zip"] = _archive(control)
    for tag, interpreter in (interpreters.at_hand() if tags is None else tags).items():
        entries.update({f"{tag}/{name}": data for name, data in _for_interpreter(contents, libraries, control, interpreter).items()})
    entries["__main__.py"] = (ROOT / "tools/onefile_main.py").read_bytes()
    entries.update(_licences())

    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(SHEBANG + _archive(entries, compression, len(SHEBANG)))
    target.chmod(0o755)


def _archive(entries: dict[str, bytes], compression: int = zipfile.ZIP_STORED, room: int = 0) -> bytes:
    """A zip of these, which begins after `room` bytes of something else. What lies in an archive that is compressed itself is stored."""
    buffer = io.BytesIO(bytes(room))
    buffer.seek(room)
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in sorted(entries.items()):
            entry = zipfile.ZipInfo(name, TIMESTAMP)
            entry.external_attr = 0o100644 << 16
            entry.create_system = 3  # Unix, wherever it was built
            entry.compress_type = compression
            archive.writestr(entry, data)
    return buffer.getvalue()[room:]


def _libraries(distributions: dict[str, tuple[str, ...]]) -> dict[str, bytes]:
    """The sources of these, by name in their archive."""
    found = {}
    for distribution, left_out in distributions.items():
        for file in importlib.metadata.files(distribution) or ():
            told = file.name == "METADATA" and distribution in TELLS_VERSION
            if (file.suffix == ".py" or told) and ".." not in file.parts and not str(file).startswith(left_out):
                found[str(file)] = file.read_binary()
    return found


def _sources() -> dict[str, bytes]:
    """Our package with its data, and the bundled modules, by name in the archive."""
    package = ROOT / "src/firstlight"
    found = {
        f"firstlight/{path.relative_to(package)}": path.read_bytes()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    for distribution, roots in BUNDLED.items():
        for file in importlib.metadata.files(distribution) or ():
            if str(file).startswith(roots) and file.suffix == ".py":
                found[str(file)] = file.read_binary()
    return found


def _for_interpreter(
    contents: dict[str, bytes], libraries: dict[str, bytes], control: dict[str, bytes], interpreter: str
) -> dict[str, bytes]:
    """The contents as this interpreter is to find them: the core in one piece, the rest as files of byte code, data as it is."""
    contents = {name: data for name, data in contents.items() if not name.startswith(SOURCES_ALONE)}
    result = {name: data for name, data in contents.items() if name.startswith(SHARED_WITH_STRANGERS)}
    with tempfile.TemporaryDirectory() as folder:
        orders = []
        foreign = {**libraries, **control}
        for name, data in sorted({**contents, **foreign}.items()):
            if name.endswith(".py"):
                source = Path(folder, "source", name)
                source.parent.mkdir(parents=True, exist_ok=True)
                source.write_bytes(data)
                # The last name is what tracebacks show.
                orders.append(
                    (str(source), f"{folder}/compiled/{name}c", f"firstlight.pyz/{name}", _WITHOUT_DOCSTRINGS if name in foreign else 0)
                )
        subprocess.run(
            [interpreter, "-S", "-s", "-B", "-c", _COMPILE],
            input=json.dumps(orders),
            text=True,
            check=True,
            env={"PYTHONHASHSEED": "0"},  # the order of a constant set is part of the byte code
            cwd=folder,
        )
        compiled = Path(folder, "compiled")
        byte_code = {str(path.relative_to(compiled)): path.read_bytes() for path in sorted(compiled.rglob("*.pyc"))}
    theirs = {f"{name}c": byte_code.pop(f"{name}c") for name in libraries}
    other = {f"{name}c": byte_code.pop(f"{name}c") for name in control if name.endswith(".py")}
    other.update({name: data for name, data in control.items() if not name.endswith(".py")})
    core = {name: data for name, data in byte_code.items() if name.startswith("firstlight/")}
    result.update({name: data for name, data in byte_code.items() if name not in core or name.startswith(SHARED_WITH_STRANGERS)})
    agent = {name: data for name, data in core.items() if name.startswith(WITH_LIBRARIES)}
    assets = {name: data for name, data in contents.items() if name.startswith(OF_THE_PAGE) and not name.endswith(".py")}
    result["libraries.zip"] = _archive({**theirs, **agent, **assets})
    result["control.zip"] = _archive(other)
    core = {name: data for name, data in core.items() if not name.startswith(OF_THE_PAGE)}
    ours = {name: data for name, data in core.items() if not name.startswith("firstlight/programs/")}
    result["start"] = _one_piece({name: data for name, data in ours.items() if name.startswith(START) and not name.startswith(OF_CONTROL)})
    result["control"] = _one_piece({name: data for name, data in ours.items() if name.startswith(OF_CONTROL)})
    rest = {name: data for name, data in ours.items() if not name.startswith((*START, *OF_CONTROL))}
    result["modules"] = _one_piece({name: data for name, data in rest.items() if not name.startswith(ON_DEMAND)})
    result["on-demand"] = _one_piece({name: data for name, data in rest.items() if name.startswith(ON_DEMAND)})
    return result


def _one_piece(byte_code: dict[str, bytes]) -> bytes:
    """The interpreter's magic number, and byte code by module name: whether it is a package, and the code without its file's header."""
    magic = next(iter(byte_code.values()))[:_MAGIC]
    pieces = {}
    for name, data in byte_code.items():
        path = name.removesuffix(".pyc").split("/")
        is_package = path[-1] == "__init__"
        pieces[".".join(path[:-1] if is_package else path)] = (is_package, data[_HEADER:])
    return marshal.dumps((magic, pieces), _PLAIN)


def _licences() -> dict[str, bytes]:
    """Our licence and those of what is bundled."""
    found = {"LICENSE": (ROOT / "LICENSE").read_bytes()}
    for distribution in (*BUNDLED, *LIBRARIES, *CONTROL):
        for file in importlib.metadata.files(distribution) or ():
            if file.name.upper().startswith(("LICENSE", "LICENCE", "COPYING")):
                found[f"LICENSE.{distribution}"] = file.read_binary()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", nargs="?", type=Path, default=ROOT / "dist/firstlight.pyz")
    parser.add_argument("--stored", action="store_true", help="do not compress (to measure what that gains)")
    arguments = parser.parse_args()
    build(arguments.target, compression=zipfile.ZIP_STORED if arguments.stored else zipfile.ZIP_DEFLATED)
    print(f"{arguments.target.name}: {arguments.target.stat().st_size:,} bytes, byte code for {', '.join(interpreters.at_hand())}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
