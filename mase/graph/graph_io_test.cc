#include "mase/graph/graph_io.h"

#include <string>

#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "mase/base/limits.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::HasSubstr;

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

constexpr char kGraph[] = R"pb(
  format_version: 1
  name: "tiny"
  node {
    name: "x"
    kind: PLACEHOLDER
    op: "placeholder"
    target: "x"
    attribute { name: "dtype" s: "float32" }
    attribute {
      name: "shape"
      ints { value: 8 value: 4 }
    }
  }
  node {
    name: "fc"
    kind: CALL_MODULE
    op: "linear"
    target: "fc"
    input: "x"
    attribute { name: "bias" b: true }
    attribute { name: "in_features" i: 4 }
    attribute { name: "out_features" i: 1 }
    parameter { name: "weight" tensor: "fc.weight" }
    parameter { name: "bias" tensor: "fc.bias" }
  }
  node { name: "output" kind: OUTPUT op: "output" target: "output" input: "fc" }
  tensor { name: "fc.weight" dtype: "float32" dims: 1 dims: 4 }
  tensor { name: "fc.bias" dtype: "float32" dims: 1 data: "\x00\x00\x80\x3f" }
)pb";

GraphProto Proto(absl::string_view text = kGraph) {
  GraphProto proto;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(std::string(text), &proto));
  return proto;
}

TEST(GraphIoTest, ACanonicalProtoComesBackByteForByte) {
  const GraphProto inlined = GraphToProto(ValueOrDie(GraphFromProto(Proto())), TensorData::kInline);
  const GraphProto again = GraphToProto(ValueOrDie(GraphFromProto(inlined)), TensorData::kInline);
  EXPECT_EQ(inlined.SerializeAsString(), again.SerializeAsString());
  EXPECT_EQ(inlined.tensor(1).data(), std::string("\x00\x00\x80\x3f", 4));
}

TEST(GraphIoTest, TextComesBack) {
  const Graph graph = ValueOrDie(GraphFromProto(Proto()));
  EXPECT_EQ(GraphToText(ValueOrDie(GraphFromText(GraphToText(graph)))), GraphToText(graph));
}

TEST(GraphIoTest, NodesInAnyOrderBecomeTopological) {
  GraphProto shuffled = Proto();
  shuffled.mutable_node()->SwapElements(0, 2);
  const Graph graph = ValueOrDie(GraphFromProto(shuffled));
  EXPECT_EQ(GraphToText(graph), GraphToText(ValueOrDie(GraphFromProto(Proto()))));
}

TEST(GraphIoTest, ACycleIsNamed) {
  GraphProto proto = Proto();
  NodeProto* relu = proto.add_node();
  *relu = proto.node(2);
  relu->set_name("a");
  relu->set_kind(NodeProto::CALL_FUNCTION);
  relu->set_op("relu");
  relu->set_input(0, "b");
  *proto.add_node() = *relu;
  proto.mutable_node(4)->set_name("b");
  proto.mutable_node(4)->set_input(0, "a");
  EXPECT_THAT(GraphFromProto(proto), StatusIs(kInvalid, HasSubstr("is part of a cycle")));
}

TEST(GraphIoTest, FaultsAreNamed) {
  struct Case {
    const char* what;
    void (*damage)(GraphProto&);
    const char* message;
  };
  const Case cases[] = {
      {"version", [](GraphProto& g) { g.set_format_version(2); }, "version 2, this build reads 1"},
      {"dangling input", [](GraphProto& g) { g.mutable_node(1)->set_input(0, "xx"); },
       "fc: input 'xx' is produced by no node; did you mean 'x'?"},
      {"duplicate node", [](GraphProto& g) { g.mutable_node(1)->set_name("x"); },
       "two nodes are named 'x'"},
      {"duplicate tensor", [](GraphProto& g) { g.mutable_tensor(1)->set_name("fc.weight"); },
       "two tensors are named 'fc.weight'"},
      {"no kind", [](GraphProto& g) { g.mutable_node(1)->clear_kind(); }, "fc: has no known kind"},
      {"data length", [](GraphProto& g) { g.mutable_tensor(1)->set_data("abc"); },
       "tensor 'fc.bias': [1] has 3 bytes of data, want 4"},
      {"element type", [](GraphProto& g) { g.mutable_tensor(1)->set_dtype("float31"); },
       "tensor 'fc.bias': unknown element type 'float31'"},
      {"missing tensor", [](GraphProto& g) { g.mutable_tensor()->RemoveLast(); },
       "tensor 'fc.bias' is not in the graph"},
      {"extra parameter",
       [](GraphProto& g) { g.mutable_node(1)->add_parameter()->set_name("gamma"); },
       "fc (linear): has 3 tensors, want 2 (weight, bias)"},
      {"wrong attribute type",
       [](GraphProto& g) { g.mutable_node(1)->mutable_attribute(1)->set_b(true); },
       "fc: linear: attribute 'in_features' is bool, want int"},
      {"repeated attribute",
       [](GraphProto& g) { *g.mutable_node(1)->add_attribute() = g.node(1).attribute(0); },
       "fc: attribute 'bias' is given twice"},
      {"reads the output", [](GraphProto& g) { g.mutable_node(1)->set_input(0, "output"); },
       "cycle"},
      {"no output", [](GraphProto& g) { g.mutable_node()->RemoveLast(); }, "has no output"},
  };
  for (const Case& c : cases) {
    GraphProto proto = Proto();
    c.damage(proto);
    EXPECT_THAT(GraphFromProto(proto), StatusIs(kInvalid, HasSubstr(c.message))) << c.what;
  }
}

TEST(GraphIoTest, AbsurdTensorSizesAreRefusedBeforeAllocation) {
  GraphProto proto = Proto();
  proto.mutable_tensor(0)->set_dims(0, limits::kMaxTensorElements);
  EXPECT_THAT(GraphFromProto(proto),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("tensor 'fc.weight'")));
}

TEST(GraphIoTest, BadTextIsNamedByLineAndColumn) {
  EXPECT_THAT(GraphFromText("format_version: 1\nnodes {}"),
              StatusIs(kInvalid, HasSubstr("graph text 2:")));
}

}  // namespace
}  // namespace mase
