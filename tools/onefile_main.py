"""The first lines that run when firstlight.pyz is started: the archive's own __main__, in the place of the package's."""

import _signal  # the C part of `signal`: the rest of that module would cost milliseconds in which a signal is lost

INHERITED_MASK = _signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals())

import sys

# Byte code lies in a folder of its own for each interpreter that it was made by; where there is none for this one, the
# sources at the archive's root serve. The path is made absolute because children are given it too.
archive = sys.path[0]
if not archive.startswith("/"):
    import os

    archive = os.path.abspath(archive)
sys.path[0:1] = [f"{archive}/{sys.implementation.cache_tag}", archive]

import firstlight

# What the start of a container never needs (rehearsals) is there as sources alone.
firstlight.__path__.append(f"{archive}/firstlight")

from firstlight.cli import main

sys.exit(main.main(sys.argv[1:], INHERITED_MASK))
