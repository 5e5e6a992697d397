#include "mase/onnx/importer.h"

#include <algorithm>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "mase/base/limits.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/base/suggest.h"
#include "mase/exec/executor.h"
#include "mase/graph/add_output.h"
#include "mase/graph/shape_inference.h"
#include "mase/graph/verifier.h"
#include "mase/onnx/code_types.h"
#include "mase/onnx/onnx_ops.h"
#include "mase/onnx/rounding.h"
#include "mase/quantize/operands.h"

namespace mase {
namespace {

using ::onnx::NodeProto;

// A few of many names.
std::string Some(const std::vector<std::string>& names) {
  constexpr size_t kShown = 6;
  if (names.size() <= kShown) return absl::StrJoin(names, ", ");
  return absl::StrCat(absl::StrJoin(names.begin(), names.begin() + kShown, ", "), " and ",
                      names.size() - kShown, " more");
}

std::string Shown(absl::string_view name) { return absl::CHexEscape(name.substr(0, 80)); }

}  // namespace

std::string PathOf(const NodeProto& node) {
  std::string name = node.name();
  if (name.empty() && node.output_size() > 0) name = node.output(0);
  while (!name.empty() && !absl::ascii_isalnum(static_cast<unsigned char>(name[0])))
    name.erase(0, 1);
  for (char& c : name) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '.') c = '_';
  }
  if (name.size() > 128) name.resize(128);
  return name.empty() ? absl::AsciiStrToLower(node.op_type()) : name;
}

Importer::Importer(const OnnxFile& file, const ImportOptions& options, bool any_rows)
    : file_(file), options_(options), any_rows_(any_rows) {}

absl::StatusOr<ImportedNet> Importer::Run() {
  std::string name = file_.graph().name();
  for (char& c : name) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '-') c = '_';
  }
  net_.graph.set_name(name.empty() ? "onnx" : name.substr(0, 80));
  MASE_RETURN_IF_ERROR(ChooseOutput());
  MASE_RETURN_IF_ERROR(FindWork());
  MASE_RETURN_IF_ERROR(AddInputs());
  for (const NodeProto* node : work_) {
    if (skipped_.contains(node)) continue;
    if (absl::Status status = ImportNode(*node); !status.ok()) {
      return Annotate(status, LabelOf(*node));
    }
  }
  MASE_RETURN_IF_ERROR(Finish());
  return std::move(net_);
}

absl::Status Importer::ChooseOutput() {
  const auto& outputs = file_.graph().output();
  if (outputs.empty()) return BadNode("the graph has no result");
  const ::onnx::ValueInfoProto* first = nullptr;
  for (const ::onnx::ValueInfoProto& output : outputs) {
    net_.outputs.push_back(output.name());
    const ::onnx::TypeProto& type = output.type();
    // A sequence is what ZipMap makes of probabilities.
    const bool numbers = type.has_tensor_type() ? IsOnnxFloat(type.tensor_type().elem_type())
                                                : type.has_sequence_type();
    if (first == nullptr && numbers) first = &output;
  }
  net_.output = first != nullptr ? first->name() : outputs[0].name();
  if (options_.output.has_value()) net_.output = *options_.output;
  if (!absl::c_linear_search(net_.outputs, net_.output)) {
    return absl::NotFoundError(absl::StrCat("has no result '", Shown(net_.output), "'",
                                            Suggest(net_.output, net_.outputs), "; it has ",
                                            Some(net_.outputs)));
  }
  return absl::OkStatus();
}

absl::Status Importer::FindWork() {
  const ::onnx::GraphProto& graph = file_.graph();
  absl::flat_hash_map<std::string, const NodeProto*> makers;
  absl::flat_hash_set<std::string> inputs;
  for (const auto& input : graph.input()) {
    if (!inputs.insert(input.name()).second) {
      return BadNode("input '", Shown(input.name()), "' is there twice");
    }
  }
  for (const NodeProto& node : graph.node()) {
    for (const std::string& output : node.output()) {
      if (output.empty()) continue;
      if (output.size() > limits::kMaxNameBytes) return BadNode(LabelOf(node), ": name too long");
      if (!makers.emplace(output, &node).second || inputs.contains(output) ||
          file_.FindInitializer(output) != nullptr) {
        return BadNode(LabelOf(node), ": '", Shown(output), "' is made twice");
      }
    }
  }
  absl::flat_hash_set<const NodeProto*> needed;
  absl::flat_hash_set<std::string> used = {net_.output};
  std::vector<std::string> open = {net_.output};
  while (!open.empty()) {
    const auto maker = makers.find(open.back());
    open.pop_back();
    if (maker == makers.end() || !needed.insert(maker->second).second) continue;
    for (const std::string& input : maker->second->input()) {
      if (!input.empty() && used.insert(input).second) open.push_back(input);
    }
  }
  std::vector<std::string> unknown;
  for (const NodeProto& node : graph.node()) {
    if (!needed.contains(&node)) continue;
    work_.push_back(&node);
    for (const std::string& input : node.input()) readers_[input].push_back(&node);
    if (FindOnnxOp(node.domain(), node.op_type()) != nullptr) continue;
    const std::string domain = node.domain().empty() ? "" : absl::StrCat(" of ", node.domain());
    unknown.push_back(absl::StrCat(LabelOf(node), Shown(domain)));
  }
  if (!unknown.empty()) {
    return CannotRead("ops that cannot be read: ", Some(unknown),
                      "; docs/reference/onnx.md lists those that can");
  }
  for (const auto& input : graph.input()) {
    if (!used.contains(input.name()) || file_.FindInitializer(input.name()) != nullptr) continue;
    inputs_.push_back(&input);
  }
  if (inputs_.empty()) return BadNode("'", Shown(net_.output), "' depends on no input");
  return absl::OkStatus();
}

absl::Status Importer::AddInputs() {
  for (const ::onnx::ValueInfoProto* input : inputs_) {
    const std::string label = absl::StrCat("input '", Shown(input->name()), "'");
    if (!input->type().has_tensor_type()) return CannotRead(label, " is no tensor");
    const auto& type = input->type().tensor_type();
    const bool ids = type.elem_type() == ::onnx::TensorProto::INT64 ||
                     type.elem_type() == ::onnx::TensorProto::INT32;
    if (!ids && !IsOnnxFloat(type.elem_type())) {
      return CannotRead(label, " is of ", OnnxTypeName(type.elem_type()),
                        "; inputs are floats, or int64 (ids)");
    }
    if (!type.has_shape()) return CannotRead(label, " has no shape; export it with one");
    std::vector<int64_t> shape;
    for (const auto& dim : type.shape().dim()) {
      const int axis = static_cast<int>(shape.size());
      if (!dim.has_dim_value() && axis > 0) {
        return CannotRead(label, ": axis ", axis, " ('", Shown(dim.dim_param()),
                          "') has no size; rows alone, which are axis 0, may be of any number. ",
                          "Export it with a fixed one");
      }
      shape.push_back(dim.has_dim_value() ? dim.dim_value() : 1);
      if (axis == 0 && input == inputs_[0] && dim.has_dim_value()) file_rows_ = dim.dim_value();
    }
    if (batches_.empty()) {
      batches_ = any_rows_ ? std::vector<int64_t>{5, 7, 11} : std::vector<int64_t>{file_rows_};
    }
    if (absl::Status status = Shape(shape).Validate(); !status.ok()) {
      return Annotate(status, label);
    }
    NodeProto as_node;
    as_node.set_name(input->name());
    std::string name = PathOf(as_node);
    std::replace(name.begin(), name.end(), '.', '_');
    MASE_ASSIGN_OR_RETURN(
        Value * value,
        AddNode({.name = name,
                 .kind = NodeKind::kPlaceholder,
                 .op = std::string(ops::kPlaceholder),
                 .target = name,
                 .attributes = {
                     {"shape", shape},
                     {"dtype", std::string(DTypeName(ids ? DType::kInt64 : DType::kFloat32))}}}));
    if (!any_rows_) {
      // Nothing else need be wrong with another number of rows than the file's.
      base_ = absl::StrCat(name, "_rows");
      std::vector<Extent> extents;
      for (const int64_t extent : shape) extents.push_back({extent});
      MASE_ASSIGN_OR_RETURN(value, OnnxNode(*this, as_node).View(value, extents));
    }
    values_[input->name()] = {.value = value};
  }
  return absl::OkStatus();
}

absl::StatusOr<OnnxValue*> Importer::Look(const std::string& name) {
  const auto found = values_.find(name);
  if (found != values_.end()) return &found->second;
  const ::onnx::TensorProto* initializer = file_.FindInitializer(name);
  if (initializer == nullptr) {
    return BadNode("reads '", Shown(name),
                   "', which neither an input, nor a constant, nor a node before it is");
  }
  MASE_ASSIGN_OR_RETURN(KnownTensor read, file_.ReadTensor(*initializer));
  OnnxValue value;
  if (std::holds_alternative<Tensor>(read)) {
    value.floats = std::get<Tensor>(std::move(read));
  } else {
    value.ints = std::get<KnownInts>(std::move(read));
  }
  return &values_.insert_or_assign(name, std::move(value)).first->second;
}

absl::Status Importer::ImportNode(const NodeProto& proto) {
  const OnnxOp& op = *FindOnnxOp(proto.domain(), proto.op_type());
  bool known = true, numbers = false;
  passing_codes_.reset();
  for (const std::string& input : proto.input()) {
    if (input.empty()) continue;
    MASE_ASSIGN_OR_RETURN(const OnnxValue* value, Look(input));
    known &= value->known();
    if (value->ints.has_value() && FindFloat8(value->ints->type) != nullptr && !op.reads_codes) {
      return CannotRead("computes with 8-bit floats, which DequantizeLinear alone reads");
    }
    if (op.reads_codes) continue;
    numbers |= value->value != nullptr && !value->codes.has_value();
    if (!value->codes.has_value()) continue;
    // What moves or chooses codes does so with the numbers that they stand for.
    const bool same = !passing_codes_.has_value() ||
                      passing_codes_->SerializeAsString() == value->codes->SerializeAsString();
    if (!(op.keeps_rounding || op.moves > 0) || !same) {
      return CannotRead(same ? "computes with the codes of a QuantizeLinear"
                             : "joins codes of different scales");
    }
    passing_codes_ = value->codes;
  }
  if (passing_codes_.has_value() && numbers) return CannotRead("joins codes and numbers");
  base_ = PathOf(proto);
  const int first_new = net_.graph.id_limit();
  OnnxNode node(*this, proto);
  bool done = false;
  if (op.fold != nullptr) {
    MASE_ASSIGN_OR_RETURN(done, op.fold(node));
  }
  if (!done && known) {
    MASE_ASSIGN_OR_RETURN(done, Fold(proto, op));
  }
  if (!done) {
    if (op.import == nullptr) return CannotRead("must be known from constants and shapes");
    MASE_RETURN_IF_ERROR(op.import(node));
    MASE_RETURN_IF_ERROR(RoundInputs(*this, proto, op.keeps_rounding, first_new));
  }
  for (int i = 0; i < proto.output_size(); ++i) {
    const std::string& output = proto.output(i);
    if (OnnxValue* made = output.empty() ? nullptr : FindValue(output); made != nullptr) {
      if (passing_codes_.has_value() && made->value != nullptr) made->codes = passing_codes_;
      continue;
    }
    if (output.empty()) continue;
    if (readers_.contains(output) || output == net_.output) {
      return CannotRead("result ", i, " ('", Shown(output), "') is read, and not computed");
    }
  }
  return absl::OkStatus();
}

std::string Importer::TensorName(absl::string_view wanted, const Tensor& value) const {
  std::string name(wanted);
  for (int suffix = 1;; ++suffix) {
    const GraphTensor* taken = graph_->FindTensor(name);
    if (taken == nullptr || BitEqual(taken->value, value)) return name;
    name = absl::StrCat(wanted, "_", suffix);
  }
}

absl::StatusOr<Value*> Importer::AddNode(NodeSpec spec) {
  if (spec.name.empty() || absl::ascii_isdigit(static_cast<unsigned char>(spec.name[0]))) {
    spec.name = absl::StrCat("n_", spec.name);
  }
  const bool is_placeholder = spec.kind == NodeKind::kPlaceholder;
  MASE_ASSIGN_OR_RETURN(Node * node, graph_->AddNode(std::move(spec)));
  std::vector<ValueInfo> infos;
  for (size_t batch = 0; batch < batches_.size(); ++batch) {
    std::vector<ValueInfo> inputs;
    for (const Value* input : node->inputs()) inputs.push_back(infos_.at(input)[batch]);
    Attributes attributes = node->attributes();
    if (is_placeholder && !folding_ && !attributes.Ints("shape").empty()) {
      std::vector<int64_t> shape = attributes.Ints("shape");
      shape[0] = batches_[batch];
      attributes.Set("shape", shape);
    }
    absl::StatusOr<std::vector<ValueInfo>> results = node->schema().shape_rule(inputs, attributes);
    absl::Status status = results.ok() ? (*results)[0].shape.Validate() : results.status();
    if (!status.ok()) return Annotate(status, node->op());
    infos.push_back((*results)[0]);
  }
  Value* value = node->outputs()[0];
  if (any_rows_ && file_rows_ > 0 && !folding_) {
    // What the file computes of its own number of rows is not what it would of another.
    std::vector<RowAxis> rows;
    std::vector<RowShapes> shapes;
    for (const Value* input : node->inputs()) {
      rows.push_back(rows_.at(input));
      shapes.push_back({infos_.at(input)[0].shape, infos_.at(input)[1].shape});
    }
    MASE_ASSIGN_OR_RETURN(rows_[value],
                          FollowRows(*node, rows, shapes, {infos[0].shape, infos[1].shape},
                                     batches_[1] - batches_[0]));
  }
  infos_[value] = std::move(infos);
  return value;
}

absl::StatusOr<std::vector<Extent>> Importer::ExtentsOf(const Value* value) const {
  const std::vector<ValueInfo>& infos = infos_.at(value);
  std::vector<Extent> extents;
  for (int axis = 0; axis < infos[0].shape.rank(); ++axis) {
    Extent extent = {infos[0].shape[axis]};
    if (infos.size() > 1) {
      extent.per_row = (infos[1].shape[axis] - infos[0].shape[axis]) / (batches_[1] - batches_[0]);
      extent.constant -= extent.per_row * batches_[0];
      for (size_t i = 0; i < infos.size(); ++i) {
        if (extent.constant + extent.per_row * batches_[i] == infos[i].shape[axis]) continue;
        return CannotRead("an axis of '", value->name(), "' is not in proportion to the rows");
      }
    }
    extents.push_back(extent);
  }
  return extents;
}

absl::StatusOr<Value*> Importer::SizeOf(const Extent& extent) {
  Value*& size = sizes_[extent.ToString()];
  if (size != nullptr) return size;
  for (const Node* node = graph_->first(); node != nullptr; node = Graph::next(node)) {
    if (node->outputs().empty() || node->Is(OpTrait::kFromShapes)) continue;
    MASE_ASSIGN_OR_RETURN(const std::vector<Extent> extents, ExtentsOf(node->outputs()[0]));
    for (size_t axis = 0; axis < extents.size(); ++axis) {
      if (extents[axis] != extent) continue;
      MASE_ASSIGN_OR_RETURN(size, AddNode({.name = std::string(ops::kSize),
                                           .kind = NodeKind::kCallMethod,
                                           .op = std::string(ops::kSize),
                                           .target = std::string(ops::kSize),
                                           .inputs = {node->outputs()[0]},
                                           .attributes = {{"dim", static_cast<int64_t>(axis)}}}));
      return size;
    }
  }
  sizes_.erase(extent.ToString());
  return CannotRead("no axis has an extent of ", extent.ToString());
}

const NodeProto* Importer::OnlyReader(const std::string& name) const {
  const auto found = readers_.find(name);
  if (name == net_.output || found == readers_.end() || found->second.size() != 1) return nullptr;
  return found->second[0];
}

const Tensor* Importer::KnownNow(const std::string& name) {
  const absl::StatusOr<OnnxValue*> value = Look(name);
  return value.ok() && (*value)->floats.has_value() ? &*(*value)->floats : nullptr;
}

absl::Status Importer::Finish() {
  MASE_ASSIGN_OR_RETURN(const OnnxValue* output, Look(net_.output));
  if (output->value == nullptr || output->codes.has_value()) {
    return CannotRead("result '", Shown(net_.output), "' ",
                      output->known() ? "is a constant" : "is codes; dequantize it");
  }
  if (const auto rows = rows_.find(output->value); rows != rows_.end() && rows->second.axis != 0) {
    return CannotRead("result '", Shown(net_.output), "' has its rows on another axis than 0");
  }
  if (output->rounded.has_value()) {
    MASE_RETURN_IF_ERROR(RoundResult(*this, *output));
    CountMarkedUses(output->value, 1);  // The graph's output.
  }
  MASE_RETURN_IF_ERROR(AddOutput(net_.graph, {output->value}).status());
  for (const Value* value : rounded_results_) {
    if (marked_uses_[value] == value->uses().size()) continue;
    return CannotRead("'", value->name(), "' is read rounded by nodes that take no number format, ",
                      "and as it is by others");
  }
  NameFormats(net_.graph);
  MASE_RETURN_IF_ERROR(VerifyGraph(net_.graph));
  return absl::OkStatus();
}

bool IsOnnxPath(absl::string_view path) { return absl::EndsWith(path, ".onnx"); }

absl::StatusOr<ImportedNet> ImportOnnx(absl::string_view path, const ImportOptions& options) {
  MASE_ASSIGN_OR_RETURN(const OnnxFile file, OnnxFile::Open(path));
  Importer any(file, options, /*any_rows=*/true);
  absl::StatusOr<ImportedNet> net = any.Run();
  const int64_t rows = any.file_rows();
  std::string why;
  if (!net.ok() && rows > 0) {
    why = std::string(net.status().message());
    net = Importer(file, options, /*any_rows=*/false).Run();
  }
  if (!net.ok()) return Annotate(net.status(), path);
  if (!why.empty()) {
    net->notes.push_back(absl::StrCat("It runs on batches of ", rows, " rows alone: ", why));
  } else if (rows > 0) {
    net->notes.push_back(absl::StrCat("Its inputs are of ", rows, rows == 1 ? " row" : " rows",
                                      "; axis 0 is taken as rows, of any number"));
  }
  if (net->outputs.size() > 1) {
    std::vector<std::string> shown;
    for (const std::string& output : net->outputs) {
      shown.push_back(absl::StrCat(Shown(output), output == net->output ? " (runs)" : ""));
    }
    net->notes.push_back(absl::StrCat("Results: ", Some(shown), "; --output=NAME runs another"));
  }
  return net;
}

}  // namespace mase
