// SearchSpace: what the [search.search_space] of a settings file lets one choose, and the settings
// that a choice stands for.
//
//   MASE_ASSIGN_OR_RETURN(const SearchSpace space, SearchSpace::Create(settings, graph));
//   space.parameters().size();                      // 18 points
//   space.AssignmentsOf(point);                     // passes.quantize.fc1.config.weight_width = 4,
//   ...
//
// Every point is a set of settings, as a sweep's: a trial is the run that has them, and what
// applies a trial writes them down.
//
// Names of parameters are MASE's for its space of formats ("seq_blocks_2/config/weight_width"), the
// setting's path for others ("learning_rate"), and for words of the layer list the word in braces.
// Parameters stand in the order of MASE: nodes in graph order, the keys of each as the file has
// them; then other settings, as the file has them.
//
// Seeds have widths, too, of layers that the pass change_widths can change: channels that several
// share are one choice, of the first that takes a seed.
//
// MASE spans its space over all keys of a seed for every node. Here a key for an operand that the
// node has not (the weight of a relu) is left out, and where a node chooses among formats, a key
// that only some of those have is there only with them.
#ifndef MASE_SEARCH_SEARCH_SPACE_H_
#define MASE_SEARCH_SEARCH_SPACE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "mase/graph/graph.h"
#include "mase/sampler/parameter.h"
#include "proto/quantize.pb.h"
#include "proto/search.pb.h"

namespace mase {

// One setting as --set takes it: "passes.quantize.fc1.config.weight_width" and "4". A setting
// "{width}" is a word of the model's layer list.
struct Assignment {
  std::string setting;
  std::string text;
};

class SearchSpace {
 public:
  // `graph` is the net before anything is done to it. `quantize` is the name under which the
  // settings have the pass that gives formats ("quantize" if they have it not).
  //
  // InvalidArgument, naming the table: nothing to choose, a choice without values, a seed that no
  // node takes, a range that is none, a condition on what is no choice; the errors of
  // ParameterSpace::Create.
  static absl::StatusOr<SearchSpace> Create(const SearchSpaceSettings& settings, const Graph& graph,
                                            absl::string_view quantize = "quantize");

  const ParameterSpace& parameters() const { return parameters_; }
  // Names of the nodes that take formats, in graph order.
  const std::vector<std::string>& nodes() const { return nodes_; }
  // Whether formats of nodes are all there is to choose.
  bool formats_alone() const { return formats_alone_; }

  // The settings of a point, in an order that may be given to --set. Those of parameters that are
  // NaN there are left out.
  std::vector<Assignment> AssignmentsOf(absl::Span<const double> point) const;
  // Where the settings have the choice: "search.search_space.seed.linear.config.weight_width".
  const std::string& PlaceOf(size_t parameter) const { return targets_[parameter].place; }

  // The config of the rule for nodes()[node]. InvalidArgument, naming parameter and value, for what
  // a rule cannot have.
  absl::StatusOr<QuantizeConfig> ConfigOf(size_t node, absl::Span<const double> point) const;
  // The numbers of the point that ConfigOf reads.
  absl::Span<const int> ParametersOf(size_t node) const { return of_node_[node]; }

  // MASE's sampled config as JSON: {"seq_blocks_2": {"config": {"name": "integer", ...}}, "by":
  // "name"}; other settings by their names.
  std::string SampledConfig(absl::Span<const double> point) const;

  // "18 points: 9 choices for 3 nodes" and the like, for people.
  std::string Describe() const;

 private:
  // What a parameter sets.
  struct Target {
    int node = -1;        // Of a format: in nodes_.
    std::string layer;    // Of a format or width: the node's name. "": a setting by its path.
    std::string key;      // Of the rule's config: "weight_width".
    std::string setting;  // The path.
    std::string place;    // See PlaceOf.
  };
  struct Builder;

  explicit SearchSpace(ParameterSpace parameters) : parameters_(std::move(parameters)) {}

  ParameterSpace parameters_;
  std::vector<Target> targets_;  // By parameter.
  std::vector<std::string> nodes_;
  std::vector<std::vector<int>> of_node_;
  std::vector<Assignment> fixed_;
  bool formats_alone_ = false;
};

// A key of a path as --set takes it: in quotes where it is no word.
std::string QuotedKey(absl::string_view key);

// A value of a parameter as --set takes it.
std::string SettingText(const SearchParameter& parameter, double value);

}  // namespace mase

#endif  // MASE_SEARCH_SEARCH_SPACE_H_
