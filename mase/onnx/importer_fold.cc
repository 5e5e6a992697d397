// Constants of a file, computed by the very ops that would compute them while rows run.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "mase/base/limits.h"
#include "mase/base/status_macros.h"
#include "mase/exec/executor.h"
#include "mase/graph/add_output.h"
#include "mase/onnx/importer.h"
#include "mase/onnx/onnx_ops.h"

namespace mase {

using ::onnx::NodeProto;

absl::Status Importer::CountFolded(int64_t elements) {
  folded_elements_ += elements;
  if (folded_elements_ <= limits::kMaxOnnxFoldedElements) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("constants that the file has computed have more than ",
                   limits::kMaxOnnxFoldedElements, " elements"));
}

absl::StatusOr<bool> Importer::Fold(const NodeProto& proto, const OnnxOp& op) {
  if (op.import == nullptr || proto.input_size() == 0) return false;
  for (int i = 0; i < proto.input_size(); ++i) {
    if (proto.input(i).empty()) continue;
    const OnnxValue& value = values_.at(proto.input(i));
    // What depends on the number of rows is a matter of the graph, unless it is only moved.
    if (value.ints.has_value() && !value.ints->fixed() && i >= op.moves) return false;
  }
  const OnnxValue* data = proto.input(0).empty() ? nullptr : &values_.at(proto.input(0));
  const bool moves = op.moves > 0 && data != nullptr && data->ints.has_value();
  const int type = moves ? data->ints->type : 0;
  // Everything that belongs to the graph is another one's meanwhile.
  Graph scratch("fold");
  decltype(infos_) infos;
  decltype(materialized_) materialized;
  decltype(sizes_) sizes;
  const auto swap = [&](Graph* graph, bool folding) {
    graph_ = graph;
    std::swap(infos_, infos);
    std::swap(materialized_, materialized);
    std::swap(sizes_, sizes);
    folding_ = folding;
  };
  positions_.clear();
  position_count_ = 0;
  moving_ = moves;
  swap(&scratch, true);
  const auto run = [&]() -> absl::Status {
    MASE_RETURN_IF_ERROR(AddNode({.name = "rows",
                                  .kind = NodeKind::kPlaceholder,
                                  .op = std::string(ops::kPlaceholder),
                                  .target = "rows",
                                  .attributes = {{"shape", std::vector<int64_t>{1}}}})
                             .status());
    OnnxNode node(*this, proto);
    MASE_RETURN_IF_ERROR(op.import(node));
    std::vector<std::string> names;
    std::vector<Value*> results;
    for (const std::string& output : proto.output()) {
      const auto found = values_.find(output);
      if (found == values_.end() || found->second.value == nullptr) continue;
      names.push_back(output);
      results.push_back(found->second.value);
      MASE_RETURN_IF_ERROR(CountFolded(infos_.at(results.back())[0].shape.elements()));
    }
    if (results.empty()) return absl::OkStatus();
    MASE_RETURN_IF_ERROR(AddOutput(scratch, results).status());
    MASE_ASSIGN_OR_RETURN(const auto executor, Executor::Create(scratch));
    const float row = 0;
    MASE_RETURN_IF_ERROR(executor->Forward(ExecutionMode::kInference, 1, {&row}));
    for (size_t i = 0; i < names.size(); ++i) {
      const Shape& shape = executor->output_shape(static_cast<int>(i));
      const absl::Span<const float> numbers = executor->output(static_cast<int>(i));
      OnnxValue folded;
      if (moves) {
        MASE_ASSIGN_OR_RETURN(KnownInts ints, KnownInts::WithRoom(shape, type));
        for (const float number : numbers) {
          int64_t position = static_cast<int64_t>(number);
          size_t from = 0;
          while (position >= static_cast<int64_t>(positions_[from].first->values.size())) {
            position -= static_cast<int64_t>(positions_[from++].first->values.size());
          }
          ints.values.push_back(positions_[from].first->values[position]);
        }
        folded.ints = std::move(ints);
      } else {
        folded.floats = Tensor::FromValues<float>(shape, numbers);
      }
      values_[names[i]] = std::move(folded);
    }
    return absl::OkStatus();
  };
  const absl::Status status = run();
  swap(&net_.graph, false);
  MASE_RETURN_IF_ERROR(status);
  return true;
}

absl::StatusOr<Value*> Importer::Materialize(const std::string& name) {
  OnnxValue& value = values_.at(name);
  if (value.value != nullptr) return value.value;
  if (const auto found = materialized_.find(name); found != materialized_.end()) {
    return found->second;
  }
  Tensor tensor;
  if (value.floats.has_value()) {
    if (moving_ && folding_) return CannotRead("joins whole numbers and floats");
    tensor = *value.floats;
  } else if (folding_ && moving_) {
    const int64_t count = static_cast<int64_t>(value.ints->values.size());
    constexpr int64_t kMost = 1 << 24;  // What float32 counts to.
    if (position_count_ + count > kMost) {
      return absl::ResourceExhaustedError(
          absl::StrCat("moves ", position_count_ + count, " whole numbers; the limit is ", kMost));
    }
    tensor = Tensor::Zeros(DType::kFloat32, value.ints->shape);
    for (float& number : tensor.mutable_data<float>()) {
      number = static_cast<float>(position_count_++);
    }
    positions_.push_back({&*value.ints, count});
  } else {
    MASE_ASSIGN_OR_RETURN(const std::vector<int64_t> numbers, value.ints->Numbers());
    tensor = Tensor::Zeros(DType::kFloat32, value.ints->shape);
    std::copy(numbers.begin(), numbers.end(), tensor.mutable_data<float>().begin());
  }
  NodeProto named;
  named.set_name(name);
  OnnxNode node(*this, named);
  MASE_ASSIGN_OR_RETURN(Value * made, node.Constant(PathOf(named), std::move(tensor)));
  materialized_[name] = made;
  return made;
}

}  // namespace mase
