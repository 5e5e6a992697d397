#include "mase/model/stored_codes.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <optional>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "google/protobuf/util/message_differencer.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/format/format.h"
#include "mase/format/format_text.h"
#include "mase/graph/shape_inference.h"
#include "mase/quantize/operands.h"

namespace mase {
namespace {

constexpr absl::string_view kCodes = ".codes", kBlocks = ".blocks";

// A tensor of the graph as the operand of the first node whose record gives it a format.
struct Owner {
  const Node* node = nullptr;
  Operand operand;
  int owners = 0;  // Nodes that have it,
  int alike = 0;   // and those of them that round it as this one.
};

// By tensor; those alone that a record gives a format.
using Owners = absl::flat_hash_map<std::string, Owner>;

// What ViewOperand makes of a tensor of the module is decided by these.
bool RoundsAlike(const Owner& owner, const Node& node, const Operand& operand) {
  return node.op() == owner.node->op() && operand.role == owner.operand.role &&
         google::protobuf::util::MessageDifferencer::Equals(*operand.format, *owner.operand.format);
}

Owners FindOwners(const Graph& graph) {
  absl::flat_hash_map<std::string, int> readers;
  for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
    for (const Parameter& parameter : node->parameters()) ++readers[parameter.tensor];
  }
  Owners owners;
  for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
    for (const Operand& operand : OperandsOf(*node)) {
      if (operand.source != Operand::Source::kTensor || operand.format == nullptr) continue;
      const std::string& tensor = node->parameters()[operand.index].tensor;
      Owner& owner = owners[tensor];
      if (owner.node == nullptr) owner = {node, operand, readers[tensor]};
      owner.alike += RoundsAlike(owner, *node, operand) ? 1 : 0;
    }
  }
  return owners;
}

// How a node rounds a tensor that it has: "a (linear) by integer 4", "b (linear) not at all".
std::string HowItRounds(const Node& node, const std::string& tensor) {
  std::string how = " not at all";
  for (const Operand& operand : OperandsOf(node)) {
    const bool is_it = operand.source == Operand::Source::kTensor && operand.format != nullptr &&
                       node.parameters()[operand.index].tensor == tensor;
    if (is_it) how = absl::StrCat(" by ", FormatText(*operand.format));
  }
  return absl::StrCat(" (", node.op(), ")", how);
}

// The first of those that share a tensor, and the first that does not round it as that does.
std::string Disagreement(const Graph& graph, const std::string& tensor, int owners) {
  std::string first, other;
  for (const Node* node = graph.first(); node != nullptr && other.empty();
       node = Graph::next(node)) {
    const bool has_it = absl::c_any_of(
        node->parameters(), [&](const Parameter& parameter) { return parameter.tensor == tensor; });
    if (!has_it) continue;
    const std::string how = HowItRounds(*node, tensor);
    if (first.empty()) {
      first = absl::StrCat(node->name(), how);
    } else if (!absl::EndsWith(first, how)) {
      other = absl::StrCat(", ", node->name(), how);
    }
  }
  std::string text =
      absl::StrCat("several nodes share it, and not all round it alike: ", first, other);
  if (owners > 2) absl::StrAppend(&text, " and ", owners - 2, " more");
  return text;
}

absl::StatusOr<OperandView> CoderOf(const Owner& owner, const Shape& shape,
                                    const InferredShapes& shapes) {
  return ViewOperand(*owner.node, owner.operand.role, *owner.operand.format, shape, shapes);
}

// Equal as numbers: zeros of either sign are.
std::optional<int64_t> FirstDifference(const Tensor& a, const Tensor& b) {
  const auto x = a.data<float>(), y = b.data<float>();
  for (size_t i = 0; i < x.size(); ++i) {
    if (!(x[i] == y[i])) return static_cast<int64_t>(i);
  }
  return std::nullopt;
}

// The first element whose code is not the one that its value has. Codes of blocks are for the block
// to choose.
absl::StatusOr<std::optional<int64_t>> FirstOther(const OperandView& coder,
                                                  const EncodedTensor& codes,
                                                  const Tensor& decoded) {
  if (!codes.block_codes.empty()) return std::nullopt;
  MASE_ASSIGN_OR_RETURN(const EncodedTensor again, coder.format->Encode(decoded));
  for (size_t i = 0; i < codes.codes.size(); ++i) {
    if (again.codes[i] != codes.codes[i]) return static_cast<int64_t>(i);
  }
  return std::nullopt;
}

// The codes of a tensor, or why it has to stay as it is.
struct Coded {
  EncodedTensor codes;
  std::string refusal;
};

absl::StatusOr<Coded> Encode(const OperandView& coder, const Tensor& tensor) {
  const auto refuse = [](absl::string_view why) { return Coded{{}, std::string(why)}; };
  if (coder.format->code_bits() == 0) return refuse("the format has no codes");
  if (coder.format->proto().rounding() == FormatProto::STOCHASTIC) {
    return refuse("it is rounded at random, anew each time");
  }
  const Tensor seen = tensor.Reshape(coder.shape);
  MASE_ASSIGN_OR_RETURN(const Tensor quantized, coder.format->Quantize(seen));
  absl::StatusOr<EncodedTensor> codes = coder.format->Encode(seen);
  if (!codes.ok()) return refuse(codes.status().message());
  MASE_ASSIGN_OR_RETURN(const Tensor decoded, coder.format->Decode(*codes));
  if (FirstDifference(decoded, quantized).has_value()) {
    return refuse("its codes are not all that the format rounds to");
  }
  MASE_ASSIGN_OR_RETURN(const Tensor again, coder.format->Quantize(decoded));
  if (FirstDifference(again, decoded).has_value()) {
    return refuse("the format rounds what it rounded to other values");
  }
  MASE_ASSIGN_OR_RETURN(const std::optional<int64_t> other, FirstOther(coder, *codes, decoded));
  if (other.has_value()) return refuse("its values have several codes");
  return Coded{*std::move(codes), ""};
}

Tensor BytesTensor(absl::Span<const uint8_t> bytes) {
  return Tensor::FromValues<uint8_t>({static_cast<int64_t>(bytes.size())}, bytes);
}

Tensor BlocksTensor(absl::Span<const uint32_t> codes) {
  if (absl::c_all_of(codes, [](uint32_t code) { return code <= 255; })) {
    return BytesTensor(std::vector<uint8_t>(codes.begin(), codes.end()));
  }
  const std::vector<int32_t> words(codes.begin(), codes.end());
  return Tensor::FromValues<int32_t>({static_cast<int64_t>(words.size())}, words);
}

std::string Place(const Owner& owner, absl::string_view tensor) {
  return absl::StrCat(owner.node->name(), ": codes of tensor '", tensor, "'");
}

template <typename... Parts>
absl::Status Damaged(const Parts&... parts) {
  return absl::DataLossError(absl::StrCat(parts...));
}

absl::StatusOr<std::vector<uint32_t>> ReadCodes(const Tensor& tensor, int bits, int64_t count) {
  const int64_t bytes = (count * bits + 7) / 8;
  if (tensor.dtype() != DType::kUInt8 || tensor.shape() != Shape({bytes})) {
    return Damaged("are ", DTypeName(tensor.dtype()), tensor.shape().ToString(), ", want uint8[",
                   bytes, "] for ", count, " codes of ", bits, " bits");
  }
  const absl::Span<const uint8_t> packed = tensor.data<uint8_t>();
  const int unused = static_cast<int>(bytes * 8 - count * bits);
  if (unused > 0 && packed.back() >> (8 - unused) != 0) {
    return Damaged("have ", unused, " unused bits at the end that are not 0");
  }
  return UnpackCodes(packed, bits, count);
}

absl::StatusOr<std::vector<uint32_t>> ReadBlocks(const Tensor* tensor, size_t count) {
  const Shape wanted({static_cast<int64_t>(count)});
  if (tensor == nullptr) {
    if (count == 0) return std::vector<uint32_t>();
    return Damaged("lack those of their ", count, " blocks");
  }
  const bool words = tensor->dtype() == DType::kInt32;
  if (count == 0 || (!words && tensor->dtype() != DType::kUInt8) || tensor->shape() != wanted) {
    return Damaged("have blocks ", DTypeName(tensor->dtype()), tensor->shape().ToString(),
                   ", want ", count == 0 ? "none" : absl::StrCat("uint8[", count, "]"));
  }
  if (words) {
    const auto codes = tensor->data<int32_t>();
    return std::vector<uint32_t>(codes.begin(), codes.end());
  }
  const auto codes = tensor->data<uint8_t>();
  return std::vector<uint32_t>(codes.begin(), codes.end());
}

// Messages go on from "codes of tensor 'x' ".
absl::StatusOr<Tensor> Decode(const OperandView& coder, const Tensor& codes, const Tensor* blocks) {
  const Format& format = *coder.format;
  if (format.code_bits() == 0) return Damaged("have a format without codes: ", format.family());
  EncodedTensor encoded{coder.shape};
  MASE_ASSIGN_OR_RETURN(encoded.codes,
                        ReadCodes(codes, format.code_bits(), coder.shape.elements()));
  // How many blocks there are is what zeros have.
  MASE_ASSIGN_OR_RETURN(const EncodedTensor zeros,
                        format.Encode(Tensor::Zeros(DType::kFloat32, coder.shape)));
  MASE_ASSIGN_OR_RETURN(encoded.block_codes, ReadBlocks(blocks, zeros.block_codes.size()));
  MASE_ASSIGN_OR_RETURN(Tensor decoded, format.Decode(encoded));
  MASE_ASSIGN_OR_RETURN(const Tensor again, format.Quantize(decoded));
  std::optional<int64_t> wrong = FirstDifference(again, decoded);
  if (!wrong.has_value()) {
    MASE_ASSIGN_OR_RETURN(wrong, FirstOther(coder, encoded, decoded));
  }
  if (!wrong.has_value()) return decoded;
  return Damaged("have ", encoded.codes[*wrong], " as that of element ", *wrong, ", no code of ",
                 FormatText(format.proto()), " (it would be ", decoded.data<float>()[*wrong], ")");
}

}  // namespace

absl::StatusOr<StoredTensors> EncodeTensors(const Graph& graph) {
  MASE_ASSIGN_OR_RETURN(const InferredShapes shapes, InferShapesFor(graph));
  const Owners owners = FindOwners(graph);
  StoredTensors stored;
  for (const GraphTensor& tensor : graph.tensors()) {
    const auto owner = owners.find(tensor.name);
    const bool has_format =
        owner != owners.end() && !tensor.buffer && tensor.value.dtype() == DType::kFloat32;
    const bool agreed = has_format && owner->second.alike == owner->second.owners;
    Coded coded;
    if (has_format && !agreed) {
      coded.refusal = Disagreement(graph, tensor.name, owner->second.owners);
    }
    if (agreed) {
      const absl::StatusOr<OperandView> coder =
          CoderOf(owner->second, tensor.value.shape(), shapes);
      absl::Status status = coder.status();
      if (status.ok()) {
        absl::StatusOr<Coded> made = Encode(*coder, tensor.value);
        status = made.status();
        if (status.ok()) coded = *std::move(made);
      }
      if (!status.ok()) return Annotate(status, Place(owner->second, tensor.name));
      if (coded.refusal.empty()) {
        const int bits = coder->format->code_bits();
        stored.tensors.push_back(
            {absl::StrCat(tensor.name, kCodes), BytesTensor(PackCodes(coded.codes.codes, bits))});
        stored.bytes += static_cast<int64_t>(stored.tensors.back().value.size_bytes());
        if (!coded.codes.block_codes.empty()) {
          stored.tensors.push_back(
              {absl::StrCat(tensor.name, kBlocks), BlocksTensor(coded.codes.block_codes)});
          stored.bytes += static_cast<int64_t>(stored.tensors.back().value.size_bytes());
        }
        stored.values += tensor.value.elements();
        ++stored.coded;
        continue;
      }
    }
    if (has_format) stored.left.emplace_back(tensor.name, coded.refusal);
    stored.tensors.push_back({tensor.name, tensor.value});
  }
  return stored;
}

absl::Status DecodeTensors(const Graph& graph, SafeTensors& contents) {
  absl::flat_hash_set<std::string> own;
  for (const GraphTensor& tensor : graph.tensors()) own.insert(tensor.name);
  // A net may have a tensor of its own of such a name.
  const auto original = [&own](const std::string& name, absl::string_view ending) {
    std::string stem(absl::StripSuffix(name, ending));
    return stem != name && own.contains(stem) && !own.contains(name) ? stem : "";
  };
  const bool any = absl::c_any_of(contents.tensors, [&](const NamedTensor& tensor) {
    return !original(tensor.name, kCodes).empty() || !original(tensor.name, kBlocks).empty();
  });
  if (!any) return absl::OkStatus();
  MASE_ASSIGN_OR_RETURN(const InferredShapes shapes, InferShapesFor(graph));
  const Owners owners = FindOwners(graph);
  std::vector<NamedTensor> tensors;
  for (const NamedTensor& tensor : contents.tensors) {
    const std::string name = original(tensor.name, kCodes);
    if (name.empty()) {
      const std::string blocks = original(tensor.name, kBlocks);
      if (blocks.empty()) {
        tensors.push_back(tensor);
      } else if (contents.Find(absl::StrCat(blocks, kCodes)) == nullptr) {
        return Damaged("tensor '", blocks, "' has codes of blocks, and none of elements");
      }
      continue;
    }
    const auto owner = owners.find(name);
    if (owner == owners.end() || owner->second.alike != owner->second.owners) {
      return Damaged("tensor '", name, "' has codes, and no format that all its nodes give it");
    }
    if (contents.Find(name) != nullptr) {
      return Damaged(Place(owner->second, name), " stand beside the tensor itself");
    }
    const Shape& shape = graph.FindTensor(name)->value.shape();
    absl::StatusOr<OperandView> coder = CoderOf(owner->second, shape, shapes);
    if (!coder.ok()) return Annotate(coder.status(), Place(owner->second, name));
    const absl::StatusOr<Tensor> decoded =
        Decode(*coder, tensor.value, contents.Find(absl::StrCat(name, kBlocks)));
    if (!decoded.ok()) {
      return Damaged(Place(owner->second, name), " ", decoded.status().message());
    }
    tensors.push_back({name, decoded->Reshape(shape)});
  }
  contents.tensors = std::move(tensors);
  return absl::OkStatus();
}

}  // namespace mase
