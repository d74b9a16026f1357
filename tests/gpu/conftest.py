"""The suite's modules stand alone, so that one folder can be carried to a GPU machine: here they are found by pytest."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
