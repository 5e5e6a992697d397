#include "mase/pass/pass_host.h"

#include "absl/strings/str_cat.h"

namespace mase {

PassHost::~PassHost() = default;

absl::StatusOr<std::map<std::string, Tensor>> PassHost::DummyBatch() {
  return absl::UnimplementedError("this program has no data to take a batch of");
}

absl::StatusOr<SampleRows> PassHost::Samples(int64_t, absl::string_view) {
  return absl::UnimplementedError("this program has no data to take samples of");
}

absl::StatusOr<Evaluation> PassHost::Evaluate(const Graph&) {
  return absl::UnimplementedError("this program has no data to evaluate on");
}

absl::StatusOr<std::map<std::string, Tensor>> PassHost::RunNet(const Graph&,
                                                               const std::map<std::string, Tensor>&,
                                                               absl::Span<const std::string>) {
  return absl::UnimplementedError("this program runs no nets");
}

uint64_t PassHost::seed() const { return 0; }

absl::StatusOr<const PassInfo*> PassHost::LookUpPass(absl::string_view name) {
  return absl::UnimplementedError(
      absl::StrCat("this program reaches no passes by name, so not ", name));
}

absl::Status PassHost::Progress(int64_t, int64_t, absl::string_view) { return absl::OkStatus(); }

void PassHost::Print(absl::string_view) {}
void PassHost::Show(const Table&, absl::string_view) {}

absl::Status PassHost::WriteArtifact(absl::string_view, absl::string_view) {
  return absl::OkStatus();
}

absl::Status PassHost::WriteGraph(absl::string_view, const Graph&) { return absl::OkStatus(); }

absl::StatusOr<Graph> PassHost::ReadGraph(absl::string_view path) {
  return absl::UnimplementedError(absl::StrCat("this program reads no files, so not ", path));
}

absl::StatusOr<std::string> PassHost::ReadText(absl::string_view path) {
  return absl::UnimplementedError(absl::StrCat("this program reads no files, so not ", path));
}

}  // namespace mase
