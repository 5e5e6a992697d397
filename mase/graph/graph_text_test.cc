#include "mase/graph/graph_text.h"

#include <limits>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/limits.h"
#include "mase/graph/graph_diff.h"
#include "mase/graph/graph_io.h"
#include "mase/graph/verifier.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;
constexpr absl::StatusCode kNotFound = absl::StatusCode::kNotFound;

// Every form that a line can have, in its canonical spelling.
constexpr char kAll[] = R"(graph "two heads"
tensor extra : i64[] buffer
tensor shared.weight : f32[4, 4]
tensor "odd \"name\"" : f32[4]
x = placeholder() : f32[8, 4]
ids = placeholder() @second : i64[8]
fc = linear(x, in_features=4, out_features=4, weight=%shared.weight, bias=%"odd \"name\"") : f32[8, 4]
again = linear(fc, in_features=4, out_features=4, weight=%shared.weight, bias=%"odd \"name\"") @heads/0.again : f32[8, 4]
elu = elu(again, alpha=0.25) : f32[8, 4]
gelu = gelu(elu, approximate="tanh") : f32[8, 4]
relu = function relu(gelu) @torch.relu : f32[8, 4]
rows = method size(relu, dim=0) : i64[]
view = method view(relu, rows, shape=(-2, 4)) : f32[8, 4]
add = add(view, x) @operator.add : f32[8, 4]
  quantized integer
  data_in = semantics: REFERENCE integer { width: 8 frac_width: 4 }
flatten = function flatten(add, start_dim=0) : f32[32]
output = output(flatten, ids)
)";

TEST(GraphTextTest, WhatIsWrittenReadsBackTheSame) {
  EXPECT_EQ(WriteGraphText(ParseGraph(kAll)), kAll);
}

TEST(GraphTextTest, DefaultsNeedNotBeWritten) {
  EXPECT_EQ(WriteGraphText(ParseGraph(kJscTiny)), R"(x = placeholder() : f32[8, 16]
seq_blocks_0 = batch_norm1d(x, num_features=16) @seq_blocks.0 : f32[8, 16]
seq_blocks_1 = relu(seq_blocks_0) @seq_blocks.1 : f32[8, 16]
seq_blocks_2 = linear(seq_blocks_1, in_features=16, out_features=5) @seq_blocks.2 : f32[8, 5]
seq_blocks_3 = relu(seq_blocks_2) @seq_blocks.3 : f32[8, 5]
output = output(seq_blocks_3)
)");
}

TEST(GraphTextTest, ItHoldsWhatTheFileFormatHolds) {
  for (const char* text : {kAll, kJscTiny}) {
    const Graph graph = ParseGraph(text);
    const Graph filed = ValueOrDie(GraphFromProto(GraphToProto(graph, TensorData::kInline)));
    EXPECT_EQ(DiffGraphs(graph, filed), "");
    EXPECT_EQ(WriteGraphText(filed), WriteGraphText(graph));
  }
}

TEST(GraphTextTest, NumbersComeBackBitForBit) {
  for (const std::string number : {"-0.0", "inf", "1e-300", "0.1", "1e+300", "3.0"}) {
    const std::string text = absl::StrCat("x = placeholder() : f32[1]\nelu = elu(x, alpha=", number,
                                          ") : f32[1]\noutput = output(elu)\n");
    EXPECT_EQ(WriteGraphText(ParseGraph(text)), text);
  }
}

TEST(GraphTextTest, ABrokenGraphIsWrittenWithoutTypes) {
  Graph graph = ParseGraph(kJscTiny);
  graph.ReplaceInput(graph.FindNode("seq_blocks_0"), 0,
                     graph.FindNode("seq_blocks_2")->outputs()[0]);
  const std::string text = WriteGraphText(graph);
  EXPECT_THAT(text, AllOf(HasSubstr("x = placeholder(shape=(8, 16))\n"),
                          HasSubstr("seq_blocks_0 = batch_norm1d(seq_blocks_2, num_features=16, "),
                          Not(HasSubstr("@seq_blocks.0 :"))));
  EXPECT_THAT(ReadGraphText(text), StatusIs(kInvalid, HasSubstr("no node above is named")));
}

TEST(GraphTextTest, CommentsAndBlanksAreNoPartOfIt) {
  EXPECT_THAT(ParseGraph("# A net.\n\n  x=placeholder( ):f32[ 2,3 ]# in\n"
                         "r  =  relu( x , inplace = True )\n\t# out\noutput = output(r)"),
              EqualsGraph("x = placeholder() : f32[2, 3]\n"
                          "r = relu(x, inplace=True)\n"
                          "output = output(r)"));
}

TEST(GraphTextTest, EveryFaultIsNamedByLineAndColumn) {
  struct Case {
    const char* line;  // The second of the text.
    absl::StatusCode code;
    const char* message;
  };
  const Case cases[] = {
      {"r = relu(y)", kInvalid, "2:10: no node above is named 'y'; did you mean 'x'?"},
      {"r = rellu(x)", kNotFound, "2:5: unknown op 'rellu'; did you mean 'relu'?"},
      {"r = functoin relu(x)", kInvalid,
       "2:5: 'functoin' is no kind of node; did you mean 'function'?"},
      {"x = relu(x)", kInvalid, "2:1: two nodes are named 'x'"},
      {"r = relu(x, inplce=True)", kInvalid, "2:13: relu has no attribute 'inplce'; did you mean"},
      {"r = relu(x, inplace=1)", kInvalid, "2:21: want True or False, found '1'"},
      {"r = relu(x, inplace=True, inplace=True)", kInvalid,
       "2:27: attribute 'inplace' is given twice"},
      {"r = linear(x, in_features=16)", kInvalid, "2:1: r: linear needs attribute 'out_features'"},
      {"r = linear(x, in_features=9, out_features=2)", kInvalid, "2:1: "},
      {"r = linear(x, in_features=99999999999999999999, out_features=2)", kInvalid,
       "2:27: '99999999999999999999' is no whole number of 64 bits"},
      {"r = elu(x, alpha=one)", kInvalid, "2:18: 'one' is no number"},
      {"r = gelu(x, approximate=\"tanh)", kInvalid, "2:25: the text has no closing quote"},
      {"r = gelu(x, approximate=\"\\q\")", kInvalid, "2:25: "},
      {"r = flatten(x, start_dim=(1))", kInvalid, "2:26: want a whole number, found '(1))'"},
      {"r = relu()", kInvalid, "2:1: r: relu has 0 inputs, want 1"},
      {"r = relu(x, x)", kInvalid, "2:1: r: relu has 2 inputs, want 1"},
      {"r = relu(x) : f32[8, 15]", kInvalid,
       "2:13: relu makes float32[8, 16], but the line says float32[8, 15]"},
      {"r = relu(x) : f31[8]", kInvalid, "2:15: unknown element type 'f31'; did you mean 'f32'?"},
      {"r = relu(x) : f32[-1]", kInvalid, "2:15: "},
      {"r = relu(x) extra", kInvalid, "2:13: want the end of the line, found 'extra'"},
      {"r = relu(x", kInvalid, "2:11: want ')', found the end of the line"},
      {"r relu(x)", kInvalid, "2:3: want '=' after the name 'r'"},
      {"= relu(x)", kInvalid, "2:1: want a node's name, found '= relu(x)'"},
      {"\x01\xff = relu(x)", kInvalid, "2:1: want a node's name, found '\\001\\377"},
      {"a.b = relu(x)", kInvalid, "2:1: node name 'a.b' is not an identifier"},
      {"graph late", kInvalid, "2:7: want '=' after the name 'graph'"},
      {"r = module add(x, x)", kInvalid, "2:1: r: op add cannot be a call_module"},
      {"  data_in = integer {}", kInvalid, "2:3: want a line 'quantized FORMAT' before operands"},
      {"  quantice integer", kInvalid, "2:3: want 'quantized FORMAT'"},
      {"output = output(x)", kInvalid, "3:1: two nodes are named 'output'"},
  };
  for (const Case& c : cases) {
    const std::string text =
        absl::StrCat("x = placeholder() : f32[8, 16]\n", c.line, "\noutput = output(x)\n");
    EXPECT_THAT(ReadGraphText(text),
                StatusIs(c.code, HasSubstr(absl::StrCat("graph text ", c.message))))
        << c.line;
  }
}

TEST(GraphTextTest, FaultsOfRecordsAndTensorsAreNamedToo) {
  const auto read = [](absl::string_view before, absl::string_view record) {
    return ReadGraphText(absl::StrCat(before, "x = placeholder() : f32[8, 4]\n", "r = relu(x)\n",
                                      record, "output = output(r)\n"));
  };
  EXPECT_OK(read("", "  quantized integer\n  data_in = integer { width: 8 }\n"));
  EXPECT_THAT(read("", "  quantized integer\n  data_in = integer { width: x }\n"),
              StatusIs(kInvalid, HasSubstr("graph text 4:30: ")));
  EXPECT_THAT(read("", "  quantized integer kind\n"),
              StatusIs(kInvalid, HasSubstr("3:21: want class, found 'kind'")));
  EXPECT_THAT(read("", "  quantized integer\n  weight = integer { width: 8 }\n"),
              StatusIs(kInvalid, HasSubstr("r (relu): is quantized in operand 'weight'")));
  EXPECT_THAT(read("",
                   "  quantized integer\n  data_in = integer { width: 8 }\n"
                   "  data_in = integer { width: 4 }\n"),
              StatusIs(kInvalid, HasSubstr("r (relu): is quantized in operand 'data_in' twice")));
  EXPECT_THAT(read("", "  quantized integer\n  data_in = semantics: REFERENCE\n"),
              StatusIs(kInvalid, HasSubstr("in operand 'data_in' in no format")));
  EXPECT_THAT(read("tensor t : f32[2]\ntensor t : f32[2]\n", ""),
              StatusIs(kInvalid, HasSubstr("2:8: two tensors are named 't'")));
  EXPECT_THAT(read("tensor t : f32[2] bufer\n", ""),
              StatusIs(kInvalid, HasSubstr("1:19: want buffer, found 'bufer'")));
}

TEST(GraphTextTest, ARecordNamesOnlyWhatTheOpRounds) {
  EXPECT_THAT(ReadGraphText("x = placeholder() : f32[8, 4]\n"
                            "bn = batch_norm1d(x, num_features=4)\n"
                            "  quantized integer\n"
                            "  running_mean = integer { width: 8 }\n"
                            "output = output(bn)\n"),
              StatusIs(kInvalid, HasSubstr("bn (batch_norm1d): is quantized in operand "
                                           "'running_mean', which it does not have")));
}

TEST(GraphTextTest, AFewBytesOfTextDoNotFillTheMemory) {
  for (const char* line : {"r = linear(x, in_features=16, out_features=99999999)",
                           "r = linear(x, in_features=16, out_features=9999999999)"}) {
    const std::string text = absl::StrCat("x = placeholder() : f32[8, 16]\n", line, "\n");
    EXPECT_THAT(ReadGraphText(text),
                StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("graph text 2:1: ")));
  }
  EXPECT_THAT(ReadGraphText("tensor t : f32[99999, 99999]\n"),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("graph text 1:12: ")));
}

TEST(GraphTextTest, TensorsOfATextAreLimitedTogether) {
  const auto read = [](int64_t more) {
    return ReadGraphText(absl::StrCat(
        "tensor a : bool[10] buffer\ntensor b : bool[", limits::kMaxGraphTextElements - 10 + more,
        "] buffer\nx = placeholder() : f32[1]\noutput = output(x)\n"));
  };
  EXPECT_OK(read(-1));
  EXPECT_OK(read(0));
  EXPECT_THAT(read(1), StatusIs(absl::StatusCode::kResourceExhausted,
                                HasSubstr("graph text 2:8: tensor 'b'")));
}

TEST(GraphTextTest, DamagedTextIsAnErrorOrAGraph) {
  const std::string whole = kAll;
  for (size_t at = 0; at < whole.size(); ++at) {
    for (const char c : {'\0', '(', ')', '"', '\n', ' ', '=', '9', '%', '{', '\\'}) {
      std::string damaged = whole;
      damaged[at] = c;
      const absl::StatusOr<Graph> graph = ReadGraphText(damaged);
      EXPECT_TRUE(!graph.ok() || VerifyGraph(*graph).ok()) << damaged;
    }
    const absl::StatusOr<Graph> cut = ReadGraphText(whole.substr(0, at));
    EXPECT_TRUE(!cut.ok() || VerifyGraph(*cut).ok()) << at;
  }
}

}  // namespace
}  // namespace mase
