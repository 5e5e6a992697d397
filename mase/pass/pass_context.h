// PassContext: everything around the graph that a running pass may use, and where
// it says what it did.
#ifndef MASE_PASS_PASS_CONTEXT_H_
#define MASE_PASS_PASS_CONTEXT_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "google/protobuf/any.pb.h"
#include "google/protobuf/struct.pb.h"
#include "mase/base/table.h"
#include "mase/graph/graph.h"
#include "mase/pass/pass_host.h"

namespace mase {

// What a pass decided about one node.
struct Decision {
  std::string node;
  std::string op;
  std::string decision;  // One word or two, the same for all nodes of a kind: "quantized".
  std::string reason;    // "no rule for relu".
  std::string option;    // The key of the pass's options that decided: "linear". Often none.
};

// What a pass said while it ran; ends up in the run's report.
struct PassRecord {
  std::map<std::string, double> counts;
  std::vector<Decision> decisions;
  google::protobuf::Struct result;
  std::vector<std::string> warnings;
  std::vector<Table> tables;
};

// Lives as long as one Run of one pass. All it refers to outlives it.
class PassContext {
 public:
  // `folder` is that of the run directory for the files of AddTable.
  PassContext(const Graph& original, PassHost& host, std::string folder)
      : original_(original), host_(host), folder_(std::move(folder)) {}

  // ---- Saying what was done ----

  // Adds to a counter: Count("nodes_removed", 2).
  void Count(absl::string_view counter, double amount = 1);

  // Records what was decided about a node, and why. `option` is the key of the pass's options that
  // decided, as one writes it below [passes.NAME], so that users can be told which line of which
  // file that was.
  void Note(const Node& node, absl::string_view decision, absl::string_view reason,
            absl::string_view option = "");

  // Something the user should know though the pass goes on.
  void Warn(absl::string_view warning);

  // What an analysis found, for the report (JSON).
  google::protobuf::Struct& result() { return record_.result; }

  // Shows a table to the user, now; writes it as FOLDER/NAME.csv, FOLDER being the label of the
  // pass in the settings, or else its name; keeps it typed in the report (PassReport.tables). For
  // all that an analysis finds of each node, tensor or format; totals go to result().
  //
  //   Table table("costs", "Costs of each node", {{"node"}, {"MACs"}, {"share", "%", 1}});
  //   for (...) table.AddRow({node.name(), macs, 100.0 * macs / all});
  //   MASE_RETURN_IF_ERROR(context.AddTable(std::move(table)));
  //
  // InvalidArgument if its name is no word of letters, digits, '_' and '-', or is another table's
  // of this pass.
  absl::Status AddTable(Table table);

  // Shows how far the pass is, where it takes long: `done` of `total` units ("net"). Cancelled
  // where the user wants the run to end, which the pass hands on.
  absl::Status Progress(int64_t done, int64_t total, absl::string_view unit) {
    return host_.Progress(done, total, unit);
  }

  // Shows text to the user, now. A missing newline at the end is added.
  void Print(absl::string_view text);

  // Hands over a file of results. `path` is relative to the run directory, with
  // '/' between folders, which are made: "quantize/quantize_table.csv".
  // InvalidArgument if it is absolute, empty or leaves the directory, has control characters, or is
  // a file of the run itself (settings.textproto, summary.json).
  absl::Status WriteArtifact(absl::string_view path, absl::string_view contents);
  // The same for a net, as a checkpoint: "saved_graph/graph.safetensors".
  absl::Status WriteGraph(absl::string_view path, const Graph& graph);

  // ---- Asking ----

  // The graph as it was before the pipeline's first pass.
  const Graph& original() const { return original_; }
  absl::StatusOr<std::map<std::string, Tensor>> DummyBatch() { return host_.DummyBatch(); }
  absl::StatusOr<SampleRows> Samples(int64_t rows, absl::string_view split = "") {
    return host_.Samples(rows, split);
  }
  absl::StatusOr<Evaluation> Evaluate(const Graph& graph) { return host_.Evaluate(graph); }
  // What the net computes of rows: the first result of each of these nodes, float32 by name.
  //
  //   MASE_ASSIGN_OR_RETURN(const SampleRows rows, context.Samples(256, "validation"));
  //   MASE_ASSIGN_OR_RETURN(const auto values, context.RunNet(graph, rows.inputs, {"fc1"}));
  //   const Tensor& activation = values.at("fc1");
  absl::StatusOr<std::map<std::string, Tensor>> RunNet(const Graph& graph,
                                                       const std::map<std::string, Tensor>& inputs,
                                                       absl::Span<const std::string> nodes = {}) {
    return host_.RunNet(graph, inputs, nodes);
  }
  uint64_t seed() const { return host_.seed(); }

  // Runs another pass on `graph` as a part of this one, after those that it needs; what it counts,
  // notes, warns of and writes is this pass's. `options` is that pass's message; without one its
  // defaults hold. Errors of PassHost::LookUpPass and CreatePass, and the pass's own with its name
  // in front; FailedPrecondition where passes call each other endlessly.
  //
  //   MASE_RETURN_IF_ERROR(context.RunPass("remove_identity", graph).status());
  absl::StatusOr<bool> RunPass(absl::string_view name, Graph& graph,
                               const google::protobuf::Any& options = {});
  // A file that an option names, by a field with the annotation `path`.
  absl::StatusOr<Graph> ReadGraph(absl::string_view path) { return host_.ReadGraph(path); }
  absl::StatusOr<std::string> ReadText(absl::string_view path) { return host_.ReadText(path); }

  const PassRecord& record() const { return record_; }

  // ---- For a pass that does its work elsewhere (mase/plugin/isolated_plugin.h) ----

  PassHost& host() { return host_; }
  const std::string& folder() const { return folder_; }
  // What was said there, of which all has been shown and written that is to be.
  void Take(PassRecord record) { record_ = std::move(record); }

 private:
  const Graph& original_;
  PassHost& host_;
  const std::string folder_;
  PassRecord record_;
  int depth_ = 0;  // Of passes in passes that run now.
};

}  // namespace mase

#endif  // MASE_PASS_PASS_CONTEXT_H_
