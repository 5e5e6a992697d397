#!/usr/bin/env python3
"""write_rows.py FILE: 200 rows of two columns in the form that row_file.cc reads, two classes."""
import struct
import sys

rows = [(i % 20 / 10 - 1, i % 7 / 3 - 1) for i in range(200)]
with open(sys.argv[1], "wb") as file:
    file.write(b"ROWFILE1" + struct.pack("<iii", len(rows), 2, 2))
    for x, y in rows:
        file.write(struct.pack("<ffi", x, y, int(x + y > 0)))
