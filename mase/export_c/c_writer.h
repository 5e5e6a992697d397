// The body of a net as C, node by node. Only the files of this room include this.
//
// Each value is an array: numbers of a row, channels first, or whole numbers of a unit. Loops are
// plain, along contiguous memory where compilers are to vectorize them.
#ifndef MASE_EXPORT_C_C_WRITER_H_
#define MASE_EXPORT_C_C_WRITER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "mase/exec/integer_plan.h"
#include "mase/export_c/c_text.h"
#include "mase/graph/graph.h"
#include "mase/graph/shape_inference.h"

namespace mase {

// An array of the function. It is free for other values once no value holds it.
struct CBuffer {
  std::string name, type;
  int64_t count = 0;
};

// What a node computed: floats, or whole numbers of 2^unit.
struct CValue {
  std::shared_ptr<CBuffer> buffer;
  Shape shape;  // Of a row.
  bool whole = false;
  int unit = 0;
  int64_t bound = 0;     // The largest size of a whole number.
  bool negative = true;  // Whether a whole number may be below 0.
  bool cut = false;      // The array's negative numbers are read as 0: a ReLU of its own.

  const std::string& name() const { return buffer->name; }
  // A number of it: "a1[i]".
  std::string at(absl::string_view index) const;
  int64_t count() const { return shape.elements(); }
};

class CWriter {
 public:
  CWriter(const Graph& graph, const InferredShapes& shapes, const IntegerPlans& plans)
      : graph_(graph), shapes_(shapes), plans_(plans) {}

  // Appends what the node computes. Unimplemented, with the reason.
  absl::Status Add(const Node& node);

  // ---- When all nodes are there
  const CValue& input() const { return input_; }
  const CValue& result() const { return result_; }
  // The first codes; no buffer where there are none.
  const CValue& codes() const { return codes_; }
  // Whether all that follows the first codes is computed from them, in whole numbers.
  bool on_codes() const {
    return codes_.buffer != nullptr && !floats_after_codes_ && result_.whole;
  }
  // Declarations and statements up to the first codes, and of what follows them.
  std::string Front() const { return Text(front_buffers_, front_, "  int i"); }
  std::string Behind() const { return Text(buffers_, code_, "  int i"); }
  // All of it.
  std::string Whole() const;
  int64_t BufferBytes() const;
  int64_t constant_bytes() const { return constant_bytes_; }
  std::string Definitions() const { return helpers_.text() + tables_; }

 private:
  using Buffers = std::vector<std::shared_ptr<CBuffer>>;

  static std::string Text(const Buffers& buffers, const std::string& code,
                          absl::string_view counters);
  std::string NewId() { return std::to_string(ids_++); }
  // An array for a value of that shape, of those that are free.
  std::shared_ptr<CBuffer> Take(absl::string_view type, int64_t count);
  CValue TakeValue(absl::string_view type, const Shape& shape);
  void Append(absl::string_view code) { code_.append(code.data(), code.size()); }
  // "for" over all numbers of an array.
  void ForEach(int64_t count, absl::string_view body);
  void AddTable(absl::string_view name, absl::string_view type,
                const std::vector<int64_t>& numbers);

  CValue Input(const Node& node, int i);
  absl::StatusOr<CValue> AddPlanned(const Node& node, const IntegerPlan& plan);
  absl::StatusOr<CValue> AddPlain(const Node& node);
  // The value as codes; made once for all that read the same.
  CValue Encode(const Node* producer, const CValue& value, const Codes& codes);
  CValue Encoded(const CValue& value, const Codes& codes);
  CValue Norm(const Node& node, const CValue& from);
  static CValue CutNegatives(CValue value);
  CValue MaxPool(const Node& node, const CValue& from);
  absl::StatusOr<CValue> AveragePool(const Node& node, const CValue& from);
  absl::StatusOr<CValue> Arithmetic(const Node& node, const CValue& a, const CValue& b);

  // ---- Layers (c_layer.cc)
  struct LayerTables {
    std::string id, sum_type;
    std::string scaled;  // "sum" in the result's unit.
    int unit = 0;
    int64_t bound = 0;
    bool sums_are_results = false;  // But for the bias.
    int64_t lanes = 0;              // Outputs with those that only fill vectors; of linear layers.
    int64_t chunk = 0;  // So many products of any output fit 16 bits together; 0 where too few do.
  };
  absl::StatusOr<LayerTables> AddTables(const Node& node, const IntegerPlan& plan,
                                        const CValue& from, int64_t outputs);
  absl::StatusOr<CValue> Layer(const Node& node, const IntegerPlan& plan, const CValue& from);
  CValue LinearLoops(const LayerTables& tables, const CValue& from, const Shape& shape);
  CValue ConvLoops(const Node& node, const LayerTables& tables, const CValue& from,
                   const Shape& shape);

  const Graph& graph_;
  const InferredShapes& shapes_;
  const IntegerPlans& plans_;
  CHelpers helpers_;
  std::string tables_;
  int64_t constant_bytes_ = 0;
  std::string front_, code_;
  Buffers front_buffers_, buffers_;
  CValue input_, result_, codes_;
  absl::flat_hash_map<int, CValue> values_;  // By node id; taken away after the last reader.
  absl::flat_hash_map<int, std::vector<std::pair<Codes, CValue>>> encoded_;  // The same.
  absl::flat_hash_map<int, int64_t> readers_;                                // Still to come.
  bool floats_after_codes_ = false;
  int ids_ = 0;
};

// The windows of a convolution or a pooling over rows [channels, extents...]; of one axis the first
// extents are 1.
struct CWindows {
  int64_t channels = 1, height = 1, width = 1;
  int64_t out_height = 1, out_width = 1;
  int64_t kernel[2] = {1, 1}, stride[2] = {1, 1}, padding[2] = {0, 0}, dilation[2] = {1, 1};
};
CWindows WindowsOf(const Node& node, const Shape& from, const Shape& to);

}  // namespace mase

#endif  // MASE_EXPORT_C_C_WRITER_H_
