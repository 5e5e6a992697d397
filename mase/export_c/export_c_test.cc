#include "mase/export_c/export_c.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/runfiles.h"
#include "mase/data/open_dataset.h"
#include "mase/model/checkpoint.h"
#include "mase/model/zoo.h"
#include "mase/predict/predictor.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

Graph Trained(absl::string_view name) {
  Checkpoint checkpoint = ValueOrDie(
      LoadCheckpoint(Runfile(absl::StrCat("testdata/checkpoints/", name, ".safetensors"))));
  return *std::move(checkpoint.graph);
}

struct Formats {
  int width, frac_width, bias_width, bias_frac_width;
  FormatProto::Rounding rounding;
  bool relus;  // Give them records, too.
};

void Quantize(const Formats& formats, Graph& graph) {
  for (Node* node : graph.NodesInOrder()) {
    const bool layer = node->Is(OpTrait::kWeighted);
    const bool other =
        node->op() == ops::kRelu || node->Is(OpTrait::kPool) || node->Is(OpTrait::kArithmetic);
    if (!node->schema().quantizable || (!layer && !(formats.relus && other))) continue;
    Quantization record;
    const auto add = [&](const char* name, int width, int frac_width) {
      OperandFormat* operand = record.add_operand();
      operand->set_operand(name);
      operand->mutable_format()->set_rounding(formats.rounding);
      operand->mutable_format()->mutable_integer()->set_width(width);
      operand->mutable_format()->mutable_integer()->set_frac_width(frac_width);
    };
    add("data_in", formats.width, formats.frac_width);
    if (layer) {
      add("weight", formats.width, formats.frac_width);
      if (node->FindParameter("bias") != nullptr) {
        add("bias", formats.bias_width, formats.bias_frac_width);
      }
    }
    graph.SetQuantization(node, record);
  }
}

void WriteFile(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

// Compiles the program and its test, as strictly as can be, and runs that.
void ExpectRuns(const CProgram& program, const std::string& compiler,
                const std::string& expected = "64 of 64 rows are equal, bit for bit") {
  const std::string folder = ::testing::TempDir();
  WriteFile(folder + "/net.h", program.header);
  WriteFile(folder + "/net.c", program.source);
  WriteFile(folder + "/net_test.c", program.test);
  const std::string command = absl::StrCat(
      "cd ", folder, " && ", compiler,
      " -std=c99 -O2 -Wall -Wextra -Wno-sign-compare -Werror -pedantic net.c net_test.c "
      "-o net_test 2>&1 && ./net_test");
  FILE* pipe = popen(command.c_str(), "r");
  std::string output;
  char buffer[4096];
  while (const size_t count = fread(buffer, 1, sizeof(buffer), pipe)) output.append(buffer, count);
  EXPECT_EQ(pclose(pipe), 0) << output << program.source.substr(0, 4000);
  EXPECT_THAT(output, HasSubstr(expected));
}

TEST(ExportCTest, TrainedNetsAreTheIntegerRunBitForBit) {
  for (const char* name : {"jsc-tiny", "jsc-toy", "jsc-s", "jsc-nas"}) {
    Graph graph = Trained(name);
    Quantize({8, 4, 8, 4, FormatProto::NEAREST_EVEN, true}, graph);
    SCOPED_TRACE(name);
    ExpectRuns(ValueOrDie(ExportC(graph, "net")), "gcc");
  }
}

TEST(ExportCTest, EveryWidthAndRounding) {
  for (const Formats& formats : {Formats{4, 2, 6, 3, FormatProto::NEAREST_AWAY, false},
                                 Formats{3, 1, 16, 12, FormatProto::FLOOR, true},
                                 Formats{8, 9, 8, 2, FormatProto::CEILING, true},
                                 Formats{12, 6, 16, 4, FormatProto::TOWARD_ZERO, true},
                                 Formats{16, 12, 16, 15, FormatProto::NEAREST_EVEN, false},
                                 Formats{2, 0, 8, 7, FormatProto::AWAY_FROM_ZERO, true}}) {
    Graph graph = Trained("jsc-tiny");
    Quantize(formats, graph);
    SCOPED_TRACE(absl::StrCat(formats.width, "/", formats.frac_width));
    ExpectRuns(ValueOrDie(ExportC(graph, "net")), "gcc");
  }
}

// Layer lists, so that shapes, kernels and windows of every kind occur.
Graph Made(const std::string& layers, const Shape& input) {
  return ValueOrDie(BuildModel({.model = layers, .input = input, .classes = 5, .seed = 3}));
}

TEST(ExportCTest, ConvolutionsAndPools) {
  const struct {
    const char* layers;
    Shape input;
  } nets[] = {
      {"nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), "
       "nn.Conv2d(4, 8, 3, stride=2, padding=1, groups=2), nn.ReLU(), nn.Flatten(), "
       "nn.Linear(32, 5))",
       {1, 8, 8}},
      {"nn.Sequential(nn.Conv2d(2, 6, (3, 5), padding=(2, 1), dilation=(2, 1), bias=False), "
       "nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 6, 3, padding=1, groups=6), nn.ReLU(), "
       "nn.AvgPool2d(2), nn.Conv2d(6, 3, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), "
       "nn.Linear(3, 5))",
       {2, 9, 11}},
      {"nn.Sequential(nn.Conv1d(3, 5, 4, stride=3, padding=3), nn.ReLU(), "
       "nn.MaxPool1d(3, 2, 1), nn.Conv1d(5, 4, 2), nn.Flatten(), nn.Linear(8, 5))",
       {3, 13}},
  };
  for (const auto& net : nets) {
    for (const bool relus : {true, false}) {
      Graph graph = Made(net.layers, net.input);
      Quantize({8, 5, 8, 5, FormatProto::NEAREST_EVEN, relus}, graph);
      SCOPED_TRACE(absl::StrCat(net.layers, relus));
      const auto program = ExportC(graph, "net");
      if (!relus && absl::StrContains(net.layers, "AvgPool")) {
        EXPECT_THAT(program, StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("avg_pool2d")));
      } else {
        ExpectRuns(ValueOrDie(program), "gcc");
      }
    }
  }
}

TEST(ExportCTest, SumsHave16BitsAsFarAsTheWeightsProveThatTheyFit) {
  const std::pair<float, std::string> sizes[] = {
      // Codes of weights; inputs are -128 at least.
      {7, "k < 32"}, {8, "k < 16"}, {15, "k < 16"}, {16, "k < 8"}, {31, "k < 8"}, {32, "k < 70"}};
  for (const auto& [size, loop] : sizes) {
    Graph graph = Made("nn.Sequential(nn.Linear(70, 9), nn.ReLU(), nn.Linear(9, 5))", {70});
    for (const char* name : {"seq_blocks.0.weight", "seq_blocks.2.weight"}) {
      Tensor weight = graph.FindTensor(name)->value;
      for (float& number : weight.mutable_data<float>()) {
        number = std::copysign(size / 64, number);
      }
      graph.SetTensor(name, weight, false);
    }
    Quantize({8, 6, 8, 6, FormatProto::NEAREST_EVEN, false}, graph);
    SCOPED_TRACE(size);
    const CProgram program = ValueOrDie(ExportC(graph, "net"));
    EXPECT_THAT(program.source, HasSubstr(absl::StrCat("(k = 0; ", loop, ";")));
    ExpectRuns(program, "gcc");
  }
}

TEST(ExportCTest, ResidualsReadWhatWasComputedBefore) {
  Graph graph = ParseGraph(R"(
x = placeholder() : f32[1, 16]
a = relu(x)
b = add(a, x)
c = mul(b, a)
d = sub(c, b)
output = output(d)
)");
  Quantize({6, 3, 8, 4, FormatProto::NEAREST_EVEN, true}, graph);
  ExpectRuns(ValueOrDie(ExportC(graph, "net")), "gcc");
}

TEST(ExportCTest, AllRowsOfTheJetsAreTheIntegerRun) {
  Graph graph = Trained("jsc-s");
  Quantize({8, 4, 8, 4, FormatProto::NEAREST_EVEN, true}, graph);
  CProgram program = ValueOrDie(ExportC(graph, "net"));
  DatasetConfig config;
  config.set_name("jsc");
  const Dataset dataset = ValueOrDie(OpenDataset(config, {}));
  const Tensor rows = ValueOrDie(dataset.Get(Split::kTest)).features;
  const auto predictor = ValueOrDie(Predictor::Create(graph, nullptr, {.apply_recipe = false}));
  std::vector<float> results(rows.shape()[0] * program.outputs);
  EXPECT_OK(predictor->Predict(rows.data<float>(), absl::MakeSpan(results)));
  const auto bytes = [](absl::Span<const float> numbers) {
    return std::string(reinterpret_cast<const char*>(numbers.data()), numbers.size() * 4);
  };
  WriteFile(::testing::TempDir() + "/rows", bytes(rows.data<float>()) + bytes(results));
  program.test = absl::StrCat(
      "#include <stdio.h>\n#include <string.h>\n#include \"net.h\"\n"
      "static float x[",
      rows.elements(), "], want[", results.size(),
      "];\n"
      "int main(void) {\n  int i, equal = 0;\n  FILE* file = fopen(\"rows\", \"rb\");\n"
      "  if (!file || fread(x, sizeof(x), 1, file) != 1 || "
      "fread(want, sizeof(want), 1, file) != 1) return 1;\n"
      "  for (i = 0; i < ",
      rows.shape()[0],
      "; ++i) {\n    float y[NET_OUTPUTS];\n"
      "    equal += net(x + i * NET_INPUTS, y) == 0 && !memcmp(y, want + i * NET_OUTPUTS, "
      "sizeof(y));\n  }\n"
      "  printf(\"%d rows are equal\\n\", equal);\n  return 0;\n}\n");
  ExpectRuns(program, "gcc", "1000 rows are equal");
}

TEST(ExportCTest, BehindTheLastNormThereIsNoFloat) {
  Graph graph = Trained("jsc-tiny");
  Quantize({8, 4, 8, 4, FormatProto::NEAREST_EVEN, true}, graph);
  const CProgram program = ValueOrDie(ExportC(graph, "net"));
  EXPECT_TRUE(program.on_codes);
  EXPECT_THAT(program.header,
              HasSubstr("void net_codes(const int8_t c[NET_CODES], int32_t y[NET_OUTPUTS]);"));
  const size_t begin = program.source.find("void net_codes");
  EXPECT_THAT(program.source.substr(begin, program.source.find("int net(") - begin),
              Not(HasSubstr("float")));
  EXPECT_EQ(program.inputs, 16);
  EXPECT_EQ(program.outputs, 5);
  // Five outputs are filled up to eight.
  EXPECT_EQ(program.constant_bytes, 16 * 12 + 16 * 8 + 8 * 4);
}

TEST(ExportCTest, ANanPassesNormAndReluAndIsRefusedWhereItGetsNoCode) {
  Graph graph = Trained("jsc-tiny");
  Quantize({8, 4, 8, 4, FormatProto::NEAREST_EVEN, false}, graph);
  CProgram program = ValueOrDie(ExportC(graph, "net"));
  // The ReLU is the least code.
  EXPECT_THAT(program.source, AllOf(HasSubstr(", 0, 127);"), Not(HasSubstr("< 0 ? 0.0f : "))));
  program.test =
      "#include <math.h>\n#include <stdio.h>\n#include \"net.h\"\n"
      "int main(void) {\n  float x[NET_INPUTS] = {0}, y[NET_OUTPUTS];\n"
      "  if (net(x, y) != 0) return 1;\n  x[3] = NAN;\n  if (net(x, y) != -1) return 2;\n"
      "  puts(\"64 of 64 rows are equal, bit for bit\");\n  return 0;\n}\n";
  ExpectRuns(program, "gcc");
}

TEST(ExportCTest, WhatCannotBeWrittenIsNamed) {
  EXPECT_THAT(ExportC(Trained("jsc-tiny"), "net"),
              StatusIs(absl::StatusCode::kUnimplemented,
                       HasSubstr("node 'seq_blocks_2' (linear): has no record")));
  Graph graph = Trained("jsc-tiny");
  Quantize({8, 4, 8, 4, FormatProto::NEAREST_EVEN, true}, graph);
  const std::pair<const char*, const char*> names[] = {
      {"my-net", "'my-net' is no name of a C function; use letters"},
      {"_net", "use letters"},
      {"int", "'int' is no name of a C function, but a word of the language"},
      {"class", "a word of the language"},
      {"main", "a word of the language"},
      {"clamp32", "'clamp32' is a word of the C code itself"},
      {"printf", "a word of the C code itself"},
      {"int8_t", "a word of the C code itself"},
  };
  for (const auto& [name, why] : names) {
    EXPECT_THAT(ExportC(graph, name), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(why)));
  }
  const Graph branches = ParseGraph(R"(
x = placeholder() : f32[8, 16]
a = relu(x)
b = add(a, x)
output = output(b)
)");
  EXPECT_THAT(ExportC(branches, "net"),
              StatusIs(absl::StatusCode::kUnimplemented,
                       HasSubstr("node 'b' (add): it has no record, and the C export has")));
}

}  // namespace
}  // namespace mase
