// A net as C: two files without dependencies, for compilers that know nothing of this project.
//
//   MASE_ASSIGN_OR_RETURN(const CProgram program, ExportC(*checkpoint.graph, "jsc"));
//   program.header;   // jsc.h
//   program.source;   // jsc.c
//   program.test;     // jsc_test.c: rows, and what this project's integer run made of them
//
// The code is C99 without libraries: constant tables, no allocation, nothing static that is
// written. It computes what integer execution does (docs/integer.md), to the bit: sums of products
// of codes in int32, requantization by shifts. Floats are where the net has them: where rows come
// in and results go out, and in batch norms without a record. Whatever follows the last of those is
// also a function of its own, of codes, in which there is no float.
#ifndef MASE_EXPORT_C_EXPORT_C_H_
#define MASE_EXPORT_C_EXPORT_C_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/graph/graph.h"

namespace mase {

struct CProgram {
  std::string header, source, test;
  int64_t inputs = 0, outputs = 0;  // Numbers of a row.
  int64_t constant_bytes = 0;       // Of tables of weights, biases and norms.
  int64_t stack_bytes = 0;          // Of buffers between layers.
  bool on_codes = false;            // Whether there is the function of codes.
};

// The nets that are written: of one input and one result, of linear layers on vectors, conv1d,
// conv2d (any stride, padding, dilation, groups), relu, max and average pools, add, sub and mul of
// equal shapes, batch_norm1d, batch_norm2d, and what only renames. Every linear layer and
// convolution has a record whose formats are whole numbers of a step that is a power of two, at
// most 16 bits wide, its bias too. `name` begins names of functions and files.
//
// InvalidArgument: a name that is none of C's, a word of C or C++, or one that the code uses
// itself. Unimplemented: another net, with node and reason.
absl::StatusOr<CProgram> ExportC(const Graph& graph, absl::string_view name);

}  // namespace mase

#endif  // MASE_EXPORT_C_EXPORT_C_H_
