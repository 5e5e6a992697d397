"""MASE beside PyTorch in one process, whichever comes first: each has its own oneDNN, OpenMP and protobuf."""
import subprocess
import sys

import pytest

CODE = """
import {0}
import {1}
import faulthandler
import pathlib
import numpy as np
faulthandler.enable()
import torch, mase, mase.fx

layer = torch.nn.Conv2d(3, 8, 3)
x = torch.randn(2, 3, 32, 32)
want = layer(x).detach().numpy()
assert np.allclose(mase.fx.from_torch(torch.nn.Sequential(layer), x).run(x), want, atol=1e-4)
checkpoint = pathlib.Path(mase.__file__).parent / "share" / "testdata" / "checkpoints" / "jsc-tiny.safetensors"
report = mase.transform(checkpoint, "jsc", passes={{"quantize": {{"linear": {{"config": "integer 8/4"}}}}}})
assert (layer(x).detach().numpy() == want).all()
print(round(report.metric("accuracy"), 3))
"""


@pytest.mark.parametrize("first, second", [("mase", "torch"), ("torch", "mase"), ("mase", "numpy"), ("numpy", "mase")])
def test_the_order_of_imports_is_no_matter(first, second):
    pytest.importorskip("torch")
    done = subprocess.run([sys.executable, "-c", CODE.format(first, second)], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "0.709\n"), done.stderr
