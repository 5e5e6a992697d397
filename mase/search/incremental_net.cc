#include "mase/search/incremental_net.h"

#include <algorithm>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "mase/base/status_macros.h"
#include "mase/exec/run_net.h"
#include "mase/graph/shape_inference.h"

namespace mase {
namespace {

// The value that alone crosses from the nodes up to one to those behind it, and carries samples;
// null where there is no such value, or the executor joins what lies on both sides of it.
std::vector<Value*> CrossingValues(absl::Span<Node* const> order, const InferredShapes& shapes) {
  absl::flat_hash_map<const Node*, size_t> place;
  for (size_t i = 0; i < order.size(); ++i) place[order[i]] = i;
  absl::flat_hash_map<Value*, size_t> last_use;
  std::vector<std::vector<Value*>> ends(order.size());
  for (Node* node : order) {
    for (Value* value : node->outputs()) {
      size_t last = place[node];
      for (const Use& use : value->uses()) last = std::max(last, place[use.node]);
      last_use[value] = last;
      ends[last].push_back(value);
    }
  }
  std::vector<Value*> crossing(order.size(), nullptr);
  absl::flat_hash_set<Value*> live;
  for (size_t i = 0; i < order.size(); ++i) {
    for (Value* value : order[i]->outputs()) {
      if (last_use[value] > i) live.insert(value);
    }
    for (Value* value : ends[i]) live.erase(value);
    if (live.size() != 1) continue;
    Value* value = *live.begin();
    const ValueInfo& info = shapes.info(value);
    // A norm behind a float convolution is folded into its weights.
    const bool folds = value->producer()->Is(OpTrait::kConvolution) &&
                       absl::c_any_of(value->uses(), [](const Use& use) {
                         return use.node->Is(OpTrait::kBatchNorm);
                       });
    if (!folds && info.dtype == DType::kFloat32 && info.shape.rank() > 0) crossing[i] = value;
  }
  return crossing;
}

// The part of the graph from the value named `from`, which becomes its input, to `to`; "" is the
// graph's own input or output.
absl::StatusOr<Graph> PartOf(const Graph& graph, const Value* from, const Value* to,
                             const InferredShapes& shapes) {
  Graph part = graph.Clone();
  const auto same = [&part](const Value* value) {
    return part.node_by_id(value->producer()->id())->outputs()[value->index()];
  };
  if (to != nullptr) part.ReplaceInput(part.output(), 0, same(to));
  if (from != nullptr) {
    Value* old = same(from);
    MASE_ASSIGN_OR_RETURN(
        Node * input,
        part.AddNode(
            {.name = "segment_input",
             .kind = NodeKind::kPlaceholder,
             .op = std::string(ops::kPlaceholder),
             .target = "segment_input",
             .attributes = {{"shape", std::vector<int64_t>(shapes.shape(from).dims().begin(),
                                                           shapes.shape(from).dims().end())}}},
            part.first()));
    part.ReplaceAllUses(old, input->outputs()[0]);
  }
  std::vector<Node*> order = part.NodesInOrder();
  for (auto node = order.rbegin(); node != order.rend(); ++node) {
    const bool used =
        *node == part.output() ||
        absl::c_any_of((*node)->outputs(), [](Value* value) { return !value->uses().empty(); });
    if (!used) MASE_RETURN_IF_ERROR(part.EraseNode(*node));
  }
  absl::flat_hash_set<std::string> needed;
  for (const Node* node : part.NodesInOrder()) {
    for (const Parameter& parameter : node->parameters()) needed.insert(parameter.tensor);
  }
  std::vector<std::string> spare;
  for (const GraphTensor& tensor : part.tensors()) {
    if (!needed.contains(tensor.name)) spare.push_back(tensor.name);
  }
  MASE_RETURN_IF_ERROR(part.RemoveTensors(spare));
  return part;
}

absl::Status CheckTensorsOfParts(absl::Span<const std::string> names) {
  absl::flat_hash_set<std::string> seen;
  for (const std::string& name : names) {
    if (seen.insert(name).second) continue;
    return absl::UnimplementedError(absl::StrCat("two parts of the net share the tensor ", name));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<IncrementalNet>> IncrementalNet::Create(
    const Graph& graph, const Tensor& features, const std::vector<std::string>& nodes,
    const IncrementalOptions& options) {
  if (graph.placeholders().size() != 1 || graph.output()->inputs().size() != 1) {
    return absl::InvalidArgumentError("want a net of one input and one result");
  }
  std::unique_ptr<IncrementalNet> net(new IncrementalNet(features, options));
  MASE_RETURN_IF_ERROR(net->Cut(graph, nodes));
  return net;
}

absl::Status IncrementalNet::Cut(const Graph& graph, const std::vector<std::string>& nodes) {
  MASE_ASSIGN_OR_RETURN(const InferredShapes shapes, InferShapesFor(graph));
  const Shape& result = shapes.shape(graph.output()->inputs()[0]);
  if (result.rank() != 2) {
    return absl::InvalidArgumentError(
        absl::StrCat("the net's output is ", result.ToString(), ", want [rows, classes]"));
  }
  classes_ = result[1];
  const std::vector<Node*> order = graph.NodesInOrder();
  const std::vector<Value*> crossing = CrossingValues(order, shapes);
  // The values at which a node that takes formats begins.
  std::vector<const Value*> cuts;
  for (size_t i = 0; i < order.size(); ++i) {
    if (!absl::c_linear_search(nodes, order[i]->name())) continue;
    size_t at = i;
    while (at > 0 && crossing[at - 1] == nullptr) --at;
    if (at == 0) continue;
    const Value* value = crossing[at - 1];
    const bool new_cut = value->producer()->kind() != NodeKind::kPlaceholder &&
                         (cuts.empty() || cuts.back() != value);
    if (new_cut) cuts.push_back(value);
  }
  cuts.push_back(nullptr);
  const Value* from = nullptr;
  std::vector<std::string> tensors;
  for (const Value* to : cuts) {
    Segment segment;
    MASE_ASSIGN_OR_RETURN(segment.graph, PartOf(graph, from, to, shapes));
    for (size_t i = 0; i < nodes.size(); ++i) {
      const Node* node = segment.graph.FindNode(nodes[i]);
      if (node == nullptr) continue;
      segment.nodes.push_back(i);
      segment.names.push_back(nodes[i]);
    }
    for (const GraphTensor& tensor : segment.graph.tensors()) tensors.push_back(tensor.name);
    const Shape& shape = to == nullptr ? result : shapes.shape(to);
    segment.row_size = shape.elements() / std::max<int64_t>(1, shape[0]);
    segments_.push_back(std::move(segment));
    from = to;
  }
  return CheckTensorsOfParts(tensors);
}

absl::StatusOr<IncrementalNet::Entry*> IncrementalNet::FindOrCompile(
    size_t segment_index, absl::Span<const NumberedRecord> records) {
  Segment& segment = segments_[segment_index];
  std::vector<int> key(segment.nodes.size());
  for (size_t i = 0; i < key.size(); ++i) key[i] = records[segment.nodes[i]].number;
  if (const auto found = segment.entries.find(key); found != segment.entries.end()) {
    entries_.splice(entries_.begin(), entries_, found->second);
    return &entries_.front();
  }
  Graph& graph = segment.graph;
  for (size_t i = 0; i < key.size(); ++i) {
    Node* node = graph.FindNode(segment.names[i]);
    const Quantization* record = records[segment.nodes[i]].record;
    if (record == nullptr) {
      graph.ClearQuantization(node);
    } else {
      graph.SetQuantization(node, *record);
    }
  }
  Entry entry;
  entry.segment = segment_index;
  entry.key = key;
  MASE_ASSIGN_OR_RETURN(entry.executor, Executor::Create(graph));
  if (options_.costs) {
    MASE_ASSIGN_OR_RETURN(entry.costs, NetCostsOf(graph));
  }
  const int64_t rows = features_.shape()[0];
  entry.values.resize(static_cast<size_t>(rows * segment.row_size));
  MASE_ASSIGN_OR_RETURN(const int64_t planned,
                        entry.executor->PlannedBytes(std::min(rows, options_.batch_size)));
  entry.bytes = static_cast<int64_t>(entry.values.size() * sizeof(float)) + planned;
  for (const GraphTensor& tensor : graph.tensors()) {
    entry.bytes += static_cast<int64_t>(tensor.value.size_bytes());
  }
  kept_bytes_ += entry.bytes;
  ++compiled_;
  entries_.push_front(std::move(entry));
  segment.entries[std::move(key)] = entries_.begin();
  return &entries_.front();
}

absl::Status IncrementalNet::Compute(const float* input, int64_t row_size, Entry& entry) {
  const RowBatches batches = RowBatches::OfSize(features_.shape()[0], options_.batch_size);
  const int64_t size = segments_[entry.segment].row_size;
  entry.input_state = -1;
  for (int64_t b = 0; b < batches.count(); ++b) {
    const int64_t first = batches.begin(b), rows = batches.begin(b + 1) - first;
    MASE_RETURN_IF_ERROR(
        entry.executor->Forward(ExecutionMode::kInference, rows, {input + first * row_size}));
    absl::c_copy(entry.executor->output(), entry.values.begin() + first * size);
  }
  entry.state = ++states_;
  ++computed_;
  return absl::OkStatus();
}

absl::Status IncrementalNet::Run(absl::Span<const NumberedRecord> records) {
  const float* input = features_.data<float>().data();
  int64_t row_size = features_.elements() / std::max<int64_t>(1, features_.shape()[0]);
  int64_t state = 0;
  costs_ = NetCosts();
  for (size_t i = 0; i < segments_.size(); ++i) {
    MASE_ASSIGN_OR_RETURN(Entry * entry, FindOrCompile(i, records));
    if (entry->input_state != state) {
      MASE_RETURN_IF_ERROR(Compute(input, row_size, *entry));
      entry->input_state = state;
    }
    input = entry->values.data();
    row_size = segments_[i].row_size;
    state = entry->state;
    costs_ += entry->costs;
  }
  scores_ = {input, static_cast<size_t>(features_.shape()[0] * row_size)};
  Forget();
  return absl::OkStatus();
}

// The segments of the last run, one of each, are the first entries.
void IncrementalNet::Forget() {
  while (kept_bytes_ > options_.max_bytes && entries_.size() > segments_.size()) {
    const Entry& oldest = entries_.back();
    kept_bytes_ -= oldest.bytes;
    segments_[oldest.segment].entries.erase(oldest.key);
    entries_.pop_back();
  }
}

}  // namespace mase
