// Quantized ops and nets under REFERENCE semantics give MASE's own outputs: testdata/reference,
// made by tools/formats/make_net_goldens.py from MASE's definitions.
//
// The largest difference of an output is at most 1e-5 of the largest output: sums in float32 have
// no agreed order.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "mase/base/runfiles.h"
#include "mase/exec/executor.h"
#include "mase/graph/graph_io.h"
#include "mase/graph/op_schema.h"
#include "mase/model/checkpoint.h"
#include "mase/quantize/rule.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

struct Numbers {
  Shape shape;
  std::vector<float> values;
};

// "2 3 : 3f800000 ..."
Numbers ParseNumbers(absl::string_view text) {
  Numbers numbers;
  bool in_shape = true;
  for (absl::string_view word : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
    if (word == ":") {
      in_shape = false;
    } else if (in_shape) {
      int64_t extent = 0;
      EXPECT_TRUE(absl::SimpleAtoi(word, &extent)) << word;
      numbers.shape.push_back(extent);
    } else {
      const auto bits = static_cast<uint32_t>(std::stoul(std::string(word), nullptr, 16));
      float value;
      std::memcpy(&value, &bits, sizeof(value));
      numbers.values.push_back(value);
    }
  }
  EXPECT_EQ(numbers.shape.elements(), static_cast<int64_t>(numbers.values.size()));
  return numbers;
}

// A graph of a golden file: a text proto that leaves out what follows from its ops, the version and
// the layers' tensors (zeros, until a line of the file sets them).
Graph GoldenGraph(const std::string& text) {
  GraphProto proto;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &proto)) << text;
  proto.set_format_version(1);
  for (NodeProto& node : *proto.mutable_node()) {
    const OpSchema* schema = FindOp(node.op());
    if (node.kind() != NodeProto::CALL_MODULE || schema == nullptr ||
        schema->parameter_rule == nullptr) {
      continue;
    }
    Attributes attributes;
    for (const AttributeSpec& spec : schema->attributes) attributes.Set(spec.name, spec.fallback);
    for (const AttributeProto& attribute : node.attribute()) {
      const auto& ints = attribute.ints().value();
      if (attribute.has_i()) attributes.Set(attribute.name(), int64_t{attribute.i()});
      if (attribute.has_b()) attributes.Set(attribute.name(), attribute.b());
      if (attribute.has_ints()) {
        attributes.Set(attribute.name(), std::vector<int64_t>(ints.begin(), ints.end()));
      }
    }
    for (const ParameterSpec& spec : schema->parameter_rule(attributes)) {
      ParameterProto* parameter = node.add_parameter();
      parameter->set_name(spec.name);
      parameter->set_tensor(node.target() + "." + spec.name);
      TensorProto* tensor = proto.add_tensor();
      tensor->set_name(parameter->tensor());
      tensor->set_dtype(std::string(DTypeName(spec.dtype)));
      for (int64_t extent : spec.shape.dims()) tensor->add_dims(extent);
      tensor->set_buffer(spec.buffer);
    }
  }
  return ValueOrDie(GraphFromProto(proto));
}

// Reads a golden file line by line; every "y" is a case.
class Goldens {
 public:
  int cases = 0;
  double worst = 0;  // Largest difference over the largest output, of all cases.

  void Check(const std::string& name) {
    std::ifstream file(Runfile("testdata/reference/" + name));
    std::string line;
    while (std::getline(file, line)) {
      const std::pair<std::string, std::string> parts =
          absl::StrSplit(line, absl::MaxSplits(' ', 1));
      ReadLine(parts.first, parts.second);
    }
  }

 private:
  void ReadLine(const std::string& key, const std::string& rest) {
    const std::pair<std::string, std::string> parts = absl::StrSplit(rest, absl::MaxSplits(' ', 1));
    if (key == "graph") {
      graph_ = GoldenGraph(rest);
      inputs_.clear();
    } else if (key == "checkpoint") {
      graph_ = *ValueOrDie(LoadCheckpoint(Runfile("testdata/checkpoints/" + rest))).graph;
      inputs_.clear();
    } else if (key == "tensor") {
      const Numbers tensor = ParseNumbers(parts.second);
      const bool buffer = absl::StrContains(parts.first, "running_");
      graph_.SetTensor(parts.first, Tensor::FromValues<float>(tensor.shape, tensor.values), buffer);
    } else if (key == "input") {
      inputs_.push_back(ParseNumbers(rest));
    } else if (key == "rule") {
      rules_[parts.first] = parts.second;
    } else {
      ASSERT_EQ(key, "y");
      Compare(ParseNumbers(rest));
      rules_.clear();
    }
  }

  Graph Quantized() const {
    Graph graph = graph_.Clone();
    const InferredShapes shapes = ValueOrDie(InferShapesFor(graph, inputs_[0].shape[0]));
    for (Node* node : graph.NodesInOrder()) {
      const auto rule = rules_.find(std::string(node->op()));
      if (rule == rules_.end()) continue;
      QuantizeConfig config;
      EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(rule->second, &config));
      const RuleFormat format = ValueOrDie(CheckConfig(config, FormatProto::REFERENCE));
      graph.SetQuantization(node, ValueOrDie(QuantizationFor(*node, format, shapes)));
    }
    return graph;
  }

  void Compare(const Numbers& want) {
    std::string name = graph_.FindNode("n") == nullptr
                           ? graph_.name()
                           : absl::StrCat(graph_.FindNode("n")->op(), " ",
                                          NodeKindName(graph_.FindNode("n")->kind()));
    for (const Numbers& input : inputs_) absl::StrAppend(&name, " ", input.shape.ToString());
    for (const auto& [op, config] : rules_) absl::StrAppend(&name, " ", op, " {", config, "}");
    SCOPED_TRACE(name);
    auto executor = ValueOrDie(Executor::Create(Quantized()));
    std::vector<InputData> sources;
    for (const Numbers& input : inputs_) sources.push_back(input.values.data());
    ASSERT_OK(executor->Forward(ExecutionMode::kInference, inputs_[0].shape[0], sources));
    ASSERT_EQ(executor->output_shape(), want.shape);
    double difference = 0, largest = 0;
    for (size_t i = 0; i < want.values.size(); ++i) {
      largest = std::max<double>(largest, std::abs(want.values[i]));
      difference = std::max<double>(difference, std::abs(executor->output()[i] - want.values[i]));
    }
    EXPECT_LE(difference, 1e-5 * largest);
    ++cases;
    if (largest > 0) worst = std::max(worst, difference / largest);
    ExpectTheSameClasses(want, executor->output());
  }

  void ExpectTheSameClasses(const Numbers& want, absl::Span<const float> got) const {
    const int64_t classes = want.shape.rank() == 0 ? 1 : want.shape[-1];
    for (int64_t row = 0; row < want.shape.elements(); row += classes) {
      const auto most = [&](const float* values) {
        return std::max_element(values + row, values + row + classes) - values - row;
      };
      EXPECT_EQ(most(got.data()), most(want.values.data())) << "row " << row / classes;
    }
  }

  Graph graph_;
  std::vector<Numbers> inputs_;
  std::map<std::string, std::string> rules_;
};

TEST(ReferenceTest, OpsComputeWhatMaseComputes) {
  Goldens goldens;
  goldens.Check("ops.txt");
  EXPECT_GE(goldens.cases, 300);
  RecordProperty("cases", goldens.cases);
  RecordProperty("worst", absl::StrCat(goldens.worst));
}

TEST(ReferenceTest, NetsComputeWhatMaseComputes) {
  Goldens goldens;
  goldens.Check("nets.txt");
  EXPECT_GE(goldens.cases, 30);
  RecordProperty("cases", goldens.cases);
  RecordProperty("worst", absl::StrCat(goldens.worst));
}

}  // namespace
}  // namespace mase
