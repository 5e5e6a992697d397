// What the program that runs passes offers them. A pass never opens files, data
// sets or flags; it asks its context, and the context asks the host.
#ifndef MASE_PASS_PASS_HOST_H_
#define MASE_PASS_PASS_HOST_H_

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "mase/base/table.h"
#include "mase/graph/graph.h"
#include "mase/metric/evaluation.h"
#include "mase/tensor/tensor.h"

namespace mase {

struct PassInfo;  // pass_registry.h

// Rows of the run's data for a pass to look at.
struct SampleRows {
  std::map<std::string, Tensor> inputs;  // By placeholder name; row i of all is one sample.
  Tensor labels;                         // int64 [rows]; [0] where nobody knows them.
  std::string caption;                   // What they are: "256 of 1,000 real rows, test split".
};

// All calls come from one thread. The defaults are those of a program without
// data that shows nothing.
class PassHost {
 public:
  virtual ~PassHost();

  // One batch of the run's data, as a tensor for each placeholder name. Fails with
  // Unimplemented where there is no data.
  virtual absl::StatusOr<std::map<std::string, Tensor>> DummyBatch();

  // At most `rows` (>= 1) samples, the same at each call, spread evenly over a split: "train",
  // "validation" or "test". Without a name over the training split, or where there is none to train
  // on over the one that is evaluated; the rows that a net is judged by are for those who ask for
  // them. NotFound, naming the splits that there are; Unimplemented without data.
  virtual absl::StatusOr<SampleRows> Samples(int64_t rows, absl::string_view split);

  // Shows how far a long pass is: `done` of `total` units ("net"). Cancelled where the user wants
  // the run to end.
  virtual absl::Status Progress(int64_t done, int64_t total, absl::string_view unit);

  // Loss and accuracy of a graph on the run's data. Unimplemented where there is
  // none; else errors name the node that cannot be computed.
  virtual absl::StatusOr<Evaluation> Evaluate(const Graph& graph);

  // What the net computes of `inputs`, [rows, ...] by placeholder: the first result of each of
  // these nodes, float32 by node name; of no nodes, that of the nodes whose results are the net's.
  // In inference; rounded where nodes have formats. InvalidArgument for inputs that do not fit;
  // NotFound for a node that the graph has not, with the nearest name; Unimplemented in programs
  // that run no nets; else errors name the node that cannot be computed.
  virtual absl::StatusOr<std::map<std::string, Tensor>> RunNet(
      const Graph& graph, const std::map<std::string, Tensor>& inputs,
      absl::Span<const std::string> nodes);

  // Of the run's random numbers, for passes that draw their own: equal seeds, equal bytes. 0 in
  // programs without one.
  virtual uint64_t seed() const;

  // A pass by name or alias. NotFound with the nearest name; Unimplemented where passes are not
  // reached by name. Lives as long as the program.
  virtual absl::StatusOr<const PassInfo*> LookUpPass(absl::string_view name);

  // Shows text to the user. `text` ends with a newline.
  virtual void Print(absl::string_view text);

  // Shows a table to the user in the room there is. `whole` is the file that has all of it,
  // relative to the run directory.
  virtual void Show(const Table& table, absl::string_view whole);

  // Keeps a file with the run's results. `path` is relative to the run directory
  // ("quantize/quantize_table.csv") and has been checked not to leave it.
  virtual absl::Status WriteArtifact(absl::string_view path, absl::string_view contents);

  // The same for a net, as a checkpoint that every program of this tool loads.
  virtual absl::Status WriteGraph(absl::string_view path, const Graph& graph);

  // The net of a checkpoint, or the best one of a run's directory. NotFound, or DataLoss for a
  // damaged file; InvalidArgument for a file without a graph. Unimplemented where there are no
  // files.
  virtual absl::StatusOr<Graph> ReadGraph(absl::string_view path);

  // A file that an option names. NotFound; ResourceExhausted beyond limits::kMaxConfigFileBytes.
  virtual absl::StatusOr<std::string> ReadText(absl::string_view path);
};

}  // namespace mase

#endif  // MASE_PASS_PASS_HOST_H_
