"""The lines of a look: JSON, though the module of that name is not there."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from hypothesis import given, strategies

from firstlight.programs import watch_gpu

PLAIN = strategies.none() | strategies.booleans() | strategies.integers() | strategies.text()
VALUES = strategies.recursive(
    PLAIN, lambda inner: strategies.lists(inner) | strategies.dictionaries(strategies.text(), inner), max_leaves=20
)


@given(strategies.dictionaries(strategies.text(), VALUES))
def test_any_fields_are_json(fields: dict[str, Any]) -> None:
    assert json.loads(watch_gpu.encoded(fields)) == fields


def test_a_byte_that_is_no_text_is_json_too() -> None:
    assert json.loads(watch_gpu.encoded({"path": "/dev/\udcff"})) == {"path": "/dev/\udcff"}


def test_a_look_imports_nothing_dear() -> None:
    script = "import sys; from firstlight.programs import confine, watch_gpu; print([name for name in ('json', 're', 'typing') if name in sys.modules])"
    outcome = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:] = {sys.path!r}; {script}"], capture_output=True, text=True, check=True
    )
    assert outcome.stdout == "[]\n"
