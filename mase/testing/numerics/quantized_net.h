// Records of number formats for nets of tests, and nets drawn at random that have them.
//
//   SetRecord(graph, "linear", {{"data_in", "integer { width: 8 frac_width: 4 }"}});
#ifndef MASE_TESTING_NUMERICS_QUANTIZED_NET_H_
#define MASE_TESTING_NUMERICS_QUANTIZED_NET_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "mase/graph/graph.h"
#include "proto/format.pb.h"

namespace mase {

// A format as text proto. Ends the program where it is none.
FormatProto ParseFormat(const std::string& text);

// Operands of a node, and their formats as text proto.
using Formats = std::vector<std::pair<std::string, std::string>>;

void SetRecord(Graph& graph, Node* node, const Formats& operands);
void SetRecord(Graph& graph, absl::string_view node, const Formats& operands);

struct RandomNet {
  Graph graph;
  int64_t rows;
  std::vector<float> input;
  std::string text;  // What it is, for messages.
};

// A net of one to four blocks "layer, norm?, relu?, pool?" of linear layers or convolutions, with
// residual sums, most of whose nodes have records whose steps are powers of two. The same one for
// the same seed.
RandomNet MakeRandomNet(uint64_t seed);

}  // namespace mase

#endif  // MASE_TESTING_NUMERICS_QUANTIZED_NET_H_
