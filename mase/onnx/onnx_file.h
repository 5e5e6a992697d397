// An ONNX file, read with limits and checked as far as that needs no knowledge of ops. Nothing in
// it is believed: sizes are compared with what is there, and data outside of the file is taken only
// from regular files beneath its folder that are no links.
#ifndef MASE_ONNX_ONNX_FILE_H_
#define MASE_ONNX_ONNX_FILE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <variant>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/onnx/known.h"
#include "mase/tensor/tensor.h"
#include "onnx/onnx_pb.h"

namespace mase {

// Float types become float32, others whole numbers.
using KnownTensor = std::variant<Tensor, KnownInts>;

// "float16", "int4": the names that people know; "type 99" of unknown ones.
std::string OnnxTypeName(int data_type);
bool IsOnnxFloat(int data_type);  // float32, float64, float16 or bfloat16.
bool IsOnnxWhole(int data_type);  // bool, int4 to int64, uint4 to uint64.

// Types that are younger than Debian's libonnx.
inline constexpr int kOnnxUInt4 = 21, kOnnxInt4 = 22;

class OnnxFile {
 public:
  // NotFound, InvalidArgument: as InputFile. DataLoss: no ONNX model, or cut off. InvalidArgument,
  // naming the node or tensor: no graph, no opset, one below 7 or above 21, names given twice.
  // ResourceExhausted: limits of base/limits.h.
  static absl::StatusOr<OnnxFile> Open(absl::string_view path);

  const std::string& path() const { return path_; }
  const ::onnx::ModelProto& model() const { return *model_; }
  const ::onnx::GraphProto& graph() const { return model_->graph(); }
  // Of the default domain.
  int64_t opset() const { return opset_; }

  // The initializer of a name, or null.
  const ::onnx::TensorProto* FindInitializer(absl::string_view name) const;

  // The numbers of a tensor of the file. DataLoss: it holds more or fewer than its shape says, or
  // the file beside it does. InvalidArgument: an element type that is not numbers or of which
  // nothing is known; a location outside of the folder, or that is a link. Each names the tensor.
  absl::StatusOr<KnownTensor> ReadTensor(const ::onnx::TensorProto& tensor) const;

 private:
  OnnxFile() = default;
  absl::Status Check();
  absl::StatusOr<std::string> ExternalBytes(const ::onnx::TensorProto& tensor, int64_t bytes) const;

  std::string path_;
  std::unique_ptr<::onnx::ModelProto> model_;
  int64_t opset_ = 0;
  absl::flat_hash_map<std::string, const ::onnx::TensorProto*> initializers_;
};

}  // namespace mase

#endif  // MASE_ONNX_ONNX_FILE_H_
