#include "mase/predict/predictor.h"

#include <omp.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <new>
#include <sstream>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "mase/base/runfiles.h"
#include "mase/data/preprocess.h"
#include "mase/model/checkpoint.h"
#include "mase/model/zoo.h"
#include "mase/predict/mase_predict.h"
#include "mase/testing/matchers.h"
#include "mase/testing/numerics/test_net.h"

namespace {
std::atomic<int64_t> allocations{0}, deallocations{0};
void Free(void* memory) {
  deallocations += memory != nullptr;
  std::free(memory);
}
}  // namespace

void* operator new(size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size); memory != nullptr) return memory;
  throw std::bad_alloc();
}
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(size);
}
void* operator new(size_t size, std::align_val_t alignment) {
  ++allocations;
  const size_t to = static_cast<size_t>(alignment);
  if (void* memory = std::aligned_alloc(to, (size + to - 1) / to * to); memory != nullptr) {
    return memory;
  }
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { Free(memory); }
void operator delete(void* memory, size_t) noexcept { Free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { Free(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { Free(memory); }

namespace mase {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string Trained() { return Runfile("testdata/checkpoints/jsc-toy.safetensors"); }

std::vector<float> SomeRows(int64_t rows, int64_t columns) {
  std::vector<float> numbers(rows * columns);
  for (size_t i = 0; i < numbers.size(); ++i) {
    numbers[i] = static_cast<float>(static_cast<int>(i * 7919 % 401) - 200) / 64;
  }
  return numbers;
}

// The trained net with linear layers in integer 8/4, as the labs quantize.
Graph Quantized(const Graph& graph) {
  Graph quantized = graph.Clone();
  for (Node* node : quantized.NodesInOrder()) {
    if (node->op() != ops::kLinear) continue;
    Quantization record;
    for (const char* name : {"data_in", "weight", "bias"}) {
      OperandFormat* operand = record.add_operand();
      operand->set_operand(name);
      operand->mutable_format()->mutable_integer()->set_width(8);
      operand->mutable_format()->mutable_integer()->set_frac_width(4);
    }
    quantized.SetQuantization(node, record);
  }
  return quantized;
}

std::vector<float> Predict(const Predictor& predictor, const std::vector<float>& in) {
  std::vector<float> out(in.size() / predictor.inputs() * predictor.outputs());
  EXPECT_OK(predictor.Predict(in, absl::MakeSpan(out)));
  return out;
}

TEST(PredictorTest, GivesWhatTheNetGivesForScaledRows) {
  const Checkpoint checkpoint = ValueOrDie(LoadCheckpoint(Trained()));
  const auto predictor = ValueOrDie(Predictor::Load(Trained()));
  EXPECT_EQ(predictor->inputs(), 16);
  EXPECT_EQ(predictor->outputs(), 5);
  DataRecipe recipe;
  for (int i = 0; i < 16; ++i) {
    recipe.mutable_scaler()->add_mean(i * 0.1);
    recipe.mutable_scaler()->add_scale(1 + i);
    recipe.add_feature(absl::StrCat("feature ", i));
  }
  recipe.add_class_name("gluon");
  const auto scaling = ValueOrDie(Predictor::Create(*checkpoint.graph, &recipe));
  EXPECT_EQ(scaling->feature_names()[3], "feature 3");
  EXPECT_THAT(scaling->class_names(), ::testing::ElementsAre("gluon"));
  const auto raw =
      ValueOrDie(Predictor::Create(*checkpoint.graph, &recipe, {.apply_recipe = false}));
  constexpr int64_t kRows = 21;
  const std::vector<float> rows = SomeRows(kRows, 16);
  std::vector<float> scaled(rows.size());
  ScaleRows(recipe.scaler().mean(), recipe.scaler().scale(), rows.data(), kRows, scaled.data());
  const auto executor = ValueOrDie(Executor::Create(*checkpoint.graph));
  EXPECT_OK(executor->Forward(ExecutionMode::kInference, kRows, {scaled.data()}));
  const std::vector<float> wanted(executor->output().begin(), executor->output().end());
  EXPECT_EQ(Predict(*scaling, rows), wanted);
  EXPECT_EQ(Predict(*raw, scaled), wanted);
}

TEST(PredictorTest, AnyNumberOfRowsGivesEachRowsResult) {
  const Checkpoint checkpoint = ValueOrDie(LoadCheckpoint(Trained()));
  const Graph graph = Quantized(*checkpoint.graph);
  const std::vector<float> rows = SomeRows(2100, 16);
  std::vector<std::vector<float>> ways;
  for (const Execution execution :
       {Execution::kFloat, Execution::kSimulated, Execution::kInteger}) {
    const auto predictor = ValueOrDie(Predictor::Create(graph, nullptr, {.execution = execution}));
    std::vector<float> one_by_one;
    for (int64_t r = 0; r < 2100; ++r) {
      const std::vector<float> row =
          Predict(*predictor, {rows.begin() + r * 16, rows.begin() + (r + 1) * 16});
      one_by_one.insert(one_by_one.end(), row.begin(), row.end());
    }
    EXPECT_EQ(Predict(*predictor, rows), one_by_one) << ExecutionName(execution);
    for (const int64_t count : {0, 2, 3, 5, 17, 37, 333}) {
      EXPECT_EQ(Predict(*predictor, {rows.begin(), rows.begin() + count * 16}),
                std::vector<float>(one_by_one.begin(), one_by_one.begin() + count * 5));
    }
    ways.push_back(std::move(one_by_one));
  }
  EXPECT_EQ(ways[1], ways[2]);
  EXPECT_NE(ways[0], ways[1]);
}

// One row cannot tell: its mean over the rows is a row.
TEST(PredictorTest, ResultsThatDoNotGrowWithTheRowsAreRefused) {
  TestNet net({2, 16});
  const Graph graph = net.Finish({net.Function(
      "mean", {net.input()}, {{"dims", std::vector<int64_t>{0}}, {"keepdim", true}})});
  const auto predictor = ValueOrDie(Predictor::Create(graph, nullptr));
  const std::vector<float> rows = SomeRows(64, 16);
  std::vector<float> out(64 * 16);
  EXPECT_THAT(predictor->Predict(rows, absl::MakeSpan(out)),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("they are no rows")));
}

TEST(PredictorTest, OnePredictorServesManyThreads) {
  const auto predictor = ValueOrDie(Predictor::Load(Trained()));
  const std::vector<float> rows = SomeRows(300, 16);
  const std::vector<float> wanted = Predict(*predictor, rows);
  for (int generation = 0; generation < 3; ++generation) {
    std::vector<std::thread> threads;
    std::vector<int> good(8, 0);
    for (int t = 0; t < 8; ++t) {
      threads.emplace_back([&, t] {
        for (int64_t i = 0; i < 200; ++i) {
          const int64_t r = (i * 31 + t) % 300, count = std::min<int64_t>(1 + i % 7, 300 - r);
          std::vector<float> out(count * 5);
          const absl::Status status = predictor->Predict(
              absl::MakeSpan(rows).subspan(r * 16, count * 16), absl::MakeSpan(out));
          good[t] += status.ok() && std::equal(out.begin(), out.end(), wanted.begin() + r * 5);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(good, std::vector<int>(8, 200));
  }
}

TEST(PredictorTest, ManyPredictorsInOneThreadAreToldApart) {
  const Checkpoint checkpoint = ValueOrDie(LoadCheckpoint(Trained()));
  const std::vector<float> rows = SomeRows(4, 16);
  const auto simulated = ValueOrDie(Predictor::Create(Quantized(*checkpoint.graph), nullptr));
  const auto first = ValueOrDie(Predictor::Create(*checkpoint.graph, nullptr));
  const std::vector<float> wanted = Predict(*first, rows), other = Predict(*simulated, rows);
  for (int i = 0; i < 20; ++i) {
    const auto again = ValueOrDie(Predictor::Create(*checkpoint.graph, nullptr));
    EXPECT_EQ(Predict(*again, rows), wanted);
    EXPECT_EQ(Predict(*simulated, rows), other);
    EXPECT_EQ(Predict(*first, rows), wanted);
  }
}

TEST(PredictorTest, APredictorThatIsGoneLeavesNoMemoryInItsThreads) {
  const Checkpoint checkpoint = ValueOrDie(LoadCheckpoint(Trained()));
  const std::vector<float> rows = SomeRows(4, 16);
  const auto live_after = [&](int predictors) {
    for (int i = 0; i < predictors; ++i) {
      Predict(*ValueOrDie(Predictor::Create(*checkpoint.graph, nullptr)), rows);
    }
    return allocations - deallocations;
  };
  live_after(3);  // What is made once for all.
  const int64_t few = live_after(2);
  EXPECT_EQ(live_after(40), few);
}

// Batches that run side by side and what is left behind the last; what is wrong with the first row
// that is wrong is said, whichever batch it is of.
TEST(PredictorTest, ManyRowsAreEachRowsResultForAnyNumberOfThreads) {
  const Checkpoint checkpoint = ValueOrDie(LoadCheckpoint(Trained()));
  const auto predictor = ValueOrDie(Predictor::Create(Quantized(*checkpoint.graph), nullptr));
  std::vector<float> rows = SomeRows(9000, 16), wanted;
  for (int64_t r = 0; r < 9000; r += 500) {
    const std::vector<float> part =
        Predict(*predictor, {rows.begin() + r * 16, rows.begin() + (r + 500) * 16});
    wanted.insert(wanted.end(), part.begin(), part.end());
  }
  const int before = omp_get_max_threads();
  for (const int threads : {1, 2, 3, 16}) {
    omp_set_num_threads(threads);
    for (const int64_t count : {2048, 5000, 9000}) {
      EXPECT_EQ(Predict(*predictor, {rows.begin(), rows.begin() + count * 16}),
                std::vector<float>(wanted.begin(), wanted.begin() + count * 5))
          << threads << " threads";
    }
    std::vector<float> out(9000 * 5);
    EXPECT_OK(predictor->Predict(rows, absl::MakeSpan(out)));
    [[maybe_unused]] const int64_t allocated = allocations;
    const bool ok = predictor->Predict(rows, absl::MakeSpan(out)).ok();
#ifndef MASE_THREAD_SANITIZER  // Whose threads are ours and take some (base/openmp_threads.cc).
    EXPECT_EQ(allocations, allocated) << threads << " threads";
#endif
    EXPECT_TRUE(ok);
  }
  rows[8000 * 16] = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> out(9000 * 5);
  EXPECT_THAT(predictor->Predict(rows, absl::MakeSpan(out)),
              StatusIs(absl::StatusCode::kOutOfRange, HasSubstr("row 8000: number 0 is nan: ")));
  omp_set_num_threads(before);
}

TEST(PredictorTest, AllocatesNothingAfterTheFirstCallOfASize) {
  const auto predictor = ValueOrDie(Predictor::Load(Trained()));
  const std::vector<float> rows = SomeRows(1500, 16);
  std::vector<float> out(1500 * 5);
  for (const int64_t count : {1, 7, 100, 1500}) {
    const auto in = absl::MakeSpan(rows).subspan(0, count * 16);
    const auto to = absl::MakeSpan(out).subspan(0, count * 5);
    EXPECT_OK(predictor->Predict(in, to));
    const int64_t before = allocations;
    bool ok = true;  // What EXPECT_OK says takes memory.
    for (int i = 0; i < 3; ++i) ok &= predictor->Predict(in, to).ok();
    EXPECT_EQ(allocations, before) << count << " rows";
    EXPECT_TRUE(ok);
  }
}

TEST(PredictorTest, BadCallsNameTheNumbers) {
  const auto predictor = ValueOrDie(Predictor::Load(Trained()));
  std::vector<float> in(17), out(5);
  EXPECT_THAT(predictor->Predict(in, absl::MakeSpan(out)),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("17 numbers in, 5 out; a row of this net is 16 in and 5 out")));
  EXPECT_THAT(Predictor::Load("/no/such/file").status(), StatusIs(absl::StatusCode::kNotFound));
}

TEST(PredictorTest, ANanHasNoCode) {
  const Checkpoint checkpoint = ValueOrDie(LoadCheckpoint(Trained()));
  const auto predictor = ValueOrDie(Predictor::Create(Quantized(*checkpoint.graph), nullptr));
  // Rows are the caller's, however they are cut: 1,024, 256, 64, 16, 4, 1.
  std::vector<float> in = SomeRows(1365, 16), out(1365 * 5);
  for (const int64_t row : {0, 1023, 1024, 1300, 1364}) {
    std::vector<float> rows = in;
    rows[row * 16 + 7] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_THAT(predictor->Predict(rows, absl::MakeSpan(out)),
                StatusIs(absl::StatusCode::kOutOfRange,
                         AllOf(HasSubstr(absl::StrCat("row ", row, ": number 7 is nan: ")),
                               HasSubstr("no code"))));
  }
}

// A scale for each number of one row is none for those of the next: nothing is predicted before.
TEST(PredictorTest, ScalesThatDoNotFitAreRefusedBeforeTheFirstRow) {
  Graph graph = ParseGraph(R"(
x = placeholder() : f32[8, 2]
fc = linear(x, in_features=2, out_features=1, bias=False)
  quantized affine
  data_in = affine { width: 8 scale: 0.5 scale: 0.25 block_size: 1 block_size: 1 }
output = output(fc)
)");
  graph.SetTensor("fc.weight", Tensor::FromValues<float>({1, 2}, {1, -0.5f}), false);
  EXPECT_THAT(Predictor::Create(graph, nullptr).status(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       StartsWith("fc (linear): data_in: affine: 2 scales for blocks of [1, 1]")));
}

// The rows' numbers are all right, but not what a layer makes of one of them.
TEST(PredictorTest, ANanThatTheNetMakesIsOneOfARow) {
  Graph graph = ParseGraph(R"(
x = placeholder() : f32[8, 2]
root = sqrt(x)
fc = linear(root, in_features=2, out_features=1, bias=False)
  quantized integer
  data_in = integer { width: 8 frac_width: 4 }
  weight = integer { width: 8 frac_width: 4 }
output = output(fc)
)");
  graph.SetTensor("fc.weight", Tensor::FromValues<float>({1, 2}, {1, -0.5f}), false);
  const auto predictor = ValueOrDie(Predictor::Create(graph, nullptr));
  std::vector<float> in(2 * 300, 2.0f), out(300);
  in[2 * 270 + 1] = -2;
  EXPECT_THAT(predictor->Predict(in, absl::MakeSpan(out)),
              StatusIs(absl::StatusCode::kOutOfRange, StartsWith("row 270: fc (linear)")));
}

// What is wrong with the net is wrong with each row, and so said of none.
TEST(PredictorTest, AFaultOfTheNetIsOfNoRow) {
  Graph graph = ParseGraph(R"(
x = placeholder() : f32[8, 2]
fc = linear(x, in_features=2, out_features=1, bias=False)
  quantized integer
  data_in = integer { width: 8 frac_width: 4 }
  weight = integer { width: 8 frac_width: 4 }
output = output(fc)
)");
  const float nan = std::numeric_limits<float>::quiet_NaN();
  graph.SetTensor("fc.weight", Tensor::FromValues<float>({1, 2}, {nan, -0.5f}), false);
  const auto predictor = Predictor::Create(graph, nullptr);
  std::vector<float> in(2 * 300, 2.0f), out(300);
  const absl::Status status =
      predictor.ok() ? (*predictor)->Predict(in, absl::MakeSpan(out)) : predictor.status();
  EXPECT_THAT(status,
              StatusIs(absl::StatusCode::kOutOfRange, StartsWith("fc (linear): weight 0 is nan")));
}

TEST(MasePredictTest, TheCInterfaceSaysWhatIsWrong) {
  char message[64] = "";
  mase_predictor* predictor = nullptr;
  EXPECT_EQ(mase_predictor_load("/no/such/file", MASE_FLOAT, &predictor, message, 64),
            MASE_NOT_FOUND);
  EXPECT_EQ(predictor, nullptr);
  EXPECT_THAT(message, HasSubstr("/no/such/file"));
  EXPECT_EQ(mase_predictor_load("/no/such/file", 7, &predictor, nullptr, 0), MASE_INVALID_ARGUMENT);
  EXPECT_EQ(mase_predictor_load(nullptr, MASE_FLOAT, &predictor, message, 8),
            MASE_INVALID_ARGUMENT);
  EXPECT_STREQ(message, "path is");
  for (const size_t size : {5, 6, 7, 8, 9, 10}) {
    EXPECT_NE(mase_predictor_load("/no/\u00fc\u20ac", MASE_FLOAT, &predictor, message, size),
              MASE_OK);
    EXPECT_STREQ(message, size < 7    ? "/no/"
                          : size < 10 ? "/no/\u00fc"
                                      : "/no/\u00fc\u20ac")
        << size;
  }
  ASSERT_EQ(mase_predictor_load(Trained().c_str(), MASE_INTEGER, &predictor, message, 64), MASE_OK)
      << message;
  EXPECT_EQ(mase_predictor_inputs(predictor), 16);
  EXPECT_EQ(mase_predictor_outputs(predictor), 5);
  EXPECT_EQ(mase_predictor_class_name(predictor, -1), nullptr);
  EXPECT_EQ(mase_predictor_class_name(predictor, 1000), nullptr);
  const std::vector<float> rows = SomeRows(2, 16);
  std::vector<float> out(2 * 5);
  EXPECT_EQ(mase_predict(predictor, rows.data(), 2, out.data(), nullptr, 0), MASE_OK);
  const auto same = ValueOrDie(Predictor::Load(Trained()));
  EXPECT_EQ(out, Predict(*same, rows));
  EXPECT_EQ(mase_predict(predictor, nullptr, 2, out.data(), message, 64), MASE_INVALID_ARGUMENT);
  EXPECT_EQ(mase_predict(predictor, rows.data(), -1, out.data(), message, 64),
            MASE_INVALID_ARGUMENT);
  mase_predictor_free(predictor);
  mase_predictor_free(nullptr);
  EXPECT_EQ(mase_predictor_inputs(nullptr), 0);
  EXPECT_EQ(mase_predictor_outputs(nullptr), 0);
  EXPECT_EQ(mase_predictor_feature_name(nullptr, 0), nullptr);
  EXPECT_EQ(mase_predictor_class_name(nullptr, 0), nullptr);
}

// A file that is there and cannot be read at this time is another thing than one that is damaged.
TEST(MasePredictTest, TooManyOpenFilesHaveACodeOfTheHeader) {
  const std::string path = Trained();
  struct rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const struct rlimit none = {0, before.rlim_max};
  char message[256] = "";
  mase_predictor* predictor = nullptr;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  const int code = mase_predictor_load(path.c_str(), MASE_FLOAT, &predictor, message, 256);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(code, MASE_UNAVAILABLE);
  EXPECT_THAT(message, AllOf(HasSubstr(path), HasSubstr("cannot open: Too many open files")));
}

TEST(MasePredictTest, MessagesAreUtf8) {
  char message[64] = "";
  mase_predictor* predictor = nullptr;
  EXPECT_EQ(mase_predictor_load("/no/\xff\x1b[31m", MASE_FLOAT, &predictor, message, 64),
            MASE_NOT_FOUND);
  EXPECT_THAT(message, HasSubstr("/no/\\xff\\x1b[31m: cannot open"));
}

// Bazel's own list of what the library is linked from.
TEST(MasePredictTest, LinksNothingThatTrains) {
  std::ifstream file(Runfile("mase/predict/dependencies"));
  std::stringstream text;
  text << file.rdbuf();
  const std::string labels = text.str();
  EXPECT_THAT(labels, HasSubstr("//mase/exec:engine"));
  for (const char* room :
       {"//mase/train", "//mase/pass", "//mase/pipeline", "//mase/plugin", "//mase/run",
        "//mase/cli", "//plugins", "//mase/model:zoo", "//mase/kernel/dense:optimizer_step",
        "//third_party:hdf5", "//third_party:gflags", "//mase/data:hdf5", "//mase/kernel:training",
        "//mase/exec:exec\n", "//mase/interop:tensor_file", "//mase/model:name_mapping"}) {
    EXPECT_THAT(labels, ::testing::Not(HasSubstr(room))) << room;
  }
}

}  // namespace
}  // namespace mase
