// Runs passes in a test as a program would: by name, through a pipeline.
//
//   Graph graph = ParseGraph(kChain);
//   PassRun run = RunPass("remove_identity", R"pb(keep_name: "probe")pb", graph);
//   EXPECT_TRUE(run.changed()) << run.status;
//   EXPECT_EQ(run.count("nodes_removed"), 1);
//
// Passes come from the plugin libraries (NAME_lib) that the test links.
#ifndef MASE_TESTING_PASS_RUNNER_H_
#define MASE_TESTING_PASS_RUNNER_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "mase/graph/graph.h"
#include "mase/pass/pass_host.h"
#include "mase/pass/pass_registry.h"
#include "proto/config.pb.h"
#include "proto/report.pb.h"

namespace mase {

// A host that keeps what it is given. Its batch, samples and evaluation are what the test
// puts there; without, they are Unimplemented.
class TestHost : public PassHost {
 public:
  absl::StatusOr<std::map<std::string, Tensor>> DummyBatch() override;
  absl::StatusOr<SampleRows> Samples(int64_t rows, absl::string_view split) override;
  absl::Status Progress(int64_t done, int64_t total, absl::string_view unit) override;
  absl::StatusOr<Evaluation> Evaluate(const Graph& graph) override;
  absl::StatusOr<std::map<std::string, Tensor>> RunNet(
      const Graph& graph, const std::map<std::string, Tensor>& inputs,
      absl::Span<const std::string> nodes) override;
  uint64_t seed() const override { return 7; }
  absl::StatusOr<const PassInfo*> LookUpPass(absl::string_view name) override;
  void Print(absl::string_view text) override;
  void Show(const Table& table, absl::string_view whole) override;  // As Print of its Text().
  absl::Status WriteArtifact(absl::string_view path, absl::string_view contents) override;
  absl::Status WriteGraph(absl::string_view path, const Graph& graph) override;
  absl::StatusOr<Graph> ReadGraph(absl::string_view path) override;       // One of `graphs`.
  absl::StatusOr<std::string> ReadText(absl::string_view path) override;  // One of `artifacts`.

  std::map<std::string, Tensor> batch;
  std::map<std::string, Tensor> samples;  // By placeholder.
  Tensor labels;                          // Of the samples.
  std::string split;                      // That samples were asked for last.
  std::vector<int64_t> progress;          // Every `done`.
  size_t interrupt_at = 0;                // The call of Progress that is Cancelled, from 1.
  absl::StatusOr<Evaluation> evaluation = absl::UnimplementedError("no data in this test");
  PassSource* passes = nullptr;  // Of LookUpPass; null: the linked plugins.
  std::string printed;
  std::map<std::string, std::string> artifacts;
  std::map<std::string, Graph> graphs;
};

// How a run went. The accessors look at the last pass of that run which is not a
// follow-up of another.
struct PassRun {
  absl::Status status;
  RunReport report;
  std::string printed;
  std::map<std::string, std::string> artifacts;
  std::string pass;

  const PassReport& pass_report() const;
  bool changed() const { return status.ok() && pass_report().changed(); }
  double count(const std::string& counter) const;
  // A number of the result: "total.forward". -1 if there is none.
  double result(absl::string_view path) const;
  // A table of the pass as CSV; "" if there is none.
  std::string table(absl::string_view name) const;
  // "quantized: integer 8/4": decision and reason of a node; "" if there is none.
  std::string decision(absl::string_view node) const;
};

// One pass of a pipeline; `options` is text of its options message.
PassConfig MakePass(absl::string_view name, absl::string_view options = "");

// A run of one pass, or several, over `graph`. Bad options text ends the test
// program; all other errors are in `status`.
PassRun RunPass(absl::string_view name, absl::string_view options, Graph& graph);
PassRun RunPasses(const std::vector<PassConfig>& passes, Graph& graph, TestHost& host);
PassRun RunPasses(const std::vector<PassConfig>& passes, Graph& graph);

}  // namespace mase

#endif  // MASE_TESTING_PASS_RUNNER_H_
