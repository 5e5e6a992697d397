// IncrementalNet: a net whose nodes take other number formats again and again, run on the same
// rows.
//
//   MASE_ASSIGN_OR_RETURN(auto net, IncrementalNet::Create(graph, features, nodes, options));
//   for (...) {
//     MASE_RETURN_IF_ERROR(net->Run(records));      // One record a node; null: float.
//     ... net->scores(), net->costs() ...
//   }
//
// The net is cut into segments that begin where such a node does. A segment with its records is
// compiled once, which rounds its weights, and kept with what it last computed: a run computes from
// the first segment on whose input or records are others, and what was seen before costs nothing
// but the arithmetic. Segments that were not used for long are forgotten, beyond a bound in bytes.
//
// What is computed is what Executor computes of the whole net with the same batches, bit for bit:
// steps that the executor would fuse with another result are never cut apart.
#ifndef MASE_SEARCH_INCREMENTAL_NET_H_
#define MASE_SEARCH_INCREMENTAL_NET_H_

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "mase/exec/executor.h"
#include "mase/graph/graph.h"
#include "mase/quantize/net_costs.h"
#include "mase/tensor/tensor.h"
#include "proto/metadata.pb.h"

namespace mase {

// A record with a number that tells it from others: those of one node and number are equal.
struct NumberedRecord {
  int number = 0;                        // 0: float.
  const Quantization* record = nullptr;  // Null: float. Outlives the net.
};

struct IncrementalOptions {
  int64_t batch_size = 128;
  int64_t max_bytes = int64_t{256} << 20;  // Of values and compiled segments.
  bool costs = true;                       // Whether costs() are wanted.
};

class IncrementalNet {
 public:
  // `features`, [rows, ...], are samples of the graph's one input; `nodes` names the nodes that
  // take formats. InvalidArgument: another number of inputs or outputs, an output that is not
  // [rows, classes]. Unimplemented, where the net cannot be cut so that costs add up: two nodes
  // share a tensor.
  static absl::StatusOr<std::unique_ptr<IncrementalNet>> Create(
      const Graph& graph, const Tensor& features, const std::vector<std::string>& nodes,
      const IncrementalOptions& options);

  // Runs the net with `records`, in the order of `nodes`. Errors of Executor, naming the node.
  absl::Status Run(absl::Span<const NumberedRecord> records);

  // Of the last run: [rows, classes], and what the net costs.
  absl::Span<const float> scores() const { return scores_; }
  int64_t classes() const { return classes_; }
  const NetCosts& costs() const { return costs_; }

  // For tests and reports.
  int64_t segments() const { return static_cast<int64_t>(segments_.size()); }
  int64_t compiled() const { return compiled_; }  // Segments compiled so far,
  int64_t computed() const { return computed_; }  // and run over all rows.
  int64_t kept_bytes() const { return kept_bytes_; }

 private:
  // A segment with records.
  struct Entry {
    size_t segment = 0;
    std::vector<int> key;  // The records' numbers.
    std::unique_ptr<Executor> executor;
    NetCosts costs;
    int64_t bytes = 0;
    // The state of the input that `values` were computed of, and of them. States are numbered as
    // they come.
    int64_t input_state = -1, state = -1;
    std::vector<float> values;  // [rows, ...]
  };
  using Entries = std::list<Entry>;  // Last used first.
  struct Segment {
    Graph graph;                // Without records.
    std::vector<size_t> nodes;  // Indices of those that take formats.
    std::vector<std::string> names;
    int64_t row_size = 0;  // Numbers of a row of its result.
    absl::flat_hash_map<std::vector<int>, Entries::iterator> entries;
  };

  IncrementalNet(Tensor features, const IncrementalOptions& options)
      : features_(std::move(features)), options_(options) {}

  absl::Status Cut(const Graph& graph, const std::vector<std::string>& nodes);
  absl::StatusOr<Entry*> FindOrCompile(size_t segment, absl::Span<const NumberedRecord> records);
  absl::Status Compute(const float* input, int64_t row_size, Entry& entry);
  void Forget();

  const Tensor features_;
  const IncrementalOptions options_;
  std::vector<Segment> segments_;
  Entries entries_;
  int64_t kept_bytes_ = 0;
  int64_t states_ = 0, compiled_ = 0, computed_ = 0, classes_ = 0;
  absl::Span<const float> scores_;
  NetCosts costs_;
};

}  // namespace mase

#endif  // MASE_SEARCH_INCREMENTAL_NET_H_
