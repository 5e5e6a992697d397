#include "mase/model/keras_weights.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/cleanup/cleanup.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "mase/base/files.h"
#include "mase/base/limits.h"
#include "mase/base/memory_budget.h"
#include "mase/base/quote.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/data/hdf5_file.h"
#include "mase/interop/zip_archive.h"
#include "nlohmann/json.hpp"

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

absl::StatusOr<Tensor> ReadFloats(const std::string& path, const Hdf5File& file,
                                  const std::string& dataset) {
  MASE_ASSIGN_OR_RETURN(const Hdf5DataSet set, file.Find(dataset));
  MASE_ASSIGN_OR_RETURN(const Hdf5Member element, set.Element());
  if (element.is_text()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", Quoted(dataset), " holds texts"));
  }
  MASE_RETURN_IF_ERROR(
      CheckMemory(2 * set.rows() * static_cast<int64_t>(set.row_bytes()), dataset));
  MASE_ASSIGN_OR_RETURN(const Hdf5Elements elements, Hdf5Elements::Open(set));
  MASE_ASSIGN_OR_RETURN(const std::string bytes, elements.All());
  MASE_RETURN_IF_ERROR(file.CheckUnchanged());
  MASE_ASSIGN_OR_RETURN(Tensor floats, Tensor::Create(DType::kFloat32, set.shape()));
  const absl::Span<float> numbers = floats.mutable_data<float>();
  for (size_t i = 0; i < numbers.size(); ++i) {
    numbers[i] = element.Load(bytes.data() + i * element.bytes);
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

// Where a weight is.
struct Place {
  const std::string& path;
  const Hdf5File& file;
  const std::string& layer;  // For messages.
  std::string dataset;
};

// Reads the weight that Keras calls so, of the layer with this number of those that have weights.
absl::Status AddWeight(const Place& place, absl::string_view keras_name, int64_t number,
                       SafeTensors& contents) {
  const auto* known = std::find_if(std::begin(kNames), std::end(kNames),
                                   [&](const auto& names) { return names.first == keras_name; });
  const auto refused = [&](const auto&... what) {
    return absl::UnimplementedError(
        absl::StrCat(place.path, ": layer ", Quoted(place.layer), " has ", what...));
  };
  if (known == std::end(kNames)) {
    return refused("a weight ", Quoted(place.dataset),
                   "; kernels, biases and batch norms are read");
  }
  MASE_ASSIGN_OR_RETURN(Tensor value, ReadFloats(place.path, place.file, place.dataset));
  if (keras_name == "kernel") {
    if (value.shape().rank() < 2 || value.shape().rank() > 4) {
      return refused("a kernel of shape ", value.shape().ToString(),
                     "; those of dense layers and of one or two spatial axes are read");
    }
    value = OutputsFirst(value);
  }
  contents.tensors.push_back({absl::StrCat(number, ".", known->second), std::move(value)});
  return absl::OkStatus();
}

// ---- Keras 3's archives

constexpr absl::string_view kConfig = "config.json", kWeights = "model.weights.h5";

using Json = nlohmann::json;

// An entry of a JSON object; null where there is none.
const Json& At(const Json& object, const char* key) {
  static const Json none;
  return object.is_object() && object.contains(key) ? object[key] : none;
}

// "batch_normalization" of "BatchNormalization", as Keras makes names of classes.
std::string SnakeCase(absl::string_view name) {
  std::string snake;
  for (size_t i = 0; i < name.size(); ++i) {
    const bool upper = absl::ascii_isupper(name[i]);
    const bool before_lower = i + 1 < name.size() && absl::ascii_islower(name[i + 1]);
    const bool after_lower = i > 0 && absl::ascii_islower(name[i - 1]);
    if (upper && i > 0 && (before_lower || after_lower)) snake.push_back('_');
    snake.push_back(absl::ascii_tolower(name[i]));
  }
  return snake;
}

// Keras's names of the weights of a layer of this class, in their order there.
std::vector<absl::string_view> WeightsOf(const std::string& kind, const Json& config) {
  const auto has = [&](const char* key) { return At(config, key) != Json(false); };
  std::vector<absl::string_view> names;
  if (kind == "Dense" || kind == "Conv1D" || kind == "Conv2D") {
    names = {"kernel"};
    if (has("use_bias")) names.push_back("bias");
  } else if (kind == "BatchNormalization") {
    if (has("scale")) names.push_back("gamma");
    if (has("center")) names.push_back("beta");
    names.push_back("moving_mean");
    names.push_back("moving_variance");
  }
  return names;
}

// The weights in an HDF5 file where each layer has a group of its class's name.
absl::StatusOr<SafeTensors> WeightsOfLayers(const std::string& path, const Json& layers) {
  MASE_ASSIGN_OR_RETURN(Hdf5File file, Hdf5File::Open(path));
  MASE_ASSIGN_OR_RETURN(const std::vector<std::string> datasets, file.Names());
  SafeTensors contents;
  absl::flat_hash_map<std::string, int> met;  // How many of a class were before.
  int64_t number = 0;
  for (const Json& layer : layers) {
    const Json &type = At(layer, "class_name"), &name = At(At(layer, "config"), "name");
    if (!type.is_string()) return absl::InvalidArgumentError("a layer without a class");
    const std::string kind = type.get<std::string>();
    const std::string label =
        absl::StrCat(name.is_string() ? name.get<std::string>() : "", " (", kind, ")");
    std::string group = SnakeCase(kind);
    if (const int before = met[group]++; before > 0) absl::StrAppend(&group, "_", before);
    const std::string folder = absl::StrCat("layers/", group, "/");
    const int64_t found = absl::c_count_if(datasets, [&](const std::string& dataset) {
      return absl::StartsWith(absl::StripPrefix(dataset, "/"), folder);
    });
    const std::vector<absl::string_view> names = WeightsOf(kind, At(layer, "config"));
    if (found != static_cast<int64_t>(names.size())) {
      return absl::UnimplementedError(
          absl::StrCat("layer ", Quoted(label), " has ", found, " weights where ", names.size(),
                       " are known; Dense, Conv1D, Conv2D and BatchNormalization are read"));
    }
    for (size_t i = 0; i < names.size(); ++i) {
      MASE_RETURN_IF_ERROR(AddWeight({path, file, label, absl::StrCat("/", folder, "vars/", i)},
                                     names[i], number, contents));
    }
    if (!names.empty()) ++number;
  }
  if (!contents.tensors.empty()) return contents;
  return absl::InvalidArgumentError("no layer has weights");
}

// A file that is there as long as this is, for libraries that read files alone.
class TemporaryFile {
 public:
  static absl::StatusOr<TemporaryFile> With(absl::string_view bytes) {
    std::error_code error;
    const std::filesystem::path folder = std::filesystem::temp_directory_path(error);
    std::string path = absl::StrCat(error ? "/tmp" : folder.string(), "/mase_keras_XXXXXX");
    const int descriptor = ::mkostemp(path.data(), O_CLOEXEC);
    if (descriptor < 0) return FileError(path, "make", errno);
    TemporaryFile file(path);
    const absl::Cleanup close = [descriptor] { ::close(descriptor); };
    for (size_t done = 0; done < bytes.size();) {
      const ssize_t wrote = ::write(descriptor, bytes.data() + done, bytes.size() - done);
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote <= 0) return FileError(path, "write", errno);
      done += static_cast<size_t>(wrote);
    }
    return file;
  }
  TemporaryFile(TemporaryFile&& other) noexcept : path_(std::exchange(other.path_, "")) {}
  ~TemporaryFile() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  const std::string& path() const { return path_; }

 private:
  explicit TemporaryFile(std::string path) : path_(std::move(path)) {}

  std::string path_;
};

absl::StatusOr<KerasArchive> ParseKerasArchive(absl::string_view bytes) {
  MASE_ASSIGN_OR_RETURN(const ZipArchive archive, ZipArchive::Open(bytes));
  KerasArchive result;
  MASE_ASSIGN_OR_RETURN(result.net, archive.Unpack(std::string(kConfig)));
  if (static_cast<int64_t>(result.net.size()) > limits::kMaxConfigFileBytes) {
    return absl::ResourceExhaustedError(absl::StrCat(kConfig, " of ", result.net.size(), " bytes"));
  }
  const auto shallow = [](int depth, Json::parse_event_t, Json&) {
    return depth < limits::kMaxConfigNesting;
  };
  const Json net = Json::parse(result.net, shallow, /*allow_exceptions=*/false);
  const Json& layers = At(At(net, "config"), "layers");
  if (!layers.is_array()) {
    return absl::InvalidArgumentError(absl::StrCat(kConfig, " names no layers"));
  }
  MASE_ASSIGN_OR_RETURN(const std::string weights, archive.Unpack(std::string(kWeights)));
  MASE_ASSIGN_OR_RETURN(const TemporaryFile file, TemporaryFile::With(weights));
  absl::StatusOr<SafeTensors> read = WeightsOfLayers(file.path(), layers);
  if (!read.ok()) {
    return absl::Status(read.status().code(),
                        absl::StrReplaceAll(read.status().message(), {{file.path(), kWeights}}));
  }
  result.weights = *std::move(read);
  return result;
}

}  // namespace

absl::StatusOr<KerasArchive> ReadKerasArchive(absl::string_view path) {
  MASE_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path, limits::kMaxCheckpointBytes));
  absl::StatusOr<KerasArchive> archive = ParseKerasArchive(bytes);
  if (!archive.ok()) return Annotate(archive.status(), path);
  return archive;
}

absl::StatusOr<SafeTensors> ReadKerasWeights(absl::string_view path) {
  const std::string name(path);
  std::string root = "/";
  absl::StatusOr<std::vector<std::string>> layers = ReadHdf5Texts(name, root, "layer_names");
  if (absl::IsNotFound(layers.status())) {
    root = "/model_weights";
    layers = ReadHdf5Texts(name, root, "layer_names");
  }
  if (absl::IsNotFound(layers.status())) {
    return absl::InvalidArgumentError(absl::StrCat(
        path,
        ": is an HDF5 file without Keras's list of layers; in Python,\n  "
        "model.save(\"NET.h5\")\nwrites one (a .weights.h5 of Keras 3 has no order of layers)"));
  }
  MASE_RETURN_IF_ERROR(layers.status());
  MASE_ASSIGN_OR_RETURN(Hdf5File file, Hdf5File::Open(name));
  // All data sets at once, and not one child for each weight. What fails here, as of files of very
  // many, is asked for below, and fails there by its name.
  file.Names().status().IgnoreError();
  SafeTensors contents;
  int64_t number = 0;
  for (const std::string& layer : *layers) {
    const std::string group = absl::StrCat(root == "/" ? "" : root, "/", layer);
    absl::StatusOr<std::vector<std::string>> weights = ReadHdf5Texts(name, group, "weight_names");
    MASE_RETURN_IF_ERROR(weights.status());
    for (const std::string& weight : *weights) {
      MASE_RETURN_IF_ERROR(AddWeight({name, file, layer, absl::StrCat(group, "/", weight)},
                                     LastOf(weight), number, contents));
    }
    if (!weights->empty()) ++number;
  }
  if (!contents.tensors.empty()) return contents;
  return absl::InvalidArgumentError(absl::StrCat(path, ": no layer has weights"));
}

}  // namespace mase
