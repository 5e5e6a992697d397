#include "mase/interop/pickle.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/limits.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using Kind = PickleValue::Kind;
using namespace std::string_literals;

constexpr absl::StatusCode kDamaged = absl::StatusCode::kDataLoss;
constexpr absl::StatusCode kRefused = absl::StatusCode::kInvalidArgument;
constexpr absl::StatusCode kTooMuch = absl::StatusCode::kResourceExhausted;

// A pickle of protocol 2 with these opcodes.
std::string Of(const std::string& ops) { return "\x80\x02"s + ops + "."; }

TEST(PickleTest, NumbersTextsAndLists) {
  // [5, -1, 300, 2.5, 'ab', None, True, (1, 2)]
  const std::string bytes =
      Of("](K\x05J\xff\xff\xff\xffM\x2c\x01G\x40\x04\0\0\0\0\0\0X\x02\0\0\0abN\x88K\x01K\x02\x86"
         "e"s);
  const Pickle pickle = ValueOrDie(Pickle::Parse(bytes));
  const PickleValue& list = pickle.root();
  ASSERT_EQ(list.kind, Kind::kList);
  ASSERT_THAT(list.items, SizeIs(8));
  EXPECT_EQ(pickle.at(list.items[0]).number, 5);
  EXPECT_EQ(pickle.at(list.items[1]).number, -1);
  EXPECT_EQ(pickle.at(list.items[2]).number, 300);
  EXPECT_EQ(pickle.at(list.items[3]).real, 2.5);
  EXPECT_EQ(pickle.at(list.items[4]).text, "ab");
  EXPECT_EQ(pickle.at(list.items[5]).kind, Kind::kNone);
  EXPECT_EQ(pickle.at(list.items[6]).number, 1);
  EXPECT_EQ(pickle.at(list.items[7]).kind, Kind::kTuple);
  EXPECT_EQ(pickle.size(), bytes.size());
}

TEST(PickleTest, LongNumbersOfBothSigns) {
  EXPECT_EQ(ValueOrDie(Pickle::Parse(Of("\x8a\x02\x00\x01"s))).root().number, 256);
  EXPECT_EQ(ValueOrDie(Pickle::Parse(Of("\x8a\x01\xfb"s))).root().number, -5);
  EXPECT_EQ(ValueOrDie(Pickle::Parse(Of("\x8a\x00"s))).root().number, 0);
}

TEST(PickleTest, DictsAreFoundByKey) {
  const std::string bytes = Of("}(X\x01\0\0\0aK\x01X\x01\0\0\0bK\x02u"s);
  const Pickle pickle = ValueOrDie(Pickle::Parse(bytes));
  ASSERT_NE(pickle.Find(pickle.root(), "b"), nullptr);
  EXPECT_EQ(pickle.Find(pickle.root(), "b")->number, 2);
  EXPECT_EQ(pickle.Find(pickle.root(), "c"), nullptr);
}

TEST(PickleTest, AValueMayBeInItself) {
  const std::string bytes = Of("]q\0h\0a"s);  // a = []; a.append(a)
  EXPECT_THAT(ValueOrDie(Pickle::Parse(bytes)).root().items, SizeIs(1));
}

TEST(PickleTest, CodeIsRefusedByNameAndByte) {
  for (const char* name :
       {"os\nsystem", "posix\nsystem", "builtins\neval", "torch.nn.modules\nLinear",
        "collections\ndefaultdict", "torch\nComplexFloatStorage", "torch\nload"}) {
    EXPECT_THAT(Pickle::Parse(Of(absl::StrCat("c", name, "\n)R"))),
                StatusIs(kRefused, AllOf(HasSubstr("pickle, byte 2: wants '"),
                                         HasSubstr("only tensors and plain data are read"))))
        << name;
  }
  EXPECT_THAT(Pickle::Parse("\x80\x04\x8c\x02os\x8c\x06system\x93."),
              StatusIs(kRefused, HasSubstr("wants 'os.system'")));
  // INST, OBJ, NEWOBJ_EX, EXT1, PERSID and others: none makes plain data.
  for (const char* op : {"i", "o", "\x92", "\x82", "P", "\x97", "d", "l", "I", "V"}) {
    EXPECT_THAT(Pickle::Parse(Of(op)), StatusIs(kRefused, HasSubstr("pickle, byte 2: opcode")))
        << op;
  }
}

TEST(PickleTest, ModulesOfTorchAreTheirFields) {
  const std::string module = "ctorch.nn.modules.linear\nLinear\n)\x81";
  const Pickle pickle = ValueOrDie(Pickle::Parse(Of(module + "}b")));
  EXPECT_EQ(pickle.root().kind, PickleValue::Kind::kModule);
  ASSERT_THAT(pickle.root().items, SizeIs(1));
  EXPECT_EQ(pickle.at(pickle.root().items[0]).kind, PickleValue::Kind::kDict);
  // Neither called, nor made with arguments, nor given other fields than a dict; no other class so.
  for (const std::string& bytes :
       {"ctorch.nn.modules.linear\nLinear\n)R"s, "ctorch.nn.modules.linear\nLinear\nN\x85\x81"s,
        module + "]b", "ccollections\nOrderedDict\n)\x81"s, "\x81"s}) {
    EXPECT_THAT(Pickle::Parse(Of(bytes)), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("byte")));
  }
}

TEST(PickleTest, GraphModulesAreTheirFields) {
  const std::string reduce = "ctorch.fx.graph_module\nreduce_graph_module\n";
  const std::string code = "X\x04\0\0\0code"s;
  const Pickle pickle = ValueOrDie(Pickle::Parse(Of(reduce + "}" + code + "\x86R")));
  EXPECT_EQ(pickle.root().kind, PickleValue::Kind::kModule);
  ASSERT_THAT(pickle.root().items, SizeIs(1));
  EXPECT_EQ(pickle.at(pickle.root().items[0]).kind, PickleValue::Kind::kDict);
  // Without fields, with others than a dict, with more; the class of a tracer is named, not called.
  for (const std::string& bytes :
       {reduce + ")R", absl::StrCat(reduce, "]", code, "\x86R"),
        absl::StrCat(reduce, "}", code, "N\x87R"), "ctorch.fx._symbolic_trace\nTracer\n)R"s,
        "cchop.ir.graph.mase_graph\nMaseTracer\n)\x81"s}) {
    EXPECT_THAT(Pickle::Parse(Of(bytes)), StatusIs(kDamaged, HasSubstr("byte")));
  }
}

TEST(PickleTest, DamageIsNamedWithItsByte) {
  struct Case {
    std::string bytes;
    std::string message;
  };
  const Case cases[] = {
      {"", "is no pickle"},
      {"hello", "is no pickle"},
      {"\x80\x01.", "protocol 1"},
      {"\x80\x02", "byte 2: truncated"},
      {Of(""), "byte 2: the stack is empty"},
      {Of("a"), "the stack is empty"},
      {Of("t"), "there is no mark"},
      {Of("K\x01("), "the stack is empty"},
      {Of("K\x01K\x02s"), "the stack is empty"},
      {Of("NNNs"), "wants a dict on the stack"},
      {Of("h\x05"), "no value was noted as 5"},
      {Of("X\xff\xff\xff\x7f"), "truncated"},
      {Of("\x8d\xff\xff\xff\xff\xff\xff\xff\xff"), "truncated"},
      {Of("}(K\x01u"), "a key without a value"},
      {Of("cfoo"), "a line without an end"},
      {Of("NQ"), "a persistent id that is no storage"},
      {Of("NNR"), "a call of what is no function"},
      {Of("ctorch._utils\n_rebuild_tensor_v2\n)R"), "arguments of torch._utils._rebuild_tensor_v2"},
      {Of("ctorch\nFloatStorage\n)R"), "arguments of torch.FloatStorage"},
      {Of("NNb"), "fields of what has none"},
  };
  for (const Case& damaged : cases) {
    EXPECT_THAT(Pickle::Parse(damaged.bytes), StatusIs(kDamaged, HasSubstr(damaged.message)));
  }
}

// Lengths are without sign, so one that was negative is beyond the end; nothing is allocated for
// it.
TEST(PickleTest, LengthsThatWereNegativeAreCutOff) {
  for (const std::string& op :
       {"X\xff\xff\xff\xff"s, "B\xfe\xff\xff\xff"s, "T\x00\x00\x00\x80"s, "\x8b\xff\xff\xff\xff"s,
        "\x8a\xff"s, "\x8c\xff"s, "\x8d\x00\x00\x00\x00\x00\x00\x00\x80"s,
        "\x8e\xff\xff\xff\xff\xff\xff\xff\xff"s}) {
    EXPECT_THAT(Pickle::Parse(Of(op)), StatusIs(kDamaged, HasSubstr("pickle, byte 2: truncated")));
  }
}

TEST(PickleTest, NestingIsBounded) {
  const auto nested = [](int depth) {
    return Of(std::string(depth, '(') + std::string(depth, 't'));
  };
  EXPECT_OK(Pickle::Parse(nested(limits::kMaxPickleNesting - 1)));
  EXPECT_OK(Pickle::Parse(nested(limits::kMaxPickleNesting)));
  EXPECT_THAT(Pickle::Parse(nested(limits::kMaxPickleNesting + 1)), StatusIs(kTooMuch));
  // One-tuples need no mark, and nobody walks them.
  EXPECT_OK(Pickle::Parse(Of("N" + std::string(100000, '\x85'))));
}

TEST(PickleTest, BytesAreBounded) {
  const auto with_text = [](int64_t bytes) {  // Of the whole pickle.
    const auto size = static_cast<uint32_t>(bytes - 8);
    return Of(absl::StrCat("X", std::string(reinterpret_cast<const char*>(&size), 4),
                           std::string(size, 'x')));
  };
  EXPECT_OK(Pickle::Parse(with_text(limits::kMaxPickleBytes - 1)));
  EXPECT_OK(Pickle::Parse(with_text(limits::kMaxPickleBytes)));
  EXPECT_THAT(Pickle::Parse(with_text(limits::kMaxPickleBytes + 1)), StatusIs(kTooMuch));
}

// A list of 2^16 values and as many copies of it as are asked for, by calls of a few bytes each.
std::string Copies(int count) {
  std::string bytes = "](" + std::string(1 << 16, 'N') + "eq\0"s;
  for (int i = 0; i < count; ++i) bytes += "cbuiltins\nset\nh\0\x85R"s;
  return bytes;
}

TEST(PickleTest, ValuesAreBounded) {
  constexpr int kFits = static_cast<int>(limits::kMaxPickleValues >> 16) - 2;
  EXPECT_OK(Pickle::Parse(Of(Copies(kFits))));
  EXPECT_THAT(Pickle::Parse(Of(Copies(kFits + 2))), StatusIs(kTooMuch, HasSubstr("values")));
  EXPECT_THAT(Pickle::Parse(Of(Copies(kFits) + std::string(1 << 16, 'N'))),
              StatusIs(kTooMuch, HasSubstr("values")));
}

TEST(PickleTest, ValuesAreBoundedExactly) {
  const auto nones = [](int64_t count) { return Of(std::string(static_cast<size_t>(count), 'N')); };
  EXPECT_OK(Pickle::Parse(nones(limits::kMaxPickleValues - 1)));
  EXPECT_OK(Pickle::Parse(nones(limits::kMaxPickleValues)));
  EXPECT_THAT(Pickle::Parse(nones(limits::kMaxPickleValues + 1)),
              StatusIs(kTooMuch, HasSubstr("values")));
}

TEST(PickleTest, ArgumentsCountAtEachCall) {
  const std::string noted =
      "(" + std::string(100000, 'N') + "tq\0"s + "0ctorch\ndevice\nq\x01" + "0";
  const auto calls = [&](int count) {
    std::string bytes = noted;
    for (int i = 0; i < count; ++i) bytes += "h\x01h\0R"s;
    return Of(bytes);
  };
  EXPECT_OK(Pickle::Parse(calls(10)));
  EXPECT_THAT(Pickle::Parse(calls(50)), StatusIs(kTooMuch, HasSubstr("values")));
}

}  // namespace
}  // namespace mase
