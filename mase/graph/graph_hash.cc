#include "mase/graph/graph_hash.h"

#include <cstdint>
#include <cstring>
#include <string>
#include <variant>

#include "absl/hash/hash.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"

namespace mase {
namespace {

// Adds values of any hashable types to a hash.
class Hasher {
 public:
  template <typename... Parts>
  void Add(const Parts&... parts) {
    hash_ = absl::HashOf(hash_, parts...);
  }
  void Add(double value) {  // By bits: -0 is not 0.
    uint64_t bits;
    static_assert(sizeof(bits) == sizeof(value));
    std::memcpy(&bits, &value, sizeof(bits));
    Add(bits);
  }
  size_t hash() const { return hash_; }

 private:
  size_t hash_ = 0;
};

std::string Bytes(const google::protobuf::Message& message) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  message.SerializeToCodedStream(&coded);
  coded.Trim();
  return bytes;
}

void AddNode(const Node& node, Hasher& hasher) {
  hasher.Add(node.name(), node.op(), static_cast<int>(node.kind()), node.target());
  hasher.Add(node.inputs().size(), node.attributes().size(), node.parameters().size());
  for (const Value* input : node.inputs()) hasher.Add(input->producer()->name(), input->index());
  for (const auto& [name, value] : node.attributes()) {
    hasher.Add(name, value.index());
    std::visit([&](const auto& plain) { hasher.Add(plain); }, value);
  }
  for (const Parameter& parameter : node.parameters()) {
    hasher.Add(parameter.name, parameter.tensor);
  }
  const Quantization* record = node.quantization();
  hasher.Add(record != nullptr);
  if (record != nullptr) hasher.Add(Bytes(*record));
}

}  // namespace

size_t HashGraph(const Graph& graph) {
  Hasher hasher;
  hasher.Add(graph.name(), graph.node_count(), graph.tensors().size());
  for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
    AddNode(*node, hasher);
  }
  for (const GraphTensor& tensor : graph.tensors()) {
    const Tensor& value = tensor.value;
    hasher.Add(tensor.name, tensor.buffer, static_cast<int>(value.dtype()), value.shape().dims());
    hasher.Add(absl::string_view(static_cast<const char*>(value.raw_data()), value.size_bytes()));
  }
  return hasher.hash();
}

}  // namespace mase
