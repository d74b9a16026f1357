"""The first lines that run when firstlight.pyz is started: the archive's own __main__, in the place of the package's."""

import _signal  # the C part of `signal`: the rest of that module would cost milliseconds in which a signal is lost

INHERITED_MASK = _signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals())

import marshal
import sys
from _frozen_importlib import ModuleSpec  # `importlib.machinery` and `importlib.util` have them too, and are imports more
from _frozen_importlib_external import MAGIC_NUMBER


class Modules:
    """Finds firstlight's modules in pieces of byte code: what comes before the first probe, and the rest when it is wanted.

    zipimport opens the archive twice for each module and asks for each folder on the way to it: on a network volume every
    one of these is a round trip, some sixty before the first child.
    """

    def __init__(self, pieces):
        self.pieces = pieces  # by module name: whether it is a package, its byte code
        self.unread = ["control", "on-demand", "modules"]  # the last is read first

    def __repr__(self):
        return f"<byte code for {sys.implementation.cache_tag}>"

    def find_spec(self, name, path=None, target=None):
        while name not in self.pieces and self.unread and name.startswith("firstlight."):
            self.pieces.update(read(self.unread.pop())[1])
        if name not in self.pieces:
            return None
        is_package = self.pieces[name][0]
        place = f"{archive}/{name.replace('.', '/')}"
        spec = ModuleSpec(name, self, origin=f"{place}/__init__.py" if is_package else f"{place}.py", is_package=is_package)
        spec.has_location = True
        if is_package:
            spec.submodule_search_locations.append(place)  # what is not among the pieces is there as source
        return spec

    def create_module(self, spec):
        return None  # an ordinary one

    def exec_module(self, module):
        # Nobody asks twice, and PID 1 would keep the byte code in memory for good.
        exec(marshal.loads(self.pieces.pop(module.__name__)[1]), module.__dict__)

    def get_data(self, path):
        import zipimport

        return zipimport.zipimporter(archive).get_data(path)

    def get_resource_reader(self, name):
        import zipimport

        return zipimport.zipimporter(f"{archive}/{name.rpartition('.')[0].replace('.', '/')}").get_resource_reader(name)


# The path is made absolute because children are given it too.
archive = sys.path[0]
if not archive.startswith("/"):
    import os

    archive = os.path.abspath(archive)
    sys.path[0] = archive


def read(piece):
    return marshal.loads(__loader__.get_data(f"{sys.implementation.cache_tag}/{piece}"))


try:
    magic, pieces = read("start")
except OSError:
    magic = None  # no byte code for this interpreter: the sources at the archive's root serve
if magic == MAGIC_NUMBER:  # a preview of a Python has its name and not its byte code
    sys.meta_path.insert(0, Modules(pieces))
    sys.path.insert(0, f"{archive}/{sys.implementation.cache_tag}")  # byte code for children

from firstlight.cli import main

sys.exit(main.main(sys.argv[1:], INHERITED_MASK))
