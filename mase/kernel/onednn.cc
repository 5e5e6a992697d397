#include "mase/kernel/onednn.h"

#include <omp.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace mase {

const dnnl::engine& OneDnnEngine() {
  static const dnnl::engine& engine = *new dnnl::engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

OneThread::OneThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
OneThread::~OneThread() { omp_set_num_threads(before_); }

int64_t FloatsOf(const dnnl::memory::desc& desc) {
  return static_cast<int64_t>((desc.get_size() + sizeof(float) - 1) / sizeof(float));
}

OneDnnCall::OneDnnCall(const dnnl::primitive& primitive,
                       const std::vector<std::pair<int, dnnl::memory::desc>>& arguments)
    : primitive_(primitive), stream_(OneDnnEngine()) {
  for (const auto& [argument, desc] : arguments) {
    memories_.emplace_back(desc, OneDnnEngine(), nullptr);
    arguments_.push_back({argument, memories_.back().get()});
  }
}

OneDnnCall OneDnnCall::Reorder(const dnnl::memory::desc& from, const dnnl::memory::desc& to) {
  const dnnl::reorder::primitive_desc desc(OneDnnEngine(), from, OneDnnEngine(), to);
  return OneDnnCall(dnnl::reorder(desc), {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}});
}

void OneDnnCall::Run(absl::Span<const void* const> pointers) {
  size_t i = 0;
  for (const void* pointer : pointers) {
    if (i == memories_.size()) break;
    memories_[i++].set_data_handle(const_cast<void*>(pointer));
  }
  dnnl::error::wrap_c_api(
      dnnl_primitive_execute(primitive_.get(), stream_.get(), static_cast<int>(arguments_.size()),
                             arguments_.data()),
      "execution failed");
}

absl::string_view OneDnnFloatIsa() {
  using Isa = dnnl::cpu_isa;
  // Each has the bits of those that it contains.
  const auto has = [present = static_cast<unsigned>(dnnl::get_effective_cpu_isa())](Isa isa) {
    return (present & static_cast<unsigned>(isa)) == static_cast<unsigned>(isa);
  };
  if (has(Isa::avx512_core)) return "avx512_core";
  if (has(Isa::avx2)) return "avx2";
  return has(Isa::avx) ? "avx" : "sse41";
}

absl::string_view OneDnnIsa(absl::string_view implementation) {
  const absl::string_view isa = implementation.substr(implementation.find(':') + 1);
  const bool is_isa = absl::StartsWith(isa, "avx") || absl::StartsWith(isa, "sse");
  return is_isa ? isa : OneDnnFloatIsa();
}

absl::Status FromOneDnn(const dnnl::error& error) { return OneDnnFailed(error.status); }

absl::Status OneDnnFailed(int status) {
  switch (status) {
    case dnnl_out_of_memory:
      return absl::ResourceExhaustedError(
          "no memory is left to compute it in; fewer rows at a time need less (--batch_size)");
    case dnnl_invalid_arguments:
    case dnnl_unimplemented:
      return absl::UnimplementedError(
          "its shape is none that oneDNN, which computes it, can work with");
    default:
      return absl::InternalError(
          absl::StrCat("oneDNN, which computes it, failed (its status ", status, ")"));
  }
}

}  // namespace mase
