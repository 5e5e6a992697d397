#include "mase/model/keras_weights.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "mase/base/limits.h"
#include "mase/base/memory_budget.h"
#include "mase/base/quote.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/data/hdf5_file.h"

namespace mase {
namespace {

// Keras's names and PyTorch's.
constexpr std::pair<absl::string_view, absl::string_view> kNames[] = {
    {"kernel", "weight"},
    {"bias", "bias"},
    {"gamma", "weight"},
    {"beta", "bias"},
    {"moving_mean", "running_mean"},
    {"moving_variance", "running_var"},
};

// "kernel" of "dense/kernel:0".
absl::string_view LastOf(absl::string_view path) {
  path = path.substr(0, path.rfind(':'));
  return path.substr(path.rfind('/') + 1);
}

absl::StatusOr<Tensor> ReadFloats(const std::string& path, const std::string& dataset) {
  MASE_ASSIGN_OR_RETURN(const Hdf5TableFile file, Hdf5TableFile::Open(path, dataset));
  MASE_ASSIGN_OR_RETURN(const Hdf5Member element, file.Element());
  if (element.text_bytes > 0) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", Quoted(dataset), " holds texts"));
  }
  std::vector<int64_t> dims(file.dims().begin(), file.dims().end());
  const Shape shape{absl::MakeConstSpan(dims)};
  if (absl::Status status = shape.Validate(); !status.ok()) return Annotate(status, path);
  MASE_RETURN_IF_ERROR(
      CheckMemory(2 * file.rows() * static_cast<int64_t>(file.row_bytes()), dataset));
  MASE_ASSIGN_OR_RETURN(const std::string bytes, file.ReadAll());
  MASE_ASSIGN_OR_RETURN(Tensor floats, Tensor::Create(DType::kFloat32, shape));
  const absl::Span<float> numbers = floats.mutable_data<float>();
  const size_t step = numbers.empty() ? 0 : bytes.size() / numbers.size();
  for (size_t i = 0; i < numbers.size(); ++i) {
    numbers[i] = element.Load(bytes.data() + i * step);
    if (!std::isfinite(numbers[i])) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": ", Quoted(dataset), ": element ", i, " is not a finite float32"));
    }
  }
  return floats;
}

// The last axis, outputs, comes to the front, then the one before it, inputs.
Tensor OutputsFirst(const Tensor& kernel) {
  const Shape& shape = kernel.shape();
  const int rank = shape.rank();
  const int64_t out = shape[rank - 1], in = shape[rank - 2];
  const int64_t places = kernel.elements() / std::max<int64_t>(out * in, 1);
  Shape turned = {out, in};
  for (int axis = 0; axis < rank - 2; ++axis) turned.push_back(shape[axis]);
  Tensor result(DType::kFloat32, turned);
  const absl::Span<const float> from = kernel.data<float>();
  const absl::Span<float> to = result.mutable_data<float>();
  for (int64_t place = 0; place < places; ++place) {
    for (int64_t i = 0; i < in; ++i) {
      for (int64_t o = 0; o < out; ++o) {
        to[(o * in + i) * places + place] = from[(place * in + i) * out + o];
      }
    }
  }
  return result;
}

}  // namespace

absl::StatusOr<SafeTensors> ReadKerasWeights(absl::string_view path) {
  const std::string file(path);
  std::string root = "/";
  absl::StatusOr<std::vector<std::string>> layers = ReadHdf5Texts(file, root, "layer_names");
  if (absl::IsNotFound(layers.status())) {
    root = "/model_weights";
    layers = ReadHdf5Texts(file, root, "layer_names");
  }
  if (absl::IsNotFound(layers.status())) {
    return absl::InvalidArgumentError(absl::StrCat(
        path,
        ": is an HDF5 file without Keras's list of layers; in Python,\n  "
        "model.save(\"NET.h5\")\nwrites one (a .weights.h5 of Keras 3 has no order of layers)"));
  }
  MASE_RETURN_IF_ERROR(layers.status());
  SafeTensors contents;
  int64_t number = 0;
  for (const std::string& layer : *layers) {
    const std::string group = absl::StrCat(root == "/" ? "" : root, "/", layer);
    absl::StatusOr<std::vector<std::string>> weights = ReadHdf5Texts(file, group, "weight_names");
    MASE_RETURN_IF_ERROR(weights.status());
    for (const std::string& weight : *weights) {
      const absl::string_view last = LastOf(weight);
      absl::string_view name;
      for (const auto& [theirs, ours] : kNames) {
        if (last == theirs) name = ours;
      }
      if (name.empty()) {
        return absl::UnimplementedError(absl::StrCat(path, ": layer ", Quoted(layer),
                                                     " has a weight ", Quoted(weight),
                                                     "; kernels, biases and batch norms are read"));
      }
      MASE_ASSIGN_OR_RETURN(Tensor value, ReadFloats(file, absl::StrCat(group, "/", weight)));
      if (last == "kernel") {
        if (value.shape().rank() < 2 || value.shape().rank() > 4) {
          return absl::UnimplementedError(absl::StrCat(
              path, ": layer ", Quoted(layer), " has a kernel of shape ", value.shape().ToString(),
              "; those of dense layers and of one or two "
              "spatial axes are read"));
        }
        value = OutputsFirst(value);
      }
      contents.tensors.push_back({absl::StrCat(number, ".", name), std::move(value)});
    }
    if (!weights->empty()) ++number;
  }
  if (!contents.tensors.empty()) return contents;
  return absl::InvalidArgumentError(absl::StrCat(path, ": no layer has weights"));
}

}  // namespace mase
