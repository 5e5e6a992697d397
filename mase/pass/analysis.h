// Analyses: facts computed from a graph on demand and cached until it changes.
//
// An analysis is a class:
//
//   struct Liveness {
//     static constexpr char kName[] = "mase.liveness";   // Unique; third parties prefix theirs.
//     using Result = ...;
//     static absl::StatusOr<Result> Run(const Graph& graph, AnalysisManager& analyses);
//   };
//   MASE_ASSIGN_OR_RETURN(const Liveness::Result* live, context.analyses().Get<Liveness>());
//
// Results depend on what Graph::version() covers: structure, attributes, tensors
// and quantisation. Notes on nodes (metadata) change without notice.
#ifndef MASE_PASS_ANALYSIS_H_
#define MASE_PASS_ANALYSIS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "mase/base/status_macros.h"
#include "mase/graph/graph.h"

namespace mase {

// The results for one graph, which must outlive the manager. Not thread-safe.
class AnalysisManager {
 public:
  explicit AnalysisManager(const Graph& graph) : graph_(graph) {}

  // The result for the graph as it is now, computed if need be. It stays valid
  // until Get of the same analysis after a change of the graph. Errors are the
  // analysis's own; Internal if analyses ask for one another in a circle.
  template <typename A>
  absl::StatusOr<const typename A::Result*> Get() {
    const auto compute = [this]() -> absl::StatusOr<std::shared_ptr<const void>> {
      MASE_ASSIGN_OR_RETURN(typename A::Result result, A::Run(graph_, *this));
      return std::make_shared<const typename A::Result>(std::move(result));
    };
    MASE_ASSIGN_OR_RETURN(const void* result, GetErased(A::kName, compute));
    return static_cast<const typename A::Result*>(result);
  }

  // The graph changed, but what these analyses look at did not: their results for
  // version `before` hold for the present one. A result that was computed from
  // another analysis is kept only if that one is kept too.
  void Preserve(absl::Span<const std::string> names, int64_t before);

 private:
  struct Entry {
    std::shared_ptr<const void> result;
    int64_t version = 0;
    std::vector<std::string> used;  // Analyses that were asked while computing.
  };
  using Compute = std::function<absl::StatusOr<std::shared_ptr<const void>>()>;

  absl::StatusOr<const void*> GetErased(absl::string_view name, const Compute& compute);

  const Graph& graph_;
  // By text: the address of a static differs between this program and a plugin.
  absl::flat_hash_map<std::string, Entry> entries_;
  // What is being computed, the innermost last, each with what it asked for.
  std::vector<std::pair<std::string, std::vector<std::string>>> running_;
};

}  // namespace mase

#endif  // MASE_PASS_ANALYSIS_H_
