#include "mase/onnx/onnx_ops.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"

namespace mase {

const std::vector<OnnxOp>& AllOnnxOps() {
  static const auto& all = *[] {
    auto* ops = new std::vector<OnnxOp>;
    for (const auto part : {OnnxElementOps, OnnxLayerOps, OnnxPoolOps, OnnxShapeOps, OnnxSelectOps,
                            OnnxConstantOps, OnnxTruthOps, OnnxQuantizedOps}) {
      for (const OnnxOp& op : part()) ops->push_back(op);
    }
    std::sort(ops->begin(), ops->end(),
              [](const OnnxOp& a, const OnnxOp& b) { return a.name < b.name; });
    return ops;
  }();
  return all;
}

const OnnxOp* FindOnnxOp(absl::string_view domain, absl::string_view name) {
  static const auto& by_name = *[] {
    auto* map = new absl::flat_hash_map<std::pair<std::string, std::string>, const OnnxOp*>;
    for (const OnnxOp& op : AllOnnxOps()) {
      map->emplace(std::pair(std::string(op.domain), std::string(op.name)), &op);
    }
    return map;
  }();
  if (domain == "ai.onnx") domain = "";
  const auto found = by_name.find(std::pair(std::string(domain), std::string(name)));
  return found == by_name.end() ? nullptr : found->second;
}

}  // namespace mase
