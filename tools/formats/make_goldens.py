#!/usr/bin/env python3
"""Writes the golden vectors of testdata/formats. Needs numpy; run from the workspace root:

    python3 tools/formats/make_goldens.py testdata/formats

REFERENCE comes from reference_model.py, EXACT from exact_model.py; neither knows the C++ code.
A file holds cases of one family, each of four lines:

    format <FormatProto as text>
    shape <extents>
    x <float32 bit patterns, hex>
    y <the same; nan for any NaN>
"""
import os
import sys

import numpy as np

import exact_model as exact
import reference_model as ref

f4 = np.float32
RNG = np.random.default_rng(5)
EDGES = np.array([0.0, -0.0, 1e-9, -1e-9, 1e-8, 1.0000001e-8, 1e-45, -1e-45, 1.2e-38, 1e-30, 1e30,
                  3.4028235e38, -3.4028235e38], f4)
SPECIAL = np.array([np.inf, -np.inf, np.nan], f4)
FILES = {}


def values(n, scale=1.0):
    """Normals of several sizes, ties, and the neighbours of powers of two and of sqrt(2) times them."""
    a = RNG.standard_normal(n // 2) * scale * 2.0 ** RNG.integers(-6, 4, n // 2)
    b = np.round(RNG.standard_normal(n // 4) * 64) / 64 * scale
    p = 2.0 ** RNG.integers(-12, 9, n - n // 2 - n // 4) * RNG.choice([1, -1, 1.5, 2**0.5, -(2**0.5)], n - n // 2 - n // 4)
    p = p.astype(f4).view(np.int32) + RNG.integers(-3, 4, p.size).astype(np.int32)
    return RNG.permutation(np.concatenate([a.astype(f4), b.astype(f4), p.view(f4)])).astype(f4)


def flat(n=400, special=True):
    x = [EDGES, values(n)] + ([SPECIAL] if special else [])
    return np.concatenate(x)


def shaped(*shape, scale=1.0, zeros=True):
    x = values(int(np.prod(shape)), scale).reshape(shape)
    if zeros and x.size > 40:
        x.reshape(-1)[RNG.integers(0, x.size, 3)] = 0
        x.reshape(-1)[RNG.integers(0, x.size, 3)] = f4(-0.0)
        x.reshape(-1)[8:16] = 0
    return x


def case(family, text, x, y, semantics):
    x, y = np.asarray(x, f4), np.asarray(y, f4)
    assert x.shape == y.shape, text
    if semantics == "REFERENCE":
        text += " semantics: REFERENCE"
    bits = lambda v: " ".join("nan" if np.isnan(e) else f"{u:08x}" for e, u in zip(v.reshape(-1), v.view(np.uint32).reshape(-1)))
    FILES.setdefault(f"{semantics.lower()}_{family}.txt", []).append(
        f"format {text}\nshape {' '.join(map(str, x.shape))}\nx {bits(x)}\ny {bits(y)}\n")


def both_integer():
    for w, f, signed in ((8, 4, True), (8, 4, False), (4, 2, True), (6, 3, True), (16, 9, True), (1, 0, True), (8, -1, True), (3, 7, False), (32, 8, True)):
        x = flat(300)
        text = f"integer {{ width: {w} frac_width: {f} is_signed: {str(signed).lower()} }}"
        case("integer", text, x, ref.integer(x, w, f, signed), "REFERENCE")
        case("integer", text + " rounding: FLOOR", x, ref.integer_floor(x, w, f, signed), "REFERENCE")
        if w <= 16:
            case("integer", text, x, exact.integer(w, f, signed).nearest(x), "EXACT")


def minifloats():
    for w, e, b in ((8, 4, None), (8, 3, None), (6, 2, None), (8, 4, 10), (8, 5, 3), (16, 5, None), (12, 8, None), (8, 4, -5)):
        x = flat(300)
        bias = 2 ** (e - 1) - 1 if b is None else b
        extra = "" if b is None else f" exponent_bias: {b}"
        for name in ("minifloat_denorm", "minifloat_ieee"):
            text = f"{name} {{ width: {w} exponent_width: {e}{extra} }}"
            case(name, text, x, getattr(ref, name)(x, w, e, b), "REFERENCE")
            grid = exact.denorm_floats if name == "minifloat_denorm" else exact.floats
            case(name, text, x, grid(e, w - e - 1, bias).nearest(x), "EXACT")
    for e, f in ((4, 3), (5, 2), (3, 2), (2, 3), (2, 1), (1, 2), (5, 10), (8, 7)):
        for finite in (True, False):
            if not finite and e == 1:
                continue
            for mode in ("rn", "rd", "ru", "rz"):
                x = flat(120)
                text = f'minifloat {{ exponent_width: {e} frac_width: {f} is_finite: {str(finite).lower()} round_mode: "{mode}" }}'
                case("minifloat", text, x, ref.codec(x, e, f, finite, mode), "REFERENCE")
                if mode == "rn":
                    bias = 2 ** (e - 1) - 1
                    limit = 2.0 ** (2**e - (1 if finite else 2) - bias) * (2 - 2.0**-f)
                    case("minifloat", text, x, exact.floats(e, f, bias, min(limit, exact.F32_MAX)).nearest(x), "EXACT")


def logs():
    for w, b in ((8, None), (4, None), (6, 20), (5, -2), (9, None), (3, 0)):
        x = flat(400)
        bias = 2 ** (w - 2) - 1 if b is None else b
        text = f"log {{ width: {w}" + ("" if b is None else f" exponent_bias: {b}") + " }"
        case("log", text, x, ref.log(x, w, b), "REFERENCE")
        case("log", text, x, exact.power(x, w, bias), "EXACT")
        case("log", text.replace(" }", " has_zero: false }"), x, exact.power(x, w, bias, False), "EXACT")


REFERENCE_BLOCKS = [((40,), [16], False), ((40,), [-1], False), ((6, 20), [8], False), ((6, 20), [4, 8], False),
                    ((6, 20), [16], True), ((6, 20), [1, 4], True), ((3, 5, 12), [4], True), ((3, 5, 12), [2, 4], True),
                    ((3, 5, 12), [1, 16], True), ((2, 64), [9, 2, 16], False)]
EXACT_BLOCKS = REFERENCE_BLOCKS + [((), [16], False), ((3, 5, 12), [4], False), ((2, 3, 4, 6), [2, 2, 4], True),
                                   ((2, 3, 2, 5), [-1, -1], False), ((2, 2, 2, 2, 3), [2], True), ((2, 1, 2, 2, 2, 6), [2, 4], False)]


def own_block(shape, bs, skip):
    block = ([1] * max(0, len(shape) - len(bs)) + list(bs[-len(shape):] if shape else []))[:len(shape)]
    if skip and shape:
        block[0] = 1
    return block


def blocks():
    configs = {
        "block_fp": [("width: 8 exponent_width: 8", lambda x, bs, s: ref.block_fp(x, 8, 8, None, bs, s), lambda x, b: exact.shared_integer(x, exact.sign_magnitude(7), -127, 128, b)),
                     ("width: 4 exponent_width: 3 exponent_bias: 2", lambda x, bs, s: ref.block_fp(x, 4, 3, 2, bs, s), lambda x, b: exact.shared_integer(x, exact.sign_magnitude(3), -2, 5, b))],
        "block_minifloat": [("width: 8 exponent_width: 4 exponent_bias_width: 8", lambda x, bs, s: ref.block_minifloat(x, 8, 4, 8, bs, s), lambda x, b: exact.block_minifloat(x, 8, 4, 8, b)),
                            ("width: 6 exponent_width: 2 exponent_bias_width: 2", lambda x, bs, s: ref.block_minifloat(x, 6, 2, 2, bs, s), lambda x, b: exact.block_minifloat(x, 6, 2, 2, b))],
        "block_log": [("width: 4 exponent_bias_width: 8", lambda x, bs, s: ref.block_log(x, 4, 8, bs, s), lambda x, b: exact.block_log(x, 4, 8, b)),
                      ("width: 8 exponent_bias_width: 4", lambda x, bs, s: ref.block_log(x, 8, 4, bs, s), lambda x, b: exact.block_log(x, 8, 4, b))],
    }
    for name, variants in configs.items():
        for params, reference, exactly in variants:
            for shapes, semantics in ((REFERENCE_BLOCKS, "REFERENCE"), (EXACT_BLOCKS, "EXACT")):
                for i, (shape, bs, skip) in enumerate(shapes):
                    x = shaped(*shape, scale=2.0 ** RNG.integers(-4, 5))
                    if i % 3 == 1 and x.ndim:
                        x.reshape(-1)[-3:] = SPECIAL[RNG.integers(0, 3, 3)]
                        x.reshape(-1)[:3] = EDGES[RNG.integers(6, EDGES.size, 3)]
                    text = f"{name} {{ {params} block_size: [{', '.join(map(str, bs))}] skip_first_dim: {str(skip).lower()} }}"
                    y = reference(x, bs, skip) if semantics == "REFERENCE" else exactly(x, own_block(shape, bs, skip))
                    case(name, text, x, y, semantics)
            x = np.zeros((2, 16), f4)
            text = f"{name} {{ {params} block_size: 4 skip_first_dim: false }}"
            case(name, text, x, reference(x, [4], False), "REFERENCE")


OCP = {(4, 3): 448.0, (5, 2): 57344.0}


def mx():
    shapes = (((48,), -1, 16), ((6, 32), -1, 16), ((6, 32), 0, 6), ((4, 3, 16), 1, 4), ((4, 3, 16), -1, 32), ((5, 8), 1, 4))
    for i, (shape, dim, size) in enumerate(shapes):
        for scale in (1.0, 1e-3):
            x = shaped(*shape, scale=scale)
            if i % 2:
                x.reshape(-1)[:4] = EDGES[RNG.integers(6, EDGES.size, 4)]
            axis = dim if dim >= 0 else len(shape) + dim
            block = [size if a == axis else 1 for a in range(len(shape))]
            for bits in (8, 4):
                text = f"mxint {{ block_size: {size} element_bits: {bits} block_dim: {dim} }}"
                case("mxint", text, x, ref.mxint(x, size, bits, dim), "REFERENCE")
                grid = exact.integer(bits, bits - 1)
                case("mxint", text, x, exact.shared_integer(x, grid, -127, 128, block), "EXACT")
            for e, f in ((4, 3), (5, 2), (2, 3), (3, 2), (2, 1), (1, 2)):
                text = f"mxfp {{ block_size: {size} element_exp_bits: {e} element_frac_bits: {f} block_dim: {dim} }}"
                case("mxfp", text, x, ref.mxfp(x, size, e, f, dim), "REFERENCE")
                for limit, extra in ((OCP.get((e, f), np.inf), ""), (np.inf, " elements: ALL_FINITE")):
                    grid = exact.floats(e, f, 2 ** (e - 1) - 1, limit)
                    y = exact.shared_float(x, grid, exact.floor_log2(grid.values[-1]), -127, 127, block)
                    case("mxfp", text.replace(" }", extra + " }"), x, y, "EXACT")
    x = shaped(6, 32)
    x[1, 3], x[2, 5], x[4, 2] = np.inf, np.nan, -np.inf
    case("mxint", "mxint { block_size: 16 element_bits: 8 }", x, ref.mxint(x, 16, 8), "REFERENCE")
    case("mxint", "mxint { block_size: 16 element_bits: 8 scale_bits: 4 }", x, ref.mxint(x, 16, 8, scale_bits=4), "REFERENCE")
    case("mxint", "mxint { block_size: 16 element_bits: 8 }", x, exact.shared_integer(x, exact.integer(8, 7), -127, 128, [1, 16]), "EXACT")
    y = shaped(6, 32)
    case("mxint", "mxint { block_size: 16 element_bits: 4 quantile_search: true }", y, ref.mxint(y, 16, 4, quantile_search=True), "REFERENCE")
    case("mxint", "mxint { block_size: 3 element_bits: 4 block_dim: 0 quantile_search: true }", y, ref.mxint(y, 3, 4, 0, quantile_search=True), "REFERENCE")
    case("mxfp", "mxfp { block_size: 16 element_exp_bits: 4 element_frac_bits: 3 quantile_search: true }", y, ref.mxfp(y, 16, 4, 3, quantile_search=True), "REFERENCE")
    for w, e, tile, shape in ((9, 4, [2, 4], (4, 12)), (8, 4, [1, 4], (3, 4, 8)), (12, 6, [2, 2], (2, 4, 4)), (5, 3, [6], (12,))):
        x = shaped(*shape)
        x.reshape(-1)[0] = 0
        text = f"mxint_hardware {{ width: {w} exponent_width: {e} parallelism: [{', '.join(map(str, tile))}] }}"
        case("mxint_hardware", text, x, ref.mxint_hardware(x, w, e, tile), "REFERENCE")
        rows, columns = tile if len(tile) == 2 else (1, tile[0])
        block = [1] * (len(shape) - 2) + [rows, columns] if len(shape) > 1 else [columns]
        bias = 2 ** (e - 1)
        grid = exact.integer(w, 0)
        case("mxint_hardware", text, x, exact.shared_integer(x, grid, -bias, 2**e - 1 - bias, block), "EXACT")


ROUNDINGS = {"nearest": "", "even": " rounding: NEAREST_EVEN", "floor": " rounding: TOWARD_ZERO"}


def mx_library():
    names = {"fp4": "fp4_e2m1"}
    for fmt, (eb, mb, emax, largest) in ref.MXP.items():
        element = names.get(fmt, fmt)
        for round_, rounding in ROUNDINGS.items():
            x = flat(100)
            case("mx", f'mx {{ element_format: "{element}" }}{rounding}', x, ref.mxcore(x, eb, mb, f4(largest), round_, False), "REFERENCE")
            for shape, axis, size in (((4, 20), -1, 8), ((6, 5), 0, 4), ((3, 10), 1, 0)):
                x = shaped(*shape)
                if axis == 0:
                    x[1, 1], x[2, 2], x[0, 3] = np.inf, np.nan, 1e-40
                case("mx", f'mx {{ element_format: "{element}" block_size: {size} axis: {axis} }}{rounding}', x, ref.mxblock(x, fmt, size, axis, round_), "REFERENCE")
        if eb:
            bias = 2 ** (eb - 1) - 1
            grid = exact.floats(eb, mb - 2, bias, f4(largest).astype(float))
        else:
            k = np.arange(-(2 ** (mb - 1)) + 1, 2 ** (mb - 1))
            grid = exact.Grid(k / 2.0 ** (mb - 2), k % 2, False)
        x = flat(100)
        case("mx", f'mx {{ element_format: "{element}" }}', x, grid.nearest(x), "EXACT")
        for shape, axis, size in (((4, 20), -1, 8), ((6, 5), 0, 4), ((3, 10), 1, 0)):
            x = shaped(*shape)
            block = [1, 1]
            block[axis] = size or -1
            case("mx", f'mx {{ element_format: "{element}" block_size: {size} axis: {axis} }}', x, exact.shared_float(x, grid, emax, -127, 127, block), "EXACT")
    x = shaped(4, 16)
    x[0, :8] = 1e-40
    case("mx", 'mx { element_format: "fp8_e4m3" block_size: 8 flush_fp32_subnorms: true }', x, ref.mxblock(x, "fp8_e4m3", 8, -1, flush=True), "REFERENCE")
    case("mx", 'mx { element_format: "fp8_e4m3" block_size: 8 shared_exp_method: "none" }', x, ref.mxblock(x, "fp8_e4m3", 8, -1, method="none"), "REFERENCE")
    case("mx", 'mx { element_format: "int8" block_size: 8 scale_bits: 3 }', x, ref.mxblock(x, "int8", 8, -1, scale_bits=3), "REFERENCE")
    x = flat(200)
    case("mx", 'mx { element_format: "fp8_e4m3" allow_denorm: false }', x, ref.mxcore(x, 4, 5, f4(448), "nearest", False, denorm=False), "REFERENCE")


def scaled():
    for w, signed in ((8, True), (4, True), (4, False), (12, True)):
        for shape in ((40,), (5, 12), (2, 3, 8)):
            x = shaped(*shape)
            if len(shape) == 2:
                x[1, 2], x[2, 3], x[3] = np.inf, np.nan, 0
            case("scale_integer", f"scale_integer {{ width: {w} is_signed: {str(signed).lower()} }}", x, ref.scale_integer(x, w, signed), "REFERENCE")
    # Means of these are exact in any order of summation.
    x = (RNG.integers(-64, 65, (3, 2, 4, 8)) / 64).astype(f4)
    x[1, 0, 0, :3] = [0, -0.0, 1]
    v = flat(100)
    case("binary", "binary { bipolar: true }", v, ref.binary(v, False, True), "REFERENCE")
    case("binary", "binary { }", x, ref.binary(x), "REFERENCE")
    case("ternary", "ternary { }", x, ref.ternary(x), "REFERENCE")
    x[2] = 0
    case("ternary", "ternary { scaling_factor: true }", x[:1], ref.ternary(x[:1], True), "REFERENCE")
    case("ternary", "ternary { scaling_factor: true }", x[2:], ref.ternary(x[2:], True), "REFERENCE")


def affine():
    def one(text, x, width, signed, scales, zero_points, block):
        lo = -(2 ** (width - 1)) if signed else 0
        codes = np.arange(lo, lo + 2**width)
        pairs = iter(list(zip(scales, zero_points)))

        def nearest(v, _):
            scale, zero_point = next(pairs)
            k = codes - zero_point
            return exact.Grid(k * float(f4(scale)), k % 2, False).nearest(v)

        joined = lambda numbers: ", ".join(repr(float(f4(n))) for n in numbers)
        options = f"width: {width}" + ("" if signed else " is_signed: false") + f" scale: [{joined(scales)}]"
        if any(zero_points):
            options += f" zero_point: [{', '.join(map(str, zero_points))}]"
        if len(scales) > 1:
            options += f" block_size: [{', '.join(map(str, block))}]"
        case("affine", f"affine {{ {options}{text} }}", x, exact.by_block(x, block, nearest), "EXACT")

    for width, signed in ((8, True), (8, False), (4, True), (2, False), (12, True)):
        for scale in (0.05, 0.25, 3.0, 1e-3):
            x = flat(150)
            one("", x, width, signed, [scale], [0 if signed else 2 ** (width - 1) - 1], [-1])
    for shape, block in (((6, 20), [1, -1]), ((6, 20), [1, 8]), ((3, 4, 3, 3), [1, -1, -1, -1]),
                         ((3, 6, 3, 3), [1, 4, -1, -1]), ((5, 7), [-1, 1]), ((2, 3, 8), [1, 1, 3])):
        x = shaped(*shape)
        count = int(np.prod([-(-d // (d if b == -1 or b > d else b)) for d, b in zip(shape, block)]))
        scales = 2.0 ** RNG.uniform(-6, 1, count)
        one("", x, 6, True, scales, RNG.integers(-32, 32, count).tolist(), block)
        one("", x, 4, True, scales, [0] * count, block)


def learned():
    x = flat(120)
    for level, scale, sym in ((16, 0.5, False), (16, 0.5, True), (5, 0.25, True), (5, 0.25, False), (255, 0.0123, True), (4, 3.0, True), (2, 1.0, False), (2, 1.0, True), (3, 1.0, True), (256, 0.5, True)):
        text = f"lsq {{ level: {level} scale: {scale} sym: {str(sym).lower()} }}"
        case("lsq", text, x, ref.lsq(x, level, scale, sym), "REFERENCE")
    for s1 in (1.0, 0.25, 0.0123):
        case("flexround", f"flexround {{ s1_init: {s1} }}", x, ref.flexround(x, s1), "REFERENCE")
    x = flat(120, special=False)
    for levels, means in ((1, None), (2, None), (3, None), (2, (0.9, -0.3)), (3, (0.25, 0.5, 0.125))):
        given = "" if means is None else f" means: [{', '.join(map(str, means))}]"
        case("binary_residual", f"binary_residual {{ levels: {levels}{given} }}", x, ref.residual_sign(x, levels, means), "REFERENCE")


def main():
    out = sys.argv[1]
    for make in (both_integer, minifloats, logs, blocks, mx, mx_library, scaled, affine, learned):
        make()
    for name, cases in FILES.items():
        with open(os.path.join(out, name), "w") as f:
            f.write("".join(cases))


if __name__ == "__main__":
    main()
