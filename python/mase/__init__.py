"""MASE in C++ for Python: small nets, their graphs, number formats, runs. docs/python.md is the manual."""
from mase import errors, formats
from mase._mase import Predictor, __version__
from mase.errors import Error, ExistsError, GoalError, InvalidArgumentError, LimitError, NotFoundError
from mase.net import Graph, Node, load
from mase.runs import Report, explain, export, search, sweep, test, train, transform

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
