#include <memory>
#include <string>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/text_format.h"
#include "mase/base/open_table.h"
#include "mase/base/status_macros.h"
#include "mase/format/family.h"
#include "mase/format/format_text.h"
#include "mase/format/plugin_values.h"

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

namespace {

using FamilyList = std::vector<const Family*>;

OpenTable<FamilyList>& Table() {
  static auto* const table = new OpenTable<FamilyList>({
      &IntegerFamily(),        &ScaleIntegerFamily(),  &AffineFamily(),    &MinifloatDenormFamily(),
      &MinifloatIeeeFamily(),  &MinifloatFamily(),     &LogFamily(),       &BlockFpFamily(),
      &BlockMinifloatFamily(), &BlockLogFamily(),      &BinaryFamily(),    &TernaryFamily(),
      &BinaryResidualFamily(), &LsqFamily(),           &FlexRoundFamily(), &MxIntFamily(),
      &MxFpFamily(),           &MxIntHardwareFamily(), &MxFamily(),        &LogicNetsFamily(),
      &LutNetFamily(),
  });
  return *table;
}

// Of a plugin's format whose plugin is not open.
absl::StatusOr<std::unique_ptr<const Format>> NotOpen(const FormatProto& proto) {
  return absl::NotFoundError(
      absl::StrCat("format ", proto.plugin().family(),
                   ": no plugin that is open has it; give its file with --plugins=FILE"));
}

const Family kNotOpen = {.family_case = FormatProto::kPlugin,
                         .name = "plugin",
                         .class_suffix = "Plugin",
                         .summary = "a format of a plugin that is not open",
                         .create = NotOpen,
                         .has_reference = false};

bool IsName(absl::string_view name) {
  return !name.empty() && absl::ascii_islower(name.front()) && absl::c_all_of(name, [](char c) {
    return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '_';
  });
}

}  // namespace

absl::Span<const Family* const> Families() { return Table().get(); }

absl::Status CheckPluginFamily(const Family& family) {
  const auto wrong = [&](const auto&... what) {
    return absl::InvalidArgumentError(absl::StrCat("format family '", family.name, "': ", what...));
  };
  if (family.family_case != FormatProto::kPlugin) return wrong("its family_case is not kPlugin");
  if (!IsName(family.name) || family.name == kNotOpen.name) {
    return wrong("want a name of small letters, digits and _");
  }
  if (family.create == nullptr) return wrong("nothing makes it");
  if (family.has_reference) return wrong("MASE has no such format, so no reference");
  for (const FamilyParameter& parameter : family.parameters) {
    if (!IsName(parameter.name) || !parameter.in_precision) {
      return wrong("parameter '", parameter.name, "': want a name, and in_precision");
    }
  }
  std::vector<absl::string_view> names(family.aliases.begin(), family.aliases.end());
  names.push_back(family.name);
  for (const absl::string_view name : names) {
    if (FindFamily(name) != nullptr || IsNamedFormat(name)) {
      return absl::AlreadyExistsError(absl::StrCat("there is a format ", name, " already"));
    }
  }
  FormatProto example;
  if (!google::protobuf::TextFormat::ParseFromString(std::string(family.example), &example) ||
      example.plugin().family() != family.name) {
    return wrong("its example is not \"plugin { family: '", family.name, "' value: ... }\"");
  }
  MASE_RETURN_IF_ERROR(FillPluginValues(family, example.mutable_plugin()));
  const auto made = family.create(example);
  return made.ok() ? absl::OkStatus() : wrong("its example: ", made.status().message());
}

absl::Status RegisterFamily(const Family* family) {
  MASE_RETURN_IF_ERROR(CheckPluginFamily(*family));
  Table().Grow([family](FamilyList& all) { all.push_back(family); });
  return absl::OkStatus();
}

const Family* FindFamily(const FormatProto& format) {
  if (!format.has_plugin()) return FindFamily(format.family_case());
  const Family* family = FindFamily(format.plugin().family());
  return family != nullptr && family->family_case == FormatProto::kPlugin ? family : &kNotOpen;
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
  const FormatKind kind = FindFamily(proto)->kind;
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
