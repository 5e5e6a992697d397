// Kernel: the arithmetic of one op for fixed shapes and element types, forward and backward.
//
//   KernelSpec spec = {.op = "relu", .attributes = &none, .srcs = {{{8, 16}}}, .dst = {{8, 16}}};
//   MASE_ASSIGN_OR_RETURN(std::unique_ptr<Kernel> kernel, CreateKernel(spec));
//   const void* srcs[] = {x};
//   MASE_RETURN_IF_ERROR(kernel->Forward({.srcs = srcs, .dst = y}));
//
// A kernel is made for a KernelSpec (op, attributes, shapes, layouts, element types) through the
// table of kernels: one entry for an op and the element type of its result, in the file that
// implements it. A new op is one entry; the same op in another element type is one more. Memory
// crosses the interface as bytes: every kernel knows what it made of them, and nothing between
// kernels needs to.
//
// A kernel owns no tensors: the executor hands it pointers, all 64-byte aligned except graph
// inputs. Kernels for float32 may use oneDNN; those for float64 are plain loops, for checking.
//
// Gradients are overwritten, never added to; the executor adds where a value has several readers.
#ifndef MASE_KERNEL_KERNEL_H_
#define MASE_KERNEL_KERNEL_H_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "mase/base/isa.h"
#include "mase/base/mix64.h"
#include "mase/graph/attribute.h"
#include "mase/kernel/codes.h"
#include "mase/tensor/shape.h"

namespace mase {

// The order of elements in memory. Shapes are always the logical ones.
enum class Layout : uint8_t {
  kPlain,    // Dense row-major.
  kBlocked,  // [N, C/b, spatial..., b] with b = ChannelBlock(), of which C is a multiple: oneDNN's.
  kChannelsLast,  // [N, spatial..., C]: that of integer kernels.
};

// Channels of a block: 16 where the machine has AVX-512, else 8.
int64_t ChannelBlock();

// A tensor in memory, but for where it lies.
struct TensorDesc {
  Shape shape;
  Layout layout = Layout::kPlain;
  DType dtype = DType::kFloat32;
  std::optional<Codes> codes = {};  // What the elements stand for, where they are no numbers.
  int64_t elements() const { return shape.elements(); }
  int64_t bytes() const { return elements() * static_cast<int64_t>(ElementSize(dtype)); }
};

// The position of a name; -1 where it is missing.
inline int FindName(const std::vector<std::string>& names, absl::string_view name) {
  const auto found = std::find(names.begin(), names.end(), name);
  return found == names.end() ? -1 : static_cast<int>(found - names.begin());
}

// One more op that a fused kernel computes on the result of the one before it.
struct FusedOp {
  std::string op;
  Attributes attributes;
  uint64_t stream = 0;  // As KernelSpec::stream.
  // Its tensors are KernelSpec::tensors [first_tensor, first_tensor + tensors.size()).
  int first_tensor = 0;
  std::vector<std::string> tensors;
  std::optional<Codes> codes = {};  // Of "encode": what it rounds to.

  // The position of a tensor in KernelArgs::tensors; -1 where the module lacks it.
  int TensorIndex(absl::string_view name) const {
    const int index = FindName(tensors, name);
    return index < 0 ? -1 : first_tensor + index;
  }
};

// What a kernel is made for.
struct KernelSpec {
  absl::string_view op;
  absl::string_view kernel = {};  // In the table, where it is not `op`: a fused kernel's name.
  const Attributes* attributes = nullptr;
  bool training = false;
  // Operands of products are rounded to bfloat16, and added in float; only for float32.
  bool bfloat16 = false;
  std::vector<TensorDesc> srcs;      // As their producers leave them; at least the data inputs.
  TensorDesc dst;                    // The layout is the kernel's to choose.
  std::vector<std::string> tensors;  // Local names of the module's tensors: "weight", "bias", ...
  // Tells the node's random numbers from those of others; see StreamSeed.
  uint64_t stream = 0;
  // What a fused kernel computes behind `op`, in order.
  absl::Span<const FusedOp> fused;
  // Of a product: if not 0, operands are whole numbers of some unit, and no sum of products reaches
  // 2^sum_bits units. The result is then to be the exact sum, rounded once, so that the same net in
  // integers gives the same bits. Up to 24 float32 sums are exact in any order; beyond that kernels
  // add in double.
  int sum_bits = 0;
  WeightCodes weight;          // Of integer products with a stored weight.
  std::optional<Codes> codes;  // Of "encode": what it rounds to.

  // The position of a tensor of the first op in KernelArgs::tensors; -1 where it lacks it.
  int TensorIndex(absl::string_view name) const { return FindName(tensors, name); }
};

// The memory of one call. The accessors give it the element type that the kernel knows it has.
struct KernelArgs {
  const void* const* srcs = nullptr;
  // In the order of KernelSpec::tensors; only running statistics are written, and only by Forward.
  void* const* tensors = nullptr;
  void* dst = nullptr;
  void* prepared = nullptr;   // What Prepare wrote.
  void* workspace = nullptr;  // Kept from Forward to Backward.
  void* scratch = nullptr;    // For this call alone.
  uint64_t seed = 0;          // Of the run's random numbers; another one each step.

  template <typename T>
  const T* Src(int i) const {
    return static_cast<const T*>(srcs[i]);
  }
  template <typename T>
  T* Tensor(int i) const {
    return static_cast<T*>(tensors[i]);
  }
  template <typename T>
  T* Dst() const {
    return static_cast<T*>(dst);
  }
  template <typename T>
  T* Prepared() const {
    return static_cast<T*>(prepared);
  }
  template <typename T>
  T* Workspace() const {
    return static_cast<T*>(workspace);
  }
  template <typename T>
  T* Scratch() const {
    return static_cast<T*>(scratch);
  }
};

// Of srcs there are null entries if !reads_src(), dst is null if !reads_dst(); tensors, dst,
// prepared and workspace are only read.
struct BackwardArgs : KernelArgs {
  const void* diff_dst = nullptr;
  void* const* diff_srcs = nullptr;     // Null entries are not wanted.
  void* const* diff_tensors = nullptr;  // Null entries are not wanted or have no gradient.

  template <typename T>
  const T* DiffDst() const {
    return static_cast<const T*>(diff_dst);
  }
  template <typename T>
  T* DiffSrc(int i) const {
    return static_cast<T*>(diff_srcs[i]);
  }
  template <typename T>
  T* DiffTensor(int i) const {
    return static_cast<T*>(diff_tensors[i]);
  }
};

inline constexpr absl::string_view kOwnImplementation = "own";

// What a report of execution says of a kernel; texts are the kernel's.
struct KernelFacts {
  // kOwnImplementation, "oneDNN " and what that calls its own, or "plugin".
  absl::string_view implementation = kOwnImplementation;
  // Of the inner loop: "AVX-512 VNNI", or as oneDNN writes it, "avx512_core". Empty: not known.
  absl::string_view isa;
  // Of products of codes: the smallest accumulator that holds every sum; as what biases are added
  // (gemm.h of the integer kernels); the weight's type where it is not the one that it is given as.
  int sum_bits = 0;
  std::optional<DType> bias, weight;
};

// Forward of one row as a bare function, for callers to whom a virtual call and a status are long.
// `prepared` and `scratch` are those of KernelArgs, `src` and `dst` one row of the one input and of
// the result, on any boundary; nothing behind them is read or written. False where Forward would
// fail; `dst` is then unspecified, and Forward of the same row says why.
using RowFunction = bool (*)(const void* prepared, const void* src, void* dst, void* scratch);

class Kernel {
 public:
  Kernel() = default;
  virtual ~Kernel() = default;
  Kernel(const Kernel&) = delete;
  Kernel& operator=(const Kernel&) = delete;

  // Layouts that the kernel reads and writes; the executor converts where they differ. Gradients
  // have the layouts of their values.
  Layout src_layout(int i) const {
    return i < static_cast<int>(src_layouts_.size()) ? src_layouts_[i] : Layout::kPlain;
  }
  Layout dst_layout() const { return dst_layout_; }

  // Memory that the executor provides.
  int64_t prepared_bytes() const { return prepared_bytes_; }
  int64_t workspace_bytes() const { return workspace_bytes_; }
  int64_t scratch_bytes() const { return scratch_bytes_; }

  // Whether dst may be the memory of srcs[0].
  bool in_place() const { return in_place_; }
  // What Backward reads; the rest may be overwritten after Forward.
  bool has_backward() const { return has_backward_; }
  bool reads_src() const { return reads_src_; }
  bool reads_dst() const { return reads_dst_; }
  // Whether a training step turns back here, as it does at a loss: in training Backward is all that
  // is called. It does the work of Forward too, writes dst, and has no diff_dst.
  bool turns() const { return turns_; }

  // Derives what depends on tensors alone (transposed or reordered weights), whenever they change:
  // reads args.tensors, writes args.prepared.
  virtual absl::Status Prepare(const KernelArgs& /*args*/) { return absl::OkStatus(); }
  virtual absl::Status Forward(const KernelArgs& args) = 0;
  virtual absl::Status Backward(const BackwardArgs& /*args*/) {
    return absl::UnimplementedError("has no gradient");
  }

  // Of a kernel made for one row, where it has one; else null.
  virtual RowFunction row_function() const { return nullptr; }

  // For reports; what weights decide is there after Prepare.
  virtual KernelFacts facts() const {
    return {.isa = IsaName(best_isa_ ? CurrentIsa() : Isa::kBaseline)};
  }

 protected:
  std::vector<Layout> src_layouts_;  // Missing ones are plain.
  Layout dst_layout_ = Layout::kPlain;
  int64_t prepared_bytes_ = 0;
  int64_t workspace_bytes_ = 0;
  int64_t scratch_bytes_ = 0;
  bool in_place_ = false;
  bool has_backward_ = false;
  bool reads_src_ = false;
  bool reads_dst_ = false;
  bool turns_ = false;
  bool best_isa_ = false;  // Its loops are ForBestIsa's, or chosen as those are.
};

using KernelOr = absl::StatusOr<std::unique_ptr<Kernel>>;

// Makes the op's kernel. Unimplemented if the table has none for the element type of the result;
// InvalidArgument where the shapes are ones that the op cannot take in this mode (batch statistics
// of one value).
KernelOr CreateKernel(const KernelSpec& spec);

// Makes the kernel that converts a tensor to another layout.
std::unique_ptr<Kernel> MakeReorderKernel(const TensorDesc& src, Layout dst);

// Whether there is a kernel for the op with results of this element type.
bool HasKernel(absl::string_view op, DType dtype);

}  // namespace mase

#endif  // MASE_KERNEL_KERNEL_H_
