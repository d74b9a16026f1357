"""`firstlight torch` on a machine with a real GPU, whose python3 is that of a virtual environment with a real PyTorch.

    python3 tests/gpu/upgrade_torch.py [--firstlight "COMMAND"]

The environment under test is a link to that one, which is never written to. What it is upgraded to is its own torch, with all that
torch brings along, packed into wheels: so nothing is downloaded, and everything is real, the sizes and the kernels too. Prints what was asked and how long it took.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import zipfile
from importlib import metadata
from pathlib import Path

FAMILY = re.compile(r"torch|torchvision|torchaudio|triton|pytorch-triton|(nvidia|cuda)-.*", re.IGNORECASE)


def pack(folder: Path, distribution: metadata.Distribution) -> None:
    """Pack an installed package into a wheel again."""
    name = distribution.metadata["Name"].replace("-", "_")
    info = f"{name}-{distribution.version}.dist-info"
    about = distribution.read_text("WHEEL") or ""
    tag = re.search(r"^Tag: (.+)$", about, re.MULTILINE)[1]
    with zipfile.ZipFile(folder / f"{name}-{distribution.version}-{tag}.whl", "w") as archive:
        for file in distribution.files or ():
            if ".dist-info/" not in str(file) and not str(file).startswith("..") and file.suffix != ".pyc":
                archive.write(file.locate(), str(file))
        for part in ("METADATA", "WHEEL", "entry_points.txt"):
            if text := distribution.read_text(part):
                archive.writestr(f"{info}/{part}", text)
        archive.writestr(f"{info}/RECORD", "".join(f"{path},,\n" for path in [*archive.namelist(), f"{info}/RECORD"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--firstlight", default=f"{sys.executable} -m firstlight", help="the command under test")
    firstlight = parser.parse_args().firstlight.split()

    if sys.prefix == sys.base_prefix:
        sys.exit("cannot test: this python3 belongs to no virtual environment")

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wheels, venv = folder / "wheels", folder / "venv"
        venv.symlink_to(sys.prefix)
        wheels.mkdir()
        version = metadata.version("torch")
        for distribution in metadata.distributions():
            if FAMILY.fullmatch(distribution.metadata["Name"]) and distribution.metadata["Name"] != "nvidia-ml-py":
                pack(wheels, distribution)
        python = str(venv / "bin/python")
        environment = {
            **os.environ,
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_NO_INDEX": "1",
            "UV_CACHE_DIR": f"{folder}/cache",
            "UV_OFFLINE": "1",
        }

        def ask(*argv: str, code: int = 0, quiet: bool = False, **variables: str) -> str:
            started = time.monotonic()
            done = subprocess.run(argv, env={**environment, **variables}, capture_output=True, text=True, check=False)
            said = "" if quiet else f"{done.stdout}{done.stderr}".replace(name, "…")
            print(
                f"\n$ {' '.join(argv).replace(name, '…')}\n{said}({time.monotonic() - started:.1f} s, exit {done.returncode})", flush=True
            )
            assert done.returncode == code
            return done.stdout

        def works() -> None:
            product = "import torch; a = torch.ones(512, 512, device='cuda'); print(torch.__file__, (a @ a).sum().item())"
            where, result = ask(python, "-c", product).split()
            assert where.startswith(f"{venv}/")
            assert float(result) == 512**3
            ask(str(venv / "bin/torchrun"), "--help", quiet=True)

        upgrade = (*firstlight, "torch", "upgrade", "--venv", str(venv), "--to", version, "--find-links", str(wheels))
        ask(*firstlight, "torch", "check", "--venv", str(venv))
        ask(*upgrade, "--dry-run")
        ask(*upgrade, code=1, CUDA_VISIBLE_DEVICES="-1")  # no GPU, no proof, no swap
        assert os.readlink(venv) == sys.prefix
        told = json.loads(ask(*upgrade, "--format", "json"))
        assert told["resumed"] is True
        assert told["proven"] is True
        works()
        ask(*firstlight, "torch", "rollback", "--venv", str(venv))
        assert os.readlink(venv) == sys.prefix
        ask(*firstlight, "torch", "rollback", "--venv", str(venv))
        works()


if __name__ == "__main__":
    main()
