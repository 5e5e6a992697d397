// Kernel: the arithmetic of one op for fixed shapes, forward and backward.
//
// A kernel is made for a KernelSpec (op, attributes, shapes, layouts) through the table of kernels:
// one entry an op, in the file that implements it; a new op is one entry. It owns no tensors: the
// executor hands it pointers, all 64-byte aligned except graph inputs. Kernels for float may use
// oneDNN; those for double are plain loops, for checking.
//
// Gradients are overwritten, never added to; the executor adds where a value has several readers.
#ifndef MASE_KERNEL_KERNEL_H_
#define MASE_KERNEL_KERNEL_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "mase/graph/attribute.h"
#include "mase/tensor/shape.h"

namespace mase {

// The order of elements in memory. Shapes are always the logical ones.
enum class Layout : uint8_t {
  kPlain,    // Dense row-major.
  kBlocked,  // [N, C/b, spatial..., b] with b = ChannelBlock(), of which C is a multiple: oneDNN's.
};

// Channels of a block: 16 where the machine has AVX-512, else 8.
int64_t ChannelBlock();

struct TensorDesc {
  Shape shape;
  Layout layout = Layout::kPlain;
  int64_t elements() const { return shape.elements(); }
};

// What a kernel is made for.
struct KernelSpec {
  absl::string_view op;
  const Attributes* attributes;
  bool training = false;
  // Operands of products are rounded to bfloat16, and added in float; only for float.
  bool bfloat16 = false;
  std::vector<TensorDesc> srcs;  // As their producers leave them; at least the data inputs.
  Shape dst;
  std::vector<std::string> tensors;  // Local names of the module's tensors: "weight", "bias", ...

  // The position of a tensor in KernelArgs::tensors; -1 where the module lacks it.
  int TensorIndex(absl::string_view name) const;
};

template <typename T>
struct KernelArgs {
  const T* const* srcs = nullptr;
  T* const* tensors =
      nullptr;  // In the order of KernelSpec::tensors; only running statistics are written.
  T* dst = nullptr;
  T* prepared = nullptr;   // What Prepare wrote.
  T* workspace = nullptr;  // Kept from Forward to Backward.
  T* scratch = nullptr;    // For this call alone.
  uint64_t seed = 0;       // Of random masks; another one each step.
};

template <typename T>
struct BackwardArgs {
  const T* const* srcs = nullptr;  // Null entries if !reads_src().
  const T* const* tensors = nullptr;
  const T* dst = nullptr;  // Null if !reads_dst().
  const T* prepared = nullptr;
  const T* workspace = nullptr;
  T* scratch = nullptr;
  const T* diff_dst = nullptr;
  T* const* diff_srcs = nullptr;     // Null entries are not wanted.
  T* const* diff_tensors = nullptr;  // Null entries are not wanted or have no gradient.
};

template <typename T>
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

  // Numbers of T that the executor provides.
  int64_t prepared_elements() const { return prepared_elements_; }
  int64_t workspace_elements() const { return workspace_elements_; }
  int64_t scratch_elements() const { return scratch_elements_; }

  // Whether dst may be the memory of srcs[0].
  bool in_place() const { return in_place_; }
  // What Backward reads; the rest may be overwritten after Forward.
  bool has_backward() const { return has_backward_; }
  bool reads_src() const { return reads_src_; }
  bool reads_dst() const { return reads_dst_; }

  // Derives what depends on tensors alone (transposed or reordered weights), whenever they change.
  virtual absl::Status Prepare(T* const* /*tensors*/, T* /*prepared*/) { return absl::OkStatus(); }
  virtual absl::Status Forward(const KernelArgs<T>& args) = 0;
  virtual absl::Status Backward(const BackwardArgs<T>& /*args*/) {
    return absl::UnimplementedError("has no gradient");
  }

 protected:
  std::vector<Layout> src_layouts_;  // Missing ones are plain.
  Layout dst_layout_ = Layout::kPlain;
  int64_t prepared_elements_ = 0;
  int64_t workspace_elements_ = 0;
  int64_t scratch_elements_ = 0;
  bool in_place_ = false;
  bool has_backward_ = false;
  bool reads_src_ = false;
  bool reads_dst_ = false;
};

template <typename T>
using KernelOr = absl::StatusOr<std::unique_ptr<Kernel<T>>>;

// An entry of the table.
template <typename T>
struct KernelEntry {
  absl::string_view op;
  KernelOr<T> (*create)(const KernelSpec& spec);
};

// Makes the op's kernel. Unimplemented if the table has none; InvalidArgument where the shapes are
// ones that the op cannot take in this mode (batch statistics of one value).
template <typename T>
KernelOr<T> CreateKernel(const KernelSpec& spec);

// Makes the kernel that converts a tensor to another layout.
template <typename T>
std::unique_ptr<Kernel<T>> MakeReorderKernel(const TensorDesc& src, Layout dst);

template <typename T>
bool HasKernel(absl::string_view op);

// Whether the op's result is its first input's bytes under another shape: no kernel needed.
bool IsAliasOp(absl::string_view op, bool training);

}  // namespace mase

#endif  // MASE_KERNEL_KERNEL_H_
