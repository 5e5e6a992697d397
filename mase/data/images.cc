#include "mase/data/images.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "mase/base/runfiles.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/data/augmentation.h"
#include "mase/data/data_cache.h"
#include "mase/data/file_bytes.h"
#include "mase/data/image_split.h"
#include "mase/data/row_sketch.h"

namespace mase {
namespace {

// `folder`/`name`, or that with .gz.
std::string ImageFile(const std::string& folder, absl::string_view name) {
  const std::string plain = absl::StrCat(folder, "/", name);
  const std::string packed = absl::StrCat(plain, ".gz");
  std::error_code error;
  return !std::filesystem::exists(plain, error) && std::filesystem::exists(packed, error) ? packed
                                                                                          : plain;
}

void ShareTestImages(Dataset& dataset) {
  dataset.SetAlias(Split::kValidation, Split::kTest, "the test images, as in MASE");
  dataset.SetAlias(Split::kPred, Split::kTest, "the test images");
}

absl::StatusOr<RawImages> ReadMnistPart(const std::string& image_file,
                                        const std::string& label_file) {
  MASE_ASSIGN_OR_RETURN(const Tensor images, ReadIdx(image_file));
  MASE_ASSIGN_OR_RETURN(const Tensor labels, ReadIdx(label_file));
  const Shape& shape = images.shape();
  if (shape.rank() != 3 || shape[1] != 28 || shape[2] != 28) {
    return absl::InvalidArgumentError(
        absl::StrCat(image_file, ": shape ", shape.ToString(), ", want [images, 28, 28]"));
  }
  if (labels.shape() != Shape({shape[0]})) {
    return absl::InvalidArgumentError(absl::StrCat(
        label_file, ": shape ", labels.shape().ToString(), " for ", shape[0], " images"));
  }
  RawImages raw = {images.Reshape({shape[0], 1, 28, 28}), Tensor(DType::kInt64, {shape[0]})};
  std::copy_n(labels.data<uint8_t>().data(), shape[0], raw.labels.mutable_data<int64_t>().data());
  return raw;
}

constexpr int64_t kCifarPixels = 3 * 32 * 32;
constexpr int64_t kCifarRecord = 1 + kCifarPixels;  // The label, then red, green and blue.

absl::StatusOr<RawImages> ReadCifarFiles(const std::vector<std::string>& paths) {
  std::vector<FileBytes> files;
  int64_t images = 0;
  for (const std::string& path : paths) {
    MASE_ASSIGN_OR_RETURN(FileBytes file, FileBytes::Open(path));
    const int64_t size = file.bytes().size();
    if (size == 0 || size % kCifarRecord != 0) {
      return absl::DataLossError(
          absl::StrCat(path, ": ", size, " bytes are not whole records of ", kCifarRecord));
    }
    images += size / kCifarRecord;
    files.push_back(std::move(file));
  }
  RawImages raw;
  MASE_ASSIGN_OR_RETURN(raw.pixels, Tensor::Create(DType::kUInt8, {images, 3, 32, 32}));
  MASE_ASSIGN_OR_RETURN(raw.labels, Tensor::Create(DType::kInt64, {images}));
  uint8_t* pixels = raw.pixels.mutable_data<uint8_t>().data();
  int64_t* label = raw.labels.mutable_data<int64_t>().data();
  for (const FileBytes& file : files) {
    const absl::string_view bytes = file.bytes();
    for (size_t at = 0; at < bytes.size(); at += kCifarRecord, pixels += kCifarPixels) {
      *label++ = static_cast<uint8_t>(bytes[at]);
      std::memcpy(pixels, bytes.data() + at + 1, kCifarPixels);
    }
  }
  return raw;
}

}  // namespace

absl::StatusOr<Tensor> ReadIdx(absl::string_view path) {
  MASE_ASSIGN_OR_RETURN(const FileBytes file, FileBytes::Open(path));
  const absl::string_view bytes = file.bytes();
  const auto byte = [&](size_t at) { return static_cast<uint8_t>(bytes[at]); };
  constexpr uint8_t kUnsignedBytes = 8;
  if (bytes.size() < 4 || byte(0) != 0 || byte(1) != 0 || byte(2) != kUnsignedBytes) {
    return absl::DataLossError(absl::StrCat(path, ": not an idx file of unsigned bytes"));
  }
  const size_t rank = byte(3);
  const size_t header = 4 + 4 * rank;
  if (rank == 0 || bytes.size() < header) {
    return absl::DataLossError(absl::StrCat(path, ": truncated idx header"));
  }
  Shape shape;
  for (size_t at = 4; at < header; at += 4) {
    shape.push_back(int64_t{byte(at)} << 24 | byte(at + 1) << 16 | byte(at + 2) << 8 |
                    byte(at + 3));
  }
  MASE_RETURN_IF_ERROR(Annotate(shape.Validate(), path));
  if (shape.elements() != static_cast<int64_t>(bytes.size() - header)) {
    return absl::DataLossError(absl::StrCat(path, ": ", bytes.size() - header,
                                            " bytes of data, but ", shape.ToString(),
                                            " is declared"));
  }
  return Tensor::View(DType::kUInt8, shape, bytes.data() + header, file.owner());
}

absl::StatusOr<Dataset> OpenMnist(const std::string& name, const std::string& folder,
                                  const DatasetConfig& config, const OpenOptions& options) {
  const std::string& from = config.path().empty() ? folder : config.path();
  std::error_code error;
  if (!std::filesystem::is_directory(from, error)) {
    return absl::NotFoundError(absl::StrCat(
        "data set ", name, ": no folder ", from,
        name == "fashion-mnist" && config.path().empty()
            ? " (Debian's package dataset-fashion-mnist installs it, or set dataset.path)"
            : ""));
  }
  DatasetInfo info;
  info.name = name;
  info.real = true;
  info.kind = "real images";
  for (int digit = 0; digit < 10; ++digit) info.class_names.push_back(absl::StrCat(digit));
  if (name == "fashion-mnist") {
    info.class_names = {"t-shirt", "trouser", "pullover", "dress", "coat",
                        "sandal",  "shirt",   "sneaker",  "bag",   "ankle boot"};
  }
  info.sample_shape = Shape({1, 28, 28});
  if (options.recipe != nullptr) MASE_RETURN_IF_ERROR(CheckFits(*options.recipe, info));
  const auto notes = std::make_shared<Notes>();
  Dataset dataset(info, notes);
  const auto set = [&](Split split, absl::string_view prefix) {
    const std::string images = ImageFile(from, absl::StrCat(prefix, "-images-idx3-ubyte"));
    const std::string labels = ImageFile(from, absl::StrCat(prefix, "-labels-idx1-ubyte"));
    const auto read = [images, labels] { return ReadMnistPart(images, labels); };
    // MASE's transform divides by 255 and multiplies again, which changes no pixel.
    dataset.Set(split, ImageLoader({images, labels}, "mnist 2", 10, read, {1, {0}, {1}}, notes));
  };
  set(Split::kTrain, "train");
  set(Split::kTest, "t10k");
  ShareTestImages(dataset);
  return dataset;
}

absl::StatusOr<Dataset> OpenCifar10(const DatasetConfig& config, const OpenOptions& options) {
  std::vector<std::string> train, test;
  if (config.path().empty()) {
    const std::string folder = Runfile("testdata/cifar10");
    train = {ImageFile(folder, "cifar10_train_first4000.bin")};
    test = {ImageFile(folder, "cifar10_test_first1000.bin")};
  } else {
    for (int i = 1; i <= 5; ++i) {
      train.push_back(ImageFile(config.path(), absl::StrCat("data_batch_", i, ".bin")));
    }
    test = {ImageFile(config.path(), "test_batch.bin")};
  }
  PixelScale scale = {255, {0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}};
  DatasetInfo info;
  info.name = "cifar10";
  info.real = true;
  info.kind = "real images";
  info.class_names = {"airplane", "automobile", "bird",  "cat",  "deer",
                      "dog",      "frog",       "horse", "ship", "truck"};
  info.sample_shape = Shape({3, 32, 32});
  if (options.recipe != nullptr) MASE_RETURN_IF_ERROR(CheckFits(*options.recipe, info));
  if (!config.has_augment() || config.augment()) {
    info.augmentation.emplace();
    for (int64_t c = 0; c < 3; ++c) info.augmentation->black.push_back(scale(c, 0));
  }
  const auto notes = std::make_shared<Notes>();
  Dataset dataset(info, notes);
  const auto set = [&](Split split, const std::vector<std::string>& files) {
    const auto read = [files] { return ReadCifarFiles(files); };
    dataset.Set(split, ImageLoader(files, "cifar 2", 10, read, scale, notes));
  };
  set(Split::kTrain, train);
  set(Split::kTest, test);
  ShareTestImages(dataset);
  return dataset;
}

}  // namespace mase
