// Example plugin: a reader of data files from outside. A file begins with "ROWFILE1", then rows,
// columns and classes as little-endian int32; then each row: its columns as float32, its class as
// int32.
//
//   $SDK/bin/ch train jsc-tiny --plugins=./row_file.so --set=dataset.path=jets.rows
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "mase/data/data_reader.h"
#include "mase/plugin/plugin.h"
#include "mase/tensor/tensor.h"

namespace row_file {

constexpr char kMagic[] = "ROWFILE1";
constexpr size_t kHead = 8 + 3 * 4;

absl::StatusOr<mase::ReadRows> Read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError("cannot be opened");
  const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (bytes.size() < kHead) return absl::DataLossError("ends within its head");
  int32_t size[3];  // Of this machine's byte order, which is the file's.
  std::memcpy(size, bytes.data() + 8, sizeof size);
  const int64_t rows = size[0], columns = size[1], classes = size[2];
  // What the head says is checked against what is there before anything is made of it.
  if (rows < 1 || columns < 1 || columns > 1 << 20 || classes < 1 || classes > 1 << 16) {
    return absl::InvalidArgumentError(absl::StrCat("its head says ", rows, " rows, ", columns,
                                                   " columns, ", classes, " classes"));
  }
  if (static_cast<uint64_t>(rows * (columns + 1) * 4) != bytes.size() - kHead) {
    return absl::DataLossError(
        absl::StrCat(bytes.size() - kHead, " bytes of rows, want ", rows * (columns + 1) * 4));
  }
  mase::ReadRows read;
  read.features = mase::Tensor::Zeros(mase::DType::kFloat32, {rows, columns});
  read.labels = mase::Tensor::Zeros(mase::DType::kInt64, {rows});
  for (int64_t i = 0; i < classes; ++i) read.class_names.push_back(absl::StrCat("class", i));
  const char* at = bytes.data() + kHead;
  for (int64_t row = 0; row < rows; ++row) {
    std::memcpy(read.features.mutable_data<float>().data() + row * columns, at, columns * 4);
    int32_t label;
    std::memcpy(&label, at + columns * 4, 4);
    read.labels.mutable_data<int64_t>()[row] = label;  // The host checks its range.
    at += (columns + 1) * 4;
  }
  return read;
}

absl::Status Register(mase::PassRegistrar& registrar) {
  return registrar.AddDataReader(
      {.name = "row_file",
       .summary = "Binary rows of float32 with a class each.",
       .recognizes = [](absl::string_view head) { return absl::StartsWith(head, kMagic); },
       .read = Read});
}

}  // namespace row_file

MASE_DEFINE_PLUGIN("row_file", "1.0.0", row_file::Register, .owner = "MASE in C++",
                   .status = "stable")
