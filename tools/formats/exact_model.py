"""The EXACT semantics by brute force: list every value of a format, take the nearest.

Independent of mase/format: no bit tricks, no rounding functions. The values of a grid come from
its formula in double precision, the nearest one from a search, ties from the parity of the code.
Blocks try every exponent until the maximum fits. Needs numpy only.
"""
import numpy as np

F32_MAX = float(np.finfo(np.float32).max)


class Grid:
    """Values and their codes' parity; `signed_zero`: -0 exists."""

    def __init__(self, values, parity, signed_zero):
        order = np.argsort(values, kind="stable")
        self.values, self.parity = np.asarray(values, np.float64)[order], np.asarray(parity)[order]
        self.signed_zero = signed_zero

    def nearest(self, x, scale=1.0):
        """Each x rounded to the nearest value times scale (a power of two)."""
        x = np.asarray(x, np.float32)
        v = np.clip(x.astype(np.float64), -F32_MAX, F32_MAX) / scale
        within = np.abs(self.values * scale) <= F32_MAX
        values, parity = self.values[within], self.parity[within]
        i = np.clip(np.searchsorted(values, v), 1, len(values) - 1)
        lo, hi = values[i - 1], values[i]
        below, above = v - lo, hi - v
        take_hi = (above < below) | ((above == below) & (parity[i] == 0))
        q = np.where(take_hi, hi, lo) * scale
        q = np.where(np.isnan(x), np.nan, q).astype(np.float32)
        return np.copysign(q, x) if self.signed_zero else np.where(q == 0, np.float32(0), q)


def integer(width, frac_width, is_signed=True):
    codes = np.arange(-(2 ** (width - 1)), 2 ** (width - 1)) if is_signed else np.arange(2**width)
    return Grid(codes * 2.0**-frac_width, codes % 2, False)


def sign_magnitude(bits):
    k = np.arange(2**bits)
    return Grid(np.concatenate([-k[:0:-1], k]) / 2.0**bits,
                np.concatenate([k[:0:-1], k]) % 2, True)


def _mirror(values, parity, limit):
    values, parity = np.asarray(values), np.asarray(parity)
    keep = values <= limit
    values, parity = values[keep], parity[keep]
    return Grid(np.concatenate([-values[values > 0], values]),
                np.concatenate([parity[values > 0], parity]), True)


def floats(exponent_bits, fraction_bits, bias, limit=F32_MAX):
    """Hidden bit, gradual underflow; `limit` is the largest value that is a number."""
    values, parity = [], []
    for e in range(2**exponent_bits):
        for f in range(2**fraction_bits):
            m = f / 2**fraction_bits
            values.append(2.0 ** (1 - bias) * m if e == 0 else 2.0 ** (e - bias) * (1 + m))
            parity.append(f % 2 if fraction_bits else e % 2)
    return _mirror(values, parity, limit)


def denorm_floats(exponent_bits, mantissa_bits, bias):
    """0.mantissa * 2^e: of the codes of one value the one with the smallest exponent counts."""
    seen = {}
    for e in range(2**exponent_bits):
        for k in range(2**mantissa_bits):
            seen.setdefault(k / 2**mantissa_bits * 2.0 ** (e - bias), k % 2)
    return _mirror(list(seen), list(seen.values()), F32_MAX)


def power(x, width, bias, has_zero=True):
    """Signed powers of two, nearest in the exponent: x^2 against 2^(2n+1), exact in double."""
    x = np.asarray(x, np.float32)
    lo, hi = -bias + (1 if has_zero else 0), min(2 ** (width - 1) - 1 - bias, 127)
    out = np.empty_like(x)
    for i, v in np.ndenumerate(x):
        a = min(abs(float(v)), F32_MAX)
        if np.isnan(v):
            out[i] = v
        elif has_zero and a <= 2.0 ** (lo - 1):
            out[i] = np.copysign(np.float32(0), v)
        else:
            n = lo
            while n < hi and a > 2.0**n * np.sqrt(2.0):
                n += 1
            out[i] = (-1 if v < 0 else 1) * 2.0**n
    return out


def blocks(x, block):
    """Index arrays of every block; `block` has an extent per axis."""
    spans = [[slice(i, i + b) for i in range(0, d, b)] for d, b in zip(x.shape, block)]
    return np.ndindex(*[len(s) for s in spans]), spans


def by_block(x, block, fn):
    """fn(values of the block, its maximum) for every block."""
    x = np.asarray(x, np.float32)
    if x.ndim == 0:
        return by_block(x.reshape(1), [1], fn).reshape(())
    block = [d if b == -1 or b > d else b for b, d in zip(block, x.shape)]
    out = np.empty_like(x)
    indexes, spans = blocks(x, block)
    for index in indexes:
        at = tuple(spans[axis][i] for axis, i in enumerate(index))
        v = x[at].astype(np.float64)
        finite = np.minimum(np.abs(v[~np.isnan(v)]), F32_MAX)
        maximum = finite.max() if finite.size else 0.0
        out[at] = fn(x[at], maximum if maximum > 0 else 1.0)
    return out


def smallest_fit(maximum, grid, lowest, highest):
    """The smallest exponent at which the maximum rounds to something within the grid's range."""
    top = grid.values[-1]
    step = top - grid.values[-2]
    e = lowest
    while e < highest and maximum > (top + step / 2) * 2.0**e:
        e += 1
    # A tie at the end goes to the even code, which is beyond it.
    if e < highest and maximum == (top + step / 2) * 2.0**e:
        e += 1
    return e


def shared_integer(x, grid, lowest, highest, block):
    def one(v, m):
        return grid.nearest(v, 2.0 ** smallest_fit(m, grid, lowest, highest))
    return by_block(x, block, one)


def floor_log2(m):
    e = -149
    while 2.0 ** (e + 1) <= m:
        e += 1
    return e


def shared_float(x, grid, largest, lowest, highest, block):
    def one(v, m):
        return grid.nearest(v, 2.0 ** min(max(floor_log2(m) - largest, lowest), highest))
    return by_block(x, block, one)


def block_minifloat(x, width, exponent_width, bias_width, block):
    def one(v, m):
        bias = min(max(2**exponent_width - 1 - floor_log2(m), 0), 2**bias_width - 1)
        return floats(exponent_width, width - exponent_width - 1, bias).nearest(v)
    return by_block(x, block, one)


def block_log(x, width, bias_width, block):
    def one(v, m):
        e = floor_log2(m)
        e += 1 if m > 2.0**e * np.sqrt(2.0) else 0
        return power(v, width, min(max(2 ** (width - 1) - 1 - e, 0), 2**bias_width - 1))
    return by_block(x, block, one)
