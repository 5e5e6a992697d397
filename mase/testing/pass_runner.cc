#include "mase/testing/pass_runner.h"

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "glog/logging.h"
#include "google/protobuf/text_format.h"
#include "mase/exec/run_net.h"
#include "mase/pass/pass_registry.h"
#include "mase/pipeline/pipeline.h"
#include "mase/plugin/plugin.h"

namespace mase {
namespace {

PassRegistry& LinkedPasses() {
  static PassRegistry* registry = [] {
    auto* linked = new PassRegistry;
    const absl::Status status = RegisterLinkedPlugins(*linked);
    CHECK(status.ok()) << status;
    return linked;
  }();
  return *registry;
}

absl::Status Run(const std::vector<PassConfig>& passes, Graph& graph, TestHost& host,
                 RunReport* report) {
  const google::protobuf::RepeatedPtrField<PassConfig> configs(passes.begin(), passes.end());
  auto pipeline = BuildPipeline(configs, LinkedPasses());
  if (!pipeline.ok()) return pipeline.status();
  return RunPipeline(*pipeline, graph, host, report);
}

}  // namespace

absl::StatusOr<std::map<std::string, Tensor>> TestHost::DummyBatch() {
  if (batch.empty()) return absl::UnimplementedError("no data in this test");
  return batch;
}

absl::StatusOr<SampleRows> TestHost::Samples(int64_t rows, absl::string_view of) {
  split = std::string(of);
  if (samples.empty()) return absl::UnimplementedError("no data in this test");
  SampleRows taken;
  for (const auto& [placeholder, tensor] : samples) {
    const int64_t count = std::min(rows, tensor.shape()[0]);
    taken.inputs[placeholder] = tensor.Rows(0, count);
    taken.caption = absl::StrCat(count, " test rows");
    if (labels.elements() > 0) taken.labels = labels.Rows(0, count);
  }
  return taken;
}

absl::StatusOr<Evaluation> TestHost::Evaluate(const Graph&) { return evaluation; }

absl::Status TestHost::Progress(int64_t done, int64_t, absl::string_view) {
  progress.push_back(done);
  return progress.size() == interrupt_at ? absl::CancelledError("interrupted") : absl::OkStatus();
}

absl::StatusOr<std::map<std::string, Tensor>> TestHost::RunNet(
    const Graph& graph, const std::map<std::string, Tensor>& inputs,
    absl::Span<const std::string> nodes) {
  return NodeValues(graph, inputs, nodes, /*batch_size=*/64);
}

absl::StatusOr<const PassInfo*> TestHost::LookUpPass(absl::string_view name) {
  return (passes == nullptr ? LinkedPasses() : *passes).LookUp(name);
}

void TestHost::Print(absl::string_view text) { absl::StrAppend(&printed, text); }

void TestHost::Show(const Table& table, absl::string_view) { Print(table.Text()); }

absl::Status TestHost::WriteArtifact(absl::string_view path, absl::string_view contents) {
  artifacts[std::string(path)] = std::string(contents);
  return absl::OkStatus();
}

absl::Status TestHost::WriteGraph(absl::string_view path, const Graph& graph) {
  graphs.insert_or_assign(std::string(path), graph.Clone());
  return absl::OkStatus();
}

absl::StatusOr<Graph> TestHost::ReadGraph(absl::string_view path) {
  const auto it = graphs.find(std::string(path));
  if (it == graphs.end()) return absl::NotFoundError(absl::StrCat("no file ", path));
  return it->second.Clone();
}

absl::StatusOr<std::string> TestHost::ReadText(absl::string_view path) {
  const auto it = artifacts.find(std::string(path));
  if (it == artifacts.end()) return absl::NotFoundError(absl::StrCat("no file ", path));
  return it->second;
}

const PassReport& PassRun::pass_report() const {
  const PassReport* found = &PassReport::default_instance();
  for (const PassReport& each : report.passes()) {
    if (each.name() == pass) found = &each;
  }
  return *found;
}

double PassRun::count(const std::string& counter) const {
  const auto& counts = pass_report().counts();
  const auto it = counts.find(counter);
  return it == counts.end() ? 0 : it->second;
}

double PassRun::result(absl::string_view path) const {
  const google::protobuf::Struct* level = &pass_report().result();
  const google::protobuf::Value* value = nullptr;
  for (absl::string_view name : absl::StrSplit(path, '.')) {
    if (value != nullptr) level = &value->struct_value();
    const auto it = level->fields().find(std::string(name));
    if (it == level->fields().end()) return -1;
    value = &it->second;
  }
  return value->number_value();
}

std::string PassRun::table(absl::string_view name) const {
  const auto it = artifacts.find(absl::StrCat(pass, "/", name, ".csv"));
  return it == artifacts.end() ? "" : it->second;
}

std::string PassRun::decision(absl::string_view node) const {
  const auto& fields = pass_report().result().fields();
  const auto nodes = fields.find("nodes");
  if (nodes == fields.end()) return "";
  for (const auto& value : nodes->second.list_value().values()) {
    const auto& entry = value.struct_value().fields();
    if (entry.at("node").string_value() != node) continue;
    return absl::StrCat(entry.at("decision").string_value(), ": ",
                        entry.at("reason").string_value());
  }
  return "";
}

PassConfig MakePass(absl::string_view name, absl::string_view options) {
  PassConfig config;
  config.set_name(std::string(name));
  if (options.empty()) return config;
  const PassInfo* info = LinkedPasses().Find(name);
  CHECK(info != nullptr) << name << ": link its plugin's _lib";
  const std::unique_ptr<google::protobuf::Message> message(info->options->New());
  CHECK(google::protobuf::TextFormat::ParseFromString(std::string(options), message.get()))
      << options;
  config.mutable_options()->PackFrom(*message);
  return config;
}

PassRun RunPass(absl::string_view name, absl::string_view options, Graph& graph) {
  return RunPasses({MakePass(name, options)}, graph);
}

PassRun RunPasses(const std::vector<PassConfig>& passes, Graph& graph, TestHost& host) {
  PassRun run;
  const PassInfo* last = LinkedPasses().Find(passes.back().name());
  run.pass = last == nullptr ? passes.back().name() : last->name;
  run.status = Run(passes, graph, host, &run.report);
  run.printed = host.printed;
  run.artifacts = host.artifacts;
  return run;
}

PassRun RunPasses(const std::vector<PassConfig>& passes, Graph& graph) {
  TestHost host;
  return RunPasses(passes, graph, host);
}

}  // namespace mase
