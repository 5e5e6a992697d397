#include "mase/cli/test_action.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gflags/gflags.h"
#include "mase/base/runfiles.h"
#include "mase/base/status_macros.h"
#include "mase/cli/log.h"
#include "mase/cli/run_directory.h"
#include "mase/cli/session.h"
#include "mase/cli/test_metrics.h"
#include "mase/interop/npy.h"

DEFINE_string(predictions, "",
              "Write the net's raw outputs to this .npy file: float32 [rows, classes].");

namespace mase {
namespace {

class TestAction : public Action {
 public:
  absl::string_view name() const override { return "test"; }
  absl::string_view summary() const override {
    return "measure a trained or transformed net on the test split";
  }
  absl::string_view examples() const override {
    return "bazel run //mase:test -- jsc-tiny jsc-sim --load=run/best.safetensors\n"
           "bazel run //mase:test -- jsc-tiny jsc --load=best.safetensors --predictions=out.npy\n";
  }

  ConfigRequest config_request() const override { return {nullptr, /*read_passes=*/false}; }

  absl::Status Run(const LoadedConfig& settings) override {
    const RunConfig& config = settings.config;
    if (!config.model().has_load_name()) {
      return absl::InvalidArgumentError("expected checkpoint via --load, got None");
    }
    MASE_ASSIGN_OR_RETURN(Session session, OpenSession(config, name()));
    MASE_RETURN_IF_ERROR(OpenSplit(session, SplitByName(config.evaluation().split())).status());
    MASE_ASSIGN_OR_RETURN(
        RunDirectory directory,
        RunDirectory::Create(config, name(), session.graph.name(), session.dataset.name()));
    return CompleteRun(Test(config, session), "Testing is completed", directory, session);
  }

 private:
  absl::Status Test(const RunConfig& config, Session& session) {
    std::vector<float> outputs;
    OutputSink<float> sink;
    if (!FLAGS_predictions.empty()) {
      sink = [&outputs](int64_t, absl::Span<const float> batch) {
        outputs.insert(outputs.end(), batch.begin(), batch.end());
        return absl::OkStatus();
      };
    }
    MASE_ASSIGN_OR_RETURN(
        const Evaluation evaluation,
        TestAndReport(session, session.graph, SplitByName(config.evaluation().split()), config,
                      "test", sink));
    if (FLAGS_predictions.empty()) return absl::OkStatus();
    const int64_t classes = static_cast<int64_t>(outputs.size()) / evaluation.samples;
    const std::string path = UserPath(FLAGS_predictions);
    MASE_RETURN_IF_ERROR(
        WriteNpy(path, Tensor::FromValues<float>({evaluation.samples, classes}, outputs)));
    LogInfo(absl::StrCat("Wrote the outputs of ", evaluation.samples, " rows to ", path));
    return absl::OkStatus();
  }
};

}  // namespace

std::unique_ptr<Action> MakeTestAction() { return std::make_unique<TestAction>(); }

}  // namespace mase
