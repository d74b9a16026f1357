"""The simulated libraries against NVIDIA's own headers: every prototype, constant and struct that they use.

The sources include <cuda.h> and <nvml.h>. What ships beside them are our own short headers; here the same sources are
compiled against NVIDIA's, where a definition that differs from the declaration is an error.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import fetched
import pytest

from firstlight.rehearse import compile as driver

SOURCES = Path(driver.__file__).resolve().parent / "driver"
STRICT = ["-std=c11", "-Wall", "-Wextra", "-Werror"]

# The header, the package that holds it, its version. CUDA 12 and 13 are the generations that a driver of today speaks;
# NVML's header of CUDA 12 lacks the newest structs.
HEADERS = {
    "cuda.h of CUDA 12": ("cuda.h", "nvidia-cuda-runtime-cu12", "12.9.79"),
    "cuda.h of CUDA 13": ("cuda.h", "nvidia-cuda-runtime", "13.5.37"),
    "nvml.h of CUDA 13": ("nvml.h", "nvidia-nvml-dev", "13.5.37"),
}
# The old names of a call, such as cuDeviceGetUuid beside cuDeviceGetUuid_v2, are declared for those who define these.
OLD_NAMES = ["-D__CUDA_API_VERSION_INTERNAL", "-DNVML_NO_UNVERSIONED_FUNC_DEFS"]


def compiler() -> str:
    found = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if found is None:
        pytest.skip("this machine has no C compiler")
    return found


def compile_c(cc: str, arguments: list[str]) -> str:
    """The compiler's complaints, empty when there are none."""
    done = subprocess.run([cc, *arguments], capture_output=True, text=True, check=False, timeout=100)
    return done.stderr if done.returncode else ""


@pytest.fixture(params=HEADERS)
def header(request):
    """The name of one of NVIDIA's headers, and the folder that it lies in."""
    name, package, version = HEADERS[request.param]
    return name, fetched.header(package, version, name)


def sources_with(header_name: str) -> list[Path]:
    """Our sources that define what this header declares."""
    products = ("nvml",) if header_name == "nvml.h" else ("driver", "compat")
    return [SOURCES / name for name in sorted({name for product in products for name in driver.PRODUCTS[product][1]})]


def test_every_definition_agrees_with_nvidias_declaration(header):
    name, folder = header
    cc = compiler()
    for source in sources_with(name):
        complaints = compile_c(
            cc, [*STRICT, "-Wmissing-prototypes", "-fsyntax-only", *OLD_NAMES, f"-isystem{folder}", f"-I{SOURCES}", str(source)]
        )
        assert not complaints, complaints


def without_comments(header: str) -> str:
    return re.sub(r"/\*.*?\*/", "", (SOURCES / "include" / header).read_text(), flags=re.DOTALL)


def constants(header: str) -> list[str]:
    text = without_comments(header)
    found = re.findall(r"^\s*#define (\w+) +\S", text, flags=re.MULTILINE)  # not those with parameters
    for body in re.findall(r"enum \w+ \{(.*?)\}", text, flags=re.DOTALL):
        found += re.findall(r"(\w+) = ", body)
    return [name for name in found if name not in ("CUDAAPI", "DECLDIR")]


def structs(header: str) -> dict[str, list[str]]:
    """Names of the fields by the name of the struct."""
    found = {}
    for body, names in re.findall(r"typedef (?:struct|union)(?: \w+)? \{(.*?)\} ([\w, ]+);", without_comments(header), flags=re.DOTALL):
        declarations = [line for line in body.split(";") if line.strip()]
        fields = [re.sub(r"\[.*", "", part).split()[-1] for line in declarations for part in line.split(",")]
        for name in names.split(","):
            found[name.strip()] = fields
    return found


def layout(header: str) -> list[str]:
    """C expressions that must have the same value under our header and under NVIDIA's."""
    expressions = [f"(long long)({name})" for name in constants(header)]
    for name, fields in structs(header).items():
        expressions.append(f"(long long)sizeof({name})")
        expressions += [f"(long long)offsetof({name}, {field})" for field in fields]
        expressions += [f"(long long)sizeof((({name} *)0)->{field})" for field in fields]
    return expressions


def evaluate(cc: str, header: str, folder: Path, expressions: list[str], scratch: Path) -> list[int]:
    source, program = scratch / "layout.c", scratch / "layout"
    lines = "".join(f'    printf("%lld\\n", {expression});\n' for expression in expressions)
    source.write_text(f"#include <stddef.h>\n#include <stdio.h>\n#include <{header}>\nint main(void)\n{{\n{lines}    return 0;\n}}\n")
    complaints = compile_c(cc, ["-std=c11", f"-isystem{folder}", "-o", str(program), str(source)])
    assert not complaints, complaints
    done = subprocess.run([str(program)], capture_output=True, text=True, check=True, timeout=20)
    return [int(line) for line in done.stdout.split()]


def test_constants_and_structs_are_those_of_nvidias_headers(header, tmp_path):
    name, folder = header
    cc = compiler()
    expressions = layout(name)
    assert len(expressions) > 40
    theirs = evaluate(cc, name, folder, expressions, tmp_path)
    ours = evaluate(cc, name, SOURCES / "include", expressions, tmp_path)
    assert dict(zip(expressions, ours, strict=True)) == dict(zip(expressions, theirs, strict=True))


@pytest.mark.parametrize("cc", ["gcc", "clang", "musl-gcc"])
def test_a_compiler_finds_nothing_to_complain_of(cc, tmp_path):
    fetched.need(cc)
    for product, (soname, files) in driver.PRODUCTS.items():
        inputs = [str(SOURCES / name) for name in files]
        output = ["-o", str(tmp_path / f"{product}.so"), f"-Wl,-soname,{soname}"]
        complaints = compile_c(cc, [*driver.FLAGS, *STRICT, f"-I{SOURCES / 'include'}", *output, *inputs, *driver.LIBRARIES])
        assert not complaints, complaints
