#include "mase/graph/op_schema.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "mase/base/open_table.h"
#include "mase/base/status_macros.h"
#include "mase/base/suggest.h"
#include "mase/graph/op_table.h"

namespace mase {
namespace {

struct Ops {
  std::vector<const OpSchema*> sorted;
  absl::flat_hash_map<absl::string_view, const OpSchema*> by_name;

  void Add(const OpSchema* schema) {
    CHECK(by_name.emplace(schema->name, schema).second) << "op twice: " << schema->name;
    const auto by_its_name = [](const OpSchema* a, const OpSchema* b) { return a->name < b->name; };
    sorted.insert(std::upper_bound(sorted.begin(), sorted.end(), schema, by_its_name), schema);
  }
};

OpenTable<Ops>& OpenOps() {
  static auto* const table = [] {
    Ops ops;
    for (auto part : {ElementwiseOps, MatrixOps, NormOps, PoolOps, ShapeOps}) {
      for (OpSchema& schema : part()) ops.Add(new OpSchema(std::move(schema)));
    }
    return new OpenTable<Ops>(std::move(ops));
  }();
  return *table;
}

const Ops& Table() { return OpenOps().get(); }

// Replaces each {name} of `pattern` by the attribute's Python text.
std::string FillIn(absl::string_view pattern, const Attributes& attributes) {
  std::string text;
  while (!pattern.empty()) {
    const size_t open = pattern.find('{');
    absl::StrAppend(&text, pattern.substr(0, open));
    if (open == absl::string_view::npos) break;
    const size_t close = pattern.find('}', open);
    const Attribute* attribute = attributes.Find(pattern.substr(open + 1, close - open - 1));
    if (attribute != nullptr) absl::StrAppend(&text, AttributeToPython(*attribute));
    pattern.remove_prefix(close + 1);
  }
  return text;
}

bool DiffersFromDefault(const OpSchema& schema, const Attributes& attributes,
                        absl::string_view name) {
  for (const AttributeSpec& spec : schema.attributes) {
    if (spec.name != name) continue;
    const Attribute* value = attributes.Find(name);
    return value != nullptr && *value != spec.fallback;
  }
  return false;
}

}  // namespace

const OpSchema* FindOp(absl::string_view name) {
  const Ops& ops = Table();
  const auto it = ops.by_name.find(name);
  return it == ops.by_name.end() ? nullptr : it->second;
}

absl::Status CheckPluginOp(const OpSchema& schema) {
  const auto wrong = [&](absl::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat("op '", schema.name, "': ", what));
  };
  const bool is_name = !schema.name.empty() && absl::c_all_of(schema.name, [](char c) {
    return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '_';
  });
  if (!is_name) return wrong("want a name of small letters, digits and _");
  if (schema.shape_rule == nullptr) return wrong("it has no shape rule");
  if (schema.arguments.empty() || schema.results != 1) {
    return wrong("want at least one argument and one result");
  }
  if (schema.module_class.empty() == !schema.module_type.empty() ||
      (schema.module_type.empty() && schema.function_type.empty())) {
    return wrong("want a module_class with a module_type, or a function_type");
  }
  for (const OpSchema* other : AllOps()) {
    if (other->name == schema.name ||
        (!schema.module_class.empty() && other->module_class == schema.module_class)) {
      return absl::AlreadyExistsError(absl::StrCat("there is an op ", other->name, " already"));
    }
  }
  return absl::OkStatus();
}

absl::Status RegisterOp(OpSchema schema) {
  MASE_RETURN_IF_ERROR(CheckPluginOp(schema));
  OpenOps().Grow([&](Ops& ops) { ops.Add(new OpSchema(std::move(schema))); });
  return absl::OkStatus();
}

absl::StatusOr<const OpSchema*> LookUpOp(absl::string_view name) {
  if (const OpSchema* schema = FindOp(name); schema != nullptr) return schema;
  std::vector<std::string> known;
  for (const OpSchema* schema : AllOps()) known.emplace_back(schema->name);
  return absl::NotFoundError(absl::StrCat("unknown op '", name, "'", Suggest(name, known)));
}

absl::string_view OpSchema::InputOperand(int input) const {
  if (arguments.empty()) return operands::kDataIn;
  return arguments[std::min<size_t>(input, arguments.size() - 1)].operand;
}

absl::string_view OpSchema::TensorOperand(absl::string_view tensor) const {
  for (const TensorRole& role : tensor_roles) {
    if (role.tensor == tensor) return role.operand;
  }
  return "";
}

absl::Span<const OpSchema* const> AllOps() { return Table().sorted; }

std::string ModuleRepr(const OpSchema& schema, const Attributes& attributes,
                       absl::string_view class_name) {
  std::string text = absl::StrCat(class_name.empty() ? schema.module_class : class_name, "(");
  absl::string_view pattern = schema.repr;
  while (!pattern.empty()) {
    const size_t open = pattern.find('[');
    absl::StrAppend(&text, FillIn(pattern.substr(0, open), attributes));
    if (open == absl::string_view::npos) break;
    const size_t colon = pattern.find(':', open);
    const size_t close = pattern.find(']', open);
    if (DiffersFromDefault(schema, attributes, pattern.substr(open + 1, colon - open - 1))) {
      absl::StrAppend(&text, FillIn(pattern.substr(colon + 1, close - colon - 1), attributes));
    }
    pattern.remove_prefix(close + 1);
  }
  return absl::StrCat(text, ")");
}

InfosOr SameAsInput(Infos inputs, const Attributes&) { return OneResult(inputs, inputs[0].shape); }

CostRule PerElement(uint32_t published) {
  const auto count = [](Infos inputs, Infos, const Attributes&) -> OpCost {
    return {0, Elements(inputs[0]), Elements(inputs[0])};
  };
  return {"n", "n", count, published};
}

absl::StatusOr<int> NormalizeAxis(int64_t axis, int rank) {
  const int64_t normalized = axis < 0 ? axis + rank : axis;
  if (normalized < 0 || normalized >= rank) {
    return ShapeError("axis ", axis, " is outside rank ", rank);
  }
  return static_cast<int>(normalized);
}

int64_t WindowExtent(int64_t extent, int64_t kernel, int64_t stride, int64_t padding,
                     int64_t dilation, bool ceil_mode) {
  const int64_t span = extent + 2 * padding - dilation * (kernel - 1) - 1;
  if (span < 0) return -1;
  int64_t count = span / stride + 1;
  if (ceil_mode && span % stride != 0 && count * stride < extent + padding) ++count;
  return count;
}

absl::Status CheckWindow(const Attributes& attributes, absl::string_view name, size_t axes,
                         int64_t minimum) {
  const std::vector<int64_t>& values = attributes.Ints(name);
  if (values.size() != axes) {
    return ShapeError(name, " has ", values.size(), " entries, want ", axes);
  }
  for (int64_t value : values) {
    if (value < minimum || value > (int64_t{1} << 24)) {
      return ShapeError(name, " ", value, " is outside [", minimum, ", 2^24]");
    }
  }
  return absl::OkStatus();
}

}  // namespace mase
