import mase
import numpy as np
import pytest


def test_quantize_rounds_to_the_nearest_value():
    y = mase.formats.quantize(np.array([0.3, -1.7, 99, -99], np.float32), "integer 8/4")
    assert y.dtype == np.float32
    assert y.tolist() == [0.3125, -1.6875, 7.9375, -8.0]


def test_shapes_stay():
    for shape in [(), (0,), (3,), (2, 3), (2, 1, 5)]:
        assert mase.formats.quantize(np.zeros(shape, np.float32), "integer 8/4").shape == shape


def test_what_is_no_row_major_float32_is_converted():
    x = np.arange(12, dtype=np.float64).reshape(3, 4)
    want = mase.formats.quantize(np.ascontiguousarray(x.T, np.float32), "integer 8/2")
    assert (mase.formats.quantize(x.T, "integer 8/2") == want).all()
    assert (mase.formats.quantize(x.T.astype(">f4"), "integer 8/2") == want).all()
    assert (mase.formats.quantize(x.T.tolist(), "integer 8/2") == want).all()


def test_a_buffer_is_read_where_it_lies_and_the_result_is_the_callers():
    x = np.full(4, 0.3, np.float32)
    y = mase.formats.quantize(memoryview(x), "integer 8/4")
    y[0] = 5
    assert x.tolist() == [np.float32(0.3)] * 4


def test_arrays_and_tensors_are_read_where_they_lie():
    """No copy is made: what the library reads has the addresses of the caller's memory."""
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    for given in (x, memoryview(x), x[1:]):
        assert mase._mase.address_of(given) == np.asarray(given).ctypes.data
    assert mase._mase.address_of(x.T) != x.ctypes.data  # Not row-major: a copy.
    torch = pytest.importorskip("torch")
    tensor = torch.arange(6.0).reshape(2, 3)
    assert mase._mase.address_of(tensor) == tensor.data_ptr()
    y = mase.formats.quantize(x, "integer 8/4")
    assert torch.from_dlpack(y).data_ptr() == y.ctypes.data == np.from_dlpack(y).ctypes.data
    net = mase.load("jsc-tiny")
    name = "seq_blocks.2.weight"
    assert net.tensors[name].ctypes.data == net.tensors[name].ctypes.data  # The net's own memory, each time.


def test_codes_and_back():
    x = np.linspace(-3, 3, 64, dtype=np.float32).reshape(4, 16)
    for text in ["integer 8/4", "minifloat_ieee 8/4", "block_fp 8/8/None/1x16"]:
        codes, blocks = mase.formats.encode(x, text)
        assert codes.shape == x.shape and codes.dtype == np.int32
        assert (blocks.size > 0) == text.startswith("block_fp")
        assert (mase.formats.decode(codes, text, blocks) == mase.formats.quantize(x, text)).all()


def test_list_and_describe():
    families = {row["family"]: row for row in mase.formats.list()}
    assert {"integer", "minifloat_ieee", "block_fp", "mxfp"} <= families.keys()
    for row in families.values():
        assert mase.formats.describe(row["example"])["family"] == row["family"]
    assert mase.formats.describe("integer 8/4")["bits"] == 8
    assert mase.formats.values("integer 3/1").tolist() == [-2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5]


def test_error_tells_what_rounding_costs():
    figures = mase.formats.error(np.array([0.25, 0.3], np.float32), "integer 8/4")
    assert figures["bits"] == 8
    assert figures["max"] == pytest.approx(0.0125, abs=1e-6)


def test_a_wrong_format_is_a_value_error_with_the_nearest_name():
    with pytest.raises(ValueError, match="did you mean 'integer'") as caught:
        mase.formats.quantize([1.0], "intger 8/4")
    assert caught.value.exit_code == 2 and caught.value.code == "NOT_FOUND"
    with pytest.raises(mase.InvalidArgumentError, match="width"):
        mase.formats.quantize([1.0], "integer 99/4")


def test_arrays_without_numbers_are_refused():
    with pytest.raises(ValueError, match="is no tensor"):
        mase.formats.quantize(["a"], "integer 8/4")
    with pytest.raises(ValueError, match="complex"):
        mase.formats.quantize(np.zeros(2, np.complex64), "integer 8/4")


def test_torch_shares_memory_both_ways():
    torch = pytest.importorskip("torch")
    x = torch.tensor([0.3, -1.7, 99.0])
    y = torch.from_dlpack(mase.formats.quantize(x, "integer 8/4"))
    assert y.tolist() == [0.3125, -1.6875, 7.9375]
    with pytest.raises((RuntimeError, BufferError), match="grad"):
        mase.formats.quantize(x.requires_grad_(), "integer 8/4")
