#include "mase/pipeline/testing_passes.h"

#include <memory>
#include <utility>

#include "google/protobuf/empty.pb.h"

namespace mase {
namespace {

class FunctionPass final : public Pass {
 public:
  explicit FunctionPass(Body body) : body_(std::move(body)) {}
  absl::StatusOr<PassResult> Run(Graph& graph, PassContext& context) const override {
    return body_(graph, context);
  }

 private:
  const Body body_;
};

}  // namespace

absl::StatusOr<PassResult> Rename(Graph& graph, PassContext&) {
  graph.set_name(graph.name() + "'");
  return PassResult::Changed();
}

absl::StatusOr<PassResult> Look(Graph&, PassContext&) { return PassResult::Unchanged(); }

void PipelineTest::Add(const std::string& name, const Body& body, PassTraits traits) {
  PassInfo info = {.name = name, .summary = name, .traits = std::move(traits)};
  info.plugin = "test";
  info.options = &google::protobuf::Empty::default_instance();
  info.create = [this, name, body](const auto&) -> absl::StatusOr<std::unique_ptr<Pass>> {
    created_.push_back(name);
    return std::make_unique<FunctionPass>(body);
  };
  ASSERT_OK(registry_.Add(std::move(info)));
}

google::protobuf::RepeatedPtrField<PassConfig> PipelineTest::Configs(
    const std::vector<std::string>& names) {
  google::protobuf::RepeatedPtrField<PassConfig> configs;
  for (const std::string& name : names) *configs.Add() = MakePass(name);
  return configs;
}

absl::Status PipelineTest::Run(const std::vector<std::string>& names) {
  return RunConfigs(Configs(names));
}

absl::Status PipelineTest::RunConfigs(
    const google::protobuf::RepeatedPtrField<PassConfig>& configs) {
  const auto pipeline = BuildPipeline(configs, registry_);
  if (!pipeline.ok()) return pipeline.status();
  return RunPipeline(*pipeline, graph_, host_, &report_, instruments_);
}

std::vector<std::string> PipelineTest::Ran() const {
  std::vector<std::string> ran;
  for (const PassReport& pass : report_.passes()) {
    ran.push_back(pass.label().empty() ? pass.name() : pass.name() + " (" + pass.label() + ")");
  }
  return ran;
}

}  // namespace mase
