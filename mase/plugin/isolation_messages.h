// What goes between a host and the process of a plugin (isolation.proto), as values and back. All
// functions that read take bytes of a plugin's: they refuse what makes no sense.
#ifndef MASE_PLUGIN_ISOLATION_MESSAGES_H_
#define MASE_PLUGIN_ISOLATION_MESSAGES_H_

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "google/protobuf/repeated_field.h"
#include "mase/base/table.h"
#include "mase/graph/graph.h"
#include "mase/pass/pass_context.h"
#include "mase/plugin/isolation.pb.h"

namespace mase {

StatusText TextOf(const absl::Status& status);
// A code that there is not becomes Internal.
absl::Status StatusOf(const StatusText& text);

// `graph`, without the elements of tensors that lie in the same memory as in `other`.
SharedGraph ShareWith(const Graph& graph, const Graph& other);
// The reverse. Errors of GraphFromProto; InvalidArgument where `other` has no such tensor.
absl::StatusOr<Graph> GraphOf(const SharedGraph& shared, const Graph& other);

TableText TextOf(const Table& table);
// InvalidArgument if rows have not as many cells as there are columns.
absl::StatusOr<Table> TableOf(const TableText& text);

// What a pass said; the tables' names were checked when they were shown.
void WriteRecord(const PassRecord& record, RunReply& reply);
absl::StatusOr<PassRecord> RecordOf(const RunReply& reply);

// Tensors by name; and back.
using TensorProtos = google::protobuf::RepeatedPtrField<TensorProto>;
TensorProtos ProtosOf(const std::map<std::string, Tensor>& tensors);
absl::StatusOr<std::map<std::string, Tensor>> TensorsOf(const TensorProtos& protos);

}  // namespace mase

#endif  // MASE_PLUGIN_ISOLATION_MESSAGES_H_
