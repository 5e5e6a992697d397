#include "mase/model/node_axes.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "mase/base/status_macros.h"
#include "mase/graph/op_schema.h"

namespace mase {
namespace {

using Term = AxisTerms::Term;

// A node while its rule is at work.
struct Site {
  const Node& node;
  AxisTerms& terms;
  std::vector<Axes> inputs;
  Shape result;  // As inferred.
  NodeAxes& found;
  absl::flat_hash_map<std::string, Axes> tensors = {};  // By local name.

  const Attributes& attributes() const { return node.attributes(); }
  const Axes& input() const { return inputs[0]; }
  void Attribute(absl::string_view name, Term term, int index = -1) {
    found.attributes.push_back({std::string(name), index, term});
  }
  Axes Numbers(const Shape& shape) {
    Axes axes;
    for (const int64_t extent : shape.dims()) axes.push_back(terms.Number(extent));
    return axes;
  }
  void Fix(const Axes& axes, absl::string_view reason) {
    for (const Term term : axes) terms.Fix(term, reason);
  }
};

using Rule = Axes (*)(Site&);

Axes FixedAxes(Site& site, absl::string_view what) {
  for (const Axes& input : site.inputs) {
    site.Fix(input, absl::StrCat("'", site.node.name(), "' (", site.node.op(), ") ", what));
  }
  return site.Numbers(site.result);
}

Axes UnknownAxes(Site& site) { return FixedAxes(site, "reads them, of which no rule is known"); }
Axes OutputAxes(Site& site) { return FixedAxes(site, "has them as the net's results"); }

// Inputs that broadcast, one of them or more.
Axes ElementwiseAxes(Site& site) {
  const int rank = site.result.rank();
  Axes axes(rank, -1);
  for (const Axes& input : site.inputs) {
    const int first = rank - static_cast<int>(input.size());
    for (int i = first; i < rank; ++i) {
      const Term term = input[i - first];
      if (site.terms.SizeOf(term) != site.result[i]) {
        site.terms.Fix(term, absl::StrCat("'", site.node.name(), "' repeats it"));
      } else if (axes[i] < 0) {
        axes[i] = term;
      } else {
        site.terms.Unify(axes[i], term, site.node.name());
      }
    }
  }
  for (int i = 0; i < rank; ++i) {
    if (axes[i] < 0) axes[i] = site.terms.Number(site.result[i]);
  }
  return axes;
}

Axes LinearAxes(Site& site) {
  Axes axes = site.input();
  const Term in = axes.back(), out = site.terms.Variable(site.result[-1]);
  site.found.input = in;
  site.found.width = out;
  site.Attribute("in_features", in);
  site.Attribute("out_features", out);
  site.tensors = {{"weight", {out, in}}, {"bias", {out}}};
  axes.back() = out;
  return axes;
}

// Of channels that are cut into groups, those of a group.
Term GroupOf(Site& site, Term channels, int64_t groups) {
  const Term group = site.terms.Variable(site.terms.SizeOf(channels) / groups);
  site.terms.Unify(channels, site.terms.Product({site.terms.Number(groups), group}),
                   site.node.name());
  return group;
}

// The weight is [out, in / groups, kernel...], transposed [in, out / groups, kernel...]. Depthwise,
// each channel is a group, and there are as many groups as channels.
template <bool Transposed>
Axes ConvAxes(Site& site) {
  AxisTerms& terms = site.terms;
  const Term in = site.input()[1];
  const int64_t channels = terms.SizeOf(in), groups = site.attributes().Int("groups");
  const int64_t per_group = site.result[1] / groups;
  Term out = -1, group_in = in, group_out = -1;
  if (groups == 1) {
    out = group_out = terms.Variable(site.result[1]);
  } else if (groups == channels) {
    site.Attribute("groups", in);
    group_in = terms.Number(1);
    group_out = terms.Number(per_group);
    out = per_group == 1 ? in : terms.Product({in, group_out});
  } else {
    group_in = GroupOf(site, in, groups);
    group_out = terms.Variable(per_group);
    out = terms.Product({terms.Number(groups), group_out});
  }
  site.found.input = in;
  site.found.width = out;
  site.Attribute("in_channels", in);
  site.Attribute("out_channels", out);
  Axes weight = Transposed ? Axes{in, group_out} : Axes{out, group_in};
  for (const int64_t extent : site.attributes().Ints("kernel_size")) {
    weight.push_back(terms.Number(extent));
  }
  site.tensors = {{"weight", std::move(weight)}, {"bias", {out}}};
  Axes axes = site.Numbers(site.result);
  axes[0] = site.input()[0];
  axes[1] = out;
  return axes;
}

Axes FeatureNormAxes(Site& site) {
  const Term channels = site.input()[1];
  site.Attribute("num_features", channels);
  for (const char* tensor : {"weight", "bias", "running_mean", "running_var"}) {
    site.tensors[tensor] = {channels};
  }
  return site.input();
}

Axes LayerNormAxes(Site& site) {
  const int count = static_cast<int>(site.attributes().Ints("normalized_shape").size());
  const Axes last(site.input().end() - count, site.input().end());
  for (int i = 0; i < count; ++i) site.Attribute("normalized_shape", last[i], i);
  site.tensors = {{"weight", last}, {"bias", last}};
  return site.input();
}

Axes GroupNormAxes(Site& site) {
  const Term channels = site.input()[1];
  const int64_t groups = site.attributes().Int("num_groups");
  site.Attribute("num_channels", channels);
  if (groups > 1) GroupOf(site, channels, groups);
  site.tensors = {{"weight", {channels}}, {"bias", {channels}}};
  return site.input();
}

// Batch and channels stay, windows are counted.
Axes PoolAxes(Site& site) {
  Axes axes = site.Numbers(site.result);
  std::copy_n(site.input().begin(), 2, axes.begin());
  return axes;
}

Axes MatmulAxes(Site& site) {
  const Axes &a = site.inputs[0], &b = site.inputs[1];
  if (a.size() < 2 || b.size() < 2) return UnknownAxes(site);
  site.terms.Unify(a.back(), b[b.size() - 2], site.node.name());
  const Term row = a[a.size() - 2], column = b.back();
  // The leading axes broadcast.
  Shape batch = site.result;
  Shape leading(batch.dims().subspan(0, static_cast<size_t>(batch.rank() - 2)));
  NodeAxes unused;
  Site outer{site.node,
             site.terms,
             {Axes(a.begin(), a.end() - 2), Axes(b.begin(), b.end() - 2)},
             std::move(leading),
             unused};
  Axes axes = ElementwiseAxes(outer);
  axes.push_back(row);
  axes.push_back(column);
  return axes;
}

// The same elements in their order: axes are products of what the input's are products of. Where an
// axis would have to be cut in two, it and those after it stay as they are.
Axes ViewAxes(Site& site) {
  AxisTerms& terms = site.terms;
  Axes factors, axes;
  for (const Term term : site.input()) {
    for (const Term factor : terms.Factors(term)) factors.push_back(factor);
  }
  size_t next = 0;
  bool fits = true;
  for (const int64_t extent : site.result.dims()) {
    Axes of_axis;
    int64_t size = 1;
    const size_t first = next;
    while (fits && size < extent && next < factors.size()) {
      if (terms.SizeOf(factors[next]) > 1) of_axis.push_back(factors[next]);
      size *= terms.SizeOf(factors[next++]);
    }
    if (fits && size != extent) next = first;
    fits = fits && size == extent;
    axes.push_back(fits ? terms.Product(std::move(of_axis)) : terms.Number(extent));
  }
  for (size_t i = 0; i < factors.size(); ++i) {
    if (i < next && terms.SizeOf(factors[i]) > 1) continue;
    terms.Fix(factors[i], absl::StrCat("'", site.node.name(), "' cuts them in another way"));
  }
  // -1 and sizes that are inputs follow by themselves.
  const Attribute* shape = site.attributes().Find("shape");
  if (shape == nullptr) return axes;  // flatten has none.
  const auto& extents = std::get<std::vector<int64_t>>(*shape);
  for (size_t i = 0; i < extents.size(); ++i) {
    if (extents[i] >= 0) site.Attribute("shape", axes[i], static_cast<int>(i));
  }
  return axes;
}

Axes PermuteAxes(Site& site) {
  Axes axes;
  const int rank = static_cast<int>(site.input().size());
  for (const int64_t axis : site.attributes().Ints("dims")) {
    axes.push_back(site.input()[static_cast<size_t>(axis < 0 ? axis + rank : axis)]);
  }
  return axes;
}

// The attribute `name` as an axis of the first input.
size_t AxisAt(const Site& site, absl::string_view name) {
  const int64_t axis = site.attributes().Int(name);
  return static_cast<size_t>(axis < 0 ? axis + static_cast<int64_t>(site.input().size()) : axis);
}

Axes TransposeAxes(Site& site) {
  Axes axes = site.input();
  std::swap(axes[AxisAt(site, "dim0")], axes[AxisAt(site, "dim1")]);
  return axes;
}

Axes CatAxes(Site& site) {
  const size_t joined = AxisAt(site, "dim");
  Axes axes = site.input(), parts;
  for (const Axes& input : site.inputs) {
    parts.push_back(input[joined]);
    for (size_t i = 0; i < input.size(); ++i) {
      if (i != joined) site.terms.Unify(axes[i], input[i], site.node.name());
    }
  }
  axes[joined] = site.terms.Joined(std::move(parts));
  return axes;
}

Axes ReducedAxes(Site& site) {
  const int rank = static_cast<int>(site.input().size());
  std::vector<bool> reduced(site.input().size());
  for (const int64_t axis : site.attributes().Ints("dims")) {
    reduced[static_cast<size_t>(axis < 0 ? axis + rank : axis)] = true;
  }
  Axes axes;
  for (size_t i = 0; i < reduced.size(); ++i) {
    if (!reduced[i]) axes.push_back(site.input()[i]);
    if (reduced[i] && site.attributes().Bool("keepdim")) axes.push_back(site.terms.Number(1));
  }
  return axes;
}

Axes ExpandAxes(Site& site) {
  site.inputs.resize(1);  // The others are sizes.
  Axes axes = ElementwiseAxes(site);
  const std::vector<int64_t>& extents = site.attributes().Ints("shape");
  for (size_t i = 0; i < extents.size(); ++i) {
    if (extents[i] >= 0) site.Attribute("shape", axes[i], static_cast<int>(i));
  }
  return axes;
}

// Elements before and after an axis are joined with it.
Axes PadAxes(Site& site) {
  AxisTerms& terms = site.terms;
  const auto &before = site.attributes().Ints("before"), &after = site.attributes().Ints("after");
  Axes axes = site.input();
  for (size_t i = 0; i < axes.size(); ++i) {
    if (before[i] == 0 && after[i] == 0) continue;
    if (terms.is_fixed(axes[i]) || before[i] < 0 || after[i] < 0) {
      terms.Fix(axes[i], absl::StrCat("'", site.node.name(), "' takes some away"));
      axes[i] = terms.Number(site.result[static_cast<int>(i)]);
    } else {
      axes[i] = terms.Joined({terms.Number(before[i]), axes[i], terms.Number(after[i])});
    }
  }
  return axes;
}

// Of the axis `dim` some elements. All of them are the axis itself.
Axes SelectedAxes(Site& site) {
  const size_t axis = AxisAt(site, "dim");
  Axes axes = site.input();
  const bool all = site.attributes().Find("end") != nullptr &&
                   site.attributes().Int("start") == 0 &&
                   site.attributes().Int("end") == std::numeric_limits<int64_t>::max() &&
                   site.attributes().Int("step") == 1;
  if (all) return axes;
  site.terms.Fix(axes[axis], absl::StrCat("'", site.node.name(), "' takes some of them"));
  axes[axis] = site.terms.Number(site.result[static_cast<int>(axis)]);
  return axes;
}

Axes EmbeddingAxes(Site& site) {
  Axes axes = site.input();
  const Term width = site.terms.Variable(site.result[-1]);
  site.found.width = width;
  site.Attribute("embedding_dim", width);
  site.tensors = {{"weight", {site.terms.Number(site.attributes().Int("num_embeddings")), width}}};
  axes.push_back(width);
  return axes;
}

// A tensor of the net's own takes part in what reads it.
Axes StoredAxes(Site& site) {
  Axes axes;
  for (int i = 0; i < site.result.rank(); ++i) {
    const int64_t extent = site.result[i];
    axes.push_back(extent > 1 ? site.terms.Variable(extent) : site.terms.Number(extent));
    site.Attribute("shape", axes.back(), i);
  }
  site.tensors = {{"value", axes}};
  return axes;
}

Axes NumberedAxes(Site& site) { return site.Numbers(site.result); }

struct OpRule {
  absl::string_view op;
  Rule rule;
};

constexpr OpRule kRules[] = {
    {ops::kPlaceholder, NumberedAxes},
    {ops::kOutput, OutputAxes},
    {ops::kSize, NumberedAxes},
    {ops::kGetAttr, StoredAxes},
    {ops::kLinear, LinearAxes},
    {ops::kConv1d, ConvAxes<false>},
    {ops::kConv2d, ConvAxes<false>},
    {ops::kConvTranspose2d, ConvAxes<true>},
    {ops::kMatmul, MatmulAxes},
    {ops::kBmm, MatmulAxes},
    {ops::kBatchNorm1d, FeatureNormAxes},
    {ops::kBatchNorm2d, FeatureNormAxes},
    {ops::kInstanceNorm2d, FeatureNormAxes},
    {ops::kLayerNorm, LayerNormAxes},
    {ops::kRmsNorm, LayerNormAxes},
    {ops::kGroupNorm, GroupNormAxes},
    {ops::kSoftmax, ElementwiseAxes},
    {ops::kLogSoftmax, ElementwiseAxes},
    {ops::kIdentity, ElementwiseAxes},
    {ops::kDropout, ElementwiseAxes},
    {ops::kWhere, ElementwiseAxes},
    {ops::kFlatten, ViewAxes},
    {ops::kView, ViewAxes},
    {ops::kReshape, ViewAxes},
    {ops::kPermute, PermuteAxes},
    {ops::kTranspose, TransposeAxes},
    {ops::kCat, CatAxes},
    {ops::kMean, ReducedAxes},
    {ops::kSum, ReducedAxes},
    {ops::kAmax, ReducedAxes},
    {ops::kAmin, ReducedAxes},
    {ops::kExpand, ExpandAxes},
    {ops::kPad, PadAxes},
    {ops::kSlice, SelectedAxes},
    {ops::kIndexSelect, SelectedAxes},
    {ops::kEmbedding, EmbeddingAxes},
};

// Functions of elements and pools are known by what they are.
Rule RuleFor(const Node& node) {
  for (const OpRule& known : kRules) {
    if (known.op == node.op()) return known.rule;
  }
  if (node.Is(OpTrait::kPool)) return PoolAxes;
  // A plugin's activation may well read its own tensors.
  const bool by_element = node.Is(OpTrait::kActivation) || node.Is(OpTrait::kArithmetic);
  return by_element && node.parameters().empty() ? ElementwiseAxes : UnknownAxes;
}

}  // namespace

absl::StatusOr<GraphAxes> AxesOf(const Graph& graph) {
  MASE_ASSIGN_OR_RETURN(const InferredShapes shapes, InferShapesFor(graph, BatchOf(graph)));
  GraphAxes axes;
  axes.nodes.resize(static_cast<size_t>(graph.id_limit()));
  absl::flat_hash_map<const Value*, Axes> values;
  for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
    Site site{*node, axes.terms, {}, {}, axes.nodes[static_cast<size_t>(node->id())]};
    for (const Value* input : node->inputs()) site.inputs.push_back(values[input]);
    if (!node->outputs().empty()) site.result = shapes.shape(node->outputs()[0]);
    Axes results = RuleFor(*node)(site);
    if (!node->outputs().empty()) values[node->outputs()[0]] = std::move(results);
    for (const Parameter& parameter : node->parameters()) {
      const auto known = site.tensors.find(parameter.name);
      const Axes of_tensor = known != site.tensors.end()
                                 ? known->second
                                 : site.Numbers(graph.FindTensor(parameter.tensor)->value.shape());
      const auto [shared, is_new] = axes.tensors.emplace(parameter.tensor, of_tensor);
      if (is_new) continue;
      // Another node reads the tensor, too.
      for (size_t i = 0; i < of_tensor.size(); ++i) {
        axes.terms.Unify(shared->second[i], of_tensor[i], node->name());
      }
    }
  }
  return axes;
}

}  // namespace mase
