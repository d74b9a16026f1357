"""The GPU suite under pytest; skipped where there is no GPU or no root. `python3 tests/gpu/suite.py` is the same without pytest."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SUITE = Path(__file__).resolve().parent / "suite.py"


@pytest.mark.skipif(not os.path.exists("/dev/nvidiactl") or os.geteuid() != 0, reason="it needs root and an NVIDIA GPU")
@pytest.mark.gpu
@pytest.mark.timeout(600)  # every late node is waited for, and CUDA is brought up a hundred times
def test_every_fault_that_can_be_made_here_comes_out_as_expected(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(SUITE), "--firstlight", f"{sys.executable} -m firstlight", "--out", str(tmp_path)], check=False
    )
    assert done.returncode == 0, (tmp_path / "gpu-results.md").read_text()
