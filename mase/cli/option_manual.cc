#include "mase/cli/option_manual.h"

#include <algorithm>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "google/protobuf/descriptor.pb.h"
#include "mase/base/files.h"
#include "mase/base/limits.h"
#include "mase/base/quote.h"
#include "mase/base/runfiles.h"
#include "mase/base/status_macros.h"
#include "mase/config/scalar.h"
#include "mase/config/schema.h"
#include "proto/options.pb.h"

namespace mase {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::SourceLocation;

constexpr char kDescriptors[] = "plugins/options.descriptors";
constexpr size_t kColumns = 80;

// The comment above a declaration. Indented lines, which are tables and examples, stay lines.
template <typename Declaration>
std::string CommentOf(const Declaration& declaration) {
  SourceLocation location;
  if (!declaration.GetSourceLocation(&location)) return "";
  std::string text;
  bool joins = false;  // Whether the next line goes on with this paragraph.
  for (absl::string_view line : absl::StrSplit(location.leading_comments, '\n')) {
    if (!line.empty() && line[0] == ' ') line.remove_prefix(1);
    const absl::string_view words = absl::StripTrailingAsciiWhitespace(line);
    const bool plain = !words.empty() && words[0] != ' ';
    if (words.empty()) {
      absl::StrAppend(&text, text.empty() ? "" : "\n\n");
    } else {
      const char* between = text.empty() || text.back() == '\n' ? "" : plain && joins ? " " : "\n";
      absl::StrAppend(&text, between, words);
    }
    joins = plain;
  }
  return std::string(absl::StripTrailingAsciiWhitespace(text));
}

std::string Choices(const EnumDescriptor& type) {
  std::vector<std::string> names;
  for (int i = 0; i < type.value_count(); ++i) {
    names.push_back(absl::AsciiStrToLower(type.value(i)->name()));
  }
  return absl::StrJoin(names, " | ");
}

std::string TypeOf(const FieldDescriptor& field) {
  std::string type;
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      type = "true or false";
      break;
    case FieldDescriptor::CPPTYPE_DOUBLE:
    case FieldDescriptor::CPPTYPE_FLOAT:
      type = "number";
      break;
    case FieldDescriptor::CPPTYPE_STRING: {
      const auto& allowed = field.options().GetExtension(setting).allowed();
      type = field.options().GetExtension(path) ? "file"
             : allowed.empty()                  ? "text"
                                                : absl::StrJoin(allowed, " | ");
      break;
    }
    case FieldDescriptor::CPPTYPE_ENUM:
      type = Choices(*field.enum_type());
      break;
    case FieldDescriptor::CPPTYPE_MESSAGE:
      type = field.message_type()->name();
      break;
    default:
      type = "whole number";
  }
  if (field.options().GetExtension(catch_all)) {
    return absl::StrCat("every other table is a ", type);
  }
  return field.is_repeated() ? absl::StrCat("list of ", type) : type;
}

std::string DefaultOf(const FieldDescriptor& field) {
  const std::string& given = field.options().GetExtension(setting).default_value();
  if (!given.empty() || field.is_repeated()) return given;
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_ENUM) {
    return absl::AsciiStrToLower(field.enum_type()->value(0)->name());
  }
  const bool is_switch = field.cpp_type() == FieldDescriptor::CPPTYPE_BOOL && !field.has_presence();
  return is_switch ? "false" : "";
}

OptionTable TableOf(const Descriptor& message) {
  OptionTable table{.name = message.name(), .comment = CommentOf(message)};
  for (int i = 0; i < message.field_count(); ++i) {
    const FieldDescriptor& field = *message.field(i);
    OptionEntry entry{field.name(), TypeOf(field), DefaultOf(field), RangeText(field),
                      CommentOf(field)};
    // A choice is explained above its enum; the help is the comment of those that have none.
    const bool is_choice = field.cpp_type() == FieldDescriptor::CPPTYPE_ENUM;
    if (entry.comment.empty() && is_choice) entry.comment = CommentOf(*field.enum_type());
    const Descriptor* scope = is_choice ? field.enum_type()->containing_type() : nullptr;
    if (entry.comment.empty() && scope != nullptr && scope != &message) {
      entry.comment = CommentOf(*scope);
    }
    if (entry.comment.empty()) entry.comment = field.options().GetExtension(setting).help();
    table.entries.push_back(std::move(entry));
  }
  return table;
}

// Breaks lines at spaces; lines that begin with a space are left as they are.
std::string Wrapped(absl::string_view text, size_t indent) {
  const std::string margin(indent, ' ');
  std::string wrapped;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    if (line.empty() || line[0] == ' ') {
      absl::StrAppend(&wrapped, line.empty() ? "" : margin, line, "\n");
      continue;
    }
    size_t column = kColumns + 1;
    for (const absl::string_view word : absl::StrSplit(line, ' ')) {
      const bool fits = column + 1 + word.size() <= kColumns;
      if (!fits) absl::StrAppend(&wrapped, column > kColumns ? "" : "\n", margin);
      if (fits) absl::StrAppend(&wrapped, " ");
      column = fits ? column + 1 + word.size() : indent + word.size();
      absl::StrAppend(&wrapped, word);
    }
    absl::StrAppend(&wrapped, "\n");
  }
  return wrapped;
}

std::string Facts(const OptionEntry& entry) {
  std::vector<std::string> facts = {entry.type};
  if (!entry.range.empty()) facts.push_back(entry.range);
  if (!entry.fallback.empty()) facts.push_back(absl::StrCat("default ", entry.fallback));
  return absl::StrJoin(facts, "; ");
}

}  // namespace

absl::StatusOr<OptionManual> OptionManual::Create(const std::vector<std::string>& more) {
  std::vector<std::string> files = {Runfile(kDescriptors)};
  files.insert(files.end(), more.begin(), more.end());
  google::protobuf::FileDescriptorSet set;
  for (const std::string& file : files) {
    MASE_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(file, limits::kMaxConfigFileBytes));
    if (!set.MergeFromString(bytes)) {
      return absl::DataLossError(absl::StrCat(file, ": cannot be read"));
    }
  }
  OptionManual manual;
  manual.files_ = std::make_unique<google::protobuf::SimpleDescriptorDatabase>();
  google::protobuf::FileDescriptorProto known;
  for (const google::protobuf::FileDescriptorProto& each : set.file()) {
    if (!manual.files_->FindFileByName(each.name(), &known)) manual.files_->Add(each);
  }
  manual.pool_ = std::make_unique<google::protobuf::DescriptorPool>(manual.files_.get());
  return manual;
}

std::vector<OptionTable> OptionManual::Describe(absl::string_view options_type) const {
  const std::string name(options_type);
  const Descriptor* options = pool_->FindMessageTypeByName(name);
  if (options == nullptr) {
    options = google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName(name);
  }
  std::vector<OptionTable> tables;
  if (options == nullptr || options->field_count() == 0) return tables;
  std::vector<const Descriptor*> messages = {options};
  for (size_t at = 0; at < messages.size(); ++at) {
    tables.push_back(TableOf(*messages[at]));
    for (int i = 0; i < messages[at]->field_count(); ++i) {
      const Descriptor* inner = messages[at]->field(i)->message_type();
      if (inner == nullptr || absl::c_linear_search(messages, inner)) continue;
      messages.push_back(inner);
    }
  }
  return tables;
}

namespace {

// "transform, experimental; owner: N; also known as A, B".
std::string KindAndOwner(const KnownPass& known, absl::string_view aliases) {
  std::string text = known.pass->kind();
  if (!known.plugin->status().empty())
    absl::StrAppend(&text, ", ", Printable(known.plugin->status()));
  if (!known.plugin->owner().empty()) {
    absl::StrAppend(&text, "; owner: ", Printable(known.plugin->owner()));
  }
  if (!aliases.empty()) absl::StrAppend(&text, "; also known as ", aliases);
  return text;
}

}  // namespace

std::string ManualText(const KnownPass& known, const std::vector<OptionTable>& tables) {
  const PassEntry& pass = *known.pass;
  std::string text = Wrapped(absl::StrCat(pass.name(), ": ", pass.summary()), 0);
  absl::StrAppend(&text, Wrapped(KindAndOwner(known, absl::StrJoin(pass.alias(), ", ")), 2));
  if (tables.empty()) return absl::StrCat(text, "\nIt has no options.\n");
  for (const OptionTable& table : tables) {
    const bool own = &table == &tables[0];
    absl::StrAppend(&text, "\n", own ? absl::StrCat("[passes.", pass.name(), "]") : table.name,
                    "\n");
    if (!table.comment.empty() && !own) absl::StrAppend(&text, Wrapped(table.comment, 2));
    for (const OptionEntry& entry : table.entries) {
      absl::StrAppend(&text, Wrapped(absl::StrCat(entry.key, ": ", Facts(entry)), 2));
      if (!entry.comment.empty()) absl::StrAppend(&text, Wrapped(entry.comment, 6));
    }
  }
  return text;
}

std::string ManualMarkdown(const KnownPass& known, const std::vector<OptionTable>& tables) {
  const PassEntry& pass = *known.pass;
  const std::string aliases =
      pass.alias().empty() ? "" : absl::StrCat("`", absl::StrJoin(pass.alias(), "`, `"), "`");
  std::string text = absl::StrCat("## ", pass.name(), "\n\n", pass.summary(), " (",
                                  KindAndOwner(known, aliases), ")\n");
  if (tables.empty()) absl::StrAppend(&text, "\nNo options.\n");
  for (const OptionTable& table : tables) {
    const bool own = &table == &tables[0];
    absl::StrAppend(&text, "\n### ",
                    own ? absl::StrCat("`[passes.", pass.name(), "]`")
                        : absl::StrCat("`", table.name, "` in ", pass.name()),
                    "\n\n");
    if (!table.comment.empty() && !own) {
      absl::StrAppend(&text, "```\n", Wrapped(table.comment, 0), "```\n\n");
    }
    for (const OptionEntry& entry : table.entries) {
      absl::StrAppend(&text, "- **`", entry.key, "`**: ", Facts(entry), "\n");
      if (entry.comment.empty()) continue;
      absl::StrAppend(&text, "\n  ```\n", Wrapped(entry.comment, 2), "  ```\n");
    }
  }
  return text;
}

}  // namespace mase
