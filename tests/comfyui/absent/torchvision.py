"""Stands for torchvision."""

import sys

import absent_package

absent_package.stand_in(sys.modules[__name__], "models", "ops", "transforms", "transforms.functional")
