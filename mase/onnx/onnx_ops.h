// The table of ONNX ops that can be read. Only the files of this room include this.
//
// A rule makes nodes of the graph. Where all inputs of a node are known, what it makes is run at
// once in a graph of its own, so that constants are folded by the very ops that would compute them;
// `fold` is for what those cannot: whole numbers that are computed with, shapes.
#ifndef MASE_ONNX_ONNX_OPS_H_
#define MASE_ONNX_ONNX_OPS_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/onnx/importer.h"

namespace mase {

struct OnnxOp {
  absl::string_view name;
  // What becomes of it: "linear", for docs/reference/onnx.md; and what of it cannot be read.
  absl::string_view becomes;
  absl::string_view limits = "";
  // Makes the node's results.
  absl::Status (*import)(OnnxNode& node) = nullptr;
  // Computes the node's results if they are known; false where it leaves that to `import`.
  absl::StatusOr<bool> (*fold)(OnnxNode& node) = nullptr;
  // How many of its first inputs its results are elements of: it folds whole numbers, too.
  int moves = 0;
  // Rounding before it and behind it is the same: a mark of DequantizeLinear goes through.
  // Codes go through it, too, as through what moves elements.
  bool keeps_rounding = false;
  absl::string_view domain = "";
  // It knows codes itself: QuantizeLinear and its kin.
  bool reads_codes = false;
};

std::vector<OnnxOp> OnnxElementOps();    // Relu, Add, Clip, ...
std::vector<OnnxOp> OnnxLayerOps();      // Gemm, MatMul, Conv, norms
std::vector<OnnxOp> OnnxPoolOps();       // MaxPool, ReduceMean, ...
std::vector<OnnxOp> OnnxShapeOps();      // Reshape, Transpose, Pad, ...
std::vector<OnnxOp> OnnxSelectOps();     // Concat, Slice, Gather, ...
std::vector<OnnxOp> OnnxConstantOps();   // Constant, Shape, Range, ...
std::vector<OnnxOp> OnnxTruthOps();      // Equal, Less, And, Not, ...
std::vector<OnnxOp> OnnxQuantizedOps();  // QuantizeLinear, QLinearConv, ...

// An ONNX op that our table has under another name, with the same inputs and no attributes.
template <const absl::string_view& kOp>
absl::Status Same(OnnxNode& node) {
  return node.Become(kOp);
}

// What Cast makes of numbers that rows compute: 1 where one is another than 0, else 0.
absl::Status ImportTruth(OnnxNode& node);

// Computes with whole numbers: Add, Sub, Mul, Div, Pow, Neg, Max, Min; chooses among them.
absl::StatusOr<bool> FoldArithmetic(OnnxNode& node);
absl::StatusOr<bool> FoldWhere(OnnxNode& node);

// ResourceExhausted if a constant of that shape has more elements than are computed while a file is
// read: 2^24.
absl::Status CheckCount(const Shape& shape);

// Where element i of the broadcast shape is in a tensor of shape `own`.
int64_t BroadcastIndex(int64_t i, const Shape& shape, const Shape& own);

// `combine` of the broadcast pairs of whole numbers, with the type of `a`. InvalidArgument if the
// shapes do not broadcast; errors of CheckCount and of `combine`.
absl::StatusOr<KnownInts> Combine(
    const KnownInts& a, const KnownInts& b,
    const std::function<absl::StatusOr<Extent>(const Extent&, const Extent&)>& combine);

// Makes known whole numbers the node's first result.
absl::Status SetInts(OnnxNode& node, KnownInts ints);

// An op whose results are elements of its first input.
OnnxOp Mover(absl::string_view name, absl::string_view becomes,
             absl::Status (*import)(OnnxNode& node), absl::string_view limits = "");

// The first input with its extents.
absl::StatusOr<std::vector<Extent>> ExtentsOfInput(OnnxNode& node, Value** x);
// An attribute of earlier opsets that became an input.
absl::StatusOr<std::vector<int64_t>> IntsOf(OnnxNode& node, absl::string_view attribute, int input);

// x repeated along axes of extent 1, to these extents; new axes are in front.
absl::StatusOr<Value*> Expanded(OnnxNode& node, Value* x, const std::vector<Extent>& extents);

// The windows of a convolution or a pooling along its spatial axes, with auto_pad worked out.
struct Windows {
  std::vector<int64_t> kernel, stride, dilation, before, after;  // By axis.
  bool same_on_both_sides() const { return before == after; }
};
// Of an input with these extents, of which the first two are batch and channels.
absl::StatusOr<Windows> WindowsOf(const OnnxNode& node, const std::vector<Extent>& extents,
                                  std::vector<int64_t> kernel);
// x with what the windows ask for around it.
absl::StatusOr<Value*> Padded(OnnxNode& node, Value* x, const std::vector<int64_t>& before,
                              const std::vector<int64_t>& after, double value);

// The two axes of a matrix exchanged.
Tensor Transposed(const Tensor& matrix);

// Convolutions, products and norms of which the weights are given: what Gemm, Conv and their
// quantized kin have in common. `initializer` is the weight's name in the file, or "".
absl::StatusOr<Value*> AddLinear(OnnxNode& node, Value* x, Tensor weight,
                                 std::optional<Tensor> bias, const std::string& initializer);
absl::StatusOr<Value*> AddConv(OnnxNode& node, Value* x, Tensor weight, std::optional<Tensor> bias,
                               const std::string& initializer);

// All of them, by name; and one, or null.
const std::vector<OnnxOp>& AllOnnxOps();
const OnnxOp* FindOnnxOp(absl::string_view domain, absl::string_view name);

}  // namespace mase

#endif  // MASE_ONNX_ONNX_OPS_H_
