#!/usr/bin/env python3
"""Writes the wheel of the package mase: make_wheel.py OUT FILE...

FILEs are those of python/mase, the extension module, plugins and the small data that programs look for
below their runfiles. Inputs decide every byte of the result.
"""
import base64
import hashlib
import pathlib
import re
import sys
import zipfile

VERSION = "mase/base/version.cc"
TAG = "cp311-cp311-linux_x86_64"
METADATA = """\
Metadata-Version: 2.1
Name: mase
Version: {version}
Summary: Trains small neural nets, looks at them as graphs, quantizes them into any number format, runs them
License: MIT
Requires-Python: >=3.11,<3.12
Requires-Dist: numpy>=1.24
"""
WHEEL = """\
Wheel-Version: 1.0
Generator: make_wheel.py
Root-Is-Purelib: false
Tag: {tag}
"""


def place(path):
    """Where a file lies in the wheel."""
    for folder in ("plugins/", "testdata/"):
        at = path.find("/" + folder)
        if path.startswith(folder) or at >= 0:
            return "mase/share/" + path[at + 1:]
    return "mase/" + path.rsplit("/", 1)[1]


def version_of(files):
    """The version, out of the source that says it."""
    source = next(f for f in files if f.endswith(VERSION))
    return re.search(r'Version\(\) { return "([^"]+)"', pathlib.Path(source).read_text()).group(1)


def main(out, files):
    version = version_of(files)
    info = f"mase-{version}.dist-info"
    contents = {place(f): pathlib.Path(f).read_bytes() for f in files if not f.endswith(VERSION)}
    contents[f"{info}/METADATA"] = METADATA.format(version=version).encode()
    contents[f"{info}/WHEEL"] = WHEEL.format(tag=TAG).encode()
    record = []
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name in sorted(contents):
            entry = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o755 if name.endswith(".so") else 0o644) << 16
            wheel.writestr(entry, contents[name])
            digest = base64.urlsafe_b64encode(hashlib.sha256(contents[name]).digest()).rstrip(b"=")
            record.append(f"{name},sha256={digest.decode()},{len(contents[name])}")
        record.append(f"{info}/RECORD,,")
        wheel.writestr(zipfile.ZipInfo(f"{info}/RECORD", (2020, 1, 1, 0, 0, 0)), "\n".join(record) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
