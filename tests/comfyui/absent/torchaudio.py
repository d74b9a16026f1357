"""Stands for torchaudio."""

import sys

import absent_package

absent_package.stand_in(sys.modules[__name__], "functional", "transforms")
