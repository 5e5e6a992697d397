// An ONNX file while it is made: nodes, constants, inputs and results.
#ifndef MASE_ONNX_ONNX_WRITER_H_
#define MASE_ONNX_ONNX_WRITER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "mase/tensor/shape.h"
#include "onnx/onnx_pb.h"

namespace mase {

class OnnxWriter {
 public:
  // A file of that opset of ONNX's own ops: 17 or 21.
  explicit OnnxWriter(int64_t opset);

  ::onnx::ModelProto& model() { return model_; }
  int64_t opset() const { return opset_; }

  // A node, which is called as its one result is. Ops of other domains than ONNX's name theirs,
  // which the file then asks for in version 1.
  ::onnx::NodeProto& Add(const std::string& op, const std::vector<std::string>& in,
                         const std::string& out, const std::string& domain = "");
  // A name that no other has: "BASE.7".
  std::string Fresh(const std::string& base);

  // Constants; each gives the name back. `type` is one of TensorProto's (code_types.h for those
  // that are younger than Debian's library), `bytes` its elements as raw_data.
  std::string Constant(const std::string& name, const Shape& shape, int type, std::string bytes);
  std::string Floats(const std::string& name, const Shape& shape, absl::Span<const float> values);
  std::string Number(const std::string& base, double number);
  std::string Numbers(const std::string& base, const std::vector<int64_t>& numbers);

  // An input or a result of the graph, of floats or ids. Its first axis is the rows, of any number.
  void Describe(const std::string& name, const Shape& shape, int type,
                ::onnx::ValueInfoProto* info) const;
  void AddMetadata(const std::string& key, const std::string& value);

  static void SetInt(::onnx::NodeProto& node, const std::string& name, int64_t value);
  static void SetFloat(::onnx::NodeProto& node, const std::string& name, double value);
  static void SetInts(::onnx::NodeProto& node, const std::string& name,
                      const std::vector<int64_t>& values);
  static void SetText(::onnx::NodeProto& node, const std::string& name, const std::string& text);

 private:
  const int64_t opset_;
  ::onnx::ModelProto model_;
  int fresh_ = 0;
};

}  // namespace mase

#endif  // MASE_ONNX_ONNX_WRITER_H_
