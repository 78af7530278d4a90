"""The flat layer: <thrum/*.h> as it is, by SWIG. See each function's docstring.

    from thrum import _thrum
    _thrum.thrum_addr("::1", 80).text()

It is in the same file as _core, where CPython does not look for it by itself.
"""

import sys
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_loader

from . import _core

_loader = ExtensionFileLoader(__name__, str(_core.__file__))
_spec = spec_from_loader(__name__, _loader)
assert _spec is not None
_module = module_from_spec(_spec)
_loader.exec_module(_module)
sys.modules[__name__] = _module
