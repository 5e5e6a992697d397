"""Nets to look at: `load` gives one as a graph, from a file, a run, a name of the zoo or a list of layers."""
from __future__ import annotations

import html
import json
import logging
import os
import pathlib
import tempfile
from typing import Any, Sequence, Union

from mase import _mase

__all__ = ["Graph", "Node", "load"]

Graph = _mase.Graph
Node = _mase.Node
Net = Union[str, "os.PathLike[str]", Graph]

_log = logging.getLogger("mase")
# Settings that say which net it is; those of files are relative to where they were given.
_OF_FILES = ("load", "load_name")
_OF_NETS = ("model", "load_type", "output", *_OF_FILES)
_FILES = (".safetensors", ".onnx", ".pt", ".pth", ".ckpt", ".mz", ".npz", ".bin", ".h5")
# mase.run.LogLevel as levels of the module logging.
_LEVELS = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR)


def _message(level: int, text: str) -> None:
    _log.log(_LEVELS[level], "%s", text)


def _plain(value: Any) -> Any:
    """A value as JSON has it: paths are texts, NumPy's scalars numbers, tuples lists."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{value!r} is no setting: want numbers, texts, lists and dicts")


def _settings_of(net: Net) -> dict[str, str]:
    """The settings by which a run finds the net."""
    if not isinstance(net, Graph):
        name = os.fspath(net)
        is_file = isinstance(net, os.PathLike) or os.path.exists(name) or name.endswith(_FILES)
        return {"load_name": name} if is_file else {"model": name}
    settings, version = getattr(net, "_origin", ({}, -1))
    if version == net.version:
        return dict(settings)
    # A net that is in memory alone is written, beside the runs, which name the file.
    folder = pathlib.Path("mase_output", "nets")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        dir=folder, prefix=f"{pathlib.Path(net.name or 'net').name[:40]}-", suffix=".safetensors", delete=False
    ) as file:
        pass
    net.save(file.name)
    net._origin = ({"load_name": os.path.abspath(file.name)}, net.version)
    return dict(net._origin[0])


def load(
    net: str | os.PathLike[str],
    data: str | os.PathLike[str] | None = None,
    *,
    input_shape: Sequence[int] = (),
    classes: int = 0,
    **settings: Any,
) -> Graph:
    """A net as a graph.

    `net` is a checkpoint of any kind that `ch --load` reads, an ONNX file, the directory of a run (its best net), a
    name of `ch models`, or a list of layers: "BN, ReLU, Linear 32, ReLU, Linear 5". A name may go with a checkpoint:
    `load("jsc-tiny", load="best.ckpt")`. What a net by name is built for is said by the data set `data`, or by the
    shape of a sample and the number of classes. Other settings are those of docs/config.md: `batch_size`, `seed`.

        >>> net = mase.load("jsc-tiny", batch_size=8)
        >>> print(net)                  # A line a node.
        >>> net["seq_blocks_2"].shape
        (8, 5)
    """
    given: dict[str, Any] = {**_settings_of(net), **settings}
    if data is not None:
        given["dataset"] = os.fspath(data)
    graph = _mase.load(json.dumps(given, default=_plain), list(input_shape), classes, _message)
    origin = {key: os.fspath(given[key]) for key in _OF_NETS if isinstance(given.get(key), (str, os.PathLike))}
    if any(key in origin for key in _OF_FILES):
        origin.update({key: os.path.abspath(origin[key]) for key in _OF_FILES if key in origin})
        graph._origin = (origin, graph.version)
    return graph


def _metadata(node: Node) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(node._metadata_json())
    return result


def _repr_html(graph: Graph) -> str:
    picture = graph._picture()
    return picture[picture.find("<svg"):] if picture else f"<pre>{html.escape(str(graph))}</pre>"


setattr(_mase.Node, "metadata", property(_metadata))
setattr(_mase.Graph, "_repr_html_", _repr_html)
