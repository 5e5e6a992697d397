"""What MASE's quantized functions and modules compute, in NumPy float32.

Written from MASE's own definitions, not from the C++ code: which operands an op rounds, how block
formats see tensors of any rank, and the defects. Numbers come from reference_model.py. A config is
{"name": "integer", "data_in": {"width": 8, "frac_width": 4}, "weight": {...}, ...}, as in a rule.
Needs numpy only.
"""
import math

import numpy as np

import reference_model as ref

f4 = np.float32
BLOCKS = ("block_fp", "block_minifloat", "block_log")
SCALARS = ("integer", "fixed", "minifloat_ieee", "minifloat_denorm", "log")
TEN = SCALARS[:1] + SCALARS[2:] + BLOCKS + ("binary", "ternary")


def rounded(name, p, x, skip=None, unsigned=False):
    """One tensor in one format; `skip` is skip_first_dim of block formats."""
    x = np.ascontiguousarray(x, f4)
    if name in ("integer", "fixed"):
        return ref.integer(x, p["width"], p["frac_width"], not unsigned, np.floor if p.get("floor") else np.rint)
    if name in ("minifloat_ieee", "minifloat_denorm"):
        return getattr(ref, name)(x, p["width"], p["exponent_width"], p.get("exponent_bias"))
    if name == "log":
        return ref.log(x, p["width"], p.get("exponent_bias"))
    if name == "block_fp":
        return ref.block_fp(x, p["width"], p["exponent_width"], p.get("exponent_bias"), p["block_size"], skip)
    if name in ("block_minifloat", "block_log"):
        widths = [p["width"]] + ([p["exponent_width"]] if name == "block_minifloat" else [])
        return getattr(ref, name)(x, *widths, p["exponent_bias_width"], p["block_size"], skip)
    if name == "binary":
        return ref.binary(x, p.get("stochastic", False), p.get("bipolar", False))
    if name == "ternary":
        return ref.ternary(x, p.get("scaling_factor", False))
    if name == "mxint":
        return ref.mxint(x, p["block_size"][0], p["width"])
    if name == "mxfp":
        return ref.mxfp(x, p["block_size"][0], p["exponent_width"], p["frac_width"])
    if name == "minifloat":
        return ref.codec(x, p["exponent_width"], p["frac_width"], p.get("is_finite", True), p.get("round_mode", "rn"))
    if name == "mxint_hardware":
        return ref.mxint_hardware(x, p["width"], p["exponent_width"], p["parallelism"])
    raise KeyError(name)


def folded(x):
    """All axes but the last two become one."""
    return x.reshape(-1, *x.shape[-2:]) if x.ndim > 3 else x


def function_operand(cfg, operand, x, unsigned=False):
    """An operand of a function: more than two axes become three, with blocks for each."""
    if cfg["name"] not in BLOCKS:
        return rounded(cfg["name"], cfg[operand], x, unsigned=unsigned)
    deep = x.ndim > 2
    return rounded(cfg["name"], cfg[operand], folded(x), deep).reshape(x.shape)


def arithmetic(op, cfg, x, y):
    deep = x.ndim > 2  # Before broadcasting.
    if cfg["name"] in BLOCKS:
        a, b = np.broadcast_arrays(x, y)
        a, b = (rounded(cfg["name"], cfg["data_in"], folded(v) if deep else v, deep).reshape(v.shape) for v in (a, b))
    else:
        a, b = (rounded(cfg["name"], cfg["data_in"], v) for v in (x, y))
    return {"add": np.add, "sub": np.subtract, "mul": np.multiply}[op](a, b)


def product(cfg, x, y):
    x = function_operand(cfg, "data_in", x)
    if cfg["name"] != "block_log":  # Forgotten there.
        y = function_operand(cfg, "weight", y)
    return np.matmul(x, y)


def float_activation(op, x):
    if op == "relu":
        return ref.relu(x)
    v = x.astype(np.float64)
    if op == "selu":
        y = 1.0507009873554805 * np.where(v > 0, v, 1.6732632423543772 * np.expm1(v))
    elif op == "silu":
        y = v / (1 + np.exp(-v))
    elif op == "gelu":
        y = v * 0.5 * (1 + np.vectorize(math.erf)(v / np.sqrt(2.0)))
    else:
        e = np.exp(v - v.max(-1, keepdims=True))
        y = e / e.sum(-1, keepdims=True)
    return y.astype(f4)


def activation(op, cfg, x, module):
    if module and cfg["name"] in ("binary", "ternary"):
        return float_activation(op, x)
    if module and cfg["name"] in BLOCKS:
        return float_activation(op, rounded(cfg["name"], cfg["data_in"], folded(x), True).reshape(x.shape))
    return float_activation(op, function_operand(cfg, "data_in", x, unsigned=True))


def weights_of(kind, cfg, w, b):
    """The rounded weight and bias of a layer; `kind` is linear, conv1d, conv2d."""
    name = cfg["name"]
    if name in ("binary", "ternary") and kind in ("linear", "conv2d"):
        return rounded(name, cfg["weight"], w), b
    if name == "binary_residual":
        return rounded("binary", cfg["weight"], w), b
    if name == "flexround":
        return ref.flexround(w, cfg["weight"].get("s1_init", 1.0)), b
    p, q = cfg["weight"], cfg.get("bias")
    if name in ("binary", "ternary") and kind == "conv1d":
        p = q = cfg["data_in"]
    if name == "block_log" and kind == "conv2d":
        p = dict(p, block_size=q["block_size"])
    flat = w.reshape(-1, *w.shape[2:]) if kind == "conv2d" and name in BLOCKS else w
    rw = rounded(name, p, flat, kind != "linear").reshape(w.shape)
    return rw, b if b is None or (q is None and name in ("mxint", "mxfp")) else rounded(name, q, b, False)


def input_of(kind, cfg, x):
    name = cfg["name"]
    if name == "flexround" or (name in ("binary", "ternary") and kind in ("linear", "conv2d")):
        return x
    if name == "binary_residual":
        return ref.residual_sign(x, cfg["data_in"].get("levels", 2))
    p = cfg["data_in"]
    if name == "block_log" and kind == "conv2d":
        p = dict(p, block_size=cfg["bias"]["block_size"])
    flat = x.reshape(-1, *x.shape[2:]) if kind == "conv2d" and name in BLOCKS else x
    return rounded(name, p, flat, True).reshape(x.shape)


def output_of(cfg, y):
    if cfg["name"] == "flexround":
        p = cfg.get("data_in", {})
        if y.size < 10 or np.abs(y).max() < 1e-5:
            return y
        return ref.integer(y, p.get("width", 8), p.get("frac_width", 4))
    if "data_out" in cfg:
        return rounded(cfg["name"], cfg["data_out"], y)
    return y


def conv(x, w, b, stride=1, padding=0):
    """conv1d and conv2d without dilation and groups."""
    axes = x.ndim - 2
    x = np.pad(x, [(0, 0), (0, 0)] + [(padding, padding)] * axes)
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], tuple(range(2, 2 + axes)))
    windows = windows[(slice(None), slice(None)) + (slice(None, None, stride),) * axes]
    windows = np.moveaxis(windows, 1, 1 + axes)  # [N, out..., C, kernel...]
    y = windows.reshape(*windows.shape[:1 + axes], -1) @ w.reshape(len(w), -1).T
    y = np.moveaxis(y, -1, 1)
    return y if b is None else y + b.reshape(-1, *[1] * axes)


def conv_transpose(cfg, x, w, stride):
    """convtranspose2d without padding and bias (which fails in MASE for several channels)."""
    x, w = rounded(cfg["name"], cfg["data_in"], x), rounded(cfg["name"], cfg["weight"], w)
    n, c, h, wide = x.shape
    kh, kw = w.shape[2:]
    y = np.zeros((n, w.shape[1], (h - 1) * stride + kh, (wide - 1) * stride + kw), f4)
    for i in range(h):
        for j in range(wide):
            at = np.s_[:, :, i * stride:i * stride + kh, j * stride:j * stride + kw]
            y[at] += np.einsum("nc,cokl->nokl", x[:, :, i, j], w)
    return y


def layer(kind, cfg, x, w, b, **window):
    if cfg["name"] == "logicnets":
        x = ref.integer(x, cfg["data_in"]["width"], cfg["data_in"]["frac_width"])
        return ref.integer(x @ w.T + b, cfg["data_out"]["width"], cfg["data_out"]["frac_width"])
    x = input_of(kind, cfg, x)
    w, b = weights_of(kind, cfg, w, b)
    y = (x @ w.T + (0 if b is None else b)).astype(f4) if kind == "linear" else conv(x, w, b, **window)
    return output_of(cfg, y.astype(f4))


def batch_norm(kind, cfg, x, t, eps=1e-5):
    """t: weight, bias, running_mean, running_var."""
    t = dict(t)
    if cfg and not (cfg["name"] in ("binary", "ternary")):
        x = rounded(cfg["name"], cfg["data_in"], x)
        if kind == "batch_norm1d":  # MASE rounds the statistics too, by these keys.
            for key, operand in (("weight", "weight"), ("running_mean", "weight"), ("bias", "bias"), ("running_var", "bias")):
                t[key] = rounded(cfg["name"], cfg[operand], t[key])
    shape = [1, -1] + [1] * (x.ndim - 2)
    v = {k: a.reshape(shape) for k, a in t.items()}
    return ((x - v["running_mean"]) / np.sqrt(v["running_var"] + f4(eps)) * v["weight"] + v["bias"]).astype(f4)


def row_norm(kind, cfg, x, groups=1):
    """layer_norm over the last axis, group_norm, instance_norm2d: affine parameters play no part."""
    x = rounded(cfg["name"], cfg["data_in"], x)
    shape = {"layer_norm": x.shape, "group_norm": (x.shape[0], groups, -1),
             "instance_norm2d": (*x.shape[:2], -1)}[kind]
    r = x.reshape(shape).astype(np.float64)
    mean, var = r.mean(-1, keepdims=True), r.var(-1, keepdims=True)
    return ((r - mean) / np.sqrt(var + 1e-5)).astype(f4).reshape(x.shape)


def pool(cfg, x, window):
    """Average over windows that do not overlap; also adaptive, where sizes divide."""
    if cfg["name"] not in ("binary", "ternary"):
        x = rounded(cfg["name"], cfg["data_in"], x)
    n, c, h, w = x.shape
    r = x.reshape(n, c, h // window[0], window[0], w // window[1], window[1])
    return r.mean((3, 5), dtype=f4)
