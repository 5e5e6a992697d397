#include "mase/pass/pass_host.h"

namespace mase {

PassHost::~PassHost() = default;

absl::StatusOr<std::map<std::string, Tensor>> PassHost::DummyBatch() {
  return absl::UnimplementedError("this program has no data to take a batch of");
}

absl::StatusOr<SampleRows> PassHost::Samples(int64_t) {
  return absl::UnimplementedError("this program has no data to take samples of");
}

absl::StatusOr<Evaluation> PassHost::Evaluate(const Graph&) {
  return absl::UnimplementedError("this program has no data to evaluate on");
}

void PassHost::Print(absl::string_view) {}
void PassHost::Show(const Table&, absl::string_view) {}

absl::Status PassHost::WriteArtifact(absl::string_view, absl::string_view) {
  return absl::OkStatus();
}

}  // namespace mase
