// The differences of two nets as tables, for the pass diff_graphs and for `ch diff`.
#ifndef MASE_QUANTIZE_DIFF_TABLE_H_
#define MASE_QUANTIZE_DIFF_TABLE_H_

#include "mase/base/table.h"
#include "mase/graph/graph_diff.h"

namespace mase {

// "nodes": of every node its name, MASE's classification, its type before and after
// ("Linear", "LinearInteger"), whether it changed, its formats before and after, and what else of
// it differs.
Table NodeDiffTable(const GraphDiff& diff);

// "tensors": those that differ, and how.
Table TensorDiffTable(const GraphDiff& diff);

// "3 of 6 nodes changed, 2 tensors differ"; "the nets are the same".
std::string DiffSentence(const GraphDiff& diff);

}  // namespace mase

#endif  // MASE_QUANTIZE_DIFF_TABLE_H_
