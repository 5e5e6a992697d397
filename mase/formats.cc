// Number formats on the command line: what there is, what they do to a tensor, at what cost.
#include "mase/formats.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <iostream>
#include <map>
#include <new>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "glog/logging.h"
#include "mase/base/files.h"
#include "mase/base/memory_budget.h"
#include "mase/base/quote.h"
#include "mase/base/standard_output.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/base/suggest.h"
#include "mase/base/table.h"
#include "mase/base/writable.h"
#include "mase/cli/log.h"
#include "mase/config/arguments.h"
#include "mase/config/own_flags.h"
#include "mase/config/paths.h"
#include "mase/format/family.h"
#include "mase/format/format.h"
#include "mase/format/format_text.h"
#include "mase/format/metrics.h"
#include "mase/interop/npy.h"
#include "mase/interop/svg_curves.h"
#include "mase/plugin/plugin_loader.h"
#include "mase/tensor/convert.h"
#include "nlohmann/json.hpp"
#include "proto/flags.pb.h"

namespace mase {
namespace {

constexpr char kUsage[] = R"(number formats: what a tensor's values become when it is quantized

  formats list                          every family with its formula
  formats describe NAME|FORMAT          fields, range, step, bits of one
  formats table FORMAT                  every code and its value (up to 16 bits)
  formats quantize --format=F --in=x.npy --out=y.npy
  formats encode   --format=F --in=x.npy --out=codes.npy    integer codes, int32
  formats decode   --format=F --in=codes.npy --out=y.npy
  formats error --in=x.npy FORMAT...    SQNR, errors and bits, side by side

A FORMAT is a family and its values, 'integer 8/4'; a name, 'mxfp8_e4m3'; or
text, 'block_fp { width: 8 block_size: 16 }'. Policies may follow:
'minifloat_ieee 8/4 semantics: REFERENCE'. A family alone is the example that
`list` shows (docs/formats.md). --in and --out may be repeated. Block formats
encode into two files: the codes, and NAME.blocks.npy with a code a block.

)";

constexpr char kExamples[] = R"(
  ./bazelw run //mase:formats -- list
  ./bazelw run //mase:formats -- table 'minifloat_ieee 4/2'
  ./bazelw run //mase:formats -- quantize --format='integer 8/4' \
      --semantics=reference --in=x.npy --out=y.npy
  ./bazelw run //mase:formats -- error --in=x.npy --plot=error.svg \
      integer block_fp mxfp
)";

using Flags = FormatsFlags;

// The flags, and --help.
std::vector<ProcessFlag> KnownFlags() {
  std::vector<ProcessFlag> flags = FlagsOf(*Flags::descriptor());
  flags.push_back({"help", true, "Print this text."});
  return flags;
}

// --semantics wins over the text, before it is known whether the family can have that.
absl::StatusOr<std::unique_ptr<const Format>> MakeFormat(const std::string& text,
                                                         const Flags& flags) {
  MASE_ASSIGN_OR_RETURN(FormatProto proto, ParseFormat(text));
  if (!flags.semantics().empty()) {
    proto.set_semantics(flags.semantics() == "exact" ? FormatProto::EXACT : FormatProto::REFERENCE);
  }
  return Format::Create(proto);
}

absl::StatusOr<Tensor> ReadFloats(const std::string& path) {
  MASE_ASSIGN_OR_RETURN(const Tensor tensor, ReadNpy(path));
  int64_t rounded = 0;
  Tensor floats = ToFloat32(tensor, &rounded);
  if (rounded > 0) {
    Log(LogLevel::kInfo, absl::StrCat(path, ": ", DTypeName(tensor.dtype()), ", ", rounded, " of ",
                                      tensor.elements(), " values rounded to float32"));
  }
  return floats;
}

absl::Status List(const Flags& flags) {
  if (flags.json()) {
    std::cout << FamilyTable().Json() << "\n";
    return absl::OkStatus();
  }
  Table table({{"Family"}, {.name = "Definition, example", .align = Align::kLeft}});
  for (const Family* family : Families()) {
    table.AddRow({std::string(family->name), std::string(family->summary)});
    MASE_ASSIGN_OR_RETURN(const FormatProto example, ParseFormat(family->example));
    const std::string also = family->aliases.empty()
                                 ? ""
                                 : absl::StrCat("; also ", absl::StrJoin(family->aliases, ", "));
    table.AddRow({"", absl::StrCat(FormatText(example), "; class ", family->class_suffix, also)});
  }
  std::cout << table.Text();
  return absl::OkStatus();
}

absl::Status Describe(const std::string& text, const Flags& flags) {
  MASE_ASSIGN_OR_RETURN(const auto format, MakeFormat(text, flags));
  const Family& family = *FindFamily(format->family());
  if (flags.json()) {
    std::cout << FormatJson(*format) << "\n";
    return absl::OkStatus();
  }
  std::cout << family.name << ": " << family.summary << "\n"
            << format->Describe() << "\n"
            << "metadata precision [" << absl::StrJoin(format->Precision(), ", ")
            << "], class suffix " << format->class_suffix() << "\n"
            << "bits per value of a tensor [64, 64]: "
            << absl::StrFormat("%.4g", format->BitsPerValue({64, 64})) << "\n"
            << "kind: " << FormatKindName(KindOf(format->proto()))
            << "; semantics: " << (family.has_reference ? "exact, reference" : "exact") << "\n";
  if (!family.ops.empty()) {
    std::cout << "ops: " << absl::StrJoin(family.ops, ", ") << " alone\n";
  }
  for (const LearnedParameter& learned : family.learned) {
    std::cout << "learned in the paper's training: " << learned.name << " (" << learned.field
              << ")\n";
  }
  std::cout << "\nparameters in configs:\n";
  for (const FamilyParameter& parameter : family.parameters) {
    std::cout << "  " << parameter.name
              << (parameter.need == FamilyParameter::kRequired ? " (required)" : "") << "\n";
  }
  return absl::OkStatus();
}

absl::Status PrintTable(const std::string& text, const Flags& flags) {
  MASE_ASSIGN_OR_RETURN(const auto format, MakeFormat(text, flags));
  const std::vector<float> values = format->Values();
  if (values.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(FormatText(format->proto()), " has no table: more than 2^16 values"));
  }
  Table table("codes", FormatText(format->proto()), {{"Value"}, {"Code"}});
  for (float value : values) {
    std::string code = "-";
    // Codes of formats scaled by their data depend on the block.
    if (const auto encoded = format->Encode(Tensor::FromValues<float>({1}, {value}));
        encoded.ok() && encoded->block_codes.empty()) {
      code = absl::StrFormat("0x%02x", encoded->codes[0]);
    }
    table.AddRow({absl::StrFormat("%.9g", value), code});
  }
  std::cout << (flags.json() ? table.Json() : absl::StrCat(format->Describe(), "\n", table.Text()))
            << (flags.json() ? "\n" : "");
  return absl::OkStatus();
}

// Calls fn(in, out) for every pair of --in and --out.
absl::Status ForEachPair(
    const Flags& flags,
    const std::function<absl::Status(const std::string&, const std::string&)>& fn) {
  const auto &in = flags.in(), &out = flags.out();
  if (in.empty() || in.size() != out.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(in.size(), " --in and ", out.size(), " --out, want as many, at least one"));
  }
  for (const std::string& path : out) {
    MASE_RETURN_IF_ERROR(Annotate(CheckWritable(path), "--out"));
  }
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (int i = 0; i < in.size(); ++i) {
    MASE_RETURN_IF_ERROR(fn(in[i], out[i]));
    json.push_back({{"in", in[i]}, {"out", out[i]}});
  }
  if (flags.json()) std::cout << json.dump(1) << "\n";
  return absl::OkStatus();
}

absl::Status Quantize(const Flags& flags) {
  MASE_ASSIGN_OR_RETURN(const auto format, MakeFormat(flags.format(), flags));
  return ForEachPair(flags, [&](const std::string& in, const std::string& out) -> absl::Status {
    MASE_ASSIGN_OR_RETURN(const Tensor x, ReadFloats(in));
    const absl::StatusOr<Tensor> y = format->Quantize(x, flags.seed());
    if (!y.ok()) return Annotate(y.status(), in);
    return WriteNpy(out, *y);
  });
}

std::string BlocksPath(const std::string& path) {
  const bool npy = absl::EndsWith(path, ".npy");
  return absl::StrCat(npy ? path.substr(0, path.size() - 4) : path, ".blocks.npy");
}

Tensor CodesAsTensor(const Shape& shape, const std::vector<uint32_t>& codes) {
  const std::vector<int32_t> values(codes.begin(), codes.end());
  return Tensor::FromValues<int32_t>(shape, values);
}

absl::StatusOr<Tensor> ReadCodes(const std::string& path) {
  MASE_ASSIGN_OR_RETURN(const Tensor tensor, ReadNpy(path));
  if (tensor.dtype() == DType::kInt32) return tensor;
  Tensor codes(DType::kInt32, tensor.shape());
  int32_t* out = codes.mutable_data<int32_t>().data();
  std::optional<double> wrong;
  VisitNumbers(tensor, [&](size_t i, double code) {
    const bool fits = code >= 0 && code <= UINT32_MAX && code == std::floor(code);
    if (!fits) wrong = code;
    out[i] = fits ? static_cast<int32_t>(static_cast<uint32_t>(code)) : 0;
  });
  if (!wrong.has_value()) return codes;
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": ", *wrong, " is no code; codes are whole numbers, at least 0"));
}

absl::Status Encode(const Flags& flags) {
  MASE_ASSIGN_OR_RETURN(const auto format, MakeFormat(flags.format(), flags));
  return ForEachPair(flags, [&](const std::string& in, const std::string& out) -> absl::Status {
    MASE_ASSIGN_OR_RETURN(const Tensor x, ReadFloats(in));
    const absl::StatusOr<EncodedTensor> encoded = format->Encode(x);
    if (!encoded.ok()) return Annotate(encoded.status(), in);
    MASE_RETURN_IF_ERROR(WriteNpy(out, CodesAsTensor(encoded->shape, encoded->codes)));
    if (encoded->block_codes.empty()) return absl::OkStatus();
    const Shape blocks({static_cast<int64_t>(encoded->block_codes.size())});
    return WriteNpy(BlocksPath(out), CodesAsTensor(blocks, encoded->block_codes));
  });
}

absl::Status Decode(const Flags& flags) {
  MASE_ASSIGN_OR_RETURN(const auto format, MakeFormat(flags.format(), flags));
  return ForEachPair(flags, [&](const std::string& in, const std::string& out) -> absl::Status {
    EncodedTensor encoded;
    MASE_ASSIGN_OR_RETURN(const Tensor codes, ReadCodes(in));
    encoded.shape = codes.shape();
    encoded.codes.assign(codes.data<int32_t>().begin(), codes.data<int32_t>().end());
    // Only some formats have block codes: where there is no such file, decoding tells.
    const absl::StatusOr<Tensor> blocks = ReadCodes(BlocksPath(in));
    if (blocks.ok()) {
      encoded.block_codes.assign(blocks->data<int32_t>().begin(), blocks->data<int32_t>().end());
    } else if (!absl::IsNotFound(blocks.status())) {
      return blocks.status();
    }
    const absl::StatusOr<Tensor> y = format->Decode(encoded);
    if (!y.ok()) return Annotate(y.status(), in);
    return WriteNpy(out, *y);
  });
}

std::string Bar(double sqnr_db) {
  const double length = std::isnan(sqnr_db) ? 0 : std::clamp(sqnr_db / 4, 0.0, 20.0);
  return std::string(static_cast<size_t>(length), '#');
}

absl::Status CompareErrors(const std::vector<std::string>& formats, const Flags& flags) {
  const auto& paths = flags.in();
  if (paths.empty() || formats.empty()) {
    return absl::InvalidArgumentError("error needs --in=x.npy and at least one format");
  }
  if (!flags.plot().empty()) {
    MASE_RETURN_IF_ERROR(Annotate(CheckWritable(flags.plot()), "--plot"));
  }
  std::map<std::string, Curve> curves;
  std::vector<std::string> documents;
  for (const std::string& path : paths) {
    MASE_ASSIGN_OR_RETURN(const Tensor x, ReadFloats(path));
    Table table("errors", "",
                {{"Format"},
                 {"bits"},
                 {"SQNR", "dB", 2},
                 {"max error"},
                 {"mean error"},
                 {.name = "", .rank = 1, .align = Align::kLeft}});
    int64_t left_out = 0;
    for (const std::string& text : formats) {
      MASE_ASSIGN_OR_RETURN(const auto format, MakeFormat(text, flags));
      const absl::StatusOr<Tensor> y = format->Quantize(x, flags.seed());
      if (!y.ok()) return Annotate(y.status(), path);
      const QuantizationError error = MeasureQuantizationError(x.data<float>(), y->data<float>());
      left_out = error.left_out;
      const double bits = format->BitsPerValue(x.shape());
      table.AddRow({FormatText(format->proto()), bits, error.sqnr_db, error.max, error.mean,
                    Bar(error.sqnr_db)});
      Curve& curve = curves[std::string(format->family())];
      curve.name = std::string(format->family());
      curve.points.emplace_back(bits, error.sqnr_db);
    }
    documents.push_back(absl::StrCat("{\"file\": ", nlohmann::ordered_json(path).dump(),
                                     ", \"left_out\": ", left_out, ", \"errors\": ", table.Json(),
                                     "}"));
    if (flags.json()) continue;
    std::cout << Printable(path) << " " << x.shape().ToString()
              << (left_out == 0 ? "" : absl::StrCat(", without ", left_out, " not finite values"))
              << "\n"
              << table.Text();
  }
  if (flags.json()) std::cout << "[" << absl::StrJoin(documents, ",\n") << "]\n";
  if (flags.plot().empty()) return absl::OkStatus();
  std::vector<Curve> list;
  for (auto& [name, curve] : curves) {
    std::sort(curve.points.begin(), curve.points.end());
    list.push_back(std::move(curve));
  }
  return WriteNamedFile(flags.plot(), CurvesAsSvg({.title = "Signal to quantization noise",
                                                   .x_label = "bits a value",
                                                   .y_label = "SQNR in dB",
                                                   .curves = list}));
}

// Their formats are then among the others.
absl::Status OpenPlugins(const Flags& flags) {
  if (flags.plugins().empty()) return absl::OkStatus();
  PluginLoader loader(PluginIndex(), "");
  loader.set_policy({.folders = {flags.plugin_dirs().begin(), flags.plugin_dirs().end()}});
  for (const std::string& path : flags.plugins()) MASE_RETURN_IF_ERROR(loader.Open(path).status());
  return absl::OkStatus();
}

absl::Status Run(const std::vector<std::string>& words, const Flags& flags) {
  const std::string command = words.empty() ? "" : words[0];
  const std::vector<std::string> rest(words.begin() + (words.empty() ? 0 : 1), words.end());
  if (command == "list") return List(flags);
  if (command == "describe" || command == "table") {
    if (rest.size() != 1) {
      return absl::InvalidArgumentError(
          absl::StrCat(command, " takes one format, not ", rest.size()));
    }
    return command == "table" ? PrintTable(rest[0], flags) : Describe(rest[0], flags);
  }
  if (command == "error") return CompareErrors(rest, flags);
  if (!rest.empty() && (command == "quantize" || command == "encode" || command == "decode")) {
    return absl::InvalidArgumentError(
        absl::StrCat(command, ": '", rest[0], "' is no flag; the format is --format"));
  }
  if (command == "quantize") return Quantize(flags);
  if (command == "encode") return Encode(flags);
  if (command == "decode") return Decode(flags);
  return absl::InvalidArgumentError(absl::StrCat(
      command.empty() ? std::string("no command") : absl::StrCat("unknown command '", command, "'"),
      Suggest(command, {"list", "describe", "table", "quantize", "encode", "decode", "error"}),
      "; see --help"));
}

// The exit code of a command that ended so; says what went wrong.
int End(const absl::Status& status) {
  if (!status.ok()) Log(LogLevel::kError, status.message());
  return ExitCode(status);
}

}  // namespace

Table FamilyTable() {
  Table table("formats", "",
              {{"family"}, {"kind"}, {"definition"}, {"example"}, {"class"}, {"also"}});
  for (const Family* family : Families()) {
    const absl::StatusOr<FormatProto> example = ParseFormat(family->example);
    if (!example.ok()) continue;  // The examples are the families' own.
    table.AddRow({std::string(family->name), std::string(FormatKindName(KindOf(*example))),
                  std::string(family->summary), FormatText(*example),
                  std::string(family->class_suffix), absl::StrJoin(family->aliases, ", ")});
  }
  return table;
}

std::string FormatJson(const Format& format) {
  const Family& family = *FindFamily(format.family());
  nlohmann::ordered_json json = {{"format", FormatText(format.proto())},
                                 {"family", std::string(family.name)},
                                 {"kind", std::string(FormatKindName(KindOf(format.proto())))},
                                 {"class", std::string(format.class_suffix())},
                                 {"definition", std::string(family.summary)},
                                 {"description", format.Describe()},
                                 {"precision", format.Precision()},
                                 {"bits", format.BitsPerValue({64, 64})},
                                 {"has_reference", family.has_reference},
                                 {"parameters", nlohmann::ordered_json::array()}};
  for (const FamilyParameter& parameter : family.parameters) {
    json["parameters"].push_back({{"name", std::string(parameter.name)},
                                  {"required", parameter.need == FamilyParameter::kRequired}});
  }
  return json.dump(1);
}

int RunFormats(std::vector<std::string> words) {
  if (!google::IsGoogleLoggingInitialized()) google::InitGoogleLogging("formats");
  words.erase(words.begin());
  const absl::StatusOr<Arguments> arguments = ParseArguments(words, KnownFlags(), FlagScope::kOwn);
  if (!arguments.ok()) return End(arguments.status());
  Flags flags;
  for (const auto& [name, value] : arguments->process) {
    if (name == "help") {
      std::cout << kUsage << FlagHelp(KnownFlags(), FlagScope::kOwn) << kExamples;
      return End(absl::OkStatus());
    }
    if (const absl::Status status = SetFlag(name, value, flags); !status.ok()) return End(status);
  }
  try {
    if (const absl::Status status = CheckNothingReadIsWritten(PathsIn(flags, PathUse::kWritten),
                                                              PathsIn(flags, PathUse::kRead));
        !status.ok()) {
      return End(status);
    }
    if (const absl::Status status = OpenPlugins(flags); !status.ok()) return End(status);
    return End(Run(arguments->positionals, flags));
  } catch (const std::bad_alloc& error) {
    return End(OutOfMemory(error));
  }
}

}  // namespace mase
