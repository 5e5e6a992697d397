#include "mase/predict/predictor.h"

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <new>
#include <utility>

#include "absl/strings/str_cat.h"
#include "mase/base/isa_limit.h"
#include "mase/base/parallel.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/data/preprocess.h"
#include "mase/exec/failing_row.h"
#include "mase/graph/shape_inference.h"
#include "mase/interop/safetensors.h"
#include "mase/model/saved_net.h"

namespace mase {
namespace {

// Rows of a batch, as many sizes as an executor keeps programs. A call runs the largest that fit,
// one after the other.
constexpr int64_t kBatches[] = {1024, 256, 64, 16, 4, 1};

// Whole batches run side by side, each on one thread, where they are small: where the largest works
// in no more memory than this, which each of the threads then has. A batch of a small net is a few
// microseconds, so that waking the threads for each would take as long as it saves.
constexpr int64_t kBytesSideBySide = 4 << 20;
constexpr int64_t kMostThreads = 64;

std::atomic<uint64_t> last_id{0};

absl::Status CheckGraph(const Graph& graph) {
  const size_t ins = graph.placeholders().size(), outs = graph.output()->inputs().size();
  if (ins != 1 || outs != 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a predictor is of a net with one input and one result; this has ", ins, " and ", outs));
  }
  const DType type = graph.placeholders()[0]->outputs()[0]->dtype();
  if (type == DType::kFloat32) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("a predictor's rows are float32, the net's input is ", DTypeName(type)));
}

}  // namespace

// What a thread runs.
struct Predictor::Worker {
  std::unique_ptr<Executor> executor;
  RowCall<float> row;         // One row, where that is one step.
  std::vector<float> scaled;  // A batch after the recipe.
};

// The workers of one predictor. A thread that came once keeps its worker until the thread or the
// predictor ends, so that a call takes no lock.
class Predictor::Workers : public std::enable_shared_from_this<Predictor::Workers> {
 public:
  Workers(Graph graph, const ExecutorOptions& options)
      : graph_(std::move(graph)), options_(options) {}

  // The calling thread's worker if it used this predictor last; else null, and Get finds it.
  static Worker* Recent(const Predictor& predictor) {
    return recent_.predictor == predictor.id_ ? recent_.worker : nullptr;
  }
  static absl::StatusOr<Worker*> Get(const Predictor& predictor) {
    if (Worker* recent = Recent(predictor); recent != nullptr) return recent;
    return Find(predictor);
  }

  absl::StatusOr<Worker*> Take() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (!free_.empty()) {
        Worker* worker = free_.back();
        free_.pop_back();
        return worker;
      }
    }
    auto worker = std::make_unique<Worker>();
    MASE_ASSIGN_OR_RETURN(worker->executor, Executor::Create(graph_, options_));
    MASE_ASSIGN_OR_RETURN(worker->row, worker->executor->Row());
    const std::lock_guard<std::mutex> lock(mutex_);
    all_.push_back(std::move(worker));
    free_.reserve(all_.size());
    return all_.back().get();
  }

  void GiveBack(Worker* worker) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!all_.empty()) free_.push_back(worker);
  }

  // The predictor ends: nobody runs any more.
  void Close() {
    closed_ = true;
    const std::lock_guard<std::mutex> lock(mutex_);
    all_.clear();
    free_.clear();
  }

 private:
  struct Held {
    uint64_t predictor;
    Worker* worker;
  };
  // What a thread holds, to be given back at its end.
  struct Holder {
    struct Entry {
      Held held;
      std::shared_ptr<Workers> workers;
    };
    ~Holder() {
      recent_ = {0, nullptr};
      for (Entry& entry : entries) entry.workers->GiveBack(entry.held.worker);
    }
    std::vector<Entry> entries;
  };

  [[gnu::noinline]] static absl::StatusOr<Worker*> Find(const Predictor& predictor) {
    static thread_local Holder holder;
    for (const Holder::Entry& entry : holder.entries) {
      if (entry.held.predictor != predictor.id_) continue;
      recent_ = entry.held;
      return recent_.worker;
    }
    // Predictors that are gone are forgotten here.
    std::erase_if(holder.entries,
                  [](const Holder::Entry& entry) { return entry.workers->closed_.load(); });
    MASE_ASSIGN_OR_RETURN(Worker * worker, predictor.workers_->Take());
    holder.entries.push_back({{predictor.id_, worker}, predictor.workers_});
    recent_ = holder.entries.back().held;
    return worker;
  }

  static inline thread_local constinit Held recent_ = {
      0, nullptr};  // Without a constructor: quick to reach.

  const Graph graph_;
  const ExecutorOptions options_;
  std::atomic<bool> closed_{false};
  std::mutex mutex_;
  std::vector<std::unique_ptr<Worker>> all_;
  std::vector<Worker*> free_;
};

absl::StatusOr<std::unique_ptr<Predictor>> Predictor::Load(absl::string_view path,
                                                           const PredictorOptions& options) {
  MASE_ASSIGN_OR_RETURN(SafeTensors contents, ReadSafeTensors(path));
  MASE_ASSIGN_OR_RETURN(const Checkpoint checkpoint, ReadSavedNet(path, std::move(contents)));
  if (!checkpoint.graph.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": holds tensors and no graph; a checkpoint that ch writes has both"));
  }
  auto predictor = Create(*checkpoint.graph,
                          checkpoint.recipe.has_value() ? &*checkpoint.recipe : nullptr, options);
  if (!predictor.ok()) return Annotate(predictor.status(), path);
  return predictor;
}

absl::StatusOr<std::unique_ptr<Predictor>> Predictor::Create(const Graph& graph,
                                                             const DataRecipe* recipe,
                                                             const PredictorOptions& options) {
  MASE_RETURN_IF_ERROR(CheckIsaLimit());
  MASE_RETURN_IF_ERROR(CheckGraph(graph));
  std::unique_ptr<Predictor> predictor(new Predictor);
  MASE_ASSIGN_OR_RETURN(const InferredShapes shapes, InferShapesFor(graph, 1));
  predictor->inputs_ = shapes.shape(graph.placeholders()[0]->outputs()[0]).elements();
  predictor->id_ = ++last_id;
  if (recipe != nullptr) {
    predictor->feature_names_.assign(recipe->feature().begin(), recipe->feature().end());
    predictor->class_names_.assign(recipe->class_name().begin(), recipe->class_name().end());
    if (options.apply_recipe && recipe->has_scaler()) {
      const Scaler& scaler = recipe->scaler();
      predictor->mean_.assign(scaler.mean().begin(), scaler.mean().end());
      predictor->scale_.assign(scaler.scale().begin(), scaler.scale().end());
    }
    const int64_t scaled = static_cast<int64_t>(predictor->mean_.size());
    if (scaled != 0 && scaled != predictor->inputs_) {
      return absl::InvalidArgumentError(absl::StrCat(
          "the recipe scales ", scaled, " features, the net reads ", predictor->inputs_));
    }
  }
  const ExecutorOptions how = {.max_rows = kBatches[0], .execution = options.execution};
  predictor->workers_ = std::make_shared<Workers>(graph.Clone(), how);
  // One row shows the size of results, and whether the net runs at all.
  MASE_ASSIGN_OR_RETURN(Worker * worker, Workers::Get(*predictor));
  const std::vector<float> zeros(predictor->inputs_);
  MASE_RETURN_IF_ERROR(worker->executor->Forward(ExecutionMode::kInference, 1, {zeros.data()}));
  const Shape& result = worker->executor->output_shape();
  if (result.rank() == 0 || result[0] != 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a predictor's results are rows; of one row the net makes ", result.ToString()));
  }
  predictor->outputs_ = result.elements();
  return predictor;
}

Predictor::~Predictor() {
  if (workers_ != nullptr) workers_->Close();
}

absl::Status Predictor::Predict(absl::Span<const float> in, absl::Span<float> out) const {
  const int64_t ins = static_cast<int64_t>(in.size()), outs = static_cast<int64_t>(out.size());
  const int64_t rows = ins == inputs_ ? 1 : inputs_ == 0 ? 0 : ins / inputs_;
  if (rows * inputs_ != ins || rows * outputs_ != outs) [[unlikely]] {
    return absl::InvalidArgumentError(absl::StrCat(ins, " numbers in, ", outs,
                                                   " out; a row of this net is ", inputs_,
                                                   " in and ", outputs_, " out"));
  }
  Worker* worker = Workers::Recent(*this);
  if (worker == nullptr) [[unlikely]] {
    MASE_ASSIGN_OR_RETURN(worker, Workers::Get(*this));
  }
  if (rows == 1 && worker->row) {
    const float* numbers = mean_.empty() ? in.data() : Scaled(*worker, in.data(), 1);
    if (worker->row(numbers, out.data())) [[likely]]
      return absl::OkStatus();
  }
  if (rows < 2 * kBatches[0]) return RunBatches(*worker, in.data(), 0, rows, out.data());
  return RunManyRows(*worker, in.data(), rows, out.data());
}

const float* Predictor::Scaled(Worker& worker, const float* in, int64_t rows) const {
  const size_t needed = static_cast<size_t>(rows * inputs_);
  if (worker.scaled.size() < needed) worker.scaled.resize(needed);
  ScaleRows(mean_, scale_, in, rows, worker.scaled.data());
  return worker.scaled.data();
}

absl::Status Predictor::RunManyRows(Worker& worker, const float* in, int64_t rows,
                                    float* out) const {
  MASE_ASSIGN_OR_RETURN(const int64_t bytes, worker.executor->PlannedBytes(kBatches[0]));
  const int64_t batches = rows / kBatches[0];
  const int64_t parts = std::min<int64_t>({batches, omp_get_max_threads(), kMostThreads});
  if (parts == 1 || bytes > kBytesSideBySide) return RunBatches(worker, in, 0, rows, out);
  absl::Status statuses[kMostThreads];
  ForChunks(batches, parts, [&](int64_t part, int64_t begin, int64_t end) {
    const int64_t first = begin * kBatches[0];
    const int64_t count = (end == batches ? rows : end * kBatches[0]) - first;
    try {
      const auto own = Workers::Get(*this);
      statuses[part] = own.ok() ? RunBatches(**own, in, first, first + count, out) : own.status();
    } catch (const std::bad_alloc&) {  // Which may not leave a parallel region.
      statuses[part] = absl::ResourceExhaustedError("out of memory");
    }
  });
  for (const absl::Status& status : statuses) MASE_RETURN_IF_ERROR(status);
  return absl::OkStatus();
}

absl::Status Predictor::RunBatches(Worker& worker, const float* in, int64_t row, int64_t end,
                                   float* out) const {
  for (const int64_t* batch = end - row == 1 ? std::end(kBatches) - 1 : std::begin(kBatches);
       row < end;) {
    const int64_t count = *batch;
    if (count > end - row) {
      ++batch;
      continue;
    }
    const float* rows = in + row * inputs_;
    const float* numbers = mean_.empty() ? rows : Scaled(worker, rows, count);
    const absl::Status ran = worker.executor->Forward(ExecutionMode::kInference, count, {numbers});
    if (!ran.ok()) [[unlikely]]
      return AtFailingRow(*worker.executor, {numbers}, row, count, ran);
    const absl::Span<const float> results = worker.executor->output();
    if (static_cast<int64_t>(results.size()) != count * outputs_) [[unlikely]] {
      return absl::InvalidArgumentError(absl::StrCat("of ", count, " rows the net makes ",
                                                     results.size(), " numbers, of one ", outputs_,
                                                     ": they are no rows"));
    }
    std::memcpy(out + row * outputs_, results.data(), results.size() * sizeof(float));
    row += count;
  }
  return absl::OkStatus();
}

}  // namespace mase
