"""Number formats: what an array's values become when it is quantized (docs/formats.md).

    >>> import mase
    >>> mase.formats.quantize([0.3, -1.7, 99], "integer 8/4")
    array([ 0.3125, -1.6875,  7.9375], dtype=float32)

A format is a text: "integer 8/4", "mxfp8_e4m3", "block_fp { width: 8 block_size: 16 }". Arrays may be NumPy's, or
anything with `__dlpack__` (PyTorch's tensors) or a buffer; float32 ones are read where they lie.
"""
from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt

from mase import _mase

__all__ = ["decode", "describe", "encode", "error", "list", "quantize", "values"]

_list = list


def list() -> _list[dict[str, Any]]:  # noqa: A001: the command is called so.
    """Every family, with its definition, an example and other names."""
    table = json.loads(_mase.format_table())
    names = [column["name"] for column in table["columns"]]
    return [dict(zip(names, row)) for row in table["rows"]]


def describe(format: str) -> dict[str, Any]:
    """What there is to say of a format: family, description, bits a value, parameters."""
    result: dict[str, Any] = json.loads(_mase.format_json(format))
    return result


def quantize(array: Any, format: str, seed: int = 0) -> npt.NDArray[np.float32]:
    """The array's values rounded to the format, as float32; `seed` is for stochastic rounding."""
    return _mase.quantize(array, format, seed)


def encode(array: Any, format: str) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """The codes that hardware stores, in the array's shape, and a code a block (none of formats without)."""
    return _mase.encode(array, format)


def decode(codes: Any, format: str, blocks: Any = ()) -> npt.NDArray[np.float32]:
    """The values of codes: of what `encode` gave it is `quantize(x)`, to the bit."""
    return _mase.decode(codes, blocks, format)


def values(format: str) -> npt.NDArray[np.float32]:
    """All values of a format, ascending; none where there are more than 2^16."""
    return _mase.values(format)


def error(array: Any, format: str, seed: int = 0) -> dict[str, Any]:
    """What rounding costs: bits a value, SQNR in dB, largest and mean error."""
    return _mase.error(array, format, seed)
