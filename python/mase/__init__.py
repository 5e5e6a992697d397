"""MASE in C++ for Python: small nets, their graphs, number formats, runs. docs/python.md is the manual."""
import sys

from mase import _mase, errors, formats
from mase._mase import Predictor, __version__
from mase.errors import Error, ExistsError, GoalError, InvalidArgumentError, LimitError, NotFoundError
from mase.net import Graph, Node, load
from mase.runs import Report, explain, export, search, sweep, test, train, transform

# With isolation="process" plugins run in an interpreter that has nothing but the extension module. They find its
# symbols there as global ones: the sandbox lets them not be found in the way of mase/plugin/host_scope.h.
if sys.executable:
    _mase.allow_plugin_processes([sys.executable, "-I", "-S", "-c", f"""\
import importlib.util, os, sys
sys.setdlopenflags(sys.getdlopenflags() | os.RTLD_GLOBAL)
spec = importlib.util.spec_from_file_location("mase._mase", {_mase.__file__!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
sys.exit(module.serve_plugin(sys.argv))
"""])

__all__ = [
    "Error",
    "ExistsError",
    "GoalError",
    "Graph",
    "InvalidArgumentError",
    "LimitError",
    "Node",
    "NotFoundError",
    "Predictor",
    "Report",
    "__version__",
    "errors",
    "explain",
    "export",
    "formats",
    "load",
    "search",
    "sweep",
    "test",
    "train",
    "transform",
]
