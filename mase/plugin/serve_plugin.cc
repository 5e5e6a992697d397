#include "mase/plugin/serve_plugin.h"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"
#include "mase/base/call_foreign.h"
#include "mase/base/last_words.h"
#include "mase/base/memory_budget.h"
#include "mase/base/runfiles.h"
#include "mase/base/status_macros.h"
#include "mase/graph/graph_io.h"
#include "mase/plugin/isolation_messages.h"
#include "mase/plugin/plugin_loader.h"
#include "mase/plugin/plugin_process.h"
#include "mase/plugin/sandbox.h"

namespace mase {
namespace {

using google::protobuf::FileDescriptor;

// The host, for a pass: asks over the socket. Without an answer there is nobody to work for.
class RemoteHost final : public PassHost {
 public:
  RemoteHost(int socket, uint64_t seed, PluginLoader& loader)
      : socket_(socket), seed_(seed), loader_(loader) {}

  absl::StatusOr<std::map<std::string, Tensor>> DummyBatch() override {
    HostCall call;
    call.set_dummy_batch(true);
    MASE_ASSIGN_OR_RETURN(const HostAnswer answer, Ask(call));
    return TensorsOf(answer.tensor());
  }

  absl::StatusOr<SampleRows> Samples(int64_t rows, absl::string_view split) override {
    HostCall call;
    call.mutable_samples()->set_rows(rows);
    call.mutable_samples()->set_split(std::string(split));
    MASE_ASSIGN_OR_RETURN(HostAnswer answer, Ask(call));
    if (answer.tensor().empty()) return absl::InternalError("the host sent no labels");
    SampleRows samples;
    MASE_ASSIGN_OR_RETURN(samples.labels, TensorFromProto(*answer.tensor().rbegin()));
    answer.mutable_tensor()->RemoveLast();
    MASE_ASSIGN_OR_RETURN(samples.inputs, TensorsOf(answer.tensor()));
    samples.caption = answer.text();
    return samples;
  }

  absl::Status Progress(int64_t done, int64_t total, absl::string_view unit) override {
    HostCall call;
    call.mutable_progress()->set_done(done);
    call.mutable_progress()->set_total(total);
    call.mutable_progress()->set_unit(std::string(unit));
    return Ask(call).status();
  }

  absl::StatusOr<Evaluation> Evaluate(const Graph& graph) override {
    HostCall call;
    *call.mutable_evaluate() = GraphToProto(graph, TensorData::kInline);
    MASE_ASSIGN_OR_RETURN(const HostAnswer answer, Ask(call));
    Evaluation evaluation;
    evaluation.loss = answer.loss();
    evaluation.accuracy = answer.accuracy();
    evaluation.correct = answer.correct();
    evaluation.samples = answer.samples();
    return evaluation;
  }

  absl::StatusOr<std::map<std::string, Tensor>> RunNet(
      const Graph& graph, const std::map<std::string, Tensor>& inputs,
      absl::Span<const std::string> nodes) override {
    HostCall call;
    *call.mutable_run_net()->mutable_graph() = GraphToProto(graph, TensorData::kInline);
    *call.mutable_run_net()->mutable_input() = ProtosOf(inputs);
    call.mutable_run_net()->mutable_node()->Assign(nodes.begin(), nodes.end());
    MASE_ASSIGN_OR_RETURN(const HostAnswer answer, Ask(call));
    return TensorsOf(answer.tensor());
  }

  uint64_t seed() const override { return seed_; }

  // A bundled one, or of the same plugin; it runs here as a part of the pass that asks.
  absl::StatusOr<const PassInfo*> LookUpPass(absl::string_view name) override {
    return loader_.LookUp(name);
  }

  void Print(absl::string_view text) override {
    HostCall call;
    call.set_print(std::string(text));
    Ask(call).status().IgnoreError();
  }

  void Show(const Table& table, absl::string_view whole) override {
    HostCall call;
    *call.mutable_show()->mutable_table() = TextOf(table);
    call.mutable_show()->set_whole(std::string(whole));
    Ask(call).status().IgnoreError();
  }

  absl::Status WriteArtifact(absl::string_view path, absl::string_view contents) override {
    HostCall call;
    call.mutable_write_artifact()->set_path(std::string(path));
    call.mutable_write_artifact()->set_contents(std::string(contents));
    return Ask(call).status();
  }

  absl::Status WriteGraph(absl::string_view path, const Graph& graph) override {
    HostCall call;
    call.mutable_write_graph()->set_path(std::string(path));
    *call.mutable_write_graph()->mutable_graph() = GraphToProto(graph, TensorData::kInline);
    return Ask(call).status();
  }

  absl::StatusOr<Graph> ReadGraph(absl::string_view path) override {
    HostCall call;
    call.set_read_graph(std::string(path));
    MASE_ASSIGN_OR_RETURN(const HostAnswer answer, Ask(call));
    return GraphFromProto(answer.graph());
  }

  absl::StatusOr<std::string> ReadText(absl::string_view path) override {
    HostCall call;
    call.set_read_text(std::string(path));
    MASE_ASSIGN_OR_RETURN(HostAnswer answer, Ask(call));
    return std::move(*answer.mutable_text());
  }

 private:
  absl::StatusOr<HostAnswer> Ask(HostCall& call) {
    PluginReply reply;
    reply.mutable_call()->Swap(&call);
    PluginRequest request;
    if (!WriteMessage(socket_, reply) || !ReadMessage(socket_, request) || !request.has_answer()) {
      return absl::UnavailableError("the program that runs this pass is gone");
    }
    MASE_RETURN_IF_ERROR(StatusOf(request.answer().status()));
    return std::move(*request.mutable_answer());
  }

  const int socket_;
  const uint64_t seed_;
  PluginLoader& loader_;
};

// What a file imports, each once and in front of what imports it. Iterative: files are a plugin's.
void AddFiles(const FileDescriptor* file, google::protobuf::FileDescriptorSet& set,
              absl::flat_hash_set<const FileDescriptor*>& added) {
  std::vector<std::pair<const FileDescriptor*, int>> stack = {{file, 0}};
  while (!stack.empty()) {
    auto& [top, next] = stack.back();
    if (added.contains(top)) {
      stack.pop_back();
    } else if (next < top->dependency_count()) {
      const FileDescriptor* dependency = top->dependency(next++);
      stack.emplace_back(dependency, 0);
    } else {
      top->CopyTo(set.add_file());
      added.insert(top);
      stack.pop_back();
    }
  }
}

class Server {
 public:
  Server(int socket, PluginLoader& loader) : socket_(socket), loader_(loader) {}

  int Serve() {
    PluginRequest request;
    while (ReadMessage(socket_, request)) {
      PluginReply reply;
      switch (request.what_case()) {
        case PluginRequest::kOpen:
          Open(request.open(), *reply.mutable_open());
          break;
        case PluginRequest::kCreate:
          *reply.mutable_created() =
              TextOf(Create(request.create().pass(), request.create().options()).status());
          break;
        case PluginRequest::kRun:
          Run(request.run(), *reply.mutable_run());
          break;
        default:
          return 1;
      }
      if (!WriteMessage(socket_, reply)) return 1;
    }
    return 0;
  }

 private:
  void Open(const OpenRequest& request, OpenReply& reply) {
    absl::StatusOr<PluginEntry> entry = loader_.OpenCopy(request.path(), kPluginCopy);
    const bool passes_alone = entry.ok() && entry->format().empty() && entry->op().empty() &&
                              entry->metric().empty() && entry->data_reader().empty() &&
                              entry->sampler().empty();
    if (entry.ok() && !passes_alone) {
      entry = absl::PermissionDeniedError(
          "it has formats, ops, metrics, data readers or samplers, which this program must run "
          "itself: "
          "isolation is for passes");
    }
    *reply.mutable_status() = TextOf(entry.status());
    if (!entry.ok()) return;
    absl::flat_hash_set<const FileDescriptor*> added;
    for (const PassEntry& pass : entry->pass()) {
      const PassInfo& info = **loader_.LookUp(pass.name());
      TraitsText& traits = *reply.add_traits();
      for (const std::string& need : info.traits.needs) traits.add_need(need);
      for (const std::string& then : info.traits.then) traits.add_then(then);
      traits.set_keeps_notes(info.traits.keeps_notes);
      traits.set_discards_notes(info.traits.discards_notes);
      AddFiles(info.options->GetDescriptor()->file(), *reply.mutable_protos(), added);
    }
    *reply.mutable_entry() = *std::move(entry);
  }

  absl::StatusOr<std::unique_ptr<Pass>> Create(const std::string& name,
                                               const google::protobuf::Any& options) {
    MASE_ASSIGN_OR_RETURN(const PassInfo* info, loader_.LookUp(name));
    return CreatePass(*info, options);
  }

  void Run(const RunRequest& request, RunReply& reply) {
    const absl::Status status = RunPass(request, reply);
    *reply.mutable_status() = TextOf(status);
  }

  absl::Status RunPass(const RunRequest& request, RunReply& reply) {
    MASE_ASSIGN_OR_RETURN(const PassInfo* info, loader_.LookUp(request.pass()));
    MASE_ASSIGN_OR_RETURN(const std::unique_ptr<Pass> pass, CreatePass(*info, request.options()));
    MASE_ASSIGN_OR_RETURN(Graph graph, GraphFromProto(request.graph()));
    MASE_ASSIGN_OR_RETURN(const Graph original, GraphOf(request.original(), graph));
    const Graph before = graph.Clone();
    RemoteHost host(socket_, request.seed(), loader_);
    PassContext context(original, host, request.folder());
    const std::string whose = absl::StrCat("pass ", info->name, " of plugin ", info->plugin);
    const LastWords words = {.who = whose};
    absl::StatusOr<PassResult> result = absl::InternalError("");
    {
      const EndWatch watch(words, /*exit_code=*/1);
      const std::string who = absl::StrCat("of plugin ", info->plugin);
      result = CallForeign(who, [&]() -> absl::StatusOr<PassResult> {
        try {
          return pass->Run(graph, context);
        } catch (const std::bad_alloc&) {
          return absl::InternalError(absl::StrCat(who, " wanted more than the ",
                                                  MemoryText(MemoryLimit()),
                                                  " of memory that its process may have "
                                                  "(--max_memory)"));
        }
      });
    }
    std::fflush(nullptr);  // Stray output belongs to this run.
    WriteRecord(context.record(), reply);
    MASE_RETURN_IF_ERROR(result.status());
    reply.set_changed(result->changed());
    *reply.mutable_graph() = ShareWith(graph, before);
    return absl::OkStatus();
  }

  const int socket_;
  PluginLoader& loader_;
};

}  // namespace

std::optional<int> ServePluginIfAsked(int argc, char** argv) {
  if (argc != 6 || absl::string_view(argv[1]) != kServeFlag) {
    AllowPluginProcesses();
    return std::nullopt;
  }
  SandboxLimits limits;
  int parent = 0;
  const bool understood = absl::SimpleAtoi(argv[2], &parent) && parent == ::getppid() &&
                          absl::SimpleAtoi(argv[3], &limits.memory_bytes) &&
                          absl::SimpleAtoi(argv[4], &limits.cpu_seconds);
  if (!understood) return 2;
  // What libraries of the host left open for the programs that it starts.
  if (::close_range(kPluginCopy + 1, ~0u, 0) != 0) return 1;
  // Bundled plugins, which passes may use, too. They are links where Bazel runs the program.
  limits.readable = {
      std::filesystem::path(argv[5]).parent_path().string(), Runfile("plugins"),
      std::filesystem::path(RealPath(Runfile("plugins/index.textproto"))).parent_path().string()};
  SetMemoryLimit(limits.memory_bytes);
  const absl::StatusOr<std::unique_ptr<PluginLoader>> loader = PluginLoader::Create();
  if (!loader.ok()) return 1;
  if (const absl::Status status = EnterSandbox(limits); !status.ok()) {
    // The answer to the first question; nothing of the plugin is opened.
    PluginRequest request;
    PluginReply reply;
    *reply.mutable_open()->mutable_status() = TextOf(absl::FailedPreconditionError(absl::StrCat(
        "its process cannot be kept from doing harm, so it does not start: ", status.message())));
    if (ReadMessage(kHostSocket, request)) WriteMessage(kHostSocket, reply);
    return 1;
  }
  // A pass that loops does not outlive the host. (PR_SET_PDEATHSIG asks for a thread of it.)
  std::thread([] {
    pollfd host = {kHostSocket, POLLRDHUP, 0};
    while (::poll(&host, 1, -1) < 0 && errno == EINTR) {
    }
    ::syscall(SYS_exit_group, 1);
  }).detach();
  const int code = Server(kHostSocket, **loader).Serve();
  std::fflush(nullptr);
  // Without the destructors of the plugin.
  ::_exit(code);
}

}  // namespace mase
