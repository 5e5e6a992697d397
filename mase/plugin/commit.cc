#include "mase/plugin/commit.h"

#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "mase/base/status_macros.h"
#include "mase/data/data_reader.h"
#include "mase/format/family.h"
#include "mase/graph/op_schema.h"
#include "mase/kernel/plugin_op.h"
#include "mase/metric/metric.h"
#include "mase/sampler/sampler.h"

namespace mase {
namespace {

// Names of one kind, no two alike.
class OwnNames {
 public:
  explicit OwnNames(absl::string_view kind) : kind_(kind) {}
  absl::Status Add(absl::string_view name) {
    if (names_.emplace(name).second) return absl::OkStatus();
    return absl::AlreadyExistsError(absl::StrCat("it has two ", kind_, " '", name, "'"));
  }

 private:
  const std::string kind_;
  std::set<std::string> names_;
};

// Whether all of it can be registered.
absl::Status Check(const Registrations& all) {
  OwnNames formats("formats"), ops("ops"), metrics("metrics"), readers("data readers"),
      samplers("samplers");
  for (const Family* format : all.formats) {
    if (format == nullptr) return absl::InvalidArgumentError("one of its formats is null");
    MASE_RETURN_IF_ERROR(CheckPluginFamily(*format));
    MASE_RETURN_IF_ERROR(formats.Add(format->name));
    for (const absl::string_view alias : format->aliases) MASE_RETURN_IF_ERROR(formats.Add(alias));
  }
  for (const OpDefinition& op : all.ops) {
    MASE_RETURN_IF_ERROR(CheckPluginOp(op.schema));
    MASE_RETURN_IF_ERROR(CheckPluginKernels(op));
    MASE_RETURN_IF_ERROR(ops.Add(op.schema.name));
  }
  for (const MetricDefinition& metric : all.metrics) {
    MASE_RETURN_IF_ERROR(CheckMetric(metric));
    MASE_RETURN_IF_ERROR(metrics.Add(metric.name));
  }
  for (const DataReader& reader : all.data_readers) {
    MASE_RETURN_IF_ERROR(CheckDataReader(reader));
    MASE_RETURN_IF_ERROR(readers.Add(reader.name));
  }
  for (const SamplerDefinition& sampler : all.samplers) {
    MASE_RETURN_IF_ERROR(CheckSampler(sampler));
    MASE_RETURN_IF_ERROR(samplers.Add(sampler.name));
  }
  return absl::OkStatus();
}

}  // namespace

PassEntry Describe(const PassInfo& info) {
  PassEntry entry;
  entry.set_name(info.name);
  for (const std::string& alias : info.traits.aliases) entry.add_alias(alias);
  entry.set_kind(std::string(PassKindName(info.traits.kind)));
  entry.set_summary(info.summary);
  entry.set_options_type(info.options->GetDescriptor()->full_name());
  return entry;
}

void Describe(const Registrations& all, PluginEntry* entry) {
  const auto add = [](NamedEntry* named, absl::string_view name, absl::string_view summary) {
    named->set_name(std::string(name));
    named->set_summary(std::string(summary));
  };
  for (const PassInfo& pass : all.passes) *entry->add_pass() = Describe(pass);
  for (const Family* format : all.formats) add(entry->add_format(), format->name, format->summary);
  for (const OpDefinition& op : all.ops) add(entry->add_op(), op.schema.name, op.schema.doc);
  for (const MetricDefinition& each : all.metrics)
    add(entry->add_metric(), each.name, each.summary);
  for (const DataReader& reader : all.data_readers) {
    add(entry->add_data_reader(), reader.name, reader.summary);
  }
  for (const SamplerDefinition& each : all.samplers)
    add(entry->add_sampler(), each.name, each.summary);
}

absl::Status CommitToTables(const void* plugin, const Registrations& all) {
  static absl::Mutex mutex(absl::kConstInit);
  static auto* const committed = new std::set<const void*>;
  const absl::MutexLock lock(&mutex);
  if (committed->count(plugin) > 0) return absl::OkStatus();
  MASE_RETURN_IF_ERROR(Check(all));
  for (const Family* format : all.formats) MASE_RETURN_IF_ERROR(RegisterFamily(format));
  for (const OpDefinition& op : all.ops) {
    MASE_RETURN_IF_ERROR(RegisterPluginKernels(op));
    MASE_RETURN_IF_ERROR(RegisterOp(op.schema));
  }
  for (const MetricDefinition& metric : all.metrics) MASE_RETURN_IF_ERROR(RegisterMetric(metric));
  for (const DataReader& reader : all.data_readers) {
    MASE_RETURN_IF_ERROR(RegisterDataReader(reader));
  }
  for (const SamplerDefinition& sampler : all.samplers) {
    MASE_RETURN_IF_ERROR(RegisterSampler(sampler));
  }
  committed->insert(plugin);
  return absl::OkStatus();
}

}  // namespace mase
