#include "mase/model/zoo.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "mase/base/quote.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/base/suggest.h"
#include "mase/model/builder.h"
#include "mase/model/keras_json.h"
#include "mase/model/torch_text.h"
#include "mase/model/vision.h"

namespace mase {
namespace {

// Nets without branches are text. Those of the report authors and of the labs are under the
// names their authors gave, or "report-NNN".
constexpr ZooEntry kTextModels[] = {
    {"jsc-tiny", "jet substructure", "BN, ReLU, Linear classes, ReLU"},
    {"jsc-tiny-handout", "jet substructure", "BN, ReLU, Linear classes, BN, ReLU"},
    {"jsc-toy", "jet substructure",
     "BN, ReLU, Linear 8, BN, ReLU, Linear 8, BN, ReLU, Linear classes, BN, ReLU"},
    {"jsc-s", "jet substructure",
     "module_list: BN, ReLU, Linear 64, BN, ReLU, Linear 32, ReLU, Linear 32, ReLU, Linear 32, "
     "ReLU, Linear classes, BN, ReLU"},
    {"jsc-trt", "jet substructure",
     "BN, ReLU, Linear 32, BN, ReLU, Linear 48, BN, ReLU, Dropout 0.5, Linear 16, BN, ReLU, "
     "Linear classes, BN, ReLU"},
    {"report-000", "jet substructure",
     "BN, ReLU, Linear 16, BN, ReLU, Linear 32, BN, ReLU, Linear classes, BN, ReLU"},
    {"jsc-toy10x", "jet substructure",
     "BN, ReLU, Linear 64, BN, ReLU, Linear 40, BN, ReLU, Linear 10, BN, ReLU, Linear classes, "
     "BN, ReLU"},
    {"jsc-custom", "jet substructure",
     "BN, ReLU, Linear 32, BN, ReLU, Dropout 0.2, Linear 16, BN, ReLU, Dropout 0.2, "
     "Linear classes, BN, ReLU"},
    {"jsc-nas", "jet substructure",
     "BN, ReLU, Linear 16, ReLU, Linear 16, ReLU, Linear classes, ReLU"},
    {"toy", "toy", "view(size, -1); seq_blocks: Linear 8, ReLU, Linear 8, ReLU, Linear classes"},
    {"toy_convnet", "toy",
     "block_1: Conv 8 3 padding=1, ReLU; maxpool = MaxPool 2; block_2: Conv 16 3 padding=1, ReLU; "
     "view(size, 16, -1); block_3: Conv 32 3 padding=1, ReLU; block_4: Conv 64 3 padding=1, ReLU; "
     "avgpool = GlobalAvgPool; view(size, -1); linear = Linear classes"},
    {"lfc", "vision",
     "flatten(); seq_blocks: Linear 256, BN, Linear 256, BN, Linear 256, BN, Linear 256, BN, "
     "Linear classes, BN, Softmax dim=1"},
    {"cnv", "vision",
     "seq_blocks: Conv 64 3, BN, Conv 64 3, BN, MaxPool 2, Conv 128 3, BN, Conv 128 3, BN, "
     "MaxPool 2, Conv 256 3, BN, Conv 256 3, BN; flatten(); "
     "seq_blocks_1: Linear 512, BN, Linear 512, BN, Linear classes, BN"},
    // MASE's residual binary layers are this net quantized with the format binary_residual.
    {"cnv_residual", "vision",
     "seq_blocks: Conv 64 3 bias=false, BN, Conv 64 3 bias=false, BN, MaxPool 2, "
     "Conv 128 3 bias=false, BN, Conv 128 3 bias=false, BN, MaxPool 2, Conv 256 3 bias=false, BN, "
     "Conv 256 3 bias=false, BN; flatten(); seq_blocks_1: Linear 512 bias=false, BN, "
     "Linear 512 bias=false, BN, Linear classes bias=false, BN"},
    {"cnv-toy", "vision",
     "seq_blocks: Conv 32 3, BN, ReLU, AvgPool 2, Conv 32 3, BN, ReLU, AvgPool 2, Conv 32 3, BN, "
     "ReLU, AvgPool 2; flatten(); linear = Linear classes"},
    {"vgg7", "vision",
     "feature_layers: Conv 128 3 padding=1, BN momentum=0.9, ReLU, Conv 128 3 padding=1, "
     "BN momentum=0.9, ReLU, MaxPool 2, Conv 256 3 padding=1, BN momentum=0.9, ReLU, "
     "Conv 256 3 padding=1, BN momentum=0.9, ReLU, MaxPool 2, Conv 512 3 padding=1, "
     "BN momentum=0.9, ReLU, Conv 512 3 padding=1, BN momentum=0.9, ReLU, MaxPool 2; "
     "view(-1, 8192); classifier: Linear 1024, ReLU, Linear 1024, ReLU; "
     "last_layer = Linear classes"},
    {"vgg7_tiny", "vision",
     "feature_layers: Conv 10 3 padding=1, ReLU, Conv 10 3 padding=1, ReLU, MaxPool 2, "
     "Conv 8 3 padding=1, ReLU, MaxPool 2; view(size, -1); classifier: Linear 32, ReLU; "
     "last_layer = Linear classes"},
};

// Nets with branches, shared modules or modules that are never called.
struct BuiltModel {
  absl::string_view name;
  absl::string_view family;
  Value* (*build)(ModelBuilder& net);
};

// MASE declares l2 and relu_2 and never calls them; the weights exist and are counted.
Value* BuildToyTiny(ModelBuilder& net) {
  Value* x = net.ViewWithSize(net.input(), ops::kView, {-1});
  net.Declare("l1", "Linear 2", x->shape());
  net.Declare("l2", "Linear classes", {1, 2});
  return net.Module(net.Call(x, "l1"), "relu_1", "ReLU");
}

constexpr BuiltModel kBuiltModels[] = {
    {"toy_tiny", "toy", BuildToyTiny},
    {"resnet18", "vision", BuildResNet18},
    {"mobilenetv3_small", "vision", BuildMobileNetV3Small},
};

absl::Status BadSegment(absl::string_view segment) {
  return absl::InvalidArgumentError(absl::StrCat("cannot read '", segment,
                                                 "': want PATH: layers, PATH = layer, flatten(), "
                                                 "view(size or N, ...) or reshape(...)"));
}

// "view(size, 16, -1)" and the like.
absl::StatusOr<Value*> CallText(ModelBuilder& net, Value* x, absl::string_view text) {
  const size_t open = text.find('(');
  const absl::string_view name = absl::StripAsciiWhitespace(text.substr(0, open));
  const absl::string_view inside = text.substr(open + 1, text.size() - open - 2);
  if (name == ops::kFlatten && absl::StripAsciiWhitespace(inside).empty()) {
    return net.Function(ops::kFlatten, {x});
  }
  if (name != ops::kView && name != ops::kReshape) return BadSegment(text);
  std::vector<int64_t> extents;
  bool with_size = false, first = true;
  for (absl::string_view part : absl::StrSplit(inside, ',')) {
    part = absl::StripAsciiWhitespace(part);
    if (std::exchange(first, false) && part == ops::kSize) {
      with_size = true;
    } else if (int64_t extent = 0; absl::SimpleAtoi(part, &extent)) {
      extents.push_back(extent);
    } else {
      return BadSegment(text);
    }
  }
  return with_size ? net.ViewWithSize(x, name, extents)
                   : net.Method(name, {x}, {{"shape", std::move(extents)}});
}

bool IsPath(absl::string_view text) {
  for (char c : text) {
    if (!absl::ascii_isalnum(c) && c != '_' && c != '.') return false;
  }
  return !text.empty();
}

absl::StatusOr<Value*> ApplyText(ModelBuilder& net, absl::string_view text) {
  Value* x = net.input();
  bool first = true;
  for (absl::string_view segment : absl::StrSplit(text, ';')) {
    segment = absl::StripAsciiWhitespace(segment);
    const size_t colon = segment.find(':');
    const size_t equals = segment.find('=');
    const absl::string_view before_equals =
        equals == absl::string_view::npos ? ""
                                          : absl::StripAsciiWhitespace(segment.substr(0, equals));
    if (absl::EndsWith(segment, ")") && absl::StrContains(segment, "(")) {
      MASE_ASSIGN_OR_RETURN(x, CallText(net, x, segment));
    } else if (colon != absl::string_view::npos) {
      const absl::string_view path = absl::StripAsciiWhitespace(segment.substr(0, colon));
      if (!IsPath(path)) return BadSegment(segment);
      x = net.Sequence(x, path, segment.substr(colon + 1));
    } else if (IsPath(before_equals)) {  // "PATH = layer", not "Conv 8 3 padding=1".
      x = net.Module(x, before_equals, segment.substr(equals + 1));
    } else if (first) {
      x = net.Sequence(x, "seq_blocks", segment);
    } else {
      return BadSegment(segment);
    }
    first = false;
  }
  return x;
}

// A layer list rather than a mistyped name: more than one word.
bool LooksLikeLayers(absl::string_view text) {
  return absl::StrContains(text, ' ') || absl::StrContains(text, ',') ||
         absl::StrContains(text, ':');
}

absl::StatusOr<Graph> BuildText(ModelBuilder& net, absl::string_view text) {
  MASE_ASSIGN_OR_RETURN(Value * result, ApplyText(net, text));
  return net.Finish(result);
}

// What a person wrote is a classifier: catch the forgotten Flatten here, not in the loss.
absl::Status CheckClassifier(const Graph& graph, int64_t classes) {
  const Shape& shape = graph.output()->inputs()[0]->shape();
  if (classes == 0 || (shape.rank() == 2 && shape[1] == classes)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("ends in ", shape.ToString(), ", want [batch, ", classes, "] for ", classes,
                   " classes", shape.rank() > 2 ? ": add Flatten before the last Linear" : ""));
}

absl::StatusOr<Graph> BuildNamed(ModelBuilder& net, const std::string& name) {
  for (const ZooEntry& entry : kTextModels) {
    if (entry.name == name) return BuildText(net, entry.layers);
  }
  for (const BuiltModel& model : kBuiltModels) {
    if (model.name == name) return net.Finish(model.build(net));
  }
  std::vector<std::string> known;
  for (const ZooEntry& entry : ZooModels()) known.emplace_back(entry.name);
  const std::string nearest = Suggest(name, known);
  return absl::NotFoundError(absl::StrCat(
      "not found", nearest.empty() ? absl::StrCat("; there are ", absl::StrJoin(known, ", "),
                                                  ", and lists of layers: 'Linear 32, ReLU'")
                                   : nearest));
}

}  // namespace

absl::StatusOr<Graph> BuildModel(const ModelRequest& request, TorchGenerator* generator) {
  if (LooksLikeKerasJson(request.model)) {
    MASE_ASSIGN_OR_RETURN(const KerasNet net, ParseKerasNet(request.model));
    ModelRequest list = request;
    list.model = net.layers;
    const Shape sample{absl::MakeConstSpan(net.sample)};
    if (list.input.rank() == 0) list.input = sample;
    if (!net.sample.empty() && list.input != sample) {
      return absl::InvalidArgumentError(absl::StrCat("the net reads samples of ", sample.ToString(),
                                                     ", the data have ", list.input.ToString()));
    }
    MASE_ASSIGN_OR_RETURN(Graph graph, BuildModel(list, generator));
    MASE_RETURN_IF_ERROR(SetRecords(net, graph));
    return graph;
  }
  if (LooksLikeTorchText(request.model)) {
    absl::StatusOr<std::string> layers = LayersOfTorchText(request.model);
    if (!layers.ok()) return Annotate(layers.status(), "model as PyTorch writes it");
    ModelRequest list = request;
    list.model = *std::move(layers);
    return BuildModel(list, generator);
  }
  Shape input = {request.batch};
  for (int64_t extent : request.input.dims()) input.push_back(extent);
  ModelBuilder net(request.model, input, request.classes, request.seed, request.max_elements);
  const bool is_list = LooksLikeLayers(request.model);
  absl::StatusOr<Graph> graph =
      is_list ? BuildText(net, request.model) : BuildNamed(net, request.model);
  absl::Status status = graph.status();
  if (status.ok() && is_list) status = CheckClassifier(*graph, request.classes);
  if (!status.ok()) return Annotate(status, absl::StrCat("model ", Quoted(request.model)));
  if (generator != nullptr) *generator = net.generator();
  return graph;
}

std::vector<ZooEntry> ZooModels() {
  std::vector<ZooEntry> entries(std::begin(kTextModels), std::end(kTextModels));
  for (const BuiltModel& model : kBuiltModels) entries.push_back({model.name, model.family, ""});
  return entries;
}

}  // namespace mase
