#include "mase/cli/test_action.h"

#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "mase/base/runfiles.h"
#include "mase/base/status_macros.h"
#include "mase/cli/log.h"
#include "mase/cli/predictions.h"
#include "mase/cli/run_directory.h"
#include "mase/cli/session.h"
#include "mase/cli/test_metrics.h"
#include "proto/flags.pb.h"

namespace mase {
namespace {

class TestAction : public Action {
 public:
  absl::string_view name() const override { return "test"; }
  absl::string_view summary() const override {
    return "measure a trained or transformed net on the test split";
  }
  absl::string_view examples() const override {
    return "./bazelw run //mase:test -- jsc-tiny jsc-sim --load=run/best.safetensors\n"
           "./bazelw run //mase:test -- jsc-tiny jsc --load=best.safetensors "
           "--predictions=out.csv\n";
  }

  google::protobuf::Message* own_flags() override { return &flags_; }
  ConfigRequest config_request() const override { return {nullptr, /*read_passes=*/false}; }

  absl::StatusOr<bool> Prepare() override {
    if (flags_.predictions().empty()) return false;
    MASE_RETURN_IF_ERROR(CheckPredictionsPath(flags_.predictions()));
    MASE_ASSIGN_OR_RETURN(predictions_path_, UserPath(flags_.predictions()));
    return false;
  }

  absl::Status Run(const LoadedConfig& settings, const RunReport& begun) override {
    const RunConfig& config = settings.config;
    if (!config.model().has_load_name()) {
      const std::string& given = config.model().name();
      std::error_code unused;
      return absl::InvalidArgumentError(absl::StrCat(
          "expected checkpoint via --load, got None",
          std::filesystem::exists(given, unused) ? absl::StrCat("; say --load=", given) : ""));
    }
    MASE_ASSIGN_OR_RETURN(Session session, OpenSession(config, begun));
    MASE_ASSIGN_OR_RETURN(const Split split, ChooseSplit(config, session));
    MASE_RETURN_IF_ERROR(OpenSplit(session, split).status());
    MASE_ASSIGN_OR_RETURN(
        RunDirectory directory,
        RunDirectory::Create(config, name(), session.graph.name(), session.dataset.name()));
    return CompleteRun(Test(config, split, session), "Testing is completed", directory, session);
  }

 private:
  // The split that the settings name. A file of rows without classes is there to be predicted.
  absl::StatusOr<Split> ChooseSplit(const RunConfig& config, const Session& session) const {
    const Split named = SplitByName(config.evaluation().split());
    const Dataset& data = session.dataset;
    if (named != Split::kTest || data.Has(named) || !data.Has(Split::kPred)) return named;
    if (!predictions_path_.empty()) return Split::kPred;
    return absl::InvalidArgumentError(
        "the rows have no classes to compare with; --predictions=FILE writes what the net says of "
        "them");
  }

  absl::Status Test(const RunConfig& config, Split split, Session& session) {
    std::vector<float> scores;
    OutputSink<float> sink;
    if (!predictions_path_.empty()) {
      sink = [&scores](int64_t, absl::Span<const float> batch) {
        scores.insert(scores.end(), batch.begin(), batch.end());
        return absl::OkStatus();
      };
    }
    if (split == Split::kPred) {
      MASE_RETURN_IF_ERROR(Predict(session, session.graph, split, config, sink));
      return Write(session, split, std::move(scores));
    }
    MASE_ASSIGN_OR_RETURN(const Evaluation evaluation,
                          TestAndReport(session, session.graph, split, config, "test", sink));
    if (!predictions_path_.empty()) {
      MASE_RETURN_IF_ERROR(Write(session, split, std::move(scores)));
    }
    return CheckMeasured(evaluation, "tested", split);
  }

  absl::Status Write(const Session& session, Split split, std::vector<float> scores) {
    MASE_ASSIGN_OR_RETURN(const SplitData data, OpenSplit(session, split));
    Predictions predictions;
    predictions.outputs = static_cast<int64_t>(scores.size()) / data.rows();
    predictions.scores = std::move(scores);
    predictions.labels = data.labels.data<int64_t>();
    predictions.class_names = session.dataset.info().class_names;
    MASE_RETURN_IF_ERROR(WritePredictions(predictions_path_, predictions));
    LogInfo(absl::StrCat("Wrote the outputs of ", data.rows(), " rows to ", predictions_path_,
                         "; classes: ", absl::StrJoin(predictions.class_names, ", ")));
    return absl::OkStatus();
  }

  TestFlags flags_;
  std::string predictions_path_;
};

}  // namespace

std::unique_ptr<Action> MakeTestAction() { return std::make_unique<TestAction>(); }

}  // namespace mase
