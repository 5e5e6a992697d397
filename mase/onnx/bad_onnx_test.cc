// ONNX files that are broken, too large, or mean harm.
#include <cstdint>
#include <filesystem>
#include <new>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"
#include "mase/base/limits.h"
#include "mase/base/memory_budget.h"
#include "mase/base/runfiles.h"
#include "mase/onnx/import.h"
#include "mase/onnx/model_maker.h"
#include "mase/testing/file_limit.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

absl::Status Import(const Model& model) { return model.Import().status(); }

TEST(BadOnnxTest, WhatIsCutOffOrNoModelIsRefused) {
  const std::string whole =
      ValueOrDie(ReadFile(Runfile("testdata/onnx/jsc_tiny.ts.onnx"), int64_t{1} << 20));
  for (const size_t size : {whole.size() - 1, whole.size() / 2, size_t{100}, size_t{10}}) {
    const std::string path = NewPath();
    ASSERT_OK(WriteFileAtomically(path, whole.substr(0, size)));
    EXPECT_FALSE(ImportOnnx(path).ok()) << size;
  }
  const std::string path = NewPath();
  ASSERT_OK(WriteFileAtomically(path, "this is a text and no net"));
  EXPECT_THAT(ImportOnnx(path), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("no ONNX model")));
  EXPECT_THAT(ImportOnnx(NewPath("absent.onnx")), StatusIs(absl::StatusCode::kNotFound));
}

TEST(BadOnnxTest, EveryDamagedByteIsAnErrorOrANet) {
  std::string bytes =
      ValueOrDie(ReadFile(Runfile("testdata/onnx/jsc_tiny.ts.onnx"), int64_t{1} << 20));
  const std::string path = NewPath();
  for (size_t i = 0; i < bytes.size(); i += 7) {
    const char old = bytes[i];
    bytes[i] = static_cast<char>(old ^ (1 << i % 8));
    ASSERT_OK(WriteFileAtomically(path, bytes));
    (void)ImportOnnx(path).ok();
    bytes[i] = old;
  }
}

TEST(BadOnnxTest, ACycleIsRefused) {
  Model model;
  model.Input("x", {-1, 2}).Output("y");
  model.Node("Add", {"x", "b"}, {"a"});
  model.Node("Relu", {"a"}, {"b"});
  model.Node("Relu", {"b"}, {"y"});
  EXPECT_THAT(Import(model),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("node 'the_Add' (Add): reads 'b', which neither an input")));
}

TEST(BadOnnxTest, UnknownOpsAreNamedWithTheirNodes) {
  Model model;
  model.Input("x", {-1, 2}).Output("y");
  model.Node("Einsum", {"x"}, {"a"});
  model.Node("GridSample", {"a"}, {"y"});
  EXPECT_THAT(Import(model),
              StatusIs(absl::StatusCode::kUnimplemented,
                       HasSubstr("ops that cannot be read: node 'the_Einsum' (Einsum), node "
                                 "'the_GridSample' (GridSample)")));
}

TEST(BadOnnxTest, OpsThatTheResultDoesNotNeedAreNoMatter) {
  Model model;
  model.Input("x", {-1, 2}).Output("y").Output("z", TensorProto::INT64);
  model.Node("Relu", {"x"}, {"y"});
  model.Node("NonZero", {"x"}, {"z"});
  EXPECT_OK(model.Import());
}

TEST(BadOnnxTest, ShapesThatAreNoneAreRefused) {
  Model negative;
  negative.Input("x", {-1, 2}).Output("y");
  negative.Floats("w", {-2, 2}, {1, 2});
  negative.Node("Add", {"x", "w"}, {"y"});
  EXPECT_THAT(Import(negative),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("tensor 'w'")));
  Model large;
  large.Input("x", {-1, 2}).Output("y");
  large.Floats("w", {int64_t{1} << 40, int64_t{1} << 40}, {1, 2});
  large.Node("Add", {"x", "w"}, {"y"});
  EXPECT_THAT(Import(large),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("tensor 'w'")));
  Model deep;
  deep.Input("x", std::vector<int64_t>(40, 1)).Output("y");
  deep.Node("Relu", {"x"}, {"y"});
  EXPECT_THAT(Import(deep), StatusIs(absl::StatusCode::kResourceExhausted));
  Model open;
  open.Input("x", {-1, -1}).Output("y");
  open.Node("Relu", {"x"}, {"y"});
  EXPECT_THAT(Import(open), StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("axis 1 ('n')")));
}

TEST(BadOnnxTest, TensorsOfAnotherSizeThanTheySayAreRefused) {
  Model model;
  model.Input("x", {-1, 2}).Output("y");
  model.Floats("w", {3, 2}, {1, 2});
  model.Node("Add", {"x", "w"}, {"y"});
  EXPECT_THAT(Import(model), StatusIs(absl::StatusCode::kDataLoss,
                                      HasSubstr("tensor 'w': float32[3, 2] has 6 elements, the "
                                                "file 2 numbers")));
}

TEST(BadOnnxTest, NodesAreLimited) {
  const auto chain = [](int64_t nodes) {
    Model model;
    model.Input("x0", {-1, 2}).Output("y");
    for (int64_t i = 0; i < nodes; ++i) {
      ::onnx::NodeProto& node = *model.graph().add_node();
      node.set_op_type("Relu");
      node.add_input(absl::StrCat("x", i));
      node.add_output(i + 1 == nodes ? "y" : absl::StrCat("x", i + 1));
    }
    return model;
  };
  Model most = chain(limits::kMaxOnnxNodes);
  EXPECT_TRUE(most.Import().ok());
  Model more = chain(limits::kMaxOnnxNodes + 1);
  EXPECT_THAT(Import(more), StatusIs(absl::StatusCode::kResourceExhausted,
                                     HasSubstr("has 262145 nodes; the limit is 262144")));
}

TEST(BadOnnxTest, FilesAreLimited) {
  ExpectFileLimit(NewPath(), limits::kMaxOnnxBytes,
                  [](const std::string& path) { return ImportOnnx(path).status(); });
}

TEST(BadOnnxTest, ConstantsThatGrowWithoutEndAreRefused) {
  Model model;
  model.Input("x", {-1, 2}).Output("y");
  model.Ints("size", {int64_t{1} << 31, int64_t{1} << 31});
  model.Node("ConstantOfShape", {"size"}, {"large"});
  model.Node("Add", {"x", "large"}, {"y"});
  EXPECT_THAT(Import(model), StatusIs(absl::StatusCode::kResourceExhausted));
  const auto constant_of = [](int64_t size) {
    Model model;
    model.Input("x", {-1, 1}).Output("y");
    model.Ints("size", {size});
    model.Node("ConstantOfShape", {"size"}, {"a"});
    model.Node("ReduceMax", {"a"}, {"b"});
    model.Node("Add", {"x", "b"}, {"y"});
    return model.Import().status();
  };
  EXPECT_OK(constant_of(int64_t{1} << 24));
  EXPECT_THAT(constant_of((int64_t{1} << 24) + 1),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       HasSubstr("[16777217] is computed; the limit is 16777216")));
  Model tiles;
  tiles.Input("x", {-1, 2}).Output("y");
  tiles.Floats("t0", {1, 2}, {1, 2});
  tiles.Ints("many", {1000, 1000});
  tiles.Node("Tile", {"t0", "many"}, {"t1"});
  tiles.Node("Tile", {"t1", "many"}, {"t2"});
  tiles.Node("Add", {"x", "t2"}, {"y"});
  EXPECT_FALSE(tiles.Import().ok());
}

// At the limit it is the memory that a result of 2^28 elements wants that is too much here.
TEST(BadOnnxTest, WhatIsComputedOfConstantsIsLimitedInAll) {
  static_assert(limits::kMaxOnnxFoldedElements == int64_t{1} << 28);
  const auto sums = [](int64_t rows, int64_t others) {
    Model model;
    model.Input("x", {-1, 1}).Output("y");
    model.Floats("few", {others}, std::vector<float>(others, 1));
    model.Floats("column", {rows, 1}, std::vector<float>(rows, 1));
    model.Floats("row", {1, 1 << 14}, std::vector<float>(1 << 14, 2));
    model.Node("Neg", {"few"}, {"less"});
    model.Node("Add", {"column", "row"}, {"sums"});
    model.Node("ReduceMax", {"sums"}, {"most"});
    model.Node("Add", {"less", "most"}, {"all"});
    model.Node("Add", {"x", "all"}, {"y"});
    try {
      return Import(model);
    } catch (const std::bad_alloc& error) {
      return OutOfMemory(error);
    }
  };
  const auto too_large = [](const char* why) {
    return StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr(why));
  };
  SetMemoryLimit(64 << 20);
  constexpr int64_t kLess = (1 << 14) - 1;  // Rows; the last row's elements are counted one by one.
  EXPECT_THAT(sums(kLess, (1 << 14) - 1), too_large("wants 1.07 GB"));
  EXPECT_THAT(sums(kLess, 1 << 14), too_large("wants 1.07 GB"));
  EXPECT_THAT(sums(kLess, (1 << 14) + 1),
              too_large("constants that the file has computed have more than 268435456 elements"));
  SetMemoryLimit(MemoryOfMachine());
}

// Known whole numbers take 16 bytes each, whatever the file needs for them.
TEST(BadOnnxTest, WholeNumbersThatDoNotFitIntoMemoryAreRefused) {
  constexpr int64_t kCount = 1 << 22;
  Model computed;
  computed.Input("x", {-1, 1}).Output("y");
  computed.Ints("first", {0});
  computed.Ints("last", {kCount});
  computed.Ints("step", {1});
  computed.Node("Range", {"first", "last", "step"}, {"r"});
  SetInt(computed.Node("Cast", {"r"}, {"f"}), "to", TensorProto::FLOAT);
  computed.Node("ReduceMax", {"f"}, {"m"});
  computed.Node("Add", {"x", "m"}, {"y"});
  EXPECT_OK(Import(computed));
  SetMemoryLimit(1 << 20);
  EXPECT_THAT(Import(computed),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       HasSubstr("a constant of 4194304 whole numbers wants 67.1 MB")));
  SetMemoryLimit(MemoryOfMachine());
}

// Graphs in graphs, deeper than any stack.
TEST(BadOnnxTest, NestedGraphsAreNotFollowed) {
  for (const int depth : {1, 4, 2000}) {
    std::string body;  // Of a GraphProto, made from the inside: node { attribute { g { ... } } }.
    const auto wrap = [](int field, const std::string& inner) {
      std::string bytes(1, static_cast<char>(field << 3 | 2));
      for (size_t size = inner.size();; size >>= 7) {
        bytes.push_back(static_cast<char>((size & 0x7f) | (size > 0x7f ? 0x80 : 0)));
        if (size <= 0x7f) break;
      }
      return bytes + inner;
    };
    for (int i = 0; i < depth; ++i) {
      body = wrap(1, wrap(2, "y") + wrap(4, "If") +
                         wrap(5, wrap(1, "then_branch") + wrap(6, body) + "\xa0\x01\x05"));
    }
    Model model;
    model.Input("x", {-1, 2}).Output("y");
    const std::string path = NewPath();
    ASSERT_OK(WriteFileAtomically(path, model.proto().SerializeAsString() +
                                            wrap(7, body)));  // Fields of one message are merged.
    const absl::Status status = ImportOnnx(path).status();
    if (depth < 100) {
      EXPECT_THAT(status, StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("(If)"))) << depth;
    } else {
      EXPECT_THAT(status, StatusIs(absl::StatusCode::kDataLoss)) << depth;
    }
  }
}

TEST(BadOnnxTest, TheLeastNumberIsNotDividedByMinusOne) {
  Model model;
  model.Input("x", {-1, 2}).Output("y");
  model.Ints("least", {INT64_MIN});
  model.Ints("minus", {-1});
  model.Node("Shape", {"x"}, {"shape"});
  model.Node("Add", {"shape", "least"}, {"sum"});
  model.Node("Div", {"sum", "minus"}, {"quotient"});
  model.Node("Reshape", {"x", "quotient"}, {"y"});
  EXPECT_THAT(Import(model),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("node 'the_Div' (Div)")));
}

TEST(BadOnnxTest, PaddingWithoutEndIsRefused) {
  Model pool;
  pool.Input("x", {-1, 1, 2, 2}).Output("y");
  ::onnx::NodeProto& node = pool.Node("AveragePool", {"x"}, {"y"});
  SetInts(node, "kernel_shape", {1, 1});
  SetInts(node, "pads", {9000, 9000, 9000, 9000});
  SetInt(node, "count_include_pad", 1);
  EXPECT_THAT(Import(pool), StatusIs(absl::StatusCode::kResourceExhausted));
  for (const char* attribute : {"pads", "output_padding", "output_shape"}) {
    for (const int64_t size : {INT64_MIN, INT64_MAX}) {
      Model transposed;
      transposed.Input("x", {-1, 1, 2, 2}).Output("y");
      transposed.Floats("w", {1, 1, 1, 1}, {1});
      const size_t entries = attribute == std::string("pads") ? 4 : 2;
      SetInts(transposed.Node("ConvTranspose", {"x", "w"}, {"y"}), attribute,
              std::vector<int64_t>(entries, size));
      EXPECT_THAT(Import(transposed), StatusIs(absl::StatusCode::kInvalidArgument)) << attribute;
    }
  }
}

// Below, at and above what base/limits.h says.
TEST(BadOnnxTest, NamesAreLimited) {
  for (const int64_t more : {-1, 0, 1}) {
    const std::string name(limits::kMaxNameBytes + more, 'n');
    Model value;
    value.Input("x", {-1, 2}).Output("y");
    value.Node("Relu", {"x"}, {name});
    value.Node("Tanh", {name}, {"y"});
    Model stored;
    stored.Input("x", {-1, 2}).Output("y");
    stored.Floats(name, {2}, {1, 2});
    stored.Node("Add", {"x", name}, {"y"});
    if (more <= 0) {
      EXPECT_OK(Import(value));
      EXPECT_OK(Import(stored));
    } else {
      EXPECT_THAT(Import(value), StatusIs(absl::StatusCode::kInvalidArgument,
                                          HasSubstr("node 'the_Relu' (Relu): name too long")));
      EXPECT_THAT(Import(stored),
                  StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("name is too long")));
    }
  }
}

TEST(BadOnnxTest, AxesAreLimited) {
  for (const int more : {-1, 0, 1}) {
    Model model;
    std::vector<int64_t> shape(limits::kMaxTensorRank + more, 1);
    model.Floats("w", shape, {1});
    shape[0] = -1;
    model.Input("x", shape).Output("y");
    model.Node("Add", {"x", "w"}, {"y"});
    if (more <= 0) {
      EXPECT_OK(Import(model)) << more;
    } else {
      EXPECT_THAT(Import(model), StatusIs(absl::StatusCode::kResourceExhausted));
    }
  }
}

TEST(BadOnnxTest, MissingAndMistypedThingsAreNamed) {
  Model missing;
  missing.Input("x", {-1, 2}).Output("y");
  missing.Node("Gemm", {"x", "w"}, {"y"});
  EXPECT_THAT(Import(missing), StatusIs(absl::StatusCode::kInvalidArgument,
                                        HasSubstr("node 'the_Gemm' (Gemm): reads 'w'")));
  Model mistyped;
  mistyped.Input("x", {-1, 2}).Output("y");
  SetInts(mistyped.Node("Softmax", {"x"}, {"y"}), "axis", {1});
  EXPECT_THAT(Import(mistyped), StatusIs(absl::StatusCode::kInvalidArgument,
                                         HasSubstr("attribute 'axis' is no whole number")));
  Model texts;
  texts.Input("x", {-1, 2}, TensorProto::STRING).Output("y");
  texts.Node("Relu", {"x"}, {"y"});
  EXPECT_THAT(Import(texts),
              StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("input 'x' is of string")));
  Model old(6);
  old.Input("x", {-1, 2}).Output("y");
  old.Node("Relu", {"x"}, {"y"});
  EXPECT_THAT(Import(old), StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("opset 6")));
  Model twice;
  twice.Input("x", {-1, 2}).Output("y");
  twice.Node("Relu", {"x"}, {"y"});
  twice.Node("Tanh", {"x"}, {"y"});
  EXPECT_THAT(Import(twice),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("'y' is made twice")));
}

// A file whose weights are in another one.
absl::Status ImportExternal(const std::string& location, int64_t offset = 0, int64_t length = 8) {
  Model model;
  model.Input("x", {-1, 2}).Output("y");
  TensorProto& tensor = model.Floats("w", {2}, {});
  tensor.set_data_location(TensorProto::EXTERNAL);
  const auto say = [&](const char* key, const std::string& value) {
    auto* entry = tensor.add_external_data();
    entry->set_key(key);
    entry->set_value(value);
  };
  say("location", location);
  say("offset", absl::StrCat(offset));
  say("length", absl::StrCat(length));
  model.Node("Add", {"x", "w"}, {"y"});
  return model.Import().status();
}

TEST(BadOnnxTest, DataOutsideOfTheFolderAreNotRead) {
  const std::string outside = NewPath("../secret.bin");
  ASSERT_OK(WriteFileAtomically(outside, "12345678"));
  ASSERT_OK(WriteFileAtomically(NewPath("inside.bin"), "12345678"));
  EXPECT_OK(ImportExternal("inside.bin"));
  for (const std::string& location :
       {std::string("../secret.bin"), outside, std::string("a/../../secret.bin"),
        std::string("/etc/passwd"), std::string("/proc/self/environ")}) {
    EXPECT_FALSE(ImportExternal(location).ok()) << location;
  }
  EXPECT_THAT(ImportExternal("../secret.bin"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("beneath that folder")));
  fs::create_symlink(outside, NewPath("symbolic.bin"));
  EXPECT_THAT(ImportExternal("symbolic.bin"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("is a link")));
  fs::create_hard_link(outside, NewPath("hard.bin"));
  EXPECT_THAT(ImportExternal("hard.bin"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("hard link")));
  fs::create_directory(NewPath("folder.bin"));
  EXPECT_FALSE(ImportExternal("folder.bin").ok());
}

TEST(BadOnnxTest, DataBesideTheFileMustBeThere) {
  ASSERT_OK(WriteFileAtomically(NewPath("inside.bin"), "12345678"));
  EXPECT_THAT(ImportExternal("inside.bin", 1), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(ImportExternal("inside.bin", -1), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(ImportExternal("inside.bin", INT64_MAX), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(ImportExternal("inside.bin", 0, 4), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(ImportExternal("absent.bin"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_FALSE(ImportExternal("").ok());
}

}  // namespace
}  // namespace mase
