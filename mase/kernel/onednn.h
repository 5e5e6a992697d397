// What the users of oneDNN here share.
#ifndef MASE_KERNEL_ONEDNN_H_
#define MASE_KERNEL_ONEDNN_H_

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "oneapi/dnnl/dnnl.hpp"

namespace mase {

const dnnl::engine& OneDnnEngine();

// oneDNN plans a primitive for the number of threads that it sees when the primitive is made.
class OneThread {
 public:
  OneThread();
  ~OneThread();

 private:
  const int before_;
};

// The numbers of float that hold what `desc` describes.
int64_t FloatsOf(const dnnl::memory::desc& desc);

// A primitive with its arguments, made once; running it sets pointers and allocates nothing here.
class OneDnnCall {
 public:
  OneDnnCall(const dnnl::primitive& primitive,
             const std::vector<std::pair<int, dnnl::memory::desc>>& arguments);
  static OneDnnCall Reorder(const dnnl::memory::desc& from, const dnnl::memory::desc& to);

  // Pointers in the order of the arguments; those beyond are left out. Throws dnnl::error.
  void Run(absl::Span<const void* const> pointers);

 private:
  dnnl::primitive primitive_;
  dnnl::stream stream_;
  std::vector<dnnl::memory> memories_;
  std::vector<dnnl_exec_arg_t> arguments_;
};

// The instruction set of oneDNN's products of float32, as oneDNN writes it: "avx512_core".
absl::string_view OneDnnFloatIsa();
// The one that an implementation has in its name ("jit:avx2"), or the one above.
absl::string_view OneDnnIsa(absl::string_view implementation);

absl::Status FromOneDnn(const dnnl::error& error);
absl::Status OneDnnFailed(int status);

// Runs body(part, begin, end, slot) for each of `parts` parts of [0, n) on at most `slots` threads
// of the pool, where oneDNN may throw. Parts that run at the same time have different slots.
template <typename Body>
absl::Status RunParts(int64_t n, int64_t parts, int64_t slots, const Body& body) {
  std::atomic<int> failed = dnnl_success;
  const auto run = [&](int64_t part, int64_t slot) {
    try {
      body(part, n * part / parts, n * (part + 1) / parts, slot);
    } catch (const dnnl::error& error) {
      failed = error.status;
    }
  };
  const int threads = static_cast<int>(std::min<int64_t>(slots, omp_get_max_threads()));
  if (threads == 1) {
    for (int64_t part = 0; part < parts; ++part) run(part, 0);
  } else {
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t part = 0; part < parts; ++part) run(part, omp_get_thread_num());
  }
  return failed == dnnl_success ? absl::OkStatus() : OneDnnFailed(failed);
}

}  // namespace mase

#endif  // MASE_KERNEL_ONEDNN_H_
