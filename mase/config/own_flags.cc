#include "mase/config/own_flags.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/config/scalar.h"
#include "proto/options.pb.h"

namespace mase {

using google::protobuf::FieldDescriptor;

std::vector<ProcessFlag> FlagsOf(const google::protobuf::Descriptor& message) {
  std::vector<ProcessFlag> flags;
  for (int i = 0; i < message.field_count(); ++i) {
    const FieldDescriptor& field = *message.field(i);
    const bool is_switch = field.cpp_type() == FieldDescriptor::CPPTYPE_BOOL;
    flags.push_back({field.name(), is_switch, field.options().GetExtension(setting).help()});
  }
  return flags;
}

absl::Status SetFlag(absl::string_view name, absl::string_view text,
                     google::protobuf::Message& message) {
  const std::string flag = absl::StrCat("--", name);
  const FieldDescriptor* field = message.GetDescriptor()->FindFieldByName(std::string(name));
  if (field == nullptr) return absl::InvalidArgumentError(absl::StrCat("unknown flag ", flag));
  std::vector<std::string> values = {std::string(text)};
  if (field->is_repeated()) values = absl::StrSplit(text, ',', absl::SkipEmpty());
  if (values.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(flag, ": no value; give some, or leave it out"));
  }
  const Source source{Level::kFlag, flag, ""};
  for (const std::string& value : values) {
    const ConfigValue resolved = Resolve({RawText{value}, Position()}, *field);
    MASE_RETURN_IF_ERROR(Annotate(SetScalar(resolved, *field, source, message), flag));
  }
  return absl::OkStatus();
}

}  // namespace mase
