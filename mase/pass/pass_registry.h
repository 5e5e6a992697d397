// Which passes there are, and how one is made from its name and options.
#ifndef MASE_PASS_PASS_REGISTRY_H_
#define MASE_PASS_PASS_REGISTRY_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/any.pb.h"
#include "google/protobuf/message.h"
#include "mase/data/data_reader.h"
#include "mase/format/family.h"
#include "mase/graph/op_function.h"
#include "mase/metric/metric.h"
#include "mase/pass/pass.h"
#include "mase/sampler/proposer.h"

namespace mase {

enum class PassKind {
  kTransform,  // Changes the graph; changing nothing is an error unless allowed.
  kAnalysis,   // Never changes the graph; may write notes on nodes and report.
};

// "transform", "analysis".
absl::string_view PassKindName(PassKind kind);

// What the pipeline has to know of a pass besides how to run it.
struct PassTraits {
  PassKind kind = PassKind::kTransform;
  // More names. MASE's long one, NAME_transform_pass or NAME_analysis_pass, is
  // always among them.
  std::vector<std::string> aliases = {};
  // Passes whose notes this one reads. They run before it, with default options,
  // where they have not run since the notes were last true.
  std::vector<std::string> needs = {};
  // Passes that run right after it, unless the next one of the pipeline is that.
  std::vector<std::string> then = {};
  // The notes on nodes are true after this transform as they were before.
  bool keeps_notes = false;
  // Notes on nodes are gone after this pass.
  bool discards_notes = false;
};

// One registered pass.
struct PassInfo {
  std::string name;
  std::string summary;  // One sentence.
  PassTraits traits;
  std::string plugin;  // Whose it is, for messages.
  // Runs in a process of its own (mase/plugin/isolation.h), which keeps limits itself.
  bool isolated = false;
  // The options' type and defaults; lives as long as the program.
  const google::protobuf::Message* options = nullptr;
  // `options` is of the type above.
  std::function<absl::StatusOr<std::unique_ptr<Pass>>(const google::protobuf::Message& options)>
      create;
};

// Makes a pass. Options are completed and checked by their annotations first
// (mase/config/complete.h); those that were never set (empty type URL) are the
// defaults. InvalidArgument if they are another pass's or a value is refused; the
// pass's own errors else. All have its name in front. Exceptions become Internal.
absl::StatusOr<std::unique_ptr<Pass>> CreatePass(const PassInfo& info,
                                                 const google::protobuf::Any& options);

// Where passes come from by name: a registry, or plugins opened on demand.
class PassSource {
 public:
  virtual ~PassSource();
  // By name or alias. NotFound with the nearest name. The result lives as long as
  // the source.
  virtual absl::StatusOr<const PassInfo*> LookUp(absl::string_view name) = 0;
};

// The passes registered so far.
class PassRegistry : public PassSource {
 public:
  // AlreadyExists, naming both plugins, if a name or alias is taken.
  absl::Status Add(PassInfo info);

  const PassInfo* Find(absl::string_view name) const;  // Null if absent.
  absl::StatusOr<const PassInfo*> LookUp(absl::string_view name) override;

  // Sorted by name.
  std::vector<const PassInfo*> passes() const;
  // Names and aliases, sorted.
  std::vector<std::string> names() const;

 private:
  absl::btree_map<std::string, std::unique_ptr<PassInfo>> passes_;
  absl::btree_map<std::string, const PassInfo*> by_name_;  // Aliases too.
};

// What a plugin brings. Values alone: whoever opens the plugin puts them into the tables
// (mase/plugin/commit.h), or none of them.
struct Registrations {
  std::vector<PassInfo> passes;
  std::vector<const Family*> formats;
  std::vector<OpDefinition> ops;
  std::vector<MetricDefinition> metrics;
  std::vector<DataReader> data_readers;
  std::vector<SamplerDefinition> samplers;
};

// What a plugin's register function gets to say what it has. The caller returns the first error.
class PassRegistrar {
 public:
  explicit PassRegistrar(absl::string_view plugin) : plugin_(plugin) {}

  // Registers pass P under `name` with its one-sentence summary. A name used twice is an error.
  template <typename P>
  absl::Status AddPass(absl::string_view name, absl::string_view summary, PassTraits traits = {}) {
    return Add({.name = std::string(name),
                .summary = std::string(summary),
                .traits = std::move(traits),
                .options = &P::Options::default_instance(),
                .create = [](const google::protobuf::Message& options) {
                  return P::Create(static_cast<const typename P::Options&>(options));
                }});
  }

  // Registers a family of number formats (family.h), which lives as long as the program. It is then
  // a format like those of docs/formats.md, by name: for `quantize`, in lists of formats, for
  // training, calibration and search, for `ch formats`.
  absl::Status AddFormat(const Family* family) {
    registrations_.formats.push_back(family);
    return absl::OkStatus();
  }

  // Registers an op (op_schema.h) and its arithmetic, the struct Op (op_function.h). One with a
  // class name is then a word of layer lists.
  template <typename Op>
  absl::Status AddOp(OpSchema schema) {
    registrations_.ops.push_back(DefineOp<Op>(std::move(schema)));
    return absl::OkStatus();
  }

  // Registers a figure that runs measure of nets (metric.h).
  absl::Status AddMetric(MetricDefinition metric) {
    registrations_.metrics.push_back(std::move(metric));
    return absl::OkStatus();
  }

  // Registers a reader of data files (data_reader.h).
  absl::Status AddDataReader(DataReader reader) {
    registrations_.data_readers.push_back(std::move(reader));
    return absl::OkStatus();
  }

  // Registers a way to choose the trials of searches (proposer.h).
  absl::Status AddSampler(SamplerDefinition sampler) {
    registrations_.samplers.push_back(std::move(sampler));
    return absl::OkStatus();
  }

  // Runs a plugin's register function, keeping its error or exception in status().
  void Run(absl::Status (*register_passes)(PassRegistrar&)) noexcept;

  const absl::Status& status() const { return status_; }
  const Registrations& registrations() const { return registrations_; }
  const std::vector<PassInfo>& passes() const { return registrations_.passes; }

 private:
  absl::Status Add(PassInfo info);

  const std::string plugin_;
  absl::Status status_;
  Registrations registrations_;
};

}  // namespace mase

#endif  // MASE_PASS_PASS_REGISTRY_H_
