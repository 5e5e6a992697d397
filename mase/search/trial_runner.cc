#include "mase/search/trial_runner.h"

#include <algorithm>
#include <deque>
#include <filesystem>
#include <limits>
#include <map>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/exec/evaluation.h"
#include "mase/exec/executor.h"
#include "mase/exec/run_net.h"
#include "mase/graph/shape_inference.h"
#include "mase/kernel/loss.h"
#include "mase/metric/own_figures.h"
#include "mase/model/checkpoint.h"
#include "mase/model/widths.h"
#include "mase/quantize/net_costs.h"
#include "mase/quantize/rule.h"
#include "mase/run/net_figures.h"
#include "mase/run/run_passes.h"
#include "mase/run/session.h"
#include "mase/run/trainer_options.h"
#include "mase/search/incremental_net.h"
#include "mase/search/inheritance.h"
#include "mase/train/trainer.h"

namespace mase {
namespace {

// Records that a runner keeps for choices of a node; then it begins anew.
constexpr size_t kMostRecords = 100'000;

constexpr char kWidthsPass[] = "change_widths";

bool WantsCosts(const SearchContext& context) {
  if (context.settings.strategy().has_hw_runner()) return true;
  for (const std::string& metric : context.objective.metrics()) {
    for (const MetricInfo& info : SearchMetrics()) {
      if (info.name == metric && !info.software) return true;
    }
  }
  return false;
}

bool WantsLatency(const SearchContext& context) {
  return context.settings.strategy().hw_runner().has_latency() ||
         context.objective.metrics().contains("latency_us");
}

void AddCosts(const SearchContext& context, const NetCosts& costs, TrialFigures& figures) {
  const SearchHardwareRunners& runners = context.settings.strategy().hw_runner();
  figures.hardware["average_bitwidth"] = costs.average_bitwidth();
  const double compare_to =
      runners.has_average_bitwidth() ? runners.average_bitwidth().compare_to() : 32;
  figures.hardware["memory_density"] = compare_to / costs.average_bitwidth();
  figures.hardware["packed_bytes"] = static_cast<double>(costs.packed_bytes);
  figures.hardware["parameters"] = static_cast<double>(costs.parameters);
  figures.hardware["macs"] = static_cast<double>(costs.macs);
  figures.hardware["bitops"] = static_cast<double>(costs.bitops);
  figures.hardware["ebops"] = static_cast<double>(costs.ebops);
}

absl::Status AddLatency(const SearchContext& context, const Graph& net, TrialFigures& figures) {
  static absl::Mutex one_at_a_time(absl::kConstInit);
  const std::string& how = context.settings.strategy().hw_runner().latency().execution();
  Execution execution = Execution::kFloat;
  for (const Execution known : {Execution::kSimulated, Execution::kInteger}) {
    if (how == ExecutionName(known)) execution = known;
  }
  MASE_ASSIGN_OR_RETURN(const auto executor, Executor::Create(net, {.execution = execution}));
  const absl::MutexLock lock(&one_at_a_time);
  MASE_ASSIGN_OR_RETURN(figures.hardware["latency_us"],
                        MedianLatencyUs(*executor, context.sample.features));
  return absl::OkStatus();
}

class FormatRunner final : public TrialRunner {
 public:
  FormatRunner(const SearchContext& context, InferredShapes shapes,
               std::unique_ptr<IncrementalNet> net)
      : context_(context),
        shapes_(std::move(shapes)),
        net_(std::move(net)),
        known_(context.space.nodes().size()) {
    for (const std::string& name : context.space.nodes()) {
      nodes_.push_back(context.graph.FindNode(name));
    }
    records_.resize(nodes_.size());
  }

  absl::StatusOr<TrialFigures> Run(const Trial& trial, const EpochWatch&) override {
    // Never between two nodes: the first one's record must last.
    if (kept_.size() > kMostRecords) {
      for (auto& known : known_) known.clear();
      kept_.clear();
    }
    for (size_t i = 0; i < nodes_.size(); ++i) {
      MASE_ASSIGN_OR_RETURN(records_[i], RecordOf(i, trial.point));
    }
    MASE_RETURN_IF_ERROR(net_->Run(records_));
    TrialFigures figures;
    MASE_ASSIGN_OR_RETURN(figures.software,
                          SoftwareFigures(net_->scores(), net_->classes(), context_.sample));
    if (WantsCosts(context_)) AddCosts(context_, net_->costs(), figures);
    if (WantsLatency(context_)) {
      Graph whole = context_.graph.Clone();
      for (size_t i = 0; i < nodes_.size(); ++i) {
        Node* node = whole.FindNode(context_.space.nodes()[i]);
        if (records_[i].record == nullptr) continue;
        whole.SetQuantization(node, *records_[i].record);
      }
      MASE_RETURN_IF_ERROR(AddLatency(context_, whole, figures));
    }
    return figures;
  }

 private:
  absl::StatusOr<NumberedRecord> RecordOf(size_t node, absl::Span<const double> point) {
    std::vector<double>& key = key_;
    key.clear();
    for (const int parameter : context_.space.ParametersOf(node)) {
      // NaN equals nothing.
      key.push_back(point[parameter] == point[parameter] ? point[parameter] : -1e300);
    }
    auto& known = known_[node];
    if (const auto found = known.find(key); found != known.end()) return found->second;
    MASE_ASSIGN_OR_RETURN(const QuantizeConfig config, context_.space.ConfigOf(node, point));
    absl::StatusOr<RuleFormat> rule = CheckConfig(config, FormatProto::EXACT);
    if (!rule.ok()) return Annotate(rule.status(), nodes_[node]->name());
    NumberedRecord record;
    if (!rule->leaves_alone()) {
      absl::StatusOr<Quantization> made = QuantizationFor(*nodes_[node], *rule, shapes_);
      if (!made.ok()) return Annotate(made.status(), nodes_[node]->name());
      kept_.push_back(std::make_unique<Quantization>(*std::move(made)));
      record = {++numbers_, kept_.back().get()};
    }
    known.emplace(key, record);
    return record;
  }

  const SearchContext& context_;
  const InferredShapes shapes_;
  const std::unique_ptr<IncrementalNet> net_;
  std::vector<const Node*> nodes_;
  std::vector<NumberedRecord> records_;
  std::vector<double> key_;
  std::vector<absl::flat_hash_map<std::vector<double>, NumberedRecord>> known_;  // By node.
  std::deque<std::unique_ptr<Quantization>> kept_;
  int numbers_ = 0;
};

class SettingsRunner final : public TrialRunner {
 public:
  explicit SettingsRunner(const SearchContext& context) : context_(context) {}

  absl::StatusOr<TrialFigures> Run(const Trial& trial, const EpochWatch& watch) override {
    MASE_ASSIGN_OR_RETURN(const Graph net, NetOf(context_, trial, watch));
    return FiguresOf(context_, net);
  }

 private:
  const SearchContext& context_;
};

// Ends a training whose validation loss has not become less for some epochs.
class EarlyStopping {
 public:
  explicit EarlyStopping(int patience) : patience_(patience) {}  // Epochs; 0: never.

  bool GoesOn(double loss) {
    worse_ = loss < best_ ? 0 : worse_ + 1;
    best_ = std::min(best_, loss);
    stopped_ = patience_ > 0 && worse_ >= patience_;
    return !stopped_;
  }
  bool stopped() const { return stopped_; }

 private:
  const int patience_;
  double best_ = std::numeric_limits<double>::infinity();
  int worse_ = 0;
  bool stopped_ = false;
};

// The checkpoint of the best epoch, or of the last where none was validated.
absl::StatusOr<std::string> RunTrainer(Trainer& trainer, const std::filesystem::path& folder,
                                       const EarlyStopping& stopping) {
  MASE_ASSIGN_OR_RETURN(const TrainingResult result, trainer.Run(folder.string()));
  if (!stopping.stopped()) MASE_RETURN_IF_ERROR(result.ending);
  const char* file = result.best_epoch >= 0 ? kBestCheckpoint : kLastCheckpoint;
  return (folder / file).string();
}

absl::StatusOr<Graph> LoadNet(const std::string& path) {
  MASE_ASSIGN_OR_RETURN(Checkpoint checkpoint, LoadCheckpoint(path));
  if (checkpoint.graph.has_value()) return *std::move(checkpoint.graph);
  return absl::DataLossError(absl::StrCat(path, ": has no graph, only tensors"));
}

// The net after the training of a trial.
absl::StatusOr<Graph> Trained(const SearchContext& context, const RunConfig& trial, int64_t number,
                              Graph net, const Session& session, const EpochWatch& watch) {
  RunConfig config = trial;
  const BasicTrain& settings = context.settings.strategy().sw_runner().basic_train();
  config.set_max_epochs(settings.max_epochs());
  if (settings.num_samples() > 0) {
    config.set_max_steps((settings.num_samples() + config.batch_size() - 1) / config.batch_size());
  }
  if (settings.has_optimizer()) config.set_training_optimizer(settings.optimizer());
  if (settings.has_learning_rate()) config.set_learning_rate(settings.learning_rate());
  if (settings.has_weight_decay()) config.set_weight_decay(settings.weight_decay());
  TrainerOptions options = TrainerOptionsOf(config, session.environment);
  EarlyStopping stopping(settings.early_stopping());
  options.goes_on = [&](const EpochRecord& record) {
    if (watch && !watch(record.epoch + 1, record.val_loss)) return false;
    return stopping.GoesOn(record.val_loss);
  };
  MASE_ASSIGN_OR_RETURN(const auto trainer, Trainer::Create(std::move(net), session.dataset,
                                                            session.generator, options));
  const std::filesystem::path folder =
      std::filesystem::path(context.directory) / absl::StrCat(kTrainingFolder, number);
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  const absl::Cleanup remove = [&] { std::filesystem::remove_all(folder, error); };
  MASE_ASSIGN_OR_RETURN(const std::string path, RunTrainer(*trainer, folder, stopping));
  absl::StatusOr<Graph> trained = LoadNet(path);
  if (trained.ok() && context.inherits()) {
    MASE_RETURN_IF_ERROR(KeepTrainedNet(path, context.directory, number));
  }
  return trained;
}

// The last pass of the settings that changes widths, as they call it; "" if there is none.
std::string WidthsPassOf(const RunConfig& config, const RunEnvironment& environment) {
  std::string found;
  for (const PassConfig& pass : config.passes()) {
    const absl::StatusOr<const PassInfo*> info = environment.passes->LookUp(pass.name());
    if (info.ok() && (*info)->name == kWidthsPass) {
      found = pass.label().empty() ? pass.name() : pass.label();
    }
  }
  return found;
}

}  // namespace

absl::StatusOr<std::map<std::string, double>> SoftwareFigures(absl::Span<const float> scores,
                                                              int64_t classes,
                                                              const SearchSample& sample) {
  const absl::Span<const int64_t> labels = sample.labels.data<int64_t>();
  const int64_t rows = sample.labels.elements();
  std::vector<int64_t> of_class(classes), right(classes), predicted(classes);
  for (int64_t i = 0; i < rows; ++i) {
    const float* row = scores.data() + i * classes;
    int64_t best = 0;
    for (int64_t c = 1; c < classes; ++c) best = row[c] > row[best] ? c : best;
    ++of_class[labels[i]];
    ++predicted[best];
    right[labels[i]] += best == labels[i];
  }
  const RowBatches batches = RowBatches::OfSize(rows, sample.batch_size);
  double loss = 0;
  for (int64_t b = 0; b < batches.count(); ++b) {
    const int64_t first = batches.begin(b);
    loss += CrossEntropy(scores.data() + first * classes, labels.data() + first,
                         batches.begin(b + 1) - first, classes, static_cast<float*>(nullptr))
                .loss;
  }
  int64_t correct = 0, present = 0;
  double recalls = 0;
  for (int64_t c = 0; c < classes; ++c) {
    correct += right[c];
    if (of_class[c] == 0 && predicted[c] == 0) continue;
    ++present;
    if (of_class[c] > 0) {
      recalls += static_cast<double>(right[c]) / static_cast<double>(of_class[c]);
    }
  }
  const double macro = recalls / static_cast<double>(std::max<int64_t>(1, present));
  std::map<std::string, double> figures = {
      {"accuracy", macro},
      {"accuracy_macro", macro},
      {"accuracy_micro", static_cast<double>(correct) / static_cast<double>(rows)},
      {"loss", loss / static_cast<double>(std::max<int64_t>(1, batches.count()))}};
  for (const auto& [label, metric] : sample.recalls) {
    figures[metric] = static_cast<double>(right[label]) / static_cast<double>(of_class[label]);
  }
  OwnFigures own(sample.own);
  MASE_RETURN_IF_ERROR(own.Add(scores, classes, labels));
  MASE_ASSIGN_OR_RETURN(const auto own_figures, own.Finish());
  figures.insert(own_figures.begin(), own_figures.end());
  return figures;
}

absl::StatusOr<std::unique_ptr<TrialRunner>> FormatTrials(const SearchContext& context) {
  MASE_ASSIGN_OR_RETURN(InferredShapes shapes, InferShapesFor(context.graph));
  MASE_ASSIGN_OR_RETURN(
      auto net, IncrementalNet::Create(
                    context.graph, context.sample.features, context.space.nodes(),
                    {.batch_size = context.sample.batch_size, .costs = WantsCosts(context)}));
  return std::make_unique<FormatRunner>(context, std::move(shapes), std::move(net));
}

std::unique_ptr<TrialRunner> SettingsTrials(const SearchContext& context) {
  return std::make_unique<SettingsRunner>(context);
}

absl::StatusOr<Graph> NetOf(const SearchContext& context, const Trial& trial,
                            const EpochWatch& watch) {
  std::vector<Assignment> assignments = context.space.AssignmentsOf(trial.point);
  MASE_ASSIGN_OR_RETURN(RunConfig config, context.settings_of(assignments));
  const std::optional<int64_t> parent = ParentOf(trial);
  // A net has the widths of its trial when a pass has made them: only then it can inherit.
  const std::string pass = parent.has_value() ? WidthsPassOf(config, context.environment) : "";
  if (!pass.empty()) {
    assignments.push_back({absl::StrCat("passes.", QuotedKey(pass), ".weights_from"),
                           TrainedNetPath(context.directory, *parent)});
    MASE_ASSIGN_OR_RETURN(config, context.settings_of(assignments));
  }
  config.clear_goals();
  Reporter silent;
  const RunEnvironment environment = {.reporter = silent,
                                      .passes = context.environment.passes,
                                      .data = context.environment.data,
                                      .watch_interrupt = context.environment.watch_interrupt};
  const bool trains = context.settings.strategy().sw_runner().has_basic_train();
  MASE_ASSIGN_OR_RETURN(const Pipeline pipeline, CreatePasses(config, environment));
  MASE_ASSIGN_OR_RETURN(
      Session session,
      OpenSession(config, BeginReport(trains ? "train" : "transform"), environment));
  if (parent.has_value() && pass.empty()) {
    MASE_ASSIGN_OR_RETURN(const Graph inherited,
                          LoadNet(TrainedNetPath(context.directory, *parent)));
    MASE_RETURN_IF_ERROR(TakeWeights(inherited, session.graph).status());
  }
  Transformed transformed;
  MASE_RETURN_IF_ERROR(
      RunPasses(config, pipeline, session, /*evaluate=*/false, transformed, nullptr));
  if (!trains) return std::move(transformed.graph);
  return Trained(context, config, trial.number, std::move(transformed.graph), session, watch);
}

absl::StatusOr<TrialFigures> FiguresOf(const SearchContext& context, const Graph& net) {
  const SearchSample& sample = context.sample;
  MASE_ASSIGN_OR_RETURN(const auto executor, Executor::Create(net));
  std::vector<float> scores;
  MASE_RETURN_IF_ERROR(Evaluate(*executor, sample.features, sample.labels, sample.batch_size,
                                [&scores](int64_t, absl::Span<const float> batch) {
                                  scores.insert(scores.end(), batch.begin(), batch.end());
                                  return absl::OkStatus();
                                })
                           .status());
  TrialFigures figures;
  MASE_ASSIGN_OR_RETURN(
      figures.software,
      SoftwareFigures(scores, static_cast<int64_t>(scores.size()) / sample.labels.elements(),
                      sample));
  if (WantsCosts(context)) {
    MASE_ASSIGN_OR_RETURN(const NetCosts costs, NetCostsOf(net));
    AddCosts(context, costs, figures);
  }
  if (WantsLatency(context)) MASE_RETURN_IF_ERROR(AddLatency(context, net, figures));
  return figures;
}

}  // namespace mase
