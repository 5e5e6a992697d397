#include "mase/plugin/isolated_plugin.h"

#include <cstdio>
#include <filesystem>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "mase/base/last_words.h"
#include "mase/base/quote.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/config/options_types.h"
#include "mase/graph/graph_io.h"
#include "mase/plugin/isolation_messages.h"
#include "proto/options.pb.h"

namespace mase {
namespace {

// The files that options name: values of fields with the annotation `path`, at any depth.
std::set<std::string> PathsIn(const google::protobuf::Any& options) {
  std::set<std::string> paths;
  const std::string& url = options.type_url();
  const google::protobuf::Descriptor* type = FindOptionsType(url.substr(url.rfind('/') + 1));
  if (type == nullptr) return paths;
  const std::unique_ptr<google::protobuf::Message> message(OptionsPrototype(*type).New());
  if (!message->ParseFromString(options.value())) return paths;
  std::vector<const google::protobuf::Message*> open = {message.get()};
  while (!open.empty()) {
    const google::protobuf::Message& top = *open.back();
    open.pop_back();
    const google::protobuf::Reflection& reflection = *top.GetReflection();
    std::vector<const google::protobuf::FieldDescriptor*> fields;
    reflection.ListFields(top, &fields);
    for (const google::protobuf::FieldDescriptor* field : fields) {
      const bool repeated = field->is_repeated();
      const int count = repeated ? reflection.FieldSize(top, field) : 1;
      for (int i = 0; i < count; ++i) {
        if (field->cpp_type() == google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE) {
          open.push_back(repeated ? &reflection.GetRepeatedMessage(top, field, i)
                                  : &reflection.GetMessage(top, field));
        } else if (field->options().GetExtension(path)) {
          paths.insert(repeated ? reflection.GetRepeatedString(top, field, i)
                                : reflection.GetString(top, field));
        }
      }
    }
  }
  return paths;
}

absl::Status CheckNamed(const std::string& file, const std::set<std::string>& named) {
  if (named.contains(file)) return absl::OkStatus();
  return absl::PermissionDeniedError(
      absl::StrCat("asks for the file ", Quoted(file), ", which none of its options names"));
}

// What a pass there asks for, asked of the host here. `files` are those that it may read.
absl::Status Answer(const HostCall& call, const std::set<std::string>& files, PassContext& context,
                    HostAnswer& answer) {
  PassHost& host = context.host();
  switch (call.what_case()) {
    case HostCall::kDummyBatch: {
      MASE_ASSIGN_OR_RETURN(const auto batch, host.DummyBatch());
      *answer.mutable_tensor() = ProtosOf(batch);
      return absl::OkStatus();
    }
    case HostCall::kSamples: {
      MASE_ASSIGN_OR_RETURN(const SampleRows samples,
                            host.Samples(call.samples().rows(), call.samples().split()));
      *answer.mutable_tensor() = ProtosOf(samples.inputs);
      *answer.add_tensor() = TensorToProto("", samples.labels, TensorData::kInline);
      answer.set_text(samples.caption);
      return absl::OkStatus();
    }
    case HostCall::kProgress:
      return host.Progress(call.progress().done(), call.progress().total(), call.progress().unit());
    case HostCall::kEvaluate: {
      MASE_ASSIGN_OR_RETURN(const Graph graph, GraphFromProto(call.evaluate()));
      MASE_ASSIGN_OR_RETURN(const Evaluation evaluation, host.Evaluate(graph));
      answer.set_loss(evaluation.loss);
      answer.set_accuracy(evaluation.accuracy);
      answer.set_correct(evaluation.correct);
      answer.set_samples(evaluation.samples);
      return absl::OkStatus();
    }
    case HostCall::kRunNet: {
      const HostCall::RunNet& net = call.run_net();
      MASE_ASSIGN_OR_RETURN(const Graph graph, GraphFromProto(net.graph()));
      MASE_ASSIGN_OR_RETURN(const auto inputs, TensorsOf(net.input()));
      const std::vector<std::string> nodes(net.node().begin(), net.node().end());
      MASE_ASSIGN_OR_RETURN(const auto results, host.RunNet(graph, inputs, nodes));
      *answer.mutable_tensor() = ProtosOf(results);
      return absl::OkStatus();
    }
    case HostCall::kPrint:
      context.Print(call.print());
      return absl::OkStatus();
    case HostCall::kShow: {
      MASE_ASSIGN_OR_RETURN(const Table table, TableOf(call.show().table()));
      host.Show(table, call.show().whole());
      return absl::OkStatus();
    }
    case HostCall::kWriteArtifact:
      return context.WriteArtifact(call.write_artifact().path(), call.write_artifact().contents());
    case HostCall::kWriteGraph: {
      MASE_ASSIGN_OR_RETURN(const Graph graph, GraphFromProto(call.write_graph().graph()));
      return context.WriteGraph(call.write_graph().path(), graph);
    }
    case HostCall::kReadGraph: {
      MASE_RETURN_IF_ERROR(CheckNamed(call.read_graph(), files));
      MASE_ASSIGN_OR_RETURN(const Graph graph, host.ReadGraph(call.read_graph()));
      *answer.mutable_graph() = GraphToProto(graph, TensorData::kInline);
      return absl::OkStatus();
    }
    case HostCall::kReadText: {
      MASE_RETURN_IF_ERROR(CheckNamed(call.read_text(), files));
      MASE_ASSIGN_OR_RETURN(*answer.mutable_text(), host.ReadText(call.read_text()));
      return absl::OkStatus();
    }
    case HostCall::WHAT_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError("a call that this program does not know");
}

// A pass that is run elsewhere.
class IsolatedPass final : public Pass {
 public:
  IsolatedPass(std::shared_ptr<IsolatedPlugin> plugin, std::string plugin_name, std::string name,
               google::protobuf::Any options)
      : plugin_(std::move(plugin)),
        plugin_name_(std::move(plugin_name)),
        name_(std::move(name)),
        options_(std::move(options)) {}

  absl::StatusOr<PassResult> Run(Graph& graph, PassContext& context) const override {
    absl::StatusOr<PassResult> result = plugin_->Run(name_, options_, graph, context);
    if (!IsCrash(result.status())) return result;
    return CrashError(absl::StrCat("of plugin ", plugin_name_, " ", result.status().message()));
  }

 private:
  const std::shared_ptr<IsolatedPlugin> plugin_;
  const std::string plugin_name_, name_;
  const google::protobuf::Any options_;
};

absl::Status Refused(const absl::Status& status) {
  return absl::PermissionDeniedError(IsCrash(status)
                                         ? absl::StrCat("while it was opened it ", status.message())
                                         : std::string(status.message()));
}

}  // namespace

absl::StatusOr<IsolatedPlugin::Opened> IsolatedPlugin::Open(const std::string& path, int copy,
                                                            const IsolationLimits& limits) {
  const std::shared_ptr<IsolatedPlugin> plugin(new IsolatedPlugin(path, copy, limits));
  MASE_ASSIGN_OR_RETURN(std::unique_ptr<PluginProcess> process,
                        PluginProcess::Start(path, copy, limits));
  PluginRequest request;
  request.mutable_open()->set_path(path);
  PluginReply reply;
  absl::Status status = process->Send(request, absl::InfiniteFuture());
  if (status.ok()) status = process->Receive(absl::Now() + limits.pass_limit, reply);
  if (!status.ok()) return Refused(status);
  const OpenReply& opened = reply.open();
  const std::string own = absl::StrCat("plugin ", path, " refused: ");
  if (!reply.has_open() || opened.status().code() != 0) {
    return absl::PermissionDeniedError(absl::StripPrefix(opened.status().message(), own));
  }
  const std::string stem = std::filesystem::path(path).stem().string();
  if (opened.entry().name() != stem) {
    return absl::PermissionDeniedError(
        absl::StrCat("it calls itself ", Quoted(opened.entry().name()), ", its file '", stem, "'"));
  }
  if (opened.traits_size() != opened.entry().pass_size()) {
    return absl::PermissionDeniedError("its process sent garbage");
  }
  if (absl::Status types = AddOptionsTypes(opened.protos()); !types.ok()) return Refused(types);
  Opened result = {opened.entry(), {}};
  for (int i = 0; i < opened.entry().pass_size(); ++i) {
    const PassEntry& pass = opened.entry().pass(i);
    const TraitsText& traits = opened.traits(i);
    const google::protobuf::Descriptor* type = FindOptionsType(pass.options_type());
    if (type == nullptr) {
      return absl::PermissionDeniedError(
          absl::StrCat("it did not say what ", Quoted(pass.options_type()), " is"));
    }
    PassInfo info = {.name = pass.name(),
                     .summary = pass.summary(),
                     .plugin = opened.entry().name(),
                     .isolated = true,
                     .options = &OptionsPrototype(*type)};
    info.traits = {.kind = pass.kind() == PassKindName(PassKind::kAnalysis) ? PassKind::kAnalysis
                                                                            : PassKind::kTransform,
                   .aliases = {pass.alias().begin(), pass.alias().end()},
                   .needs = {traits.need().begin(), traits.need().end()},
                   .then = {traits.then().begin(), traits.then().end()},
                   .keeps_notes = traits.keeps_notes(),
                   .discards_notes = traits.discards_notes()};
    info.create =
        [plugin, whose = info.plugin, name = pass.name()](
            const google::protobuf::Message& options) -> absl::StatusOr<std::unique_ptr<Pass>> {
      google::protobuf::Any packed;
      packed.PackFrom(options);
      MASE_RETURN_IF_ERROR(plugin->CheckOptions(name, packed));
      return std::make_unique<IsolatedPass>(plugin, whose, name, std::move(packed));
    };
    result.passes.push_back(std::move(info));
  }
  plugin->GiveBack(std::move(process));
  return result;
}

absl::StatusOr<std::unique_ptr<PluginProcess>> IsolatedPlugin::Take() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!free_.empty()) {
      std::unique_ptr<PluginProcess> process = std::move(free_.back());
      free_.pop_back();
      return process;
    }
  }
  MASE_ASSIGN_OR_RETURN(std::unique_ptr<PluginProcess> process,
                        PluginProcess::Start(path_, copy_, limits_));
  PluginRequest request;
  request.mutable_open()->set_path(path_);
  PluginReply reply;
  MASE_RETURN_IF_ERROR(process->Send(request, absl::InfiniteFuture()));
  MASE_RETURN_IF_ERROR(process->Receive(absl::Now() + limits_.pass_limit, reply));
  if (!reply.has_open()) return CrashError("sent garbage");
  MASE_RETURN_IF_ERROR(StatusOf(reply.open().status()));
  return process;
}

void IsolatedPlugin::GiveBack(std::unique_ptr<PluginProcess> process) {
  const std::lock_guard<std::mutex> lock(mutex_);
  free_.push_back(std::move(process));
}

absl::Status IsolatedPlugin::CheckOptions(const std::string& pass,
                                          const google::protobuf::Any& options) {
  MASE_ASSIGN_OR_RETURN(std::unique_ptr<PluginProcess> process, Take());
  PluginRequest request;
  request.mutable_create()->set_pass(pass);
  *request.mutable_create()->mutable_options() = options;
  PluginReply reply;
  const absl::Time deadline = absl::Now() + limits_.pass_limit;
  MASE_RETURN_IF_ERROR(process->Send(request, deadline));
  MASE_RETURN_IF_ERROR(process->Receive(deadline, reply));
  if (!reply.has_created()) return CrashError("sent garbage");
  GiveBack(std::move(process));
  const absl::Status status = StatusOf(reply.created());
  // CreatePass puts the name in front here, too.
  return absl::Status(status.code(), absl::StripPrefix(status.message(), absl::StrCat(pass, ": ")));
}

absl::StatusOr<PassResult> IsolatedPlugin::Run(const std::string& pass,
                                               const google::protobuf::Any& options, Graph& graph,
                                               PassContext& context) {
  MASE_ASSIGN_OR_RETURN(std::unique_ptr<PluginProcess> process, Take());
  PluginRequest request;
  RunRequest& run = *request.mutable_run();
  run.set_pass(pass);
  *run.mutable_options() = options;
  *run.mutable_graph() = GraphToProto(graph, TensorData::kInline);
  *run.mutable_original() = ShareWith(context.original(), graph);
  run.set_folder(context.folder());
  run.set_seed(context.host().seed());
  const absl::Time deadline = absl::Now() + limits_.pass_limit;
  MASE_RETURN_IF_ERROR(process->Send(request, deadline));
  PluginReply reply;
  const std::set<std::string> files = PathsIn(options);
  int64_t received = 0;  // All of it may be kept.
  for (;;) {
    MASE_RETURN_IF_ERROR(process->Receive(deadline, reply));
    received += static_cast<int64_t>(reply.ByteSizeLong());
    if (received > limits_.message_bytes) {
      return CrashError(absl::StrCat("sent more than ", limits_.message_bytes, " bytes"));
    }
    if (!reply.has_call()) break;
    PluginRequest answer;
    const absl::Status answered = Answer(reply.call(), files, context, *answer.mutable_answer());
    *answer.mutable_answer()->mutable_status() = TextOf(answered);
    MASE_RETURN_IF_ERROR(process->Send(answer, deadline));
  }
  if (!reply.has_run()) return CrashError("sent garbage: no result");
  MASE_ASSIGN_OR_RETURN(PassRecord record, RecordOf(reply.run()));
  if (const std::string printed = process->TakeOutput(); !printed.empty()) {
    record.warnings.push_back(absl::StrCat("it wrote to stdout: ", Quoted(printed)));
  }
  const std::string errors = Printable(process->TakeErrors());
  std::fwrite(errors.data(), 1, errors.size(), stderr);
  GiveBack(std::move(process));
  context.Take(std::move(record));
  MASE_RETURN_IF_ERROR(StatusOf(reply.run().status()));
  absl::StatusOr<Graph> made = GraphOf(reply.run().graph(), graph);
  if (!made.ok()) {
    return absl::InternalError(absl::StrCat("left a broken graph: ", made.status().message()));
  }
  graph = *std::move(made);
  return reply.run().changed() ? PassResult::Changed() : PassResult::Unchanged();
}

}  // namespace mase
