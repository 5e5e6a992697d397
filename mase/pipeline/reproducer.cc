#include "mase/pipeline/reproducer.h"

#include <unistd.h>

#include <filesystem>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "mase/base/files.h"
#include "mase/base/last_words.h"
#include "mase/base/limits.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/graph/graph_io.h"
#include "mase/pipeline/pipeline.h"
#include "proto/reproducer.pb.h"

namespace mase {
namespace {

constexpr int kFormatVersion = 1;

class ReproducerWriter final : public Instrumentation {
 public:
  ReproducerWriter(const RunConfig& settings, std::string folder)
      : settings_(settings), folder_(std::move(folder)) {
    settings_.clear_passes();
  }

  absl::Status BeforePass(const RunningPass& pass, const Graph& graph) override {
    path_ = absl::StrCat(folder_, "/", pass.step.info->name, "-", getpid(), ".pb");
    LastWords::File file = {.path = path_, .hint = absl::StrCat(Hint(), "\n")};
    if (Fill(pass, settings_, graph, file.bytes)) pass.last_words.files.push_back(std::move(file));
    return absl::OkStatus();
  }

  absl::Status PassFailed(const RunningPass& pass, const absl::Status& status) override {
    const auto file = absl::c_find_if(
        pass.last_words.files, [this](const LastWords::File& file) { return file.path == path_; });
    if (file == pass.last_words.files.end() || ExitCode(status) != 1) return status;
    std::error_code error;  // What fails here fails again below, with a reason.
    std::filesystem::create_directories(folder_, error);
    const absl::Status written = WriteFileAtomically(path_, file->bytes);
    absl::Status more(status.code(),
                      absl::StrCat(status.message(), "; ",
                                   written.ok() ? Hint() : std::string(written.message())));
    status.ForEachPayload(
        [&](absl::string_view url, const absl::Cord& payload) { more.SetPayload(url, payload); });
    return more;
  }

 private:
  std::string Hint() const {
    return absl::StrCat(path_, " runs this pass again: transform --reproduce=", path_);
  }

  // False for a graph that is too large for one message.
  static bool Fill(const RunningPass& pass, const RunConfig& settings, const Graph& graph,
                   std::string& bytes) {
    Reproducer reproducer;
    reproducer.set_format_version(kFormatVersion);
    *reproducer.mutable_settings() = settings;
    *reproducer.mutable_settings()->add_passes() = pass.step.config;
    *reproducer.mutable_graph() = GraphToProto(graph, TensorData::kInline);
    *reproducer.mutable_original() = GraphToProto(pass.original, TensorData::kOmitted);
    return reproducer.SerializeToString(&bytes);
  }

  RunConfig settings_;
  const std::string folder_;
  std::string path_;  // Of the pass that runs.
};

}  // namespace

std::unique_ptr<Instrumentation> WriteReproducers(const RunConfig& settings, std::string folder) {
  return std::make_unique<ReproducerWriter>(settings, std::move(folder));
}

absl::StatusOr<Reproduction> ReadReproducer(absl::string_view path) {
  MASE_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path, limits::kMaxReproducerBytes));
  Reproducer reproducer;
  if (!reproducer.ParseFromString(bytes) || reproducer.format_version() != kFormatVersion ||
      reproducer.settings().passes_size() != 1) {
    return absl::DataLossError(absl::StrCat(path, ": is no reproducer of a pass"));
  }
  Reproduction made;
  made.settings = reproducer.settings();
  const auto read = [&](const GraphProto& proto) -> absl::StatusOr<Graph> {
    absl::StatusOr<Graph> graph = GraphFromProto(proto);
    if (graph.ok()) return graph;
    return absl::DataLossError(absl::StrCat(path, ": ", graph.status().message()));
  };
  MASE_ASSIGN_OR_RETURN(made.graph, read(reproducer.graph()));
  MASE_ASSIGN_OR_RETURN(made.original, read(reproducer.original()));
  for (const GraphTensor& tensor : made.graph.tensors()) {
    const GraphTensor* same = made.original.FindTensor(tensor.name);
    const bool fits = same != nullptr && same->value.dtype() == tensor.value.dtype() &&
                      same->value.shape() == tensor.value.shape();
    if (fits) made.original.SetTensor(tensor.name, tensor.value, tensor.buffer);
  }
  return made;
}

}  // namespace mase
