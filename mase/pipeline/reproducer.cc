#include "mase/pipeline/reproducer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "mase/base/files.h"
#include "mase/base/limits.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/graph/graph_io.h"
#include "mase/pipeline/pipeline.h"
#include "proto/reproducer.pb.h"

namespace mase {
namespace {

constexpr int kFormatVersion = 1;

constexpr std::array<int, 5> kSignals = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};

// What a signal handler needs: all of it is made before the pass runs.
struct Evidence {
  std::string folder, temporary, path;
  std::string bytes;
  std::string message;  // For stderr.
};

// Of the pass that is running; null between passes.
std::atomic<const Evidence*> current = nullptr;
std::array<struct sigaction, kSignals.size()> former;

// Calls only what POSIX lets a signal handler call.
void WriteFromSignal(const Evidence& evidence) {
  mkdir(evidence.folder.c_str(), 0777);
  const int file = open(evidence.temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file < 0) return;
  size_t written = 0;
  while (written < evidence.bytes.size()) {
    const ssize_t count =
        write(file, evidence.bytes.data() + written, evidence.bytes.size() - written);
    if (count <= 0) return;
    written += static_cast<size_t>(count);
  }
  fsync(file);
  close(file);
  if (rename(evidence.temporary.c_str(), evidence.path.c_str()) != 0) return;
  const ssize_t ignored = write(STDERR_FILENO, evidence.message.data(), evidence.message.size());
  static_cast<void>(ignored);
}

void OnSignal(int number) {
  const Evidence* evidence = current.exchange(nullptr);
  if (evidence != nullptr) WriteFromSignal(*evidence);
  for (size_t i = 0; i < kSignals.size(); ++i) {
    if (kSignals[i] == number) sigaction(number, &former[i], nullptr);
  }
  raise(number);  // Takes its course when this handler returns.
}

class ReproducerWriter final : public Instrumentation {
 public:
  ReproducerWriter(const RunConfig& settings, std::vector<std::string> plugins, std::string folder)
      : settings_(settings), plugins_(std::move(plugins)), folder_(std::move(folder)) {
    settings_.clear_passes();
    // A stack that has overflowed cannot run the handler.
    stack_.resize(1 << 16);
    stack_t stack = {};
    stack.ss_sp = stack_.data();
    stack.ss_size = stack_.size();
    sigaltstack(&stack, &former_stack_);
    struct sigaction action = {};
    action.sa_handler = OnSignal;
    action.sa_flags = SA_ONSTACK;
    for (size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &action, &former[i]);
  }

  ~ReproducerWriter() override {
    current = nullptr;
    for (size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &former[i], nullptr);
    if (former_stack_.ss_flags == SS_DISABLE) former_stack_.ss_size = stack_.size();
    sigaltstack(&former_stack_, nullptr);
  }

  absl::Status BeforePass(const RunningPass& pass, const Graph& graph) override {
    const std::string& name = pass.step.info->name;
    evidence_.folder = folder_;
    evidence_.path = absl::StrCat(folder_, "/", name, "-", getpid(), ".pb");
    evidence_.temporary = absl::StrCat(folder_, "/.", name, "-", getpid(), ".tmp");
    evidence_.message = absl::StrCat("pass ", name, " crashed; ", Hint(), "\n");
    if (Fill(pass, graph)) current = &evidence_;
    return absl::OkStatus();
  }

  absl::Status AfterPass(const RunningPass&, const Graph&, const PassReport&,
                         absl::Duration) override {
    current = nullptr;
    return absl::OkStatus();
  }

  absl::Status PassFailed(const RunningPass&, const absl::Status& status) override {
    if (current.exchange(nullptr) == nullptr || ExitCode(status) != 1) return status;
    std::error_code error;  // What fails here fails again below, with a reason.
    std::filesystem::create_directories(folder_, error);
    const absl::Status written = WriteFileAtomically(evidence_.path, evidence_.bytes);
    const std::string more = written.ok() ? Hint() : std::string(written.message());
    return absl::Status(status.code(), absl::StrCat(status.message(), "; ", more));
  }

 private:
  std::string Hint() const {
    return absl::StrCat(evidence_.path,
                        " runs this pass again: transform --reproduce=", evidence_.path);
  }

  // False for a graph that is too large for one message.
  bool Fill(const RunningPass& pass, const Graph& graph) {
    Reproducer reproducer;
    reproducer.set_format_version(kFormatVersion);
    *reproducer.mutable_settings() = settings_;
    *reproducer.mutable_settings()->add_passes() = pass.step.config;
    *reproducer.mutable_graph() = GraphToProto(graph, TensorData::kInline);
    *reproducer.mutable_original() = GraphToProto(pass.original, TensorData::kOmitted);
    reproducer.mutable_plugin()->Add(plugins_.begin(), plugins_.end());
    return reproducer.SerializeToString(&evidence_.bytes);
  }

  RunConfig settings_;
  const std::vector<std::string> plugins_;
  const std::string folder_;
  Evidence evidence_;
  std::vector<char> stack_;
  stack_t former_stack_ = {};
};

}  // namespace

std::unique_ptr<Instrumentation> WriteReproducers(const RunConfig& settings,
                                                  std::vector<std::string> plugins,
                                                  std::string folder) {
  return std::make_unique<ReproducerWriter>(settings, std::move(plugins), std::move(folder));
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
  made.plugins.assign(reproducer.plugin().begin(), reproducer.plugin().end());
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
