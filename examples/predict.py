#!/usr/bin/env python3
"""Classifies rows of numbers, comma-separated on stdin, with a checkpoint that ch trained.

    MASE_PREDICT=PREFIX/lib/libmase_predict.so python3 predict.py best.safetensors < rows.csv
"""
import ctypes
import os
import sys

MASE_INTEGER = 2


def load(library, path):
    """The library with the types of its functions, and a predictor."""
    lib = ctypes.CDLL(library)
    floats = ctypes.POINTER(ctypes.c_float)
    lib.mase_predictor_load.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.POINTER(ctypes.c_void_p),
                                        ctypes.c_char_p, ctypes.c_size_t]
    lib.mase_predictor_free.argtypes = [ctypes.c_void_p]
    for name in ("mase_predictor_inputs", "mase_predictor_outputs"):
        getattr(lib, name).argtypes = [ctypes.c_void_p]
        getattr(lib, name).restype = ctypes.c_int64
    lib.mase_predictor_class_name.argtypes = [ctypes.c_void_p, ctypes.c_int64]
    lib.mase_predictor_class_name.restype = ctypes.c_char_p
    lib.mase_predict.argtypes = [ctypes.c_void_p, floats, ctypes.c_int64, floats, ctypes.c_char_p, ctypes.c_size_t]
    message = ctypes.create_string_buffer(512)
    predictor = ctypes.c_void_p()
    if lib.mase_predictor_load(os.fsencode(path), MASE_INTEGER, ctypes.byref(predictor), message, 512) != 0:
        sys.exit(message.value.decode())
    return lib, predictor


def read_lines():
    """The lines of stdin, or an error."""
    if sys.stdin is None:
        sys.exit("stdin: closed")
    try:
        return sys.stdin.readlines()
    except (OSError, UnicodeDecodeError) as error:
        sys.exit(f"stdin: {error}")


def numbers_of(line, number, inputs):
    """The numbers of a line. The library trusts the caller: a row has to have as many as the net reads."""
    try:
        row = [float(text) for text in line.split(",")]
    except ValueError as error:
        sys.exit(f"line {number}: {error}")
    if len(row) != inputs:
        sys.exit(f"line {number}: {len(row)} numbers, the net reads {inputs}")
    return row


def write(lines):
    """The lines on stdout, or an error: Python prints nothing, and says so to nobody, where stdout is closed."""
    if sys.stdout is None:
        sys.exit("stdout: closed")
    try:
        sys.stdout.writelines(line + "\n" for line in lines)
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Else Python tries again at its end.
        sys.exit(f"stdout: {error.strerror}")


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: predict.py CHECKPOINT < ROWS")
    lib, predictor = load(os.environ.get("MASE_PREDICT", "libmase_predict.so"), sys.argv[1])
    inputs = lib.mase_predictor_inputs(predictor)
    rows = [numbers_of(line, i, inputs) for i, line in enumerate(read_lines(), 1) if line.strip()]
    outputs = lib.mase_predictor_outputs(predictor)
    flat = [number for row in rows for number in row]
    numbers, results = (ctypes.c_float * len(flat))(*flat), (ctypes.c_float * (len(rows) * outputs))()
    message = ctypes.create_string_buffer(512)
    if lib.mase_predict(predictor, numbers, len(rows), results, message, 512) != 0:
        sys.exit(message.value.decode())
    classes = []
    for r in range(len(rows)):
        row = results[r * outputs:(r + 1) * outputs]
        best = row.index(max(row))
        name = lib.mase_predictor_class_name(predictor, best)
        classes.append(name.decode() if name is not None else str(best))
    lib.mase_predictor_free(predictor)
    write(classes)


main()
