"""Stands for packages that ComfyUI imports and a server on the CPU never uses: any name can be imported, and nothing can be done with it."""

import sys
import types


class AbsentType(type):
    """Its classes have every name too, as an enumeration's members are had."""

    def __getattr__(cls, name):
        return give(name)


class Absent(metaclass=AbsentType):
    """What every name stands for."""

    def __init__(self, *arguments, **named):
        pass

    def __call__(self, *arguments, **named):
        raise RuntimeError("this package is only a stand-in")


def give(name):
    """A name of a module that is not there."""
    if name.startswith("__"):
        raise AttributeError(name)
    return Absent


def stand_in(package, *names):
    """Give `package` these modules."""
    package.__path__ = []
    package.__version__ = "0"
    for name in names:
        module = types.ModuleType(f"{package.__name__}.{name}")
        module.__path__ = []
        module.__getattr__ = give
        sys.modules[module.__name__] = module
        parent, _, last = module.__name__.rpartition(".")
        setattr(sys.modules[parent], last, module)
