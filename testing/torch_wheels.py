"""Wheels of packages that stand in for PyTorch and what is built on it, a few kilobytes each, for tests of what happens around them.

The torch among them answers what firstlight asks of a torch, multiplies small matrices of whole numbers, and takes its GPUs from the
variable STAND_IN_GPUS. With STAND_IN_FIFO it stops while it is imported, until that FIFO is read: what kills, kills then.
"""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path

TORCH = """
import os

__version__ = "{version}"
float32 = "float32"


class version:
    cuda = {cuda!r}


class cuda:
    @staticmethod
    def get_arch_list():
        return {architectures!r} if cuda.is_available() else []  # as the real one

    @staticmethod
    def device_count():
        return int(os.environ.get("STAND_IN_GPUS", "0"))

    @staticmethod
    def is_available():
        return cuda.device_count() > 0

    @staticmethod
    def init():
        if not cuda.is_available():
            raise RuntimeError("No CUDA GPUs are available")


class _C:
    @staticmethod
    def _cuda_getArchFlags():
        return " ".join({architectures!r})


class Matrix:
    def __init__(self, rows, wrong=False):
        self.rows, self.wrong = rows, wrong

    def reshape(self, height, width):
        flat = [number for row in self.rows for number in row]
        return Matrix([flat[place * width : (place + 1) * width] for place in range(height)])

    def remainder(self, number):
        return Matrix([[entry % number for entry in row] for row in self.rows])

    def to(self, device):
        return Matrix(self.rows, wrong={wrong!r})

    def cpu(self):
        return Matrix(self.rows)

    def __matmul__(self, other):
        columns = list(zip(*other.rows))
        product = [[sum(map(int.__mul__, row, column)) for column in columns] for row in self.rows]
        product[0][0] += self.wrong
        return Matrix(product, self.wrong)


def arange(count, dtype=None):
    return Matrix([list(range(count))])


def equal(one, other):
    return one.rows == other.rows


if "{version}" in os.environ.get("STAND_IN_STOPS", "nowhere"):
    with open(os.environ["STAND_IN_FIFO"], "w") as fifo:
        fifo.write("stopped\\n")
        fifo.flush()
        import time
        while True:
            time.sleep(60)
"""

HOPPER = ["sm_80", "sm_86", "sm_90"]
BLACKWELL = [*HOPPER, "sm_100", "sm_120"]


def wheel(folder: Path, name: str, version: str, files: dict[str, str], requires: tuple[str, ...] = (), script: str = "") -> Path:
    """Write one wheel; `script` is a function of the package that becomes a command of its name."""
    info = f"{name}-{version}.dist-info"
    requirements = "".join(f"Requires-Dist: {line}\n" for line in requires)
    contents = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requirements}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    if script:
        contents[f"{info}/entry_points.txt"] = f"[console_scripts]\n{name} = {name}:{script}\n"
    record = [
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()},{len(text.encode())}"
        for path, text in contents.items()
    ]
    contents[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,"]) + "\n"
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inside, text in contents.items():
            archive.writestr(inside, text)
    return path


def torch(
    folder: Path,
    version: str,
    *,
    cuda: str | None,
    architectures: list[str],
    wrong: bool = False,
    requires: tuple[str, ...] = (),
    big: int = 0,
) -> Path:
    """A torch; `wrong` makes its GPUs miscalculate, `big` adds as many bytes."""
    text = TORCH.format(version=version, cuda=cuda, architectures=architectures, wrong=wrong)
    files = {"torch/__init__.py": text}
    if big:
        files["torch/lib/libtorch_cuda.so"] = "x" * big
    return wheel(folder, "torch", version, files, requires)
