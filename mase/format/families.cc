#include <string>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "mase/format/family.h"

namespace mase {

const Family& IntegerFamily();
const Family& ScaleIntegerFamily();
const Family& AffineFamily();
const Family& MinifloatDenormFamily();
const Family& MinifloatIeeeFamily();
const Family& MinifloatFamily();
const Family& LogFamily();
const Family& BlockFpFamily();
const Family& BlockMinifloatFamily();
const Family& BlockLogFamily();
const Family& BinaryFamily();
const Family& TernaryFamily();
const Family& BinaryResidualFamily();
const Family& LsqFamily();
const Family& FlexRoundFamily();
const Family& MxIntFamily();
const Family& MxFpFamily();
const Family& MxIntHardwareFamily();
const Family& MxFamily();
const Family& LogicNetsFamily();
const Family& LutNetFamily();

absl::Span<const Family* const> Families() {
  static const Family* const kFamilies[] = {
      &IntegerFamily(),        &ScaleIntegerFamily(),  &AffineFamily(),    &MinifloatDenormFamily(),
      &MinifloatIeeeFamily(),  &MinifloatFamily(),     &LogFamily(),       &BlockFpFamily(),
      &BlockMinifloatFamily(), &BlockLogFamily(),      &BinaryFamily(),    &TernaryFamily(),
      &BinaryResidualFamily(), &LsqFamily(),           &FlexRoundFamily(), &MxIntFamily(),
      &MxFpFamily(),           &MxIntHardwareFamily(), &MxFamily(),        &LogicNetsFamily(),
      &LutNetFamily(),
  };
  return kFamilies;
}

const Family* FindFamily(absl::string_view name) {
  for (const Family* family : Families()) {
    if (family->name == name || absl::c_linear_search(family->aliases, name)) return family;
  }
  return nullptr;
}

const Family* FindFamily(FormatProto::FamilyCase family_case) {
  for (const Family* family : Families()) {
    if (family->family_case == family_case) return family;
  }
  return nullptr;
}

absl::string_view FormatKindName(FormatKind kind) {
  switch (kind) {
    case FormatKind::kFixedPoint:
      return "fixed point";
    case FormatKind::kFloatingPoint:
      return "floating point";
    case FormatKind::kPowersOfTwo:
      return "powers of two";
    case FormatKind::kBlocks:
      return "blocks";
    case FormatKind::kFewBits:
      return "one or two bits";
  }
  return "";
}

FormatKind KindOf(const FormatProto& proto) {
  const FormatKind kind = FindFamily(proto.family_case())->kind;
  const bool alone = proto.has_mx() && !proto.mx().has_block_size();
  return alone ? FormatKind::kFloatingPoint : kind;
}

absl::Status CheckRange(absl::string_view family, absl::string_view field, double value, double lo,
                        double hi) {
  if (value >= lo && value <= hi) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(family, ": ", field, " ", value, ", allowed ", lo, " to ", hi));
}

absl::Status CheckPolicies(absl::string_view family, const FormatProto& proto,
                           const PolicySupport& support) {
  const auto refuse = [&](absl::string_view field, const std::string& value,
                          absl::string_view why = "") {
    return absl::InvalidArgumentError(absl::StrCat(
        family, proto.semantics() == FormatProto::REFERENCE ? " with REFERENCE semantics" : "",
        ": ", field, " ", value, " is not supported", why));
  };
  const bool reference = proto.semantics() == FormatProto::REFERENCE;
  const FormatProto::Rounding rounding = proto.rounding();
  const bool rounding_served =
      rounding == FormatProto::ROUNDING_DEFAULT ||
      (reference ? rounding == FormatProto::FLOOR && support.floor_reference
       : rounding == FormatProto::STOCHASTIC ? support.stochastic
                                             : support.rounding);
  if (!rounding_served) return refuse("rounding", FormatProto::Rounding_Name(rounding));
  const FormatProto::Overflow overflow = proto.overflow();
  const bool overflow_served =
      overflow == FormatProto::SATURATE ||
      (!reference && (overflow == FormatProto::WRAP ? support.wrap : support.to_infinity));
  if (!overflow_served) {
    const bool no_code = overflow == FormatProto::TO_INFINITY && !reference;
    return refuse("overflow", FormatProto::Overflow_Name(overflow),
                  no_code ? ": values have no code for Inf or NaN" : "");
  }
  if (reference && proto.nan() != FormatProto::PROPAGATE) {
    return refuse("nan", FormatProto::Nan_Name(proto.nan()));
  }
  return absl::OkStatus();
}

}  // namespace mase
