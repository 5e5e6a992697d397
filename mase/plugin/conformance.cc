#include "mase/plugin/conformance.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "google/protobuf/text_format.h"
#include "google/protobuf/util/message_differencer.h"
#include "mase/base/quote.h"
#include "mase/base/random.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/data/data_reader.h"
#include "mase/exec/run_net.h"
#include "mase/format/family.h"
#include "mase/format/format.h"
#include "mase/graph/graph_hash.h"
#include "mase/graph/op_schema.h"
#include "mase/graph/verifier.h"
#include "mase/kernel/kernel.h"
#include "mase/metric/metric.h"
#include "mase/model/zoo.h"
#include "mase/pipeline/pipeline.h"
#include "mase/plugin/random_graph.h"
#include "mase/plugin/run_apart.h"

namespace mase {
namespace {

constexpr int kSeconds = 60;  // For one check.
constexpr int64_t kMaxBytes = int64_t{1} << 30;
constexpr int kRandomGraphs = 100;
constexpr int64_t kRows = 8;  // Of the data that passes get.

template <typename... Parts>
absl::Status Wrong(const Parts&... parts) {
  return absl::FailedPreconditionError(absl::StrCat(parts...));
}

std::vector<float> RandomFloats(int64_t count, uint32_t seed, float scale) {
  Mt19937 random(seed);
  std::vector<float> values(count);
  for (float& value : values) {
    value = scale * (static_cast<float>(random.Next32() >> 8) / (1 << 23) - 1);
  }
  return values;
}

bool SameBits(absl::Span<const float> a, absl::Span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// ---- Passes ----

// Random rows, and nets that run; what is said and written is kept for comparison.
class KitHost final : public PassHost {
 public:
  KitHost(const Graph& graph, PassSource& passes) : passes_(passes) {
    for (const Node* placeholder : graph.placeholders()) {
      Shape shape = placeholder->outputs()[0]->shape();
      if (shape.rank() == 0) continue;
      shape.set_dim(0, kRows);
      inputs_[placeholder->name()] =
          Tensor::FromValues<float>(shape, RandomFloats(shape.elements(), 1, 2));
    }
  }

  absl::StatusOr<std::map<std::string, Tensor>> DummyBatch() override { return inputs_; }
  absl::StatusOr<SampleRows> Samples(int64_t rows, absl::string_view) override {
    SampleRows samples = {{}, Tensor::Zeros(DType::kInt64, {std::min(rows, kRows)}), "random rows"};
    for (const auto& [name, tensor] : inputs_) {
      samples.inputs[name] = tensor.Rows(0, std::min(rows, kRows));
    }
    return samples;
  }
  absl::StatusOr<std::map<std::string, Tensor>> RunNet(
      const Graph& graph, const std::map<std::string, Tensor>& inputs,
      absl::Span<const std::string> nodes) override {
    return NodeValues(graph, inputs, nodes, kRows);
  }
  absl::StatusOr<const PassInfo*> LookUpPass(absl::string_view name) override {
    return passes_.LookUp(name);
  }
  void Print(absl::string_view text) override { absl::StrAppend(&said, text); }
  void Show(const Table& table, absl::string_view) override { absl::StrAppend(&said, table.Csv()); }
  absl::Status WriteArtifact(absl::string_view path, absl::string_view contents) override {
    absl::StrAppend(&said, path, "\n", contents);
    return absl::OkStatus();
  }
  absl::Status WriteGraph(absl::string_view path, const Graph& graph) override {
    absl::StrAppend(&said, path, "\n", HashGraph(graph));
    return absl::OkStatus();
  }

  std::string said;

 private:
  PassSource& passes_;
  std::map<std::string, Tensor> inputs_;
};

// What one run came to: its error, or all that it said and left.
struct Ran {
  absl::Status status;
  std::string outcome;
};

Ran RunOnce(const PassInfo& info, PassSource& passes, const Graph& original) {
  google::protobuf::RepeatedPtrField<PassConfig> config;
  config.Add()->set_name(info.name);
  config[0].set_allow_unchanged(true);
  const absl::StatusOr<Pipeline> pipeline = BuildPipeline(config, passes);
  if (!pipeline.ok()) return {pipeline.status(), ""};
  Graph graph = original.Clone();
  KitHost host(graph, passes);
  RunReport report;
  const absl::Status status = RunPipeline(*pipeline, graph, host, &report);
  if (!status.ok()) return {status, ""};
  for (PassReport& pass : *report.mutable_passes()) pass.clear_seconds();
  std::string text;
  google::protobuf::TextFormat::PrintToString(report, &text);
  return {VerifyGraph(graph), absl::StrCat(HashGraph(graph), "\n", text, host.said)};
}

// A pass may refuse a net, by an error that says something. What the pipeline calls a bug is one.
absl::Status CheckOn(const PassInfo& info, PassSource& passes, const Graph& graph,
                     absl::string_view net) {
  const Ran first = RunOnce(info, passes, graph), second = RunOnce(info, passes, graph);
  if (first.status.code() != second.status.code() ||
      first.status.message() != second.status.message() || first.outcome != second.outcome) {
    return Wrong(net, ": two runs differ");
  }
  if (absl::IsInternal(first.status) || absl::IsUnknown(first.status)) {
    return Annotate(first.status, net);
  }
  if (!first.status.ok() && first.status.message().size() < info.name.size() + 4) {
    return Wrong(net, ": an error that says nothing, '", first.status.message(), "'");
  }
  return absl::OkStatus();
}

absl::Status OptionsRoundTrip(const PassInfo& info) {
  const std::unique_ptr<google::protobuf::Message> given(info.options->New());
  const std::unique_ptr<google::protobuf::Message> read(info.options->New());
  std::string text;
  google::protobuf::Any any;
  any.PackFrom(*given);
  if (!google::protobuf::TextFormat::PrintToString(*given, &text) ||
      !google::protobuf::TextFormat::ParseFromString(text, read.get()) ||
      !google::protobuf::util::MessageDifferencer::Equals(*given, *read) ||
      !any.UnpackTo(read.get()) ||
      !google::protobuf::util::MessageDifferencer::Equals(*given, *read)) {
    return Wrong(info.options->GetTypeName(), " is not read as it was written");
  }
  // Defaults that its annotations forbid, and options that cannot be left out, are told apart.
  const auto pass = CreatePass(info, {});
  return pass.ok() || absl::IsInvalidArgument(pass.status()) || absl::IsNotFound(pass.status())
             ? absl::OkStatus()
             : pass.status();
}

absl::Status OnZoo(const PassInfo& info, PassSource& passes) {
  for (const ZooEntry& entry : ZooModels()) {
    if (entry.layers.empty()) continue;  // Nets of millions of parameters.
    const bool jets = entry.family == "jet substructure";
    const Shape input = jets ? Shape({16}) : Shape({1, 2, 2});
    const absl::StatusOr<Graph> graph =
        BuildModel({.model = std::string(entry.name), .input = input, .classes = jets ? 5 : 2});
    if (!graph.ok()) continue;  // Made for another input.
    MASE_RETURN_IF_ERROR(CheckOn(info, passes, *graph, entry.name));
  }
  return absl::OkStatus();
}

absl::Status OnRandomGraphs(const PassInfo& info, PassSource& passes) {
  for (int seed = 0; seed < kRandomGraphs; ++seed) {
    MASE_ASSIGN_OR_RETURN(const Graph graph, RandomGraph(static_cast<uint32_t>(seed)));
    MASE_RETURN_IF_ERROR(CheckOn(info, passes, graph, absl::StrCat("random graph ", seed)));
  }
  return absl::OkStatus();
}

// ---- Formats ----

std::vector<float> TryingValues() {
  std::vector<float> values = {0.0f,
                               -0.0f,
                               1,
                               -1,
                               0.5f,
                               -0.5f,
                               3,
                               -3,
                               1e-40f,
                               -1e-40f,
                               1e-20f,
                               1e20f,
                               -1e20f,
                               std::numeric_limits<float>::max(),
                               std::numeric_limits<float>::lowest()};
  for (const float scale : {0.01f, 1.0f, 100.0f}) {
    const std::vector<float> more = RandomFloats(1000, 3, scale);
    values.insert(values.end(), more.begin(), more.end());
  }
  return values;
}

absl::StatusOr<std::unique_ptr<const Format>> ExampleOf(const Family& family) {
  FormatProto example;
  google::protobuf::TextFormat::ParseFromString(std::string(family.example), &example);
  return Format::Create(example);
}

absl::Status RoundingIsSound(const Family& family) {
  MASE_ASSIGN_OR_RETURN(const auto format, ExampleOf(family));
  const std::vector<float> x = TryingValues();
  const Shape shape = {static_cast<int64_t>(x.size())};
  std::vector<float> once(x.size()), again(x.size()), twice(x.size());
  MASE_RETURN_IF_ERROR(format->Quantize(x.data(), once.data(), shape, 5));
  MASE_RETURN_IF_ERROR(format->Quantize(x.data(), again.data(), shape, 5));
  if (!SameBits(once, again)) return Wrong("the same values are rounded in two ways");
  MASE_RETURN_IF_ERROR(format->Quantize(once.data(), twice.data(), shape, 5));
  for (size_t i = 0; i < x.size(); ++i) {
    if (once[i] != twice[i] && !(std::isnan(once[i]) && std::isnan(twice[i]))) {
      return Wrong(x[i], " becomes ", once[i], ", and that ", twice[i]);
    }
  }
  std::vector<float> in_place = x;
  MASE_RETURN_IF_ERROR(format->Quantize(in_place.data(), in_place.data(), shape, 5));
  if (!SameBits(once, in_place)) return Wrong("in place values are rounded otherwise");
  const std::vector<float> odd = {std::numeric_limits<float>::infinity(),
                                  -std::numeric_limits<float>::infinity(),
                                  std::numeric_limits<float>::quiet_NaN()};
  std::vector<float> rounded(odd.size());
  const absl::Status status = format->Quantize(odd.data(), rounded.data(), {3});
  return status.ok() || absl::IsOutOfRange(status) ? absl::OkStatus() : status;
}

absl::Status CodesAreSound(const Family& family) {
  MASE_ASSIGN_OR_RETURN(const auto format, ExampleOf(family));
  if (format->code_bits() == 0) return absl::OkStatus();
  const std::vector<float> x = TryingValues();
  const Tensor values = Tensor::FromValues<float>({static_cast<int64_t>(x.size())}, x);
  MASE_ASSIGN_OR_RETURN(const Tensor rounded, format->Quantize(values));
  MASE_ASSIGN_OR_RETURN(const EncodedTensor encoded, format->Encode(values));
  if (encoded.codes.size() != x.size()) return Wrong(encoded.codes.size(), " codes of ", x.size());
  for (const uint32_t code : encoded.codes) {
    if (format->code_bits() < 32 && code >> format->code_bits() != 0) {
      return Wrong("code ", code, " has more than ", format->code_bits(), " bits");
    }
  }
  MASE_ASSIGN_OR_RETURN(const Tensor decoded, format->Decode(encoded));
  for (size_t i = 0; i < x.size(); ++i) {
    const float want = rounded.data<float>()[i], got = decoded.data<float>()[i];
    if (want != got) return Wrong(x[i], " is rounded to ", want, ", and its code means ", got);
  }
  return absl::OkStatus();
}

absl::Status ValuesAreItsOwn(const Family& family) {
  MASE_ASSIGN_OR_RETURN(const auto format, ExampleOf(family));
  const std::vector<float> values = format->Values();
  for (size_t i = 0; i < values.size(); ++i) {
    if (i > 0 && values[i] <= values[i - 1]) return Wrong("Values() are not ascending at ", i);
    float rounded = 0;
    MASE_RETURN_IF_ERROR(format->Quantize(&values[i], &rounded, {1}));
    if (rounded != values[i]) return Wrong("its value ", values[i], " is rounded to ", rounded);
  }
  if (!values.empty() &&
      (values.front() != format->lowest() || values.back() != format->highest())) {
    return Wrong("Values() end at ", values.front(), " and ", values.back(), ", but lowest() is ",
                 format->lowest(), ", highest() ", format->highest());
  }
  return format->BitsPerValue({64, 64}) > 0 ? absl::OkStatus()
                                            : Wrong("BitsPerValue is not above 0");
}

absl::Status GradientIsFinite(const Family& family) {
  MASE_ASSIGN_OR_RETURN(const auto format, ExampleOf(family));
  const std::vector<float> x = TryingValues(), ones(x.size(), 1);
  std::vector<float> gradient(x.size());
  MASE_RETURN_IF_ERROR(
      format->Gradient(x.data(), ones.data(), gradient.data(), {static_cast<int64_t>(x.size())}));
  for (size_t i = 0; i < x.size(); ++i) {
    if (!std::isfinite(gradient[i])) return Wrong("the gradient at ", x[i], " is ", gradient[i]);
  }
  return absl::OkStatus();
}

// ---- Ops ----

// An op on random inputs of one shape, in double.
class OpProbe {
 public:
  static absl::StatusOr<std::unique_ptr<OpProbe>> Create(const OpSchema& schema) {
    auto probe = std::make_unique<OpProbe>();
    for (const AttributeSpec& spec : schema.attributes) {
      if (spec.required) return absl::UnimplementedError("attributes that cannot be left out");
      probe->attributes_.Set(spec.name, spec.fallback);
    }
    const Shape shape = {2, 3};
    const std::vector<ValueInfo> infos(schema.arguments.size(), {DType::kFloat32, shape, {}});
    MASE_ASSIGN_OR_RETURN(const auto results, schema.shape_rule(infos, probe->attributes_));
    if (results.size() != 1) return Wrong("its shape rule gives ", results.size(), " results");
    probe->spec_ = {.op = schema.name, .attributes = &probe->attributes_, .training = true};
    for (size_t i = 0; i < infos.size(); ++i) {
      probe->spec_.srcs.push_back({shape, Layout::kPlain, DType::kFloat64});
      const std::vector<float> values = RandomFloats(shape.elements(), 11 + i, 2);
      probe->srcs_.emplace_back(values.begin(), values.end());
    }
    probe->spec_.dst = {results[0].shape, Layout::kPlain, DType::kFloat64};
    if (schema.parameter_rule != nullptr) {
      for (const ParameterSpec& tensor : schema.parameter_rule(probe->attributes_)) {
        probe->spec_.tensors.push_back(tensor.name);
        const std::vector<float> values = RandomFloats(tensor.shape.elements(), 31, 1);
        probe->tensors_.emplace_back(values.begin(), values.end());
      }
    }
    MASE_ASSIGN_OR_RETURN(probe->kernel_, CreateKernel(probe->spec_));
    return probe;
  }

  absl::StatusOr<std::vector<double>> Forward() {
    // Behind the result lies what nobody may touch.
    constexpr double kGuard = 12345.678;
    std::vector<double> dst(spec_.dst.elements() + 4, kGuard);
    const Pointers pointers(*this);
    KernelArgs args = {.srcs = pointers.srcs.data(), .tensors = pointers.tensors.data()};
    args.dst = dst.data();
    MASE_RETURN_IF_ERROR(kernel_->Forward(args));
    for (size_t i = spec_.dst.elements(); i < dst.size(); ++i) {
      if (dst[i] != kGuard) return Wrong("it writes beyond its result");
    }
    dst.resize(spec_.dst.elements());
    return dst;
  }

  // Of the sum of the results by each input.
  absl::StatusOr<std::vector<std::vector<double>>> Gradients(std::vector<double> dst) {
    const std::vector<double> ones(spec_.dst.elements(), 1);
    std::vector<std::vector<double>> gradients;
    std::vector<void*> diff_srcs, none(tensors_.size(), nullptr);
    for (const auto& src : srcs_) gradients.emplace_back(src.size(), 0);
    for (auto& gradient : gradients) diff_srcs.push_back(gradient.data());
    const Pointers pointers(*this);
    BackwardArgs args;
    args.srcs = pointers.srcs.data();
    args.tensors = pointers.tensors.data();
    args.dst = dst.data();
    args.diff_dst = ones.data();
    args.diff_srcs = diff_srcs.data();
    args.diff_tensors = none.data();
    MASE_RETURN_IF_ERROR(kernel_->Backward(args));
    return gradients;
  }

  std::vector<std::vector<double>>& srcs() { return srcs_; }
  bool has_backward() const { return kernel_->has_backward(); }

 private:
  struct Pointers {
    explicit Pointers(OpProbe& probe) {
      for (auto& src : probe.srcs_) srcs.push_back(src.data());
      for (auto& tensor : probe.tensors_) tensors.push_back(tensor.data());
    }
    std::vector<const void*> srcs;
    std::vector<void*> tensors;
  };

  Attributes attributes_;
  KernelSpec spec_;
  std::vector<std::vector<double>> srcs_, tensors_;
  std::unique_ptr<Kernel> kernel_;
};

absl::Status OpIsSound(const OpSchema& schema) {
  absl::StatusOr<std::unique_ptr<OpProbe>> probe = OpProbe::Create(schema);
  if (absl::IsUnimplemented(probe.status())) return absl::OkStatus();  // Nothing to try it on.
  MASE_RETURN_IF_ERROR(probe.status());
  MASE_ASSIGN_OR_RETURN(const std::vector<double> once, (*probe)->Forward());
  MASE_ASSIGN_OR_RETURN(const std::vector<double> twice, (*probe)->Forward());
  return once == twice ? absl::OkStatus() : Wrong("the same inputs give two results");
}

absl::Status OpGradientIsRight(const OpSchema& schema) {
  absl::StatusOr<std::unique_ptr<OpProbe>> probe = OpProbe::Create(schema);
  if (absl::IsUnimplemented(probe.status())) return absl::OkStatus();
  MASE_RETURN_IF_ERROR(probe.status());
  OpProbe& op = **probe;
  if (!op.has_backward()) return absl::OkStatus();
  MASE_ASSIGN_OR_RETURN(const std::vector<double> result, op.Forward());
  MASE_ASSIGN_OR_RETURN(const auto gradients, op.Gradients(result));
  constexpr double kStep = 1e-6, kTolerance = 1e-4;
  for (size_t s = 0; s < op.srcs().size(); ++s) {
    for (size_t i = 0; i < op.srcs()[s].size(); ++i) {
      double& x = op.srcs()[s][i];
      const double at = x;
      const auto sum_at = [&](double value) -> absl::StatusOr<double> {
        x = value;
        MASE_ASSIGN_OR_RETURN(const std::vector<double> results, op.Forward());
        double sum = 0;
        for (const double each : results) sum += each;
        return sum;
      };
      MASE_ASSIGN_OR_RETURN(const double above, sum_at(at + kStep));
      MASE_ASSIGN_OR_RETURN(const double below, sum_at(at - kStep));
      x = at;
      const double want = (above - below) / (2 * kStep), got = gradients[s][i];
      if (!(std::fabs(want - got) <= kTolerance * (1 + std::fabs(want)))) {
        return Wrong("the gradient by input ", s, " at ", at, " is ", got, ", differences say ",
                     want);
      }
    }
  }
  return absl::OkStatus();
}

// ---- Metrics and readers ----

absl::Status MetricIsSound(const MetricDefinition& definition) {
  constexpr int64_t kClasses = 3, kMetricRows = 60;
  const std::vector<float> scores = RandomFloats(kMetricRows * kClasses, 17, 1);
  std::vector<int64_t> labels(kMetricRows);
  for (int64_t i = 0; i < kMetricRows; ++i) labels[i] = i * 7 % kClasses;
  std::optional<double> first;
  for (const int64_t batch : {kMetricRows, int64_t{1}, int64_t{7}}) {
    const std::unique_ptr<Metric> metric = definition.create(kClasses);
    if (metric == nullptr) return Wrong("create gives none");
    for (int64_t row = 0; row < kMetricRows; row += batch) {
      const int64_t rows = std::min(batch, kMetricRows - row);
      metric->Add(absl::MakeConstSpan(scores).subspan(row * kClasses, rows * kClasses),
                  absl::MakeConstSpan(labels).subspan(row, rows));
    }
    const double value = metric->Finish();
    if (!std::isfinite(value)) return Wrong("it is ", value, " for ", kMetricRows, " rows");
    if (first.has_value() && std::fabs(*first - value) > 1e-9 * (1 + std::fabs(value))) {
      return Wrong("it is ", *first, " for rows in one batch, and ", value, " for batches of ",
                   batch);
    }
    first = value;
  }
  // NaN among the scores, and one class, bring nothing down.
  const std::unique_ptr<Metric> metric = definition.create(1);
  const float score = std::numeric_limits<float>::quiet_NaN();
  const int64_t label = 0;
  metric->Add({&score, 1}, {&label, 1});
  metric->Finish();
  return absl::OkStatus();
}

absl::Status ReaderIsSound(const DataReader& reader) {
  for (const char* known : {"", "a,b,c\n1,2,3\n", "@relation x\n", "\x93NUMPY", "\x89HDF\r\n\x1a\n",
                            "PK\x03\x04", "\x1f\x8b", "\x89PNG\r\n"}) {
    if (reader.recognizes(known)) {
      return Wrong("it takes a file that begins with ", Quoted(known), " for one of its own");
    }
  }
  Mt19937 random(23);
  for (int i = 0; i < 1000; ++i) {
    std::string head(random.Next32() % 64, '\0');
    for (char& c : head) c = static_cast<char>(random.Next32());
    reader.recognizes(head);
  }
  const auto missing = reader.read("/no/such/folder/file");
  return missing.ok() ? Wrong("it reads a file that is not there") : absl::OkStatus();
}

// Runs a check apart, and looks at what else it did.
ConformanceCheck Run(std::string of, std::string what,
                     const std::function<absl::Status()>& function) {
  const Apart apart = RunApart(function, kSeconds);
  ConformanceCheck check = {std::move(of), std::move(what), apart.status, apart.seconds,
                            apart.peak_bytes};
  if (check.status.ok() && !apart.output.empty()) {
    check.status = Wrong("it wrote to standard output or error: ",
                         Printable(apart.output.substr(0, apart.output.find('\n'))));
  }
  if (check.status.ok() && apart.peak_bytes > kMaxBytes) {
    check.status = Wrong("it took ", apart.peak_bytes >> 20, " MiB");
  }
  return check;
}

}  // namespace

std::vector<ConformanceCheck> CheckConformance(const PluginEntry& plugin, PassSource& passes) {
  std::vector<ConformanceCheck> checks;
  for (const PassEntry& entry : plugin.pass()) {
    const std::string of = absl::StrCat("pass ", entry.name());
    const absl::StatusOr<const PassInfo*> info = passes.LookUp(entry.name());
    if (!info.ok()) {
      checks.push_back({of, "is found by its name", info.status()});
      continue;
    }
    checks.push_back(Run(of, "options round trip", [&] { return OptionsRoundTrip(**info); }));
    checks.push_back(Run(of, "nets of the zoo", [&] { return OnZoo(**info, passes); }));
    checks.push_back(Run(of, absl::StrCat(kRandomGraphs, " random graphs"),
                         [&] { return OnRandomGraphs(**info, passes); }));
  }
  for (const NamedEntry& entry : plugin.format()) {
    const std::string of = absl::StrCat("format ", entry.name());
    const Family& family = *FindFamily(entry.name());
    checks.push_back(Run(of, "rounding", [&] { return RoundingIsSound(family); }));
    checks.push_back(Run(of, "values", [&] { return ValuesAreItsOwn(family); }));
    checks.push_back(Run(of, "codes", [&] { return CodesAreSound(family); }));
    checks.push_back(Run(of, "gradient", [&] { return GradientIsFinite(family); }));
  }
  for (const NamedEntry& entry : plugin.op()) {
    const std::string of = absl::StrCat("op ", entry.name());
    const OpSchema& schema = *FindOp(entry.name());
    checks.push_back(Run(of, "forward", [&] { return OpIsSound(schema); }));
    checks.push_back(Run(of, "gradient", [&] { return OpGradientIsRight(schema); }));
  }
  for (const NamedEntry& entry : plugin.metric()) {
    checks.push_back(Run(absl::StrCat("metric ", entry.name()), "batches",
                         [&] { return MetricIsSound(*FindMetric(entry.name())); }));
  }
  for (const NamedEntry& entry : plugin.data_reader()) {
    for (const DataReader* reader : DataReaders()) {
      if (reader->name != entry.name()) continue;
      checks.push_back(Run(absl::StrCat("data reader ", entry.name()), "other files",
                           [&] { return ReaderIsSound(*reader); }));
    }
  }
  return checks;
}

}  // namespace mase
