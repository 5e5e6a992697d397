#include "mase/testing/numerics/test_net.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "mase/graph/add_output.h"

namespace mase {

TestNet::TestNet(const Shape& input, uint64_t seed) : random_(seed) { input_ = Input(input); }

Value* TestNet::Input(const Shape& shape) {
  const auto dims = shape.dims();
  return Add({.name = "x",
              .kind = NodeKind::kPlaceholder,
              .op = "placeholder",
              .target = "x",
              .attributes = {{"shape", std::vector<int64_t>(dims.begin(), dims.end())}}});
}

Value* TestNet::Module(absl::string_view op, std::vector<Value*> inputs, Attributes attributes) {
  const OpSchema* schema = FindOp(op);
  CHECK(schema != nullptr) << op;
  NodeSpec spec = {.name = std::string(op),
                   .op = std::string(op),
                   .inputs = std::move(inputs),
                   .attributes = attributes};
  spec.target = absl::StrCat("m", graph_.node_count());
  for (const AttributeSpec& attribute : schema->attributes) {
    if (attributes.Find(attribute.name) == nullptr)
      attributes.Set(attribute.name, attribute.fallback);
  }
  if (schema->parameter_rule != nullptr) {
    for (const ParameterSpec& parameter : schema->parameter_rule(attributes)) {
      const std::string tensor = absl::StrCat(spec.target, ".", parameter.name);
      spec.parameters.push_back({parameter.name, tensor});
      graph_.SetTensor(tensor, Draw(parameter), parameter.buffer);
    }
  }
  return Add(std::move(spec));
}

Value* TestNet::Function(absl::string_view op, std::vector<Value*> inputs, Attributes attributes) {
  return Add({.name = std::string(op),
              .kind = NodeKind::kCallFunction,
              .op = std::string(op),
              .target = std::string(op),
              .inputs = std::move(inputs),
              .attributes = std::move(attributes)});
}

Graph TestNet::Finish(std::vector<Value*> results) {
  const auto output = AddOutput(graph_, std::move(results));
  CHECK(output.ok()) << output.status();
  return std::move(graph_);
}

Value* TestNet::Add(NodeSpec spec) {
  auto node = graph_.AddNode(std::move(spec));
  CHECK(node.ok()) << node.status();
  return (*node)->outputs().empty() ? nullptr : (*node)->outputs()[0];
}

// Around PyTorch's initial values, but none at a value that could hide an error.
Tensor TestNet::Draw(const ParameterSpec& spec) {
  Tensor tensor(spec.dtype, spec.shape);
  if (spec.dtype == DType::kInt64) {
    tensor.mutable_data<int64_t>()[0] = 3;
    return tensor;
  }
  const absl::Span<float> values = tensor.mutable_data<float>();
  switch (spec.init) {
    case ParameterSpec::Init::kUniformFanIn: {
      const float bound = 1 / std::sqrt(static_cast<float>(spec.fan_in));
      random_.FillUniform(values, -bound, bound);
      break;
    }
    case ParameterSpec::Init::kOnes:
      random_.FillUniform(values, 0.5f, 1.5f);
      break;
    case ParameterSpec::Init::kZeros:
      random_.FillUniform(values, -0.5f, 0.5f);
      break;
  }
  return tensor;
}

std::vector<float> RandomValues(int64_t count, uint64_t seed) {
  std::vector<float> values(count);
  TorchGenerator(seed).FillUniform(absl::MakeSpan(values), -1.0f, 1.0f);
  return values;
}

}  // namespace mase
