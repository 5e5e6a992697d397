#include "mase/pass/node_meta_param.h"

#include <cmath>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "google/protobuf/text_format.h"
#include "mase/base/limits.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/base/text_error.h"
#include "mase/config/toml.h"
#include "proto/graph.pb.h"
#include "proto/metadata.pb.h"

namespace mase {
namespace {

using Notes = std::vector<std::pair<std::string, NodeMetadata>>;

// ---- Writing TOML ----

std::string Quoted(absl::string_view text) {
  return absl::StrCat("\"", absl::Utf8SafeCEscape(text), "\"");
}

std::string Key(absl::string_view name) {
  const bool bare = !name.empty() && absl::c_all_of(name, [](char c) {
    return absl::ascii_isalnum(c) || c == '_' || c == '-';
  });
  return bare ? std::string(name) : Quoted(name);
}

std::string Number(double number) {
  if (std::isnan(number)) return "nan";
  if (std::isinf(number)) return number > 0 ? "inf" : "-inf";
  const std::string text = absl::StrFormat("%.17g", number);
  return absl::StrContains(text, '.') || absl::StrContains(text, 'e') ? text
                                                                      : absl::StrCat(text, ".0");
}

// A field of a precision: {"8", "None", "True", "0.5"} are numbers, truths and "NA".
std::string Field(const std::string& field) {
  int64_t whole = 0;
  double real = 0;
  if (field == "None") return "\"NA\"";
  if (field == "True") return "true";
  if (field == "False") return "false";
  if (absl::SimpleAtoi(field, &whole) || absl::SimpleAtod(field, &real)) return field;
  return Quoted(field);
}

void WriteTensor(const std::string& path, const TensorMetadata& tensor, std::string* out) {
  absl::StrAppend(
      out, "[", path, ".", Key(tensor.name()), "]\nshape = [", absl::StrJoin(tensor.shape(), ", "),
      "]\ntorch_dtype = ", Quoted(tensor.torch_dtype()), "\ntype = ", Quoted(tensor.type()),
      "\nprecision = [",
      absl::StrJoin(
          tensor.precision(), ", ",
          [](std::string* text, const std::string& field) { absl::StrAppend(text, Field(field)); }),
      "]\n");
}

void WriteStatistics(const std::string& path, const TensorStatistics& tensor, std::string* out) {
  const std::string stat = absl::StrCat(path, ".", Key(tensor.name()), ".stat");
  absl::StrAppend(out, "[", stat, "]\n");
  for (const Statistic& statistic : tensor.stat()) {
    absl::StrAppend(out, "[", stat, ".", Key(statistic.name()), "]\n");
    for (const StatisticValue& value : statistic.value()) {
      std::string numbers = absl::StrJoin(value.number(), ", ", [](std::string* text, double x) {
        absl::StrAppend(text, Number(x));
      });
      if (value.number_size() == 0) numbers = "\"NA\"";
      if (value.number_size() > 1) numbers = absl::StrCat("[", numbers, "]");
      absl::StrAppend(out, Key(value.key()), " = ", numbers, "\n");
    }
  }
}

std::string WriteToml(const Graph& graph) {
  std::string text;
  for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
    const std::string name = Key(node->name());
    if (node->metadata().has_common()) {
      const CommonMetadata& common = node->metadata().common();
      const std::string path = absl::StrCat(name, ".common");
      absl::StrAppend(&text, "[", path, "]\nmase_type = ", Quoted(common.mase_type()),
                      "\nmase_op = ", Quoted(common.mase_op()), "\n");
      for (const auto& arg : common.args()) WriteTensor(absl::StrCat(path, ".args"), arg, &text);
      for (const auto& result : common.results()) {
        WriteTensor(absl::StrCat(path, ".results"), result, &text);
      }
    }
    if (node->metadata().has_software()) {
      const SoftwareMetadata& software = node->metadata().software();
      const std::string path = absl::StrCat(name, ".software");
      absl::StrAppend(&text, "[", path, "]\n");
      for (const auto& arg : software.args()) {
        WriteStatistics(absl::StrCat(path, ".args"), arg, &text);
      }
      for (const auto& result : software.results()) {
        WriteStatistics(absl::StrCat(path, ".results"), result, &text);
      }
    }
  }
  return text;
}

// ---- Reading TOML ----

absl::Status Wrong(const Position& position, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(position.line, ":", position.column, ": ", what));
}

absl::StatusOr<const ValueTable*> TableOf(const Member& member) {
  const ValueTable* table = member.value.table();
  if (table == nullptr) return Wrong(member.position, absl::StrCat(member.key, ": want a table"));
  return table;
}

absl::Status Unknown(const Member& member, absl::string_view known) {
  return Wrong(member.position, absl::StrCat("unknown key '", member.key, "', want ", known));
}

absl::StatusOr<std::string> TextOf(const Member& member) {
  const std::string* text = member.value.string();
  if (text == nullptr) return Wrong(member.position, absl::StrCat(member.key, ": want a text"));
  return *text;
}

// The fields of a list as a precision has them.
absl::StatusOr<std::string> FieldOf(const ConfigValue& value) {
  if (value.is_null()) return "None";
  if (const auto* truth = std::get_if<bool>(&value.data)) return *truth ? "True" : "False";
  if (const auto* whole = std::get_if<int64_t>(&value.data)) return absl::StrCat(*whole);
  if (const auto* real = std::get_if<double>(&value.data)) return absl::StrFormat("%.17g", *real);
  if (const std::string* text = value.string()) return *text;
  return Wrong(value.position, "want a number, a truth or a text");
}

absl::StatusOr<double> NumberOf(const ConfigValue& value) {
  if (const auto* whole = std::get_if<int64_t>(&value.data)) return static_cast<double>(*whole);
  if (const auto* real = std::get_if<double>(&value.data)) return *real;
  return Wrong(value.position, "want a number");
}

absl::StatusOr<const ValueList*> ListOf(const Member& member) {
  const ValueList* list = member.value.list();
  if (list == nullptr) return Wrong(member.position, absl::StrCat(member.key, ": want a list"));
  return list;
}

absl::Status ReadTensor(const Member& entry, TensorMetadata* tensor) {
  MASE_ASSIGN_OR_RETURN(const ValueTable* fields, TableOf(entry));
  tensor->set_name(entry.key);
  for (const Member& field : *fields) {
    if (field.key == "shape") {
      MASE_ASSIGN_OR_RETURN(const ValueList* extents, ListOf(field));
      for (const ConfigValue& extent : *extents) {
        const auto* whole = std::get_if<int64_t>(&extent.data);
        if (whole == nullptr) return Wrong(extent.position, "want a whole number");
        tensor->add_shape(*whole);
      }
    } else if (field.key == "precision") {
      MASE_ASSIGN_OR_RETURN(const ValueList* list, ListOf(field));
      for (const ConfigValue& value : *list) {
        MASE_ASSIGN_OR_RETURN(*tensor->add_precision(), FieldOf(value));
      }
    } else if (field.key == "torch_dtype") {
      MASE_ASSIGN_OR_RETURN(*tensor->mutable_torch_dtype(), TextOf(field));
    } else if (field.key == "type") {
      MASE_ASSIGN_OR_RETURN(*tensor->mutable_type(), TextOf(field));
    } else {
      return Unknown(field, "shape, torch_dtype, type or precision");
    }
  }
  return absl::OkStatus();
}

absl::Status ReadStatistics(const Member& entry, TensorStatistics* tensor) {
  MASE_ASSIGN_OR_RETURN(const ValueTable* fields, TableOf(entry));
  tensor->set_name(entry.key);
  for (const Member& field : *fields) {
    if (field.key != "stat") return Unknown(field, "stat");
    MASE_ASSIGN_OR_RETURN(const ValueTable* statistics, TableOf(field));
    for (const Member& statistic : *statistics) {
      MASE_ASSIGN_OR_RETURN(const ValueTable* values, TableOf(statistic));
      Statistic* added = tensor->add_stat();
      added->set_name(statistic.key);
      for (const Member& value : *values) {
        StatisticValue* numbers = added->add_value();
        numbers->set_key(value.key);
        if (value.value.is_null()) continue;
        const ValueList one = {value.value};
        const ValueList* list = value.value.list();
        for (const ConfigValue& number : list == nullptr ? one : *list) {
          MASE_ASSIGN_OR_RETURN(const double parsed, NumberOf(number));
          numbers->add_number(parsed);
        }
      }
    }
  }
  return absl::OkStatus();
}

// The entries of "args" or "results".
template <typename Entry>
absl::Status ReadEntries(const Member& member, absl::Status (*read)(const Member&, Entry*),
                         google::protobuf::RepeatedPtrField<Entry>* entries) {
  MASE_ASSIGN_OR_RETURN(const ValueTable* table, TableOf(member));
  for (const Member& entry : *table) MASE_RETURN_IF_ERROR(read(entry, entries->Add()));
  return absl::OkStatus();
}

absl::Status ReadCommon(const Member& section, CommonMetadata* common) {
  MASE_ASSIGN_OR_RETURN(const ValueTable* fields, TableOf(section));
  for (const Member& field : *fields) {
    if (field.key == "mase_type") {
      MASE_ASSIGN_OR_RETURN(*common->mutable_mase_type(), TextOf(field));
    } else if (field.key == "mase_op") {
      MASE_ASSIGN_OR_RETURN(*common->mutable_mase_op(), TextOf(field));
    } else if (field.key == "args") {
      MASE_RETURN_IF_ERROR(ReadEntries(field, ReadTensor, common->mutable_args()));
    } else if (field.key == "results") {
      MASE_RETURN_IF_ERROR(ReadEntries(field, ReadTensor, common->mutable_results()));
    } else {
      return Unknown(field, "mase_type, mase_op, args or results");
    }
  }
  return absl::OkStatus();
}

absl::Status ReadSoftware(const Member& section, SoftwareMetadata* software) {
  MASE_ASSIGN_OR_RETURN(const ValueTable* fields, TableOf(section));
  for (const Member& field : *fields) {
    if (field.key == "args") {
      MASE_RETURN_IF_ERROR(ReadEntries(field, ReadStatistics, software->mutable_args()));
    } else if (field.key == "results") {
      MASE_RETURN_IF_ERROR(ReadEntries(field, ReadStatistics, software->mutable_results()));
    } else {
      return Unknown(field, "args or results");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Notes> ReadToml(absl::string_view text, absl::string_view file) {
  MASE_ASSIGN_OR_RETURN(const ConfigValue root, ParseToml(text, file));
  Notes notes;
  for (const Member& node : *root.table()) {
    notes.emplace_back(node.key, NodeMetadata());
    NodeMetadata& metadata = notes.back().second;
    absl::StatusOr<const ValueTable*> sections = TableOf(node);
    if (!sections.ok())
      return absl::InvalidArgumentError(absl::StrCat(file, ":", sections.status().message()));
    for (const Member& section : **sections) {
      const absl::Status read =
          section.key == "common"     ? ReadCommon(section, metadata.mutable_common())
          : section.key == "software" ? ReadSoftware(section, metadata.mutable_software())
                                      : Unknown(section, "common or software");
      if (!read.ok()) {
        return absl::InvalidArgumentError(absl::StrCat(file, ":", read.message()));
      }
    }
  }
  return notes;
}

// ---- Text protos ----

std::string WriteTextProto(const Graph& graph) {
  GraphProto proto;
  for (const Node* node = graph.first(); node != nullptr; node = Graph::next(node)) {
    NodeMetadata notes = node->metadata();
    notes.clear_quantization();
    if (!notes.has_common() && !notes.has_software()) continue;
    NodeProto* added = proto.add_node();
    added->set_name(node->name());
    *added->mutable_metadata() = std::move(notes);
  }
  std::string text;
  google::protobuf::TextFormat::PrintToString(proto, &text);
  return text;
}

absl::StatusOr<Notes> ReadTextProto(absl::string_view text, absl::string_view file) {
  GraphProto proto;
  FirstTextError error;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  parser.SetRecursionLimit(limits::kMaxConfigNesting);
  if (!parser.ParseFromString(std::string(text), &proto)) {
    return absl::InvalidArgumentError(absl::StrCat(file, ":", error.text()));
  }
  Notes notes;
  for (NodeProto& node : *proto.mutable_node()) {
    if (node.metadata().has_quantization()) {
      return absl::InvalidArgumentError(absl::StrCat(
          file, ": ", node.name(), " has a quantization record, which is part of a graph"));
    }
    notes.emplace_back(node.name(), std::move(*node.mutable_metadata()));
  }
  return notes;
}

}  // namespace

absl::StatusOr<NodeMetaFormat> NodeMetaFormatOf(absl::string_view file) {
  if (absl::EndsWith(file, ".toml")) return NodeMetaFormat::kToml;
  if (absl::EndsWith(file, ".textproto") || absl::EndsWith(file, ".txtpb")) {
    return NodeMetaFormat::kTextProto;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("file name '", file, "': want one that ends with .toml or .textproto"));
}

std::string WriteNodeMeta(const Graph& graph, NodeMetaFormat format) {
  return format == NodeMetaFormat::kToml ? WriteToml(graph) : WriteTextProto(graph);
}

absl::Status ReadNodeMeta(absl::string_view text, absl::string_view file, NodeMetaFormat format,
                          Graph& graph) {
  MASE_ASSIGN_OR_RETURN(Notes notes, format == NodeMetaFormat::kToml ? ReadToml(text, file)
                                                                     : ReadTextProto(text, file));
  for (const auto& [name, metadata] : notes) {
    const absl::Status found = graph.LookUpNode(name).status();
    if (!found.ok()) return Annotate(found, file);
  }
  for (auto& [name, metadata] : notes) {
    NodeMetadata& present = graph.FindNode(name)->mutable_metadata();
    if (metadata.has_common()) *present.mutable_common() = std::move(*metadata.mutable_common());
    if (metadata.has_software()) {
      *present.mutable_software() = std::move(*metadata.mutable_software());
    }
  }
  return absl::OkStatus();
}

}  // namespace mase
