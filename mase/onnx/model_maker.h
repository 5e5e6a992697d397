// ONNX files that tests make piece by piece.
#ifndef MASE_ONNX_MODEL_MAKER_H_
#define MASE_ONNX_MODEL_MAKER_H_

#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"
#include "mase/exec/executor.h"
#include "mase/onnx/import.h"
#include "mase/testing/matchers.h"
#include "onnx/onnx_pb.h"

namespace mase {

using ::onnx::TensorProto;

// A path in a folder of the test's own.
inline std::string NewPath(const std::string& name = "net.onnx") {
  const std::string folder = absl::StrCat(
      ::testing::TempDir(), "/", ::testing::UnitTest::GetInstance()->current_test_info()->name());
  std::filesystem::create_directories(folder);
  return absl::StrCat(folder, "/", name);
}

// A small file, made piece by piece.
class Model {
 public:
  explicit Model(int64_t opset = 17) {
    model_.set_ir_version(8);
    model_.add_opset_import()->set_version(opset);
    graph().set_name("net");
  }

  ::onnx::ModelProto& proto() { return model_; }
  ::onnx::GraphProto& graph() { return *model_.mutable_graph(); }

  // Extents below 0 are symbolic.
  static void Describe(const std::string& name, const std::vector<int64_t>& shape, int type,
                       ::onnx::ValueInfoProto* info) {
    info->set_name(name);
    auto* tensor = info->mutable_type()->mutable_tensor_type();
    tensor->set_elem_type(type);
    for (const int64_t extent : shape) {
      auto* dim = tensor->mutable_shape()->add_dim();
      if (extent < 0) dim->set_dim_param("n");
      if (extent >= 0) dim->set_dim_value(extent);
    }
  }
  Model& Input(const std::string& name, const std::vector<int64_t>& shape,
               int type = TensorProto::FLOAT) {
    Describe(name, shape, type, graph().add_input());
    return *this;
  }
  Model& Output(const std::string& name, int type = TensorProto::FLOAT) {
    auto* output = graph().add_output();
    output->set_name(name);
    output->mutable_type()->mutable_tensor_type()->set_elem_type(type);
    return *this;
  }
  ::onnx::NodeProto& Node(const std::string& op, const std::vector<std::string>& inputs,
                          const std::vector<std::string>& outputs) {
    ::onnx::NodeProto& node = *graph().add_node();
    node.set_op_type(op);
    node.set_name(absl::StrCat("the_", op));
    for (const std::string& input : inputs) node.add_input(input);
    for (const std::string& output : outputs) node.add_output(output);
    return node;
  }
  TensorProto& Floats(const std::string& name, const std::vector<int64_t>& shape,
                      const std::vector<float>& values) {
    TensorProto& tensor = *graph().add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(TensorProto::FLOAT);
    for (const int64_t extent : shape) tensor.add_dims(extent);
    for (const float value : values) tensor.add_float_data(value);
    return tensor;
  }
  TensorProto& Ints(const std::string& name, const std::vector<int64_t>& values) {
    TensorProto& tensor = *graph().add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(TensorProto::INT64);
    tensor.add_dims(static_cast<int64_t>(values.size()));
    for (const int64_t value : values) tensor.add_int64_data(value);
    return tensor;
  }
  TensorProto& Bytes(const std::string& name, const std::vector<int64_t>& shape, int type,
                     const std::vector<int>& values) {
    TensorProto& tensor = *graph().add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(type);
    for (const int64_t extent : shape) tensor.add_dims(extent);
    for (const int value : values) tensor.add_int32_data(value);
    return tensor;
  }

  std::string Write() const {
    const std::string path = NewPath();
    EXPECT_OK(WriteFileAtomically(path, model_.SerializeAsString()));
    return path;
  }
  absl::StatusOr<ImportedNet> Import(const ImportOptions& options = {}) const {
    return ImportOnnx(Write(), options);
  }

 private:
  ::onnx::ModelProto model_;
};

inline void SetInts(::onnx::NodeProto& node, const std::string& name,
                    const std::vector<int64_t>& values) {
  auto* attribute = node.add_attribute();
  attribute->set_name(name);
  attribute->set_type(::onnx::AttributeProto::INTS);
  for (const int64_t value : values) attribute->add_ints(value);
}
inline void SetInt(::onnx::NodeProto& node, const std::string& name, int64_t value) {
  auto* attribute = node.add_attribute();
  attribute->set_name(name);
  attribute->set_type(::onnx::AttributeProto::INT);
  attribute->set_i(value);
}

// The results of rows.
inline std::vector<float> RunOn(const Graph& graph, int64_t rows, const InputData& input) {
  const auto executor = ValueOrDie(Executor::Create(graph));
  EXPECT_OK(executor->Forward(ExecutionMode::kInference, rows, {input}));
  return {executor->output().begin(), executor->output().end()};
}

}  // namespace mase

#endif  // MASE_ONNX_MODEL_MAKER_H_
