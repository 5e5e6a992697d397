"""PyTorch's modules as nets: `from_torch` reads a torch.fx graph.

    >>> net = mase.fx.from_torch(module.eval(), torch.randn(8, 16))
    >>> net.run(x)                          # As module(x).

A layer or function becomes the op of that name (docs/ops.md), with the attributes that PyTorch calls so; what no op
computes is refused, by name and node. Weights are copied. The example says shapes and types; its first axis is the
batch, and the net takes any number of rows where the module does. The net is what the module computes after
`module.eval()`, in whatever mode it is; the module and the example stay as they are.
"""
from __future__ import annotations

import contextlib
import inspect
import math
import operator
from typing import Any, Callable, Iterator, Sequence, Union

import torch
import torch.fx
from torch.fx.operator_schemas import normalize_function
from torch.fx.passes.shape_prop import ShapeProp

from mase import _mase
from mase.errors import InvalidArgumentError

__all__ = ["from_torch"]

_OPS: dict[str, dict[str, Any]] = {op["name"]: op for op in _mase.ops()}
_BY_CLASS = {op["module_class"]: op for op in _OPS.values() if op["module_class"]}
_TYPES = {torch.float32: "f32", torch.int64: "i64"}

# What PyTorch calls otherwise than the op table.
_NAMES = {
    "absolute": "abs", "concat": "cat", "concatenate": "cat", "divide": "div", "iadd": "add", "imul": "mul",
    "isub": "sub", "itruediv": "div", "multiply": "mul", "negative": "neg", "subtract": "sub", "swapaxes": "transpose",
    "swapdims": "transpose", "true_divide": "div", "truediv": "div",
}
# Methods and functions that hand their input on.
_SAME = {"clone", "contiguous", "detach", "float", "dropout", "requires_grad_"}
# Arguments that are no attributes, and the values with which they change nothing.
_HARMLESS: dict[str, tuple[Any, ...]] = {
    "alpha": (1,), "dilation": (1, (1,), (1, 1), [1], [1, 1]), "divisor_override": (None,), "dtype": (None, torch.float32),
    "inplace": (False, True), "out": (None,), "return_indices": (False,), "rounding_mode": (None,), "_stacklevel": (3,),
}
# Of layers, those that say nothing of what a trained layer computes.
_OF_TRAINING = {"device", "dtype", "inplace", "padding_idx"}

Value = Union[str, "_Size", tuple[Any, ...], int, float, bool, None]


class _Size:
    """The extent of the batch, as a node of the net: views keep it open."""

    def __init__(self, node: str) -> None:
        self.node = node


def from_torch(module: torch.nn.Module, example: torch.Tensor | Sequence[torch.Tensor], name: str = "") -> _mase.Graph:
    """The net of a module, which is traced by torch.fx, or of a torch.fx.GraphModule as it is.

    `example` is an input, or all of them. InvalidArgumentError names what there is no op for, and the node.
    """
    examples = [example] if isinstance(example, torch.Tensor) else list(example)
    with torch.no_grad(), _evaluating(module):
        if isinstance(module, torch.fx.GraphModule):
            traced = module
        else:
            traced = torch.fx.GraphModule(module, _Tracer().trace(module))
        ShapeProp(traced).propagate(*[example.clone() for example in examples])  # Layers may work in place.
        return _Importer(traced, name or type(module).__name__).net()


class _Tracer(torch.fx.Tracer):
    """Buffers are nodes, as parameters are: code may index them by extents of the input."""

    proxy_buffer_attributes = True


@contextlib.contextmanager
def _evaluating(module: torch.nn.Module) -> Iterator[None]:
    """Computes as for inference: else norms would learn from the example, and dropout would drop."""
    training = [part for part in module.modules() if part.training]
    for part in training:
        part.training = False
    try:
        yield
    finally:
        for part in training:
            part.training = True


class _Importer:
    """One import: lines of the text form of a graph (mase/graph/graph_text.h), node by node."""

    def __init__(self, traced: torch.fx.GraphModule, name: str) -> None:
        self.traced = traced
        self.modules = dict(traced.named_modules())
        self.tensors = {**dict(traced.named_parameters()), **dict(traced.named_buffers())}
        self.head = [f"graph {_word(name)}"]
        self.lines: list[str] = []
        self.values: dict[torch.fx.Node, Value] = {}
        self.extra: dict[str, torch.Tensor] = {}  # Constants of the code.
        self.names = {node.name for node in traced.graph.nodes}
        self.made: set[str] = set()  # Nodes that are in the lines.
        self.batch: int | None = None
        self.node: torch.fx.Node

    def net(self) -> _mase.Graph:
        for self.node in self.traced.graph.nodes:
            value: Value = getattr(self, f"_{self.node.op}")()
            self.values[self.node] = value
        graph = _mase.Graph.from_text("\n".join([*self.head, *self.lines]) + "\n")
        for name, zeros in graph.tensors.items():
            tensor = self.extra.get(name, self.tensors.get(name))
            if tensor is not None:
                graph.set_tensor(name, tensor.detach().cpu().reshape(zeros.shape))
            elif not name.endswith(".bias"):  # A norm without a bias has one of zeros.
                raise InvalidArgumentError(f"the module has no tensor {name!r}")
        return graph

    def refuse(self, what: str) -> InvalidArgumentError:
        return InvalidArgumentError(f"node {self.node.name!r}: {what}")

    # ---- Kinds of nodes; each gives the node's value. ----

    def _placeholder(self) -> Value:
        meta = self.meta(self.node)
        if meta.dtype not in _TYPES:
            raise self.refuse(f"an input of {meta.dtype}; want float32 or int64")
        if self.batch is None and len(meta.shape) > 0:
            self.batch = meta.shape[0]
        extents = ", ".join(str(extent) for extent in meta.shape)
        self.lines.append(f"{_word(self.node.name)} = placeholder() : {_TYPES[meta.dtype]}[{extents}]")
        return self.node.name

    def _get_attr(self) -> Value:
        target = str(self.node.target)
        return self.stored(target, self.tensor(target), self.node.name, isinstance(self.tensor(target), torch.nn.Parameter))

    def _output(self) -> Value:
        results = self.node.args[0]
        flat = results if isinstance(results, (tuple, list)) else [results]
        if isinstance(results, dict):
            flat = list(results.values())
        self.line("output", [self.value(result) for result in flat], {}, name=self.node.name)
        return None

    def _call_module(self) -> Value:
        target = str(self.node.target)
        module = self.modules[target]
        kind = type(module).__name__
        if kind in ("Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout"):
            same: Value = self.value(self.node.args[0])
            return same
        op = _BY_CLASS.get(kind) if type(module).__module__.startswith("torch.nn.") else None
        if op is None:
            raise self.refuse(f"module {target!r} is a {kind}, for which there is no op (docs/ops.md)")
        attributes = {}
        for name in op["attributes"]:
            value = getattr(module, name)
            attributes[name] = value if not isinstance(value, torch.Tensor) else True
            if name == "bias" and value is None:
                attributes[name] = False
        self.check_rest(module, op)
        inputs = [self.value(argument) for argument in (*self.node.args, *self.node.kwargs.values())]
        return self.line(op["name"], inputs, attributes, kind="module", target=target)

    def _call_function(self) -> Value:
        function: Any = self.node.target
        if function is getattr:
            return self.attribute(*self.node.args)
        if function is operator.getitem:
            return self.item(self.value(self.node.args[0]), self.value(self.node.args[1]))
        return self.call(str(function.__name__), function)

    def _call_method(self) -> Value:
        name = str(self.node.target)
        return self.call(name, getattr(torch, name, None))

    # ---- Functions and methods. ----

    def call(self, name: str, function: Callable[..., Any] | None) -> Value:
        name = _NAMES.get(name, name)
        args: list[Value] = [self.value(argument) for argument in self.node.args]
        kwargs = {key: self.value(value) for key, value in self.node.kwargs.items()}
        folded = self.fold(function, args, kwargs)
        if folded is not None:
            return folded
        special = getattr(self, f"do_{name}", None)
        if special is not None:
            try:
                result: Value = special(*args, **kwargs)
            except TypeError as error:
                raise self.refuse(f"{name}: {error}") from None
            return result
        if name in _SAME:
            return args[0]
        if name in _OPS:
            return self.generic(_OPS[name], function, args, kwargs)
        raise self.refuse(f"function {name!r}, for which there is no op (docs/ops.md)")

    @staticmethod
    def fold(function: Callable[..., Any] | None, args: list[Value], kwargs: dict[str, Value]) -> Value:
        """Arithmetic of extents that are known: x.shape[1] // 4."""
        numbers = all(isinstance(value, (int, float)) for value in (*args, *kwargs.values()))
        if function is None or not numbers or getattr(function, "__module__", "") not in ("_operator", "math"):
            return None
        result: Value = function(*args, **kwargs)
        return result

    def generic(self, op: dict[str, Any], function: Any, args: list[Value], kwargs: dict[str, Value]) -> Value:
        """An op whose inputs and attributes PyTorch calls as the table does."""
        given = self.by_name(op, function, args, kwargs)
        inputs = []
        for name in op["arguments"]:
            value = given.pop(name)
            inputs += list(value) if isinstance(value, tuple) else [value]
        attributes = {name: given.pop(name) for name in op["attributes"] if name in given}
        for name, value in given.items():
            if value not in _HARMLESS.get(name, (None,)):
                raise self.refuse(f"{op['name']} with {name}={value!r}, which the op does not know")
        return self.line(op["name"], [self.operand(value) for value in inputs], attributes)

    def by_name(self, op: dict[str, Any], function: Any, args: list[Value], kwargs: dict[str, Value]) -> dict[str, Any]:
        """Arguments by PyTorch's names; of operators by those of the table."""
        if function is None or getattr(function, "__module__", "") == "_operator":
            return {**dict(zip([*op["arguments"], *op["attributes"]], args)), **kwargs}
        metas = [self.stand_in(value) for value in args]
        by_key = {key: self.stand_in(value) for key, value in kwargs.items()}
        normalized = normalize_function(
            function, tuple(metas), by_key, _types(metas), {k: type(v) for k, v in by_key.items()}, True
        )
        if normalized is None:
            return {**dict(zip([*op["arguments"], *op["attributes"]], args)), **kwargs}
        # Values by the stand-ins that PyTorch handed back.
        values = {id(meta): value for meta, value in zip([*metas, *by_key.values()], [*args, *kwargs.values()])}
        return {key: values.get(id(meta), meta) for key, meta in normalized.kwargs.items()}

    def stand_in(self, value: Value) -> Any:
        if isinstance(value, str):
            return torch.empty(0)
        if isinstance(value, tuple):
            return [self.stand_in(item) for item in value]
        return value

    def do_view(self, x: str, *shape: Any, size: Any = None) -> Value:
        extents = shape if size is None else (size,)
        return self.reshape(x, list(extents[0]) if len(extents) == 1 and isinstance(extents[0], tuple) else list(extents))

    do_reshape = do_view

    def do_flatten(self, x: str, start_dim: int = 0, end_dim: int = -1) -> Value:
        return self.line("flatten", [x], {"start_dim": start_dim, "end_dim": end_dim})

    def do_permute(self, x: str, *dims: Any) -> Value:
        return self.line("permute", [x], {"dims": list(dims[0] if isinstance(dims[0], tuple) else dims)})

    def do_transpose(self, x: str, dim0: int, dim1: int) -> Value:
        return self.line("transpose", [x], {"dim0": dim0, "dim1": dim1})

    def do_t(self, x: str) -> Value:
        return self.do_transpose(x, 0, 1)

    def do_expand(self, x: str, *sizes: Any) -> Value:
        extents = list(sizes[0] if isinstance(sizes[0], tuple) else sizes)
        return self.line("expand", [x, *self.sizes(extents)], {"shape": _extents(extents)})

    def do_unsqueeze(self, x: str, dim: int) -> Value:
        return self.renamed(x)

    def do_squeeze(self, x: str, dim: Any = None) -> Value:
        return self.renamed(x)

    def do_size(self, x: str, dim: int | None = None) -> Value:
        return self.shape_of(self.source(), dim)

    def do_dim(self, x: str) -> Value:
        return len(self.meta(self.source()).shape)

    def do_cat(self, tensors: tuple[str, ...], dim: int = 0) -> Value:
        return self.line("cat", list(tensors), {"dim": dim})

    def do_stack(self, tensors: tuple[str, ...], dim: int = 0) -> Value:
        shape = self.meta(self.node).shape
        axis = dim % len(shape)
        one = [*shape[:axis], 1, *shape[axis + 1 :]]
        return self.line("cat", [self.reshape(x, self.open(one)) for x in tensors], {"dim": dim})

    def do_chunk(self, x: str, chunks: int, dim: int = 0) -> Value:
        extent = self.meta(self.source()).shape[dim]
        return self.do_split(x, -(-extent // chunks), dim)

    def do_split(self, x: str, split_size: Any, dim: int = 0) -> Value:
        extent = self.meta(self.source()).shape[dim]
        sizes = split_size if isinstance(split_size, tuple) else (split_size,) * -(-extent // split_size)
        parts, start = [], 0
        for size in sizes:
            end = min(start + size, extent)
            parts.append(self.line("slice", [x], {"dim": dim, "start": start, "end": end}))
            start = end
        return tuple(parts)

    def do_mean(self, x: str, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Value:
        return self.reduced("mean", x, dim, keepdim)

    def do_sum(self, x: str, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Value:
        return self.reduced("sum", x, dim, keepdim)

    def do_amax(self, x: str, dim: Any = None, keepdim: bool = False) -> Value:
        return self.reduced("amax", x, dim, keepdim)

    def do_amin(self, x: str, dim: Any = None, keepdim: bool = False) -> Value:
        return self.reduced("amin", x, dim, keepdim)

    def do_rsqrt(self, x: str) -> Value:
        return self.line("reciprocal", [self.line("sqrt", [x], {})], {})

    def do_square(self, x: str) -> Value:
        return self.line("mul", [x, x], {})

    def do_clamp(self, x: str, min: float | None = None, max: float | None = None) -> Value:
        value = x
        if min is not None:
            value = self.line("maximum", [value, self.operand(min)], {})
        return value if max is None else self.line("minimum", [value, self.operand(max)], {})

    def do_linear(self, x: str, weight: str, bias: str | None = None) -> Value:
        """A weight that is no layer's: a matrix product."""
        product = self.line("matmul", [x, self.line("transpose", [weight], {"dim0": 0, "dim1": 1})], {})
        return product if bias is None else self.line("add", [product, bias], {})

    def do_scaled_dot_product_attention(
        self, query: str, key: str, value: str, attn_mask: Any = None, dropout_p: float = 0.0,
        is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False,
    ) -> Value:
        if enable_gqa:
            raise self.refuse("attention of groups (enable_gqa) has no op")
        of = self.meta(self.argument(0, "query")).shape
        keys = self.meta(self.argument(1, "key")).shape[-2]
        scores = self.line("matmul", [query, self.line("transpose", [key], {"dim0": -2, "dim1": -1})], {})
        scores = self.line("mul", [scores, self.operand(scale or 1 / math.sqrt(of[-1]))], {})
        if is_causal:
            future = torch.full((of[-2], keys), -math.inf).triu(1)
            attn_mask = self.stored(self.fresh("causal"), future, None, False)
        if attn_mask is not None:
            scores = self.line("add", [scores, attn_mask], {})
        return self.line("matmul", [self.line("softmax", [scores], {"dim": -1}), value], {})

    # ---- Parts of them. ----

    def attribute(self, of: Any, name: Any) -> Value:
        if name == "shape":
            return self.shape_of(of, None)
        if name == "ndim":
            return len(self.meta(of).shape)
        raise self.refuse(f"attribute {name!r} of a tensor")

    def shape_of(self, of: torch.fx.Node, dim: int | None) -> Value:
        shape = self.meta(of).shape
        if dim is None:
            return tuple(self.shape_of(of, axis) for axis in range(len(shape)))
        if dim % len(shape) != 0 or shape[0] != self.batch:
            return int(shape[dim])
        source = self.values[of]
        assert isinstance(source, str)
        return _Size(self.line("size", [source], {"dim": 0}, kind="function"))

    def item(self, of: Value, index: Any) -> Value:
        if isinstance(of, tuple):
            result: Value = of[index]
            return result
        assert isinstance(of, str)
        indices = list(index) if isinstance(index, tuple) else [index]
        rank = len(self.meta(self.source()).shape)
        taken = sum(one is not None and one is not Ellipsis for one in indices)
        if Ellipsis in indices:
            at = indices.index(Ellipsis)
            indices[at : at + 1] = [slice(None)] * (rank - taken)
        value, axis = of, 0
        for one in indices:
            if one is None:
                continue
            if isinstance(one, int):
                one = slice(one, None if one == -1 else one + 1)
            if not isinstance(one, slice) or any(isinstance(part, (str, _Size)) for part in (one.start, one.stop)):
                raise self.refuse(f"an index of {type(one).__name__}; want whole numbers and slices")
            attributes = {"dim": axis, "start": one.start or 0, "step": one.step or 1}
            if one.stop is not None:
                attributes["end"] = one.stop
            if attributes != {"dim": axis, "start": 0, "step": 1}:
                value = self.line("slice", [value], attributes)
            axis += 1
        return value if all(isinstance(one, slice) for one in indices) else self.renamed(value)

    def softmax_axis(self) -> int:
        """The axis that PyTorch takes where none is given."""
        return 0 if len(self.meta(self.node).shape) in (0, 1, 3) else 1

    def reduced(self, op: str, x: str, dim: Any, keepdim: bool) -> Value:
        rank = len(self.meta(self.source()).shape)
        dims = list(range(rank)) if dim is None else list(dim) if isinstance(dim, tuple) else [dim]
        return self.line(op, [x], {"dims": dims, "keepdim": keepdim})

    def renamed(self, x: str) -> Value:
        """The elements under the shape that the node has in PyTorch."""
        return self.reshape(x, self.open(list(self.meta(self.node).shape)))

    def open(self, extents: list[int]) -> list[Any]:
        """A shape whose batch, where it comes first, is what the input has."""
        return [-1, *extents[1:]] if extents and extents[0] == self.batch else extents

    def reshape(self, x: str, extents: list[Any]) -> str:
        return self.line("reshape", [x, *self.sizes(extents)], {"shape": _extents(extents)})

    @staticmethod
    def sizes(extents: list[Any]) -> list[str]:
        return [extent.node for extent in extents if isinstance(extent, _Size)]

    def operand(self, value: Value) -> str:
        """A tensor of the net; a number becomes a constant of it."""
        if isinstance(value, str):
            return value
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.refuse(f"{value!r} where a tensor is wanted")
        name = self.fresh("constant")
        return self.stored(name, torch.tensor(float(value)), None, False)

    def stored(self, target: str, tensor: torch.Tensor, name: str | None, trained: bool) -> str:
        if tensor.dtype != torch.float32:
            raise self.refuse(f"tensor {target!r} is {tensor.dtype}; want float32")
        extents = ", ".join(str(extent) for extent in tensor.shape)
        line = f"tensor {_word(target)} : f32[{extents}]{'' if trained else ' buffer'}"
        if line not in self.head:
            self.head.append(line)
        self.extra[target] = tensor
        node = name or self.fresh(self.node.name)
        shape = _attribute(list(tensor.shape), [])
        self.lines.append(f"{_word(node)} = get_attr get_attr(shape={shape}, value=%{_word(target)}) @{_word(target)}")
        return node

    def line(
        self, op: str, inputs: Sequence[Any], attributes: dict[str, Any], *,
        kind: str = "function", target: str = "", name: str = "",
    ) -> str:
        for value in inputs:
            if not isinstance(value, str):
                raise self.refuse(f"{op} of {value!r}, which is no tensor")
        texts = [_word(value) for value in inputs]
        if op in ("softmax", "log_softmax") and attributes.get("dim") is None:
            attributes = {**attributes, "dim": self.softmax_axis()}
        for key, value in attributes.items():
            fallback = _OPS[op]["attributes"][key][0]
            if value is None:
                continue
            try:
                texts.append(f"{key}={_attribute(value, fallback)}")
            except (TypeError, ValueError):
                raise self.refuse(f"{op} with {key}={value!r}, which the op does not know") from None
        node = name or (self.fresh(self.node.name) if self.node.name in self.made else self.node.name)
        self.made.add(node)
        word = "" if op in ("output", "get_attr") else f"{kind} "
        self.lines.append(f"{_word(node)} = {word}{op}({', '.join(texts)})" + (f" @{_word(target)}" if target else ""))
        return node

    def fresh(self, stem: str) -> str:
        number = 1
        while f"{stem}_{number}" in self.names:
            number += 1
        self.names.add(f"{stem}_{number}")
        return f"{stem}_{number}"

    def check_rest(self, module: torch.nn.Module, op: dict[str, Any]) -> None:
        """What the layer was made with and the op has no attribute for must have its default."""
        for name, parameter in inspect.signature(type(module).__init__).parameters.items():
            if name in op["attributes"] or name in _OF_TRAINING or parameter.default is inspect.Parameter.empty:
                continue
            value = getattr(module, name, parameter.default)
            if isinstance(value, torch.Tensor) or name == "bias":
                continue
            if value == parameter.default or value in _HARMLESS.get(name, ()):
                continue
            raise self.refuse(f"{type(module).__name__} with {name}={value!r}, which the op does not know")

    def tensor(self, target: str) -> torch.Tensor:
        value: Any = self.traced
        for part in target.split("."):
            value = getattr(value, part)
        if not isinstance(value, torch.Tensor):
            raise self.refuse(f"{target!r} is no tensor")
        return value

    def argument(self, position: int, name: str) -> Any:
        """What the node was called with; one node may stand for several."""
        return self.node.args[position] if position < len(self.node.args) else self.node.kwargs[name]

    def source(self) -> torch.fx.Node:
        return self.node.all_input_nodes[0]

    def meta(self, node: torch.fx.Node) -> Any:
        found = node.meta.get("tensor_meta")
        if found is None or not hasattr(found, "shape"):
            raise self.refuse(f"{node.name!r} is no tensor")
        return found

    def value(self, argument: Any) -> Any:
        """An argument of a node, with the values of the nodes in it."""
        if isinstance(argument, torch.fx.Node):
            return self.values[argument]
        if isinstance(argument, (tuple, list)):
            return tuple(self.value(item) for item in argument)
        if isinstance(argument, slice):
            return slice(self.value(argument.start), self.value(argument.stop), self.value(argument.step))
        return argument


def _types(values: Sequence[Any]) -> Any:
    return tuple(type(value) for value in values)


def _extents(extents: list[Any]) -> list[int]:
    """-2 stands for the next input that is an extent."""
    return [-2 if isinstance(extent, _Size) else int(extent) for extent in extents]


def _word(name: str) -> str:
    plain = name and all(c.isascii() and (c.isalnum() or c in "_.-/") for c in name)
    return name if plain else '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _attribute(value: Any, like: Any) -> str:
    """As the text has it, of the type that `like` has; ValueError if it is of another."""
    if isinstance(like, list):
        items = list(value) if isinstance(value, (tuple, list)) else [value] * max(len(like), 1)
        if any(isinstance(item, bool) or not isinstance(item, int) for item in items):
            raise ValueError(value)
        return "(" + ", ".join(str(item) for item in items) + ("," if len(items) == 1 else "") + ")"
    if isinstance(like, bool) or isinstance(like, str):
        if not isinstance(value, type(like)):
            raise ValueError(value)
        return repr(value) if isinstance(like, bool) else f'"{value}"'
    if isinstance(like, float):
        return repr(float(value))
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(value)
    return str(value)
