"""The first lines that run of a firstlight.pyz which was made from an installed wheel."""

# The C part of `signal`: the rest of that module would cost milliseconds in which a signal is lost.
import _signal  # type: ignore[import-not-found]

INHERITED_MASK = _signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals())

import os
import sys

sys.path[0] = os.path.abspath(sys.path[0])  # children are given it too

from firstlight.cli import main

sys.exit(main.main(sys.argv[1:], INHERITED_MASK))
