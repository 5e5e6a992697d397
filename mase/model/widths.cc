#include "mase/model/widths.h"

#include <cstring>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/graph/op_schema.h"
#include "mase/graph/shape_inference.h"
#include "mase/model/initial.h"
#include "mase/tensor/tensor.h"

namespace mase {
namespace {

// Of each axis of `to`, for each index that of `from` or -1.
using Matches = std::vector<std::vector<int64_t>>;

// Whether both have the same channels on an axis of `extent`.
bool IsWhole(const std::vector<int64_t>& match, int64_t extent) {
  if (static_cast<int64_t>(match.size()) != extent) return false;
  for (int64_t i = 0; i < extent; ++i) {
    if (match[static_cast<size_t>(i)] != i) return false;
  }
  return true;
}

// Copies the elements that both have, as many at once as lie together in both.
void CopyMatches(const Tensor& from, const Matches& matches, Tensor& to) {
  size_t block = ElementSize(from.dtype());
  int axes = to.shape().rank();
  while (axes > 0 && IsWhole(matches[static_cast<size_t>(axes - 1)], from.shape()[axes - 1])) {
    block *= static_cast<size_t>(from.shape()[--axes]);
  }
  const auto* in = static_cast<const char*>(from.raw_data());
  auto* out = static_cast<char*>(to.mutable_raw_data());
  const size_t blocks = to.size_bytes() / block;
  for (size_t i = 0; i < blocks; ++i) {
    auto rest = static_cast<int64_t>(i);
    int64_t at = 0, stride = 1;
    bool both = true;
    for (int axis = axes - 1; axis >= 0 && both; --axis) {
      const int64_t extent = to.shape()[axis];
      const int64_t match = matches[static_cast<size_t>(axis)][static_cast<size_t>(rest % extent)];
      both = match >= 0;
      at += match * stride;
      stride *= from.shape()[axis];
      rest /= extent;
    }
    if (both) std::memcpy(out + i * block, in + static_cast<size_t>(at) * block, block);
  }
}

// Whether the tensor has the extents that these sizes give its axes.
bool Fits(const AxisTerms& terms, const Axes& axes, const AxisTerms::Sizes& sizes,
          const Tensor& tensor) {
  if (static_cast<int>(axes.size()) != tensor.shape().rank()) return false;
  for (size_t i = 0; i < axes.size(); ++i) {
    if (terms.SizeOf(axes[i], sizes) != tensor.shape()[static_cast<int>(i)]) return false;
  }
  return true;
}

// Copies the channels that a tensor has under both sizes. False where it is another tensor.
bool TakeTensor(const AxisTerms& terms, const Axes& axes, const AxisTerms::Sizes& from_sizes,
                const AxisTerms::Sizes& to_sizes, const Tensor& from, Tensor& to) {
  const bool same = from.dtype() == to.dtype() && Fits(terms, axes, from_sizes, from) &&
                    Fits(terms, axes, to_sizes, to);
  if (!same || from.elements() == 0 || to.elements() == 0) return false;
  Matches matches;
  for (const AxisTerms::Term axis : axes)
    matches.push_back(terms.Match(axis, from_sizes, to_sizes));
  CopyMatches(from, matches, to);
  return true;
}

// Writes the extents into the node's attributes; whether any changed.
absl::StatusOr<bool> SetExtents(const NodeAxes& axes, const AxisTerms& terms,
                                const AxisTerms::Sizes& sizes, Node* node, Graph& graph) {
  bool changed = false;
  for (const AxisAttribute& attribute : axes.attributes) {
    const int64_t extent = terms.SizeOf(attribute.term, sizes);
    if (extent == terms.SizeOf(attribute.term)) continue;
    changed = true;
    if (attribute.index < 0) {
      MASE_RETURN_IF_ERROR(graph.SetAttribute(node, attribute.name, extent));
      continue;
    }
    std::vector<int64_t> extents = node->attributes().Ints(attribute.name);
    extents[static_cast<size_t>(attribute.index)] = extent;
    MASE_RETURN_IF_ERROR(graph.SetAttribute(node, attribute.name, std::move(extents)));
  }
  return changed;
}

}  // namespace

absl::StatusOr<Widths> Widths::Of(const Graph& graph) {
  MASE_ASSIGN_OR_RETURN(GraphAxes axes, AxesOf(graph));
  Widths widths(std::move(axes));
  for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
    if (!node->Is(OpTrait::kStored)) continue;
    for (const Parameter& parameter : node->parameters()) {
      widths.stored_.emplace_back(node->name(), widths.axes_.tensors.at(parameter.tensor));
    }
  }
  return widths;
}

int64_t Widths::WidthOf(const Node& node) const {
  const AxisTerms::Term term = AxesOfNode(node).width;
  return term < 0 ? 0 : axes_.terms.SizeOf(term);
}

int64_t Widths::NewWidthOf(const Node& node) const {
  const AxisTerms::Term term = AxesOfNode(node).width;
  return term < 0 ? 0 : axes_.terms.SizeOf(term, sizes_);
}

int64_t Widths::InputWidthOf(const Node& node) const {
  const AxisTerms::Term term = AxesOfNode(node).input;
  return term < 0 ? 0 : axes_.terms.SizeOf(term);
}

std::string Widths::WhyFixed(const Node& node) const {
  const AxisTerms::Term term = AxesOfNode(node).width;
  if (term < 0) return "it has no channels of its own";
  AxisTerms::Sizes sizes = axes_.terms.sizes();
  const bool fixed = axes_.terms.is_fixed(term);
  return fixed ? std::string(axes_.terms.Set(term, 1 + WidthOf(node), sizes).message()) : "";
}

bool Widths::Share(const Node& a, const Node& b) const {
  const AxisTerms::Term of_a = AxesOfNode(a).width, of_b = AxesOfNode(b).width;
  return of_a >= 0 && of_b >= 0 && axes_.terms.Share(of_a, of_b);
}

absl::Status Widths::Set(const Node& node, int64_t channels) {
  return SetTerm(node, AxesOfNode(node).width, channels);
}

absl::Status Widths::SetInput(const Node& node, int64_t channels) {
  return SetTerm(node, AxesOfNode(node).input, channels);
}

absl::Status Widths::SetBoth(const Node& node, int64_t channels, int64_t input_channels) {
  const AxisTerms::Sizes sizes = sizes_;
  const size_t requests = requests_.size();
  absl::Status status = Set(node, channels);
  if (status.ok()) status = Annotate(SetInput(node, input_channels), "the channels that it reads");
  if (status.ok()) return status;
  sizes_ = sizes;
  requests_.resize(requests);
  return status;
}

absl::Status Widths::SetTerm(const Node& node, AxisTerms::Term term, int64_t channels) {
  if (term < 0) {
    return absl::InvalidArgumentError(
        "it has no channels of its own; want a linear layer, convolution or embedding");
  }
  const AxisTerms& terms = axes_.terms;
  AxisTerms::Sizes alone = terms.sizes();
  MASE_RETURN_IF_ERROR(terms.Set(term, channels, alone));
  for (const auto& [name, axes] : stored_) {
    for (const AxisTerms::Term axis : axes) {
      if (terms.SizeOf(axis, alone) <= terms.SizeOf(axis)) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("'", name, "', a tensor of the net's own, has numbers for ",
                       terms.SizeOf(axis), " of them and no initial ones for more"));
    }
  }
  AxisTerms::Sizes sizes = sizes_;
  const absl::Status set = terms.Set(term, channels, sizes);
  for (const Request& other : requests_) {
    // Those asked for before keep their channels, also where these are as many as they were.
    const bool kept = set.ok() && terms.SizeOf(other.term, sizes) == other.channels;
    if (kept || !terms.Share(term, other.term)) continue;
    const std::string meeting = terms.MeetingOf(term, other.term);
    return absl::InvalidArgumentError(
        absl::StrCat("they are those of '", other.node, "', too, which is to have ", other.channels,
                     meeting.empty() ? "" : absl::StrCat(" (they meet in '", meeting, "')")));
  }
  MASE_RETURN_IF_ERROR(set);
  sizes_ = std::move(sizes);
  requests_.push_back({node.name(), term, channels});
  return absl::OkStatus();
}

absl::Status Widths::Apply(bool keep, TorchGenerator& generator, Graph& graph) {
  const Graph before = graph.Clone();
  absl::flat_hash_set<std::string> made;
  for (Node* node : graph.NodesInOrder()) {
    const absl::string_view name = node->name();
    MASE_ASSIGN_OR_RETURN(const bool changed,
                          SetExtents(AxesOfNode(*node), axes_.terms, sizes_, node, graph));
    const ParameterRule rule = node->schema().parameter_rule;
    if (!changed || rule == nullptr) continue;
    if (node->quantization() != nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", name, "' has a number format: change widths before quantize"));
    }
    for (const ParameterSpec& spec : rule(node->attributes())) {
      const std::string* tensor = node->FindParameter(spec.name);
      if (tensor == nullptr || !made.insert(*tensor).second) continue;
      const Tensor& old = before.FindTensor(*tensor)->value;
      const std::string what = absl::StrCat("'", name, "': ", *tensor);
      if (const absl::Status status = spec.shape.Validate(); !status.ok()) {
        return Annotate(status, what);
      }
      absl::StatusOr<Tensor> next = Tensor::Create(old.dtype(), spec.shape);
      if (!next.ok()) return Annotate(next.status(), what);
      DrawInitial(spec, generator, *next);
      if (keep || node->Is(OpTrait::kStored)) {
        TakeTensor(axes_.terms, axes_.tensors.at(*tensor), axes_.terms.sizes(), sizes_, old, *next);
      }
      graph.SetTensor(*tensor, *std::move(next), spec.buffer);
    }
  }
  return InferShapes(graph, BatchOf(before));
}

absl::StatusOr<TakenWeights> TakeWeights(const Graph& from, Graph& to) {
  MASE_ASSIGN_OR_RETURN(const GraphAxes axes, AxesOf(to));
  const AxisTerms& terms = axes.terms;
  AxisTerms::Sizes sizes(terms.sizes().size(), 0);
  // What is joined is known when its parts are, all of which are layers' own somewhere.
  for (int round = 0; round < 2; ++round) {
    for (const GraphTensor& tensor : to.tensors()) {
      const GraphTensor* source = from.FindTensor(tensor.name);
      const auto found = axes.tensors.find(tensor.name);
      if (source == nullptr || found == axes.tensors.end()) continue;
      const Shape& shape = source->value.shape();
      if (shape.rank() != static_cast<int>(found->second.size())) continue;
      for (int i = 0; i < shape.rank(); ++i) {
        terms.Solve(found->second[static_cast<size_t>(i)], shape[i], sizes);
      }
    }
  }
  TakenWeights trained;
  int64_t all = 0;  // With running statistics.
  std::vector<std::string> names;
  for (const GraphTensor& tensor : to.tensors()) names.push_back(tensor.name);
  for (const std::string& name : names) {
    const GraphTensor* source = from.FindTensor(name);
    const bool counts = !to.FindTensor(name)->buffer;
    trained.of += counts;
    if (source == nullptr) continue;
    bool taken = false;
    const auto found = axes.tensors.find(name);
    if (found != axes.tensors.end()) {
      taken = TakeTensor(terms, found->second, sizes, terms.sizes(), source->value,
                         *to.MutableTensor(name));
    } else if (source->value.shape() == to.FindTensor(name)->value.shape() &&
               source->value.dtype() == to.FindTensor(name)->value.dtype()) {
      to.SetTensor(name, source->value, source->buffer);  // No node reads it.
      taken = true;
    }
    all += taken;
    trained.taken += taken && counts;
  }
  if (trained.of > 0 ? trained.taken > 0 : all > 0) return trained;
  return absl::InvalidArgumentError(
      absl::StrCat("graph '", from.name(), "' has no tensor of '", to.name(),
                   "' that weights could be taken from; want a net of the same layers"));
}

}  // namespace mase
