"""Modules that several unit tests share are found here: `machines`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
