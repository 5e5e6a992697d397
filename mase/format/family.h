// The table of format families. A family is one file, which defines its class and its
// `Family`, and one entry in families.cc; or comes with a plugin:
//
//   constexpr FamilyParameter kParameters[] = {
//       {"width", FamilyParameter::kRequired, true},
//       {.name = "es", .need = FamilyParameter::kOptional, .in_precision = true, .fallback = 1}};
//   const Family kPosit = {.family_case = FormatProto::kPlugin,
//                          .name = "posit",
//                          .class_suffix = "Posit",
//                          .summary = "...",
//                          .example = "plugin { family: 'posit' value: 8 value: 1 }",
//                          .parameters = kParameters,
//                          .create = Create,      // Reads proto.plugin().value(i).
//                          .has_reference = false};
//   registrar.AddFormat(&kPosit);
//
// Users then write "posit 8/1", "posit 8", "posit { width: 8 es: 1 }".
#ifndef MASE_FORMAT_FAMILY_H_
#define MASE_FORMAT_FAMILY_H_

#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "mase/format/format.h"
#include "mase/graph/ops.h"

namespace mase {

// One parameter that a MASE config may give for the family.
struct FamilyParameter {
  enum Need { kRequired, kOptional };

  absl::string_view name;  // Field of FormatParameters.
  Need need;
  bool in_precision = false;     // Listed, in this order, in the metadata's `precision`.
  absl::string_view field = "";  // Field of the family's message where it differs; "-": none.
  double fallback = 0;           // Of a plugin's optional parameter: its default.
};

// What kind of values a format has, as comparisons group them.
enum class FormatKind { kFixedPoint, kFloatingPoint, kPowersOfTwo, kBlocks, kFewBits };

// "fixed point", "floating point", "powers of two", "blocks", "one or two bits".
absl::string_view FormatKindName(FormatKind kind);

// Which operands of a node MASE's operators of the family round.
enum class OperandScheme {
  // Those of the op: data inputs and, of layers and products, weight and bias; a layer's output
  // where the config gives it.
  kOfTheOp,
  // The same, but of layers the weight, and what else the config gives.
  kWeightAndGiven,
  // Those of the op, but modules without a weight of their own hand their input on as it is, and
  // some layers (weight_alone_in) round the weight alone.
  kWeightsOfLayers,
  kSigns,            // Layers: residual signs of the input, binary weights.
  kInputAndOutput,   // Layers: sums of rounded inputs are exact until they are rounded.
  kWeightAndOutput,  // Layers: the output, by the input's keys, in place of the input.
};

// A parameter of the format that training learns together with the weights.
struct LearnedParameter {
  absl::string_view name;   // As in the paper: "step".
  absl::string_view field;  // Of the family's message: "scale".
};

struct Family {
  FormatProto::FamilyCase family_case;
  absl::string_view name;          // As in FormatProto and MASE's configs.
  absl::string_view class_suffix;  // As in MASE's class names.
  absl::string_view summary;       // One line, a formula where one fits.
  absl::string_view example;       // A FormatProto in text.
  absl::Span<const absl::string_view> aliases;
  absl::Span<const FamilyParameter> parameters;
  absl::StatusOr<std::unique_ptr<const Format>> (*create)(const FormatProto& proto);
  FormatKind kind = FormatKind::kFixedPoint;
  OperandScheme scheme = OperandScheme::kOfTheOp;
  absl::Span<const absl::string_view> ops = {};  // The only ones that exist; empty: all.
  // Layers that round their weight alone.
  absl::Span<const absl::string_view> weight_alone_in = {};
  // Makes of what a config gives the format that an operand gets (binary weights under residual
  // signs, say); null: that is it. For an output that the config does not give the family may be
  // unset.
  void (*for_operand)(absl::string_view operand, FormatProto* format) = nullptr;
  bool has_blocks_of_axes = false;  // block_size and skip_first_dim over all axes.
  bool has_block_dim = false;       // Blocks run along the axis block_dim.
  absl::Span<const LearnedParameter> learned = {};
  bool has_reference = true;   // MASE has the format; else it is EXACT alone.
  bool marks_results = false;  // MASE's metadata call the results of its ops binary, too.
};

// All families: those of docs/formats.md in its order, then those of plugins. A snapshot that stays
// good.
absl::Span<const Family* const> Families();

// Whether a plugin's family can be put into the table: InvalidArgument if its case is not kPlugin,
// its name or a parameter's is none, a parameter is not in_precision, it claims a reference, or its
// example cannot be made; AlreadyExists if its name or an alias is taken.
absl::Status CheckPluginFamily(const Family& family);
// Puts it there. It lives as long as the program. Errors of CheckPluginFamily.
absl::Status RegisterFamily(const Family* family);

// By name or alias; null if there is none.
const Family* FindFamily(absl::string_view name);

// By case, one of those that are not a plugin's; null for FAMILY_NOT_SET.
const Family* FindFamily(FormatProto::FamilyCase family_case);

// That of a format; null if none is set. Of a plugin's format whose plugin is not open it is one
// that makes no format, but an error that says so.
const Family* FindFamily(const FormatProto& format);

// The kind of a format; mx is kBlocks or not by its fields.
FormatKind KindOf(const FormatProto& proto);

// "integer: width 0, allowed 1 to 32" unless lo <= value <= hi.
absl::Status CheckRange(absl::string_view family, absl::string_view field, double value, double lo,
                        double hi);

// Which of FormatProto's policies a family serves beyond their defaults; InvalidArgument naming
// family and field for the rest. REFERENCE takes no policy but FLOOR, where `floor_reference`
// (the MX library checks its own roundings).
struct PolicySupport {
  bool rounding = false;
  bool stochastic = false;
  bool to_infinity = false;  // Formats with a code for Inf or, else, NaN.
  bool wrap = false;
  bool floor_reference = false;
};
absl::Status CheckPolicies(absl::string_view family, const FormatProto& proto,
                           const PolicySupport& support);

}  // namespace mase

#endif  // MASE_FORMAT_FAMILY_H_
