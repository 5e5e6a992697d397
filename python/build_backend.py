"""What pip calls (PEP 517): the wheel is the Bazel target //python:wheel."""
import pathlib
import shutil
import subprocess
import sys
import sysconfig
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
HEADERS = {"/usr/include/pybind11/pybind11.h": "pybind11-dev", "/usr/include/python3.11/Python.h": "python3-dev"}


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    """Builds the wheel and copies it under the name that pip wants; returns that."""
    if sys.version_info[:2] != (3, 11):
        sys.exit(f"mase is built for Debian 12's Python 3.11, not for {sysconfig.get_python_version()}")
    missing = [package for header, package in HEADERS.items() if not pathlib.Path(header).exists()]
    if missing:
        sys.exit(f"needs Debian's packages: sudo apt-get install {' '.join(missing)}")
    subprocess.run(["./bazelw", "build", "--noshow_progress", "//python:wheel"], cwd=ROOT, check=True)
    built = ROOT / "bazel-bin" / "python" / "mase.whl"
    with zipfile.ZipFile(built) as wheel:
        info = next(name for name in wheel.namelist() if name.endswith(".dist-info/WHEEL"))
        tag = next(line[5:] for line in wheel.read(info).decode().splitlines() if line.startswith("Tag: "))
    name = f"{info.split('.dist-info')[0]}-{tag}.whl"
    shutil.copyfile(built, pathlib.Path(wheel_directory) / name)
    return name


def build_sdist(sdist_directory, config_settings=None):
    """There is none: the package is built in the source tree."""
    raise NotImplementedError("mase has no source distribution; pip install ./python, in the source tree")
