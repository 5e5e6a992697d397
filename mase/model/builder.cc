#include "mase/model/builder.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "glog/logging.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/graph/add_output.h"
#include "mase/graph/verifier.h"
#include "mase/model/initial.h"

namespace mase {

ModelBuilder::ModelBuilder(std::string name, const Shape& input, int64_t classes, uint64_t seed,
                           int64_t max_elements)
    : graph_(std::move(name)), generator_(seed), classes_(classes), max_elements_(max_elements) {
  input_ = Add(
      {.name = "x",
       .kind = NodeKind::kPlaceholder,
       .op = std::string(ops::kPlaceholder),
       .target = "x",
       .attributes = {{"shape", std::vector<int64_t>(input.dims().begin(), input.dims().end())}}});
}

void ModelBuilder::Fail(const absl::Status& status) {
  if (status_.ok()) status_ = status;
}

// Adds a node and infers its shape, so that the next layer knows its input.
Value* ModelBuilder::Add(NodeSpec spec) {
  if (!status_.ok()) return input_;
  absl::StatusOr<Node*> node = graph_.AddNode(std::move(spec));
  if (!node.ok()) {
    Fail(node.status());
    return input_;
  }
  std::vector<ValueInfo> inputs;
  for (const Value* value : (*node)->inputs()) inputs.push_back(value->info());
  auto infos = (*node)->schema().shape_rule(inputs, (*node)->attributes());
  absl::Status status = infos.ok() ? (*infos)[0].shape.Validate() : infos.status();
  if (!status.ok()) {
    Fail(Annotate(status, absl::StrCat((*node)->name(), " (", (*node)->op(), ")")));
    return input_;
  }
  graph_.SetInfo((*node)->outputs()[0], std::move((*infos)[0]));
  return (*node)->outputs()[0];
}

void ModelBuilder::Declare(absl::string_view path, absl::string_view text, const Shape& input) {
  if (!status_.ok()) return;
  absl::StatusOr<Layer> layer = ParseLayer(text, input, classes_);
  if (!layer.ok()) return Fail(Annotate(layer.status(), path));
  // The shape rule also checks what the parameter rule divides by.
  const ValueInfo info{DType::kFloat32, input, std::nullopt};
  if (auto infos = layer->schema->shape_rule({&info, 1}, layer->attributes); !infos.ok()) {
    return Fail(Annotate(infos.status(), absl::StrCat(path, " (", text, ")")));
  }
  if (layer->schema->parameter_rule != nullptr) {
    for (const ParameterSpec& spec : layer->schema->parameter_rule(layer->attributes)) {
      const std::string name = absl::StrCat(path, ".", spec.name);
      if (absl::Status valid = spec.shape.Validate(); !valid.ok()) {
        return Fail(Annotate(valid, name));
      }
      elements_ += spec.shape.elements();
      if (elements_ > max_elements_) {
        return Fail(absl::ResourceExhaustedError(
            absl::StrCat(name, ": the net has more than ", max_elements_, " weights")));
      }
      absl::StatusOr<Tensor> tensor = Tensor::Create(spec.dtype, spec.shape);
      if (!tensor.ok()) return Fail(Annotate(tensor.status(), name));
      DrawInitial(spec, generator_, *tensor);
      graph_.SetTensor(name, *std::move(tensor), spec.buffer);
    }
  }
  declared_[path] = *std::move(layer);
}

Value* ModelBuilder::Call(Value* x, absl::string_view path) {
  if (!status_.ok()) return input_;
  const auto it = declared_.find(path);
  CHECK(it != declared_.end()) << "module not declared: " << path;
  const Layer& layer = it->second;
  NodeSpec spec{.name = absl::StrReplaceAll(path, {{".", "_"}}),
                .kind = NodeKind::kCallModule,
                .op = std::string(layer.schema->name),
                .target = std::string(path),
                .inputs = {x},
                .attributes = layer.attributes};
  if (layer.schema->parameter_rule != nullptr) {
    for (const ParameterSpec& parameter : layer.schema->parameter_rule(layer.attributes)) {
      spec.parameters.push_back({parameter.name, absl::StrCat(path, ".", parameter.name)});
    }
  }
  return Add(std::move(spec));
}

Value* ModelBuilder::Module(Value* x, absl::string_view path, absl::string_view layer) {
  Declare(path, layer, x->shape());
  return Call(x, path);
}

Value* ModelBuilder::Sequence(Value* x, absl::string_view path, absl::string_view layers) {
  int index = 0;
  for (absl::string_view layer : absl::StrSplit(layers, ',')) {
    x = Module(x, absl::StrCat(path, ".", index++), layer);
  }
  return x;
}

Value* ModelBuilder::Function(absl::string_view op, std::vector<Value*> inputs,
                              Attributes attributes) {
  return Add({.name = std::string(op),
              .kind = NodeKind::kCallFunction,
              .op = std::string(op),
              .target = std::string(op),
              .inputs = std::move(inputs),
              .attributes = std::move(attributes)});
}

Value* ModelBuilder::Method(absl::string_view op, std::vector<Value*> inputs,
                            Attributes attributes) {
  return Add({.name = std::string(op),
              .kind = NodeKind::kCallMethod,
              .op = std::string(op),
              .target = std::string(op),
              .inputs = std::move(inputs),
              .attributes = std::move(attributes)});
}

Value* ModelBuilder::ViewWithSize(Value* x, absl::string_view method,
                                  std::vector<int64_t> extents) {
  constexpr int64_t kFromInput = -2;  // See the shape rule of view.
  extents.insert(extents.begin(), kFromInput);
  Value* size = Method(ops::kSize, {x}, {{"dim", int64_t{0}}});
  return Method(method, {x, size}, {{"shape", std::move(extents)}});
}

void ModelBuilder::DrawNormal(absl::string_view tensor, double std) {
  if (!status_.ok()) return;
  generator_.FillNormal(graph_.MutableTensor(tensor)->mutable_data<float>(), 0, std);
}

void ModelBuilder::Fill(absl::string_view tensor, float value) {
  if (!status_.ok()) return;
  absl::Span<float> values = graph_.MutableTensor(tensor)->mutable_data<float>();
  std::fill(values.begin(), values.end(), value);
}

absl::StatusOr<Graph> ModelBuilder::Finish(Value* result) {
  MASE_RETURN_IF_ERROR(status_);
  MASE_RETURN_IF_ERROR(AddOutput(graph_, {result}).status());
  MASE_RETURN_IF_ERROR(VerifyGraph(graph_));
  return std::move(graph_);
}

}  // namespace mase
