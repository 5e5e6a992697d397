#include "python/binding/arrays.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "mase/tensor/convert.h"
#include "python/binding/errors.h"

namespace mase {
namespace {

namespace py = pybind11;

// pybind11 2.10 itself reads sizes of elements where NumPy 1 has them, and NumPy 2 has not: they
// are asked for by name here.
py::ssize_t ItemSize(const py::object& array_or_dtype) {
  return array_or_dtype.attr("itemsize").cast<py::ssize_t>();
}

std::optional<DType> DTypeOfNumpy(const py::object& dtype) {
  const auto kind = dtype.attr("kind").cast<std::string>()[0];
  const py::ssize_t size = ItemSize(dtype);
  if (kind == 'f' && size == 4) return DType::kFloat32;
  if (kind == 'f' && size == 8) return DType::kFloat64;
  if (kind == 'i' && size == 1) return DType::kInt8;
  if (kind == 'u' && size == 1) return DType::kUInt8;
  if (kind == 'i' && size == 4) return DType::kInt32;
  if (kind == 'i' && size == 8) return DType::kInt64;
  if (kind == 'b') return DType::kBool;
  return std::nullopt;
}

// The array of a tensor's elements, `bytes`, which frees the tensor in the end.
py::array ArrayOfKept(Tensor* tensor, const void* bytes) {
  const py::capsule owner(tensor, [](void* kept) { delete static_cast<Tensor*>(kept); });
  const Shape& of = tensor->shape();
  const std::vector<py::ssize_t> shape(of.dims().begin(), of.dims().end());
  std::vector<py::ssize_t> strides(shape.size());
  auto stride = static_cast<py::ssize_t>(ElementSize(tensor->dtype()));
  for (int axis = of.rank() - 1; axis >= 0; --axis) {
    strides[axis] = stride;
    stride *= of[axis];
  }
  return py::array(py::dtype(std::string(DTypeName(tensor->dtype()))), shape, strides, bytes,
                   owner);
}

// The last holder may be a thread of ours.
void Release(py::object* array) {
  const py::gil_scoped_acquire gil;
  delete array;
}

}  // namespace

Tensor TensorOf(const py::object& object) {
  const py::module_ numpy = py::module_::import("numpy");
  py::object source = object;
  if (!py::isinstance<py::array>(object) && py::hasattr(object, "__dlpack__")) {
    source = numpy.attr("from_dlpack")(object);
  }
  py::array array = numpy.attr("require")(source, py::none(), py::make_tuple("C", "A"));
  const bool native = array.dtype().attr("isnative").cast<bool>();
  if (!native) array = array.attr("astype")(array.dtype().attr("newbyteorder")("="));
  const auto type = array.dtype().attr("name").cast<std::string>();
  if (type == "float16") array = array.attr("astype")("float32");
  const std::optional<DType> dtype = DTypeOfNumpy(array.dtype());
  if (!dtype.has_value()) {
    Raise(absl::InvalidArgumentError(
        absl::StrCat("an array of ", py::str(array.dtype()).cast<std::string>(),
                     " is no tensor; want float16, 32 or 64, int8, 32 or 64, uint8 or bool")));
  }
  Shape shape;
  for (py::ssize_t axis = 0; axis < array.ndim(); ++axis) shape.push_back(array.shape(axis));
  Check(shape.Validate());
  const void* bytes = array.data();
  const std::shared_ptr<const void> owner(new py::object(std::move(array)), Release);
  return Tensor::View(*dtype, std::move(shape), bytes, owner);
}

Tensor Float32Of(const py::object& array) {
  Tensor tensor = TensorOf(array);
  if (tensor.dtype() == DType::kFloat32) return tensor;
  int64_t rounded = 0;
  return ToFloat32(tensor, &rounded);
}

py::array OwnArray(Tensor&& tensor) {
  if (tensor.dtype() == DType::kBFloat16) {
    int64_t rounded = 0;
    return OwnArray(ToFloat32(tensor, &rounded));
  }
  auto* kept = new Tensor(std::move(tensor));
  const void* bytes = kept->mutable_raw_data();  // Of a buffer that nobody else has.
  return ArrayOfKept(kept, bytes);
}

py::array ArrayOf(const Tensor& tensor) {
  if (tensor.dtype() == DType::kBFloat16) {
    int64_t rounded = 0;
    return OwnArray(ToFloat32(tensor, &rounded));
  }
  py::array array = ArrayOfKept(new Tensor(tensor), tensor.raw_data());
  array.attr("setflags")(py::arg("write") = false);
  return array;
}

}  // namespace mase
