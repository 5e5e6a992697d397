// What a net costs, as sums over its nodes: figures of runs and of trials of a search.
#ifndef MASE_QUANTIZE_NET_COSTS_H_
#define MASE_QUANTIZE_NET_COSTS_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "mase/graph/graph.h"

namespace mase {

// All are sums, so that those of the parts of a net add up to those of the net, where no tensor
// belongs to two parts.
struct NetCosts {
  int64_t parameters = 0;  // Trained elements.
  // Bytes of weights and biases, each tensor packed in the bits of its format (32 where it stays
  // float), its last byte filled up.
  int64_t packed_bytes = 0;
  int64_t macs = 0;    // Of one row, as bitops and ebops.
  int64_t bitops = 0;  // mase/quantize/cost.h: forward_bitops.
  // HGQ's effective operations on bits; what stays float counts as bitops.
  int64_t ebops = 0;
  // MASE's average_bitwidth is the quotient of these: sums over linear layers with a record of
  // in * out and of in * out * (width of the weight).
  int64_t linear_weights = 0;
  double linear_weight_bits = 0;

  NetCosts& operator+=(const NetCosts& other);
  // MASE's 32 where no linear layer has a record.
  double average_bitwidth() const;
};

// Errors of CostsOf and TensorCostsOf.
absl::StatusOr<NetCosts> NetCostsOf(const Graph& graph);

}  // namespace mase

#endif  // MASE_QUANTIZE_NET_COSTS_H_
