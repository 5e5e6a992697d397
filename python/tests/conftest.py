"""Every test runs in an empty folder, beside the installation's small data."""
import pathlib

import mase
import pytest


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def share():
    """The folder of the package's own data."""
    return pathlib.Path(mase.__file__).parent / "share"


@pytest.fixture
def checkpoint(share):
    """The trained jsc-tiny."""
    return share / "testdata" / "checkpoints" / "jsc-tiny.safetensors"
