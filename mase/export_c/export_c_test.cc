#include "mase/export_c/export_c.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/runfiles.h"
#include "mase/model/checkpoint.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

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
    const bool linear = node->op() == ops::kLinear;
    if (!linear && !(formats.relus && node->op() == ops::kRelu)) continue;
    Quantization record;
    const auto add = [&](const char* name, int width, int frac_width) {
      OperandFormat* operand = record.add_operand();
      operand->set_operand(name);
      operand->mutable_format()->set_rounding(formats.rounding);
      operand->mutable_format()->mutable_integer()->set_width(width);
      operand->mutable_format()->mutable_integer()->set_frac_width(frac_width);
    };
    add("data_in", formats.width, formats.frac_width);
    if (linear) {
      add("weight", formats.width, formats.frac_width);
      add("bias", formats.bias_width, formats.bias_frac_width);
    }
    graph.SetQuantization(node, record);
  }
}

void WriteFile(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

// Compiles the program and its test, as strictly as can be, and runs that.
void ExpectRuns(const CProgram& program, const std::string& compiler) {
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
  EXPECT_THAT(output, HasSubstr("64 of 64 rows are equal, bit for bit"));
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
  EXPECT_EQ(program.constant_bytes, 16 * 12 + 16 * 5 + 5 * 4);
}

TEST(ExportCTest, ANanPassesNormAndReluAndIsRefusedWhereItGetsNoCode) {
  Graph graph = Trained("jsc-tiny");
  Quantize({8, 4, 8, 4, FormatProto::NEAREST_EVEN, false}, graph);
  CProgram program = ValueOrDie(ExportC(graph, "net"));
  EXPECT_THAT(program.source, HasSubstr("< 0 ? 0.0f : "));
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
  EXPECT_THAT(ExportC(Trained("jsc-tiny"), "my-net"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("'my-net' is no name")));
  const Graph branches = ParseGraph(R"(
x = placeholder() : f32[8, 16]
a = relu(x)
b = add(a, x)
output = output(b)
)");
  EXPECT_THAT(ExportC(branches, "net"),
              StatusIs(absl::StatusCode::kUnimplemented,
                       HasSubstr("node 'a' (relu): the net is no chain")));
}

}  // namespace
}  // namespace mase
