// Pass: one step over a graph, an analysis or a transform.
//
//   class RemoveIdentityPass final : public Pass {
//    public:
//     using Options = RemoveIdentityOptions;  // A protobuf message; its comments are the manual.
//     static absl::StatusOr<std::unique_ptr<Pass>> Create(const Options& options);
//     absl::StatusOr<PassResult> Run(Graph& graph, PassContext& context) const override;
//   };
//
// Create gets options whose fields have their defaults and lie in the ranges that
// their annotations give (proto/options.proto), and checks what annotations cannot
// say. A pipeline creates all its passes before
// the first one runs, so a bad option leaves the graph untouched. A pass without
// options has `using Options = google::protobuf::Empty`.
//
// A pass is made once and run on any number of graphs, also at the same time, so
// Run is const and keeps nothing. It checks, then changes, then says what it did. Its error
// messages name node and values; the pipeline puts the pass's name in front. After an error the
// graph may be half done and is thrown away.
//
// A pass is reached by its registered name (pass_registry.h), never by its C++
// name. docs/write_a_pass.md walks through a whole one.
#ifndef MASE_PASS_PASS_H_
#define MASE_PASS_PASS_H_

#include <memory>

#include "absl/status/statusor.h"
#include "mase/graph/graph.h"
#include "mase/pass/pass_context.h"

namespace mase {

// Whether Run changed the graph: structure, attributes, elements of tensors or
// quantization records (mase/graph/graph_hash.h). Notes on nodes are no change. The
// pipeline compares, and reports a pass that says otherwise as a bug.
class PassResult {
 public:
  static PassResult Changed() { return PassResult(true); }
  static PassResult Unchanged() { return PassResult(false); }

  bool changed() const { return changed_; }

 private:
  explicit PassResult(bool changed) : changed_(changed) {}

  bool changed_;
};

class Pass {
 public:
  virtual ~Pass();
  virtual absl::StatusOr<PassResult> Run(Graph& graph, PassContext& context) const = 0;
};

}  // namespace mase

#endif  // MASE_PASS_PASS_H_
