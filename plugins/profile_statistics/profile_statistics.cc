// Pass plugin `profile_statistics`: statistics of weights and activations, as a table and as notes.
//
//   seq_blocks_2  weight     variance_precise  mean      0.0123
//   seq_blocks_1  data_in_0  range_quantile    max       1.9310
//
// Weights are looked at as they are; activations are those of the net in inference, with its number
// formats, on rows of the run's data: the values that reach a node, before it rounds them. The
// statistics stream (mase/calibrate/statistics.h), so memory does not grow with the rows. Each ends
// up in the node's notes (software.args.NAME.stat, as in MASE) and in
// profile_statistics/statistics.csv; results of more than kMostRows numbers are left out of both
// and have a file of their own. Cost: one run of the net on the rows.
#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/container/btree_map.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/base/suggest.h"
#include "mase/base/table.h"
#include "mase/calibrate/samples.h"
#include "mase/calibrate/statistics.h"
#include "mase/graph/graph.h"
#include "mase/graph/shape_inference.h"
#include "mase/plugin/plugin.h"
#include "mase/quantize/operands.h"
#include "plugins/profile_statistics/profile_statistics_options.pb.h"

namespace mase::plugins::profile_statistics {
namespace {

constexpr int kMostRows = 1024;  // Of a key in table and notes.

struct NamedStatistic {
  std::string name;
  StatisticOptions options;
};

// One statistic of one tensor.
struct Profile {
  Node* node = nullptr;
  std::string tensor;  // "weight", "data_in_0"
  bool is_result = false;
  std::unique_ptr<StatisticCollector> collector;
};

// The keys of a statistic besides dims and those of other tools.
absl::Status CheckKeys(const StatisticSettings& settings) {
  const struct {
    const char* key;
    bool given;
    const char* statistics;  // A part of the names of those that know it.
  } kKeys[] = {{"abs", settings.has_abs(), "range_"},
               {"quantile", settings.has_quantile(), "range_quantile"},
               {"num_sigma", settings.has_num_sigma(), "range_n_sigma"},
               {"var_mode", settings.has_var_mode(), "range_n_sigma"},
               {"bins", settings.has_bins(), "histogram"},
               {"add_new_dim_before_concat", settings.has_add_new_dim_before_concat(), "record"}};
  for (const auto& key : kKeys) {
    if (!key.given || settings.name().find(key.statistics) == 0) continue;
    return absl::InvalidArgumentError(absl::StrCat(settings.name(), " has no key '", key.key, "'"));
  }
  return absl::OkStatus();
}

absl::StatusOr<NamedStatistic> ReadStatistic(const StatisticSettings& settings) {
  NamedStatistic statistic{settings.name()};
  MASE_RETURN_IF_ERROR(StatisticCollector::Create(settings.name(), {}).status());
  MASE_RETURN_IF_ERROR(CheckKeys(settings));
  StatisticOptions& options = statistic.options;
  options.abs = settings.abs();
  if (settings.has_quantile()) options.quantile = settings.quantile();
  if (settings.has_num_sigma()) options.num_sigma = settings.num_sigma();
  options.unbiased_variance = settings.var_mode() == "precise";
  if (settings.has_bins()) options.bins = settings.bins();
  for (const std::string& dim : settings.dims()) {
    int axis = 0;
    if (absl::SimpleAtoi(dim, &axis)) {
      options.dims = StatisticOptions::Dims::kAxes;
      options.axes.push_back(axis);
    } else if (settings.dims_size() > 1) {
      return absl::InvalidArgumentError(
          absl::StrCat(settings.name(), ": dims: '", dim, "' stands alone, or a list has axes"));
    } else if (dim != "all") {
      options.dims = StatisticOptions::Dims::kElementwise;
    }
  }
  MASE_RETURN_IF_ERROR(StatisticCollector::Create(statistic.name, options).status());
  return statistic;
}

using Statistics = std::vector<NamedStatistic>;

absl::StatusOr<Statistics> ReadStatistics(
    const google::protobuf::RepeatedPtrField<StatisticSettings>& list) {
  Statistics statistics;
  for (const StatisticSettings& settings : list) {
    MASE_ASSIGN_OR_RETURN(statistics.emplace_back(), ReadStatistic(settings));
  }
  return statistics;
}

class ProfileStatisticsPass final : public Pass {
 public:
  using Options = ProfileStatisticsOptions;

  static absl::StatusOr<std::unique_ptr<Pass>> Create(const Options& options) {
    auto pass = std::make_unique<ProfileStatisticsPass>();
    pass->options_ = options;
    MASE_ASSIGN_OR_RETURN(pass->of_weights_, ReadStatistics(options.weight_statistics()));
    MASE_ASSIGN_OR_RETURN(pass->of_activations_, ReadStatistics(options.activation_statistics()));
    if (pass->of_weights_.empty() && pass->of_activations_.empty()) {
      for (Statistics* statistics : {&pass->of_weights_, &pass->of_activations_}) {
        *statistics = {{"range_min_max"}, {"variance_online"}};
      }
    }
    return pass;
  }

  absl::StatusOr<PassResult> Run(Graph& graph, PassContext& context) const override {
    MASE_ASSIGN_OR_RETURN(std::vector<Profile> profiles, ProfileWeights(graph));
    std::string caption = "the net's own tensors";
    if (!of_activations_.empty()) {
      MASE_ASSIGN_OR_RETURN(SampleRows rows,
                            context.Samples(options_.num_samples(), options_.split()));
      caption = rows.caption;
      SampleBatches samples = SampleBatches::Of(std::move(rows.inputs));
      samples.watch = [&context](int64_t done, int64_t all) {
        return context.Progress(done, all, "row");
      };
      if (samples.rows() < options_.num_samples()) {
        context.Warn(absl::StrCat("num_samples = ", options_.num_samples(), ", but there are ",
                                  samples.rows(), " rows: those are all that is profiled"));
      }
      MASE_ASSIGN_OR_RETURN(std::vector<Profile> activations, ProfileActivations(graph, samples));
      absl::c_move(activations, std::back_inserter(profiles));
    }
    if (profiles.empty()) {
      return absl::NotFoundError(
          absl::StrCat("there is nothing to profile: no target node has a tensor",
                       options_.tensors().empty()
                           ? ""
                           : absl::StrCat(" called ", absl::StrJoin(options_.tensors(), " or "))));
    }
    return Report(profiles, caption, context);
  }

 private:
  bool Wants(absl::string_view tensor) const {
    return options_.tensors().empty() || absl::c_linear_search(options_.tensors(), tensor);
  }

  std::string Key(const Node& node) const {
    return options_.by() == Options::TYPE ? std::string(node.mase_op()) : node.name();
  }

  // The nodes that `targets` name among those that `fits` is for, in graph order.
  template <typename Fits>
  absl::StatusOr<std::vector<Node*>> FindTargets(
      const Graph& graph, const google::protobuf::RepeatedPtrField<std::string>& targets,
      absl::string_view option, const Fits& fits) const {
    std::vector<Node*> nodes;
    std::vector<std::string> keys;
    for (Node* node : graph.NodesInOrder()) {
      if (!fits(*node)) continue;
      if (!absl::c_linear_search(keys, Key(*node))) keys.push_back(Key(*node));
      if (targets.empty() || absl::c_linear_search(targets, Key(*node))) nodes.push_back(node);
    }
    for (const std::string& target : targets) {
      if (absl::c_linear_search(keys, target)) continue;
      return absl::NotFoundError(
          absl::StrCat(option, ": '", target, "' is no node with such values",
                       Suggest(target, keys), "; there are ", absl::StrJoin(keys, ", ")));
    }
    return nodes;
  }

  absl::StatusOr<std::vector<Profile>> ProfileWeights(const Graph& graph) const {
    std::vector<Profile> profiles;
    if (of_weights_.empty()) return profiles;
    MASE_ASSIGN_OR_RETURN(const std::vector<Node*> targets,
                          FindTargets(graph, options_.target_weight_nodes(), "target_weight_nodes",
                                      [](const Node& node) {
                                        return node.kind() == NodeKind::kCallModule &&
                                               !node.parameters().empty();
                                      }));
    for (Node* node : targets) {
      for (const Parameter& parameter : node->parameters()) {
        const Tensor& tensor = graph.FindTensor(parameter.tensor)->value;
        if (tensor.dtype() != DType::kFloat32 || !Wants(parameter.name)) continue;
        for (const NamedStatistic& statistic : of_weights_) {
          Profile profile{node, parameter.name};
          MASE_ASSIGN_OR_RETURN(profile.collector,
                                StatisticCollector::Create(statistic.name, statistic.options));
          MASE_RETURN_IF_ERROR(
              InPlace(profile, profile.collector->Update(tensor.data<float>(), tensor.shape())));
          profiles.push_back(std::move(profile));
        }
      }
    }
    return profiles;
  }

  absl::StatusOr<std::vector<Profile>> ProfileActivations(const Graph& graph,
                                                          const SampleBatches& samples) const {
    MASE_ASSIGN_OR_RETURN(const std::vector<Node*> targets,
                          FindTargets(graph, options_.target_activation_nodes(),
                                      "target_activation_nodes", [](const Node& node) {
                                        return node.kind() != NodeKind::kPlaceholder &&
                                               node.kind() != NodeKind::kOutput &&
                                               !node.inputs().empty();
                                      }));
    MASE_ASSIGN_OR_RETURN(const InferredShapes shapes, InferShapesFor(graph, samples.rows()));
    std::vector<Profile> profiles;
    absl::btree_map<std::string, std::vector<size_t>> readers;  // Profiles by node of the values.
    const auto add = [&](Node* node, const Node& source, const std::string& tensor,
                         bool is_result) -> absl::Status {
      if (!Wants(tensor)) return absl::OkStatus();
      for (const NamedStatistic& statistic : of_activations_) {
        readers[source.name()].push_back(profiles.size());
        profiles.push_back({node, tensor, is_result});
        MASE_ASSIGN_OR_RETURN(profiles.back().collector,
                              StatisticCollector::Create(statistic.name, statistic.options));
      }
      return absl::OkStatus();
    };
    for (Node* node : targets) {
      for (const Operand& operand : OperandsOf(*node)) {
        if (operand.source != Operand::Source::kInput) continue;
        const Value& input = *node->inputs()[operand.index];
        const Node& source = *input.producer();
        if (input.index() != 0 || source.kind() == NodeKind::kGetAttr) continue;
        if (!HasFloatValue(source, shapes)) continue;
        MASE_RETURN_IF_ERROR(add(node, source, EntryName(*node, operand), false));
      }
      if (options_.profile_output_activation() && HasFloatValue(*node, shapes)) {
        MASE_RETURN_IF_ERROR(add(node, *node, "data_out_0", true));
      }
    }
    std::vector<std::string> taps;
    for (const auto& [source, all] : readers) taps.push_back(source);
    MASE_RETURN_IF_ERROR(RunSamples(
        graph, samples, {.taps = taps}, [&](const Executor& executor, int64_t) -> absl::Status {
          for (const auto& [source, all] : readers) {
            MASE_ASSIGN_OR_RETURN(const auto values, executor.NodeValue(source));
            Shape sample = shapes.shape(graph.FindNode(source)->outputs()[0]);
            if (sample.rank() > 0) sample.set_dim(0, 1);
            for (const size_t i : all) {
              MASE_RETURN_IF_ERROR(
                  InPlace(profiles[i], profiles[i].collector->Update(values, sample)));
            }
          }
          return absl::OkStatus();
        }));
    return profiles;
  }

  static absl::Status InPlace(const Profile& profile, const absl::Status& status) {
    return Annotate(status, absl::StrCat(profile.node->name(), " (", profile.node->op(),
                                         "): ", profile.tensor));
  }

  absl::StatusOr<PassResult> Report(const std::vector<Profile>& profiles,
                                    const std::string& caption, PassContext& context) const {
    Table table("statistics", absl::StrCat("Statistics of ", caption),
                {{"node"},
                 {"tensor"},
                 {"statistic"},
                 {"key"},
                 {"value", "", -1, false, 0, Align::kRight},
                 {.name = "exact", .rank = 1}});
    int sketched = 0;
    for (const Profile& profile : profiles) {
      const Statistic statistic = profile.collector->Export();
      sketched += !profile.collector->exact();
      for (const StatisticValue& value : statistic.value()) {
        const auto add = [&](const std::string& key, Cell cell) {
          table.AddRow({profile.node->name(), profile.tensor, statistic.name(), key,
                        std::move(cell), profile.collector->exact()});
        };
        const int count = value.number_size();
        if (count == 0) {
          add(value.key(), "NA");
        } else if (count > kMostRows) {
          MASE_ASSIGN_OR_RETURN(const std::string file, WriteNumbers(profile, value, context));
          add(value.key(), absl::StrCat(count, " numbers: ", file));
        } else {
          for (int i = 0; i < count; ++i) {
            add(absl::StrCat(value.key(), Place(*profile.collector, count, i)), value.number(i));
          }
        }
      }
      WriteNote(profile, statistic);
      context.Count("statistics");
    }
    if (sketched > 0) {
      context.Print(absl::StrFormat(
          "%d statistics have seen more than 4,000,000 values: their ranks are within 0.1 %% "
          "(exact: no).\n",
          sketched));
    }
    MASE_RETURN_IF_ERROR(context.AddTable(std::move(table)));
    return PassResult::Unchanged();
  }

  // "[0, 3]" of a number that belongs to a place, "[3]" of others in a list, "" of one alone.
  static std::string Place(const StatisticCollector& collector, int count, int index) {
    if (count == 1) return "";
    const Shape& shape = collector.shape();
    if (shape.elements() != count) return absl::StrCat("[", index, "]");
    std::vector<int64_t> place(shape.rank());
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      place[axis] = index % shape[axis];
      index /= static_cast<int>(shape[axis]);
    }
    return absl::StrCat("[", absl::StrJoin(place, ", "), "]");
  }

  static absl::StatusOr<std::string> WriteNumbers(const Profile& profile,
                                                  const StatisticValue& value,
                                                  PassContext& context) {
    const std::string file =
        absl::StrCat("profile_statistics/", profile.node->name(), ".", profile.tensor, ".",
                     profile.collector->Export().name(), ".", value.key(), ".csv");
    std::string text = absl::StrCat(value.key(), "\n");
    for (const double x : value.number()) absl::StrAppendFormat(&text, "%.9g\n", x);
    MASE_RETURN_IF_ERROR(context.WriteArtifact(file, text));
    return file;
  }

  static void WriteNote(const Profile& profile, Statistic statistic) {
    SoftwareMetadata& software = *profile.node->mutable_metadata().mutable_software();
    auto& tensors = profile.is_result ? *software.mutable_results() : *software.mutable_args();
    auto found = absl::c_find_if(
        tensors, [&](const TensorStatistics& tensor) { return tensor.name() == profile.tensor; });
    TensorStatistics* tensor = found == tensors.end() ? tensors.Add() : &*found;
    tensor->set_name(profile.tensor);
    auto& values = *statistic.mutable_value();
    values.erase(
        std::remove_if(values.begin(), values.end(),
                       [](const StatisticValue& value) { return value.number_size() > kMostRows; }),
        values.end());
    for (Statistic& old : *tensor->mutable_stat()) {
      if (old.name() != statistic.name()) continue;
      old = std::move(statistic);
      return;
    }
    *tensor->add_stat() = std::move(statistic);
  }

  Options options_;
  Statistics of_weights_, of_activations_;
};

absl::Status Register(PassRegistrar& registrar) {
  return registrar.AddPass<ProfileStatisticsPass>(
      "profile_statistics", "Statistics of weights and activations, as a table and as notes.",
      {.kind = PassKind::kAnalysis, .needs = {"add_software_metadata"}});
}

}  // namespace
}  // namespace mase::plugins::profile_statistics

MASE_DEFINE_PLUGIN("profile_statistics", "1.0.0", mase::plugins::profile_statistics::Register)
