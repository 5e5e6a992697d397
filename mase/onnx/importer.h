// What the rules of onnx_ops.h work with: a node of a file, and the graph that is made of it.
#ifndef MASE_ONNX_IMPORTER_H_
#define MASE_ONNX_IMPORTER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/container/node_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "mase/graph/graph.h"
#include "mase/onnx/import.h"
#include "mase/onnx/known.h"
#include "mase/onnx/onnx_file.h"
#include "mase/onnx/rows.h"
#include "proto/format.pb.h"

namespace mase {

// A value of the file: known, or computed by the graph.
struct OnnxValue {
  std::optional<Tensor> floats;  // float32.
  std::optional<KnownInts> ints;
  Value* value = nullptr;
  // Its readers read it rounded so (a result of DequantizeLinear).
  std::optional<FormatProto> rounded = {};
  // It stands for codes (a result of QuantizeLinear); `value` is what they are to be codes of.
  std::optional<FormatProto> codes = {};

  bool known() const { return floats.has_value() || ints.has_value(); }
};

// A tensor that a module is to own.
struct OwnTensor {
  std::string local;  // "weight"
  Tensor value;
  std::string initializer = "";  // Of the file, where it is one as it stands there.
};

class Importer;

// A node of the file as its rule sees it. Errors need not say which node: the importer does.
class OnnxNode {
 public:
  OnnxNode(Importer& importer, const ::onnx::NodeProto& proto)
      : importer_(importer), proto_(proto) {}

  Importer& importer() { return importer_; }
  const ::onnx::NodeProto& proto() const { return proto_; }
  int64_t opset() const;

  // ---- Attributes: the given default where the node has none; InvalidArgument for another type.
  bool Has(absl::string_view attribute) const;
  absl::StatusOr<int64_t> Int(absl::string_view attribute, int64_t fallback) const;
  absl::StatusOr<double> Float(absl::string_view attribute, double fallback) const;
  absl::StatusOr<std::string> String(absl::string_view attribute, absl::string_view fallback) const;
  absl::StatusOr<std::vector<int64_t>> Ints(absl::string_view attribute,
                                            std::vector<int64_t> fallback) const;

  // ---- Inputs
  int inputs() const { return proto_.input_size(); }
  bool HasInput(int i) const { return i < inputs() && !proto_.input(i).empty(); }
  const std::string& InputName(int i) const { return proto_.input(i); }
  // Null where the node has no such input.
  const OnnxValue* Input(int i) const;
  // Its numbers, if they are known floats; else null.
  const Tensor* KnownFloats(int i) const;
  // The same, of an input that must be known: Unimplemented otherwise.
  absl::StatusOr<Tensor> Floats(int i) const;
  absl::StatusOr<KnownInts> WholeNumbers(int i) const;
  // The input as a value of the graph.
  absl::StatusOr<Value*> ValueOf(int i);

  // ---- What it makes
  // A node of that op. The first name of those that a rule makes is the file's.
  absl::StatusOr<Value*> Add(absl::string_view op, std::vector<Value*> inputs,
                             Attributes attributes = {}, std::vector<OwnTensor> tensors = {});
  absl::StatusOr<Value*> Constant(absl::string_view name, Tensor value);
  absl::StatusOr<Value*> Number(double number);
  // x under another shape: of as many elements for any number of rows.
  absl::StatusOr<Value*> View(Value* x, const std::vector<Extent>& extents);

  void SetResult(int i, OnnxValue value);
  void SetResult(Value* value);
  // What the graph's op computes, as the one result.
  absl::Status Become(absl::string_view op, Attributes attributes = {});

 private:
  const ::onnx::AttributeProto* Find(absl::string_view name) const;

  Importer& importer_;
  const ::onnx::NodeProto& proto_;
};

// One attempt at a file: with rows in any number, or as many as it says.
class Importer {
 public:
  Importer(const OnnxFile& file, const ImportOptions& options, bool any_rows);

  absl::StatusOr<ImportedNet> Run();

  const OnnxFile& file() const { return file_; }
  // Axis 0 of the first input in the file; 0 where it leaves that open.
  int64_t file_rows() const { return file_rows_; }

  // The extents of a value for any number of rows.
  absl::StatusOr<std::vector<Extent>> ExtentsOf(const Value* value) const;
  int RankOf(const Value* value) const { return infos_.at(value)[0].shape.rank(); }
  DType TypeOf(const Value* value) const { return infos_.at(value)[0].dtype; }
  // A number that is this extent whatever the rows are, for view and expand. Unimplemented if the
  // graph has no axis of that extent.
  absl::StatusOr<Value*> SizeOf(const Extent& extent);

  // The one node that reads a value of the file, if there is one alone and it is no result.
  const ::onnx::NodeProto* OnlyReader(const std::string& name) const;
  // The first result of a node further on is this value: it is part of what was made here.
  void Alias(const ::onnx::NodeProto& node, Value* value) {
    values_[node.output(0)] = {.value = value};
    skipped_.insert(&node);
  }
  // The floats of that name, if they are known before the node at hand; else null.
  const Tensor* KnownNow(const std::string& name);

  Graph& graph() { return net_.graph; }

  // `uses` more of the value's readers read it rounded, by a mark.
  void CountMarkedUses(const Value* value, size_t uses) { marked_uses_[value] += uses; }
  // The node that makes the value rounds it, so that all of its readers must be such ones.
  void RoundsResult(const Value* value) { rounded_results_.push_back(value); }

  // The value of that name in the file; null where nothing is known of it yet.
  OnnxValue* FindValue(const std::string& name) {
    const auto found = values_.find(name);
    return found == values_.end() ? nullptr : &found->second;
  }

 private:
  friend class OnnxNode;

  absl::Status FindWork();
  absl::Status ChooseOutput();
  absl::Status AddInputs();
  absl::Status ImportNode(const ::onnx::NodeProto& proto);
  // Runs the rule on known inputs; false where it has to be done by the graph.
  absl::StatusOr<bool> Fold(const ::onnx::NodeProto& proto, const struct OnnxOp& op);
  absl::Status Finish();
  absl::Status CountFolded(int64_t elements);

  absl::StatusOr<OnnxValue*> Look(const std::string& name);
  absl::StatusOr<Value*> Materialize(const std::string& name);
  absl::StatusOr<Value*> AddNode(NodeSpec spec);
  std::string TensorName(absl::string_view wanted, const Tensor& value) const;

  const OnnxFile& file_;
  const ImportOptions& options_;
  const bool any_rows_;
  int64_t file_rows_ = 0;
  std::vector<int64_t> batches_;  // Numbers of rows that shapes are inferred for.

  ImportedNet net_;
  Graph* graph_ = &net_.graph;  // Another one while constants are folded.
  absl::flat_hash_map<const Value*, std::vector<ValueInfo>> infos_;  // By batch.
  absl::flat_hash_map<const Value*, RowAxis> rows_;     // Of files with a fixed number of rows.
  absl::node_hash_map<std::string, OnnxValue> values_;  // Rules keep pointers into it.
  // Known values that the graph has as tensors.
  absl::flat_hash_map<std::string, Value*> materialized_;
  // While whole numbers are moved: the values that stand for them, one number each.
  std::vector<std::pair<const KnownInts*, int64_t>> positions_;
  int64_t position_count_ = 0;
  bool folding_ = false, moving_ = false;
  absl::flat_hash_map<std::string, Value*> sizes_;  // By extent.

  std::vector<const ::onnx::NodeProto*> work_;  // What the output needs, in the file's order.
  absl::flat_hash_map<std::string, std::vector<const ::onnx::NodeProto*>> readers_;
  absl::flat_hash_set<const ::onnx::NodeProto*> skipped_;
  std::vector<const ::onnx::ValueInfoProto*> inputs_;
  absl::flat_hash_map<const Value*, size_t> marked_uses_;
  std::vector<const Value*> rounded_results_;
  // Of the codes that the node at hand reads and hands on; none: it reads none.
  std::optional<FormatProto> passing_codes_;
  std::string base_;  // Of the names of the nodes that the rule at hand makes.
  int64_t folded_elements_ = 0;
};

// A node of the file, for messages: "node '/fc/Gemm' (Gemm)".
std::string LabelOf(const ::onnx::NodeProto& node);
// Its name, or that of its first result, of letters, digits and '_' as names of nodes here are; '.'
// stays for paths of layers.
std::string PathOf(const ::onnx::NodeProto& node);

template <typename... Parts>
absl::Status CannotRead(const Parts&... parts) {
  return absl::UnimplementedError(absl::StrCat(parts...));
}
template <typename... Parts>
absl::Status BadNode(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

// `axis` counted from the front.
absl::StatusOr<int> AxisOf(int64_t axis, int rank);

}  // namespace mase

#endif  // MASE_ONNX_IMPORTER_H_
