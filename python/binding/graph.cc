#include "mase/graph/graph.h"

#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "google/protobuf/util/json_util.h"
#include "mase/exec/executor.h"
#include "mase/format/format_text.h"
#include "mase/graph/graph_text.h"
#include "mase/graph/op_schema.h"
#include "mase/graph/shape_inference.h"
#include "mase/interop/diagram.h"
#include "mase/model/checkpoint.h"
#include "mase/quantize/net_picture.h"
#include "pybind11/stl.h"
#include "python/binding/arrays.h"
#include "python/binding/errors.h"
#include "python/binding/execution.h"
#include "python/binding/module.h"

namespace mase {
namespace {

namespace py = pybind11;

py::object PythonOf(const Attribute& attribute) {
  return std::visit([](const auto& value) -> py::object { return py::cast(value); }, attribute);
}

py::tuple ShapeTuple(const Shape& shape) {
  return py::tuple(py::cast(std::vector<int64_t>(shape.dims().begin(), shape.dims().end())));
}

const Value* FirstResult(const Node& node) {
  return node.outputs().empty() ? nullptr : node.outputs()[0];
}

py::dict AttributesOf(const Node& node) {
  py::dict attributes;
  for (const auto& [name, value] : node.attributes()) attributes[py::str(name)] = PythonOf(value);
  return attributes;
}

py::list InputsOf(const Node& node) {
  py::list names;
  for (const Value* input : node.inputs()) names.append(input->name());
  return names;
}

py::dict ParametersOf(const Node& node) {
  py::dict parameters;
  for (const Parameter& parameter : node.parameters()) {
    parameters[py::str(parameter.name)] = parameter.tensor;
  }
  return parameters;
}

py::object FormatsOf(const Node& node) {
  if (node.quantization() == nullptr) return py::none();
  py::dict formats;
  for (const OperandFormat& operand : node.quantization()->operand()) {
    formats[py::str(operand.operand())] = FormatText(operand.format());
  }
  return formats;
}

std::string MetadataJson(const Node& node) {
  std::string json;
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  const auto status = google::protobuf::util::MessageToJsonString(node.metadata(), &json, options);
  if (!status.ok()) Raise(absl::InternalError(status.ToString()));
  return json;
}

// For notebooks; "" of a net with too many nodes for a picture.
std::string Picture(const Graph& graph) {
  const absl::StatusOr<InferredShapes> shapes = InferShapesFor(graph);
  if (!shapes.ok()) return "";
  const absl::StatusOr<std::string> svg = DiagramAsSvg(NetDiagram(graph, *shapes));
  return svg.ok() ? *svg : "";
}

std::string Svg(const Graph& graph) {
  return ValueOf(DiagramAsSvg(NetDiagram(graph, ValueOf(InferShapesFor(graph)))));
}

Tensor ElementsFor(const Graph& graph, const std::string& name, const py::object& array) {
  const GraphTensor* present = graph.FindTensor(name);
  if (present == nullptr) {
    Raise(absl::NotFoundError(absl::StrCat("net '", graph.name(), "' has no tensor '", name, "'")));
  }
  const Tensor& old = present->value;
  const Tensor given = old.dtype() == DType::kFloat32 ? Float32Of(array) : TensorOf(array);
  if (given.shape() != old.shape() || given.dtype() != old.dtype()) {
    Raise(absl::InvalidArgumentError(
        absl::StrCat("tensor '", name, "' is ", DTypeName(old.dtype()), old.shape().ToString(),
                     ", not ", DTypeName(given.dtype()), given.shape().ToString())));
  }
  // A copy: the array stays the caller's to write.
  Tensor own = ValueOf(Tensor::Create(given.dtype(), given.shape()));
  std::memcpy(own.mutable_raw_data(), given.raw_data(), given.size_bytes());
  return own;
}

// OK if the inputs have the shapes that the net has for so many rows.
absl::Status CheckShapes(const Graph& graph, const Executor& executor, int64_t rows,
                         const std::vector<Tensor>& inputs) {
  const absl::StatusOr<std::vector<Shape>> wanted = executor.InputShapes(rows);
  if (!wanted.ok()) return wanted.status();
  if (wanted->size() != inputs.size()) {
    return absl::InvalidArgumentError(absl::StrCat("net '", graph.name(), "' takes ",
                                                   wanted->size(), " inputs, not ", inputs.size()));
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].shape() == (*wanted)[i]) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "input '", graph.placeholders()[i]->name(), "' is ", inputs[i].shape().ToString(), ", and ",
        rows, " rows of it are ", (*wanted)[i].ToString()));
  }
  return absl::OkStatus();
}

py::object Run(const Graph& graph, const py::args& inputs, const std::string& execution) {
  std::vector<Tensor> tensors;
  std::vector<InputData> data;
  const std::vector<Node*> placeholders = graph.placeholders();
  for (size_t i = 0; i < inputs.size(); ++i) {
    const bool is_float =
        i < placeholders.size() && placeholders[i]->outputs()[0]->dtype() == DType::kFloat32;
    const py::object input = inputs[i];
    tensors.push_back(is_float ? Float32Of(input) : TensorOf(input));
    data.emplace_back(tensors.back().raw_data(), tensors.back().dtype());
  }
  const int64_t rows =
      tensors.empty() || tensors[0].shape().rank() == 0 ? 1 : tensors[0].shape()[0];
  const Execution way = ExecutionOf(execution);
  absl::StatusOr<std::unique_ptr<Executor>> executor = absl::UnknownError("");
  absl::Status status;
  {
    const py::gil_scoped_release unlocked;
    executor = Executor::Create(graph, {.max_rows = rows, .execution = way});
    if (executor.ok()) status = CheckShapes(graph, **executor, rows, tensors);
    if (executor.ok() && status.ok()) {
      status = (*executor)->Forward(ExecutionMode::kInference, rows, data);
    }
  }
  Check(executor.status());
  Check(status);
  py::list results;
  for (int i = 0; i < (*executor)->output_count(); ++i) {
    results.append(
        OwnArray(Tensor::FromValues<float>((*executor)->output_shape(i), (*executor)->output(i))));
  }
  return results.size() == 1 ? py::object(results[0]) : py::object(py::tuple(results));
}

py::dict OpOf(const OpSchema& schema) {
  py::dict op;
  op["name"] = std::string(schema.name);
  op["module_class"] = std::string(schema.module_class);
  py::list arguments;
  for (const ArgumentSpec& argument : schema.arguments)
    arguments.append(std::string(argument.name));
  op["arguments"] = arguments;
  py::dict attributes;
  for (const AttributeSpec& attribute : schema.attributes) {
    attributes[py::str(std::string(attribute.name))] =
        py::make_tuple(PythonOf(attribute.fallback), attribute.required);
  }
  op["attributes"] = attributes;
  return op;
}

void DefineNode(py::module_& module) {
  py::class_<Node, std::unique_ptr<Node, py::nodelete>>(module, "Node")
      .def_property_readonly("name", &Node::name)
      .def_property_readonly(
          "kind", [](const Node& node) { return std::string(NodeKindName(node.kind())); })
      .def_property_readonly("op", [](const Node& node) { return std::string(node.op()); })
      .def_property_readonly("target", &Node::target)
      .def_property_readonly("type", &Node::TypeName)
      .def_property_readonly("description", &Node::Description)
      .def_property_readonly("inputs", &InputsOf)
      .def_property_readonly("shape",
                             [](const Node& node) {
                               const Value* result = FirstResult(node);
                               return ShapeTuple(result == nullptr ? Shape() : result->shape());
                             })
      .def_property_readonly("dtype",
                             [](const Node& node) {
                               const Value* result = FirstResult(node);
                               return result == nullptr ? ""
                                                        : std::string(DTypeName(result->dtype()));
                             })
      .def_property_readonly("attributes", &AttributesOf)
      .def_property_readonly("parameters", &ParametersOf)
      .def_property_readonly("formats", &FormatsOf)
      .def_property_readonly("mase_type",
                             [](const Node& node) { return std::string(node.mase_type()); })
      .def("_metadata_json", &MetadataJson)
      .def("__repr__", [](const Node& node) {
        return absl::StrCat("<mase.Node ", node.name(), ": ", node.Description(), ">");
      });
}

}  // namespace

void DefineGraph(py::module_& module) {
  DefineNode(module);
  module.def("ops", [] {
    py::list all;
    for (const OpSchema* schema : AllOps()) all.append(OpOf(*schema));
    return all;
  });
  py::class_<Graph>(module, "Graph", py::dynamic_attr())
      .def_static(
          "from_text",
          [](const std::string& text) {
            Graph graph = ValueOf(ReadGraphText(text));
            Check(InferShapes(graph));
            return graph;
          },
          py::arg("text"))
      .def_property_readonly("name", &Graph::name)
      .def_property_readonly("version", &Graph::version)
      .def_property_readonly("parameter_count", &Graph::parameter_count)
      .def_property_readonly("buffer_count", &Graph::buffer_count)
      .def_property_readonly("nodes", &Graph::NodesInOrder,
                             py::return_value_policy::reference_internal)
      .def("__len__", &Graph::node_count)
      .def(
          "__getitem__",
          [](const Graph& graph, const std::string& name) {
            return ValueOf(graph.LookUpNode(name));
          },
          py::return_value_policy::reference_internal)
      .def_property_readonly("tensors",
                             [](const Graph& graph) {
                               py::dict tensors;
                               for (const GraphTensor& tensor : graph.tensors()) {
                                 tensors[py::str(tensor.name)] = ArrayOf(tensor.value);
                               }
                               return tensors;
                             })
      .def(
          "set_tensor",
          [](Graph& graph, const std::string& name, const py::object& array) {
            Tensor elements = ElementsFor(graph, name, array);
            graph.SetTensor(name, std::move(elements), graph.FindTensor(name)->buffer);
          },
          py::arg("name"), py::arg("array"))
      .def("run", &Run, py::arg("execution") = "simulated")
      .def("clone", &Graph::Clone)
      .def(
          "save",
          [](const Graph& graph, const std::string& path) {
            Check(SaveCheckpoint(path, graph, {}));
          },
          py::arg("path"))
      .def("svg", &Svg)
      .def("_picture", &Picture)
      .def("__str__", &WriteGraphText)
      .def("__repr__", [](const Graph& graph) {
        return absl::StrCat("<mase.Graph ", graph.name(), ": ", graph.node_count(), " nodes, ",
                            graph.parameter_count(), " parameters>");
      });
}

}  // namespace mase
