// Number formats on the command line: what there is, what they do to a tensor, at what cost.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <iostream>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "gflags/gflags.h"
#include "glog/logging.h"
#include "mase/base/files.h"
#include "mase/base/runfiles.h"
#include "mase/base/standard_output.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/base/suggest.h"
#include "mase/base/table.h"
#include "mase/format/family.h"
#include "mase/format/format.h"
#include "mase/format/metrics.h"
#include "mase/interop/npy.h"
#include "mase/interop/svg_curves.h"
#include "mase/tensor/convert.h"

DEFINE_string(format, "",
              "A FormatProto as text, for example 'integer { width: 8 frac_width: 4 }'.");
DEFINE_string(semantics, "", "exact or reference; where empty, what the format says (exact).");
DEFINE_string(in, "", "A .npy file (float32) to read; may be given several times.");
DEFINE_string(out, "", "The .npy file to write; as many as --in, in their order.");
DEFINE_uint64(seed, 0, "Of stochastic formats.");
DEFINE_string(plot, "", "error: write a plot of SQNR over bits here (SVG).");

namespace mase {
namespace {

constexpr char kUsage[] = R"(number formats: what a tensor's values become when it is quantized

  formats list                          every family with its formula
  formats describe NAME|FORMAT          fields, range, step, bits of one
  formats table FORMAT                  every code and its value (up to 16 bits)
  formats quantize --format=F --in=x.npy --out=y.npy
  formats encode   --format=F --in=x.npy --out=codes.npy      integer codes, int32
  formats decode   --format=F --in=codes.npy --out=y.npy
  formats error --in=x.npy FORMAT...    SQNR, errors and bits, side by side

A FORMAT is text: 'integer { width: 8 frac_width: 4 }', 'block_fp { width: 8 block_size: 16 }',
'minifloat_ieee { width: 8 exponent_width: 4 } semantics: REFERENCE'; a bare family name means the
example that `list` shows. --in and --out may be repeated. Block formats encode into two files:
the codes, and beside them NAME.blocks.npy with a code a block.

  bazel run //mase:formats -- list
  bazel run //mase:formats -- table 'minifloat_ieee { width: 4 exponent_width: 2 }'
  bazel run //mase:formats -- quantize --format='integer { width: 8 frac_width: 4 }' \
      --semantics=reference --in=x.npy --out=y.npy
  bazel run //mase:formats -- error --in=x.npy --plot=error.svg integer block_fp mxfp)";

constexpr char kListSeparator = '\n';  // Between repeated --in: no file name has one.

// gflags keeps the last of a repeated flag; this makes it one list.
std::vector<std::string> JoinRepeated(int argc, char** argv) {
  std::vector<std::string> arguments;
  std::map<std::string, size_t> first;
  for (int i = 0; i < argc; ++i) {
    std::string argument = argv[i];
    for (const std::string name : {"in", "out"}) {
      if ((argument == "--" + name || argument == "-" + name) && i + 1 < argc) {
        argument = absl::StrCat("--", name, "=", argv[++i]);
      }
      const size_t dashes = argument.find_first_not_of('-');
      if (argument[0] != '-' || dashes == std::string::npos ||
          !absl::StartsWith(argument.substr(dashes), name + "=")) {
        continue;
      }
      const std::string value = argument.substr(dashes + name.size() + 1);
      const auto [it, is_new] = first.emplace(name, arguments.size());
      argument = is_new ? absl::StrCat("--", name, "=", value) : "";
      if (!is_new) absl::StrAppend(&arguments[it->second], std::string(1, kListSeparator), value);
      break;
    }
    if (!argument.empty()) arguments.push_back(argument);
  }
  return arguments;
}

// gflags would print its usage and exit with 1.
absl::Status CheckFlags(const std::vector<std::string>& arguments) {
  for (const std::string& argument : arguments) {
    const size_t begin = argument.find_first_not_of('-');
    if (argument[0] != '-' || begin == std::string::npos) continue;
    const std::string name = argument.substr(begin, argument.find('=') - begin);
    gflags::CommandLineFlagInfo info;
    if (gflags::GetCommandLineFlagInfo(name.c_str(), &info)) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "unknown flag --", name,
        Suggest(name, {"format", "semantics", "in", "out", "seed", "plot"}), "; see --help"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> Paths(const std::string& flag) {
  std::vector<std::string> paths;
  for (absl::string_view given : absl::StrSplit(flag, kListSeparator, absl::SkipEmpty())) {
    MASE_ASSIGN_OR_RETURN(paths.emplace_back(), UserPath(given));
  }
  return paths;
}

// From text, or from a family's name alone; --semantics wins.
absl::StatusOr<std::unique_ptr<const Format>> MakeFormat(const std::string& text) {
  if (text.empty())
    return absl::InvalidArgumentError("no format; for example --format='integer { width: 8 }'");
  const Family* family = FindFamily(text);
  if (family == nullptr && text.find_first_of(" {:") == std::string::npos) {
    std::vector<std::string> names;
    for (const Family* known : Families()) names.emplace_back(known->name);
    return absl::NotFoundError(absl::StrCat("unknown format '", text, "'", Suggest(text, names)));
  }
  // The semantics decide what the text may say.
  MASE_ASSIGN_OR_RETURN(FormatProto proto,
                        ParseFormatText(family != nullptr ? family->example : text));
  if (FLAGS_semantics == "reference") {
    proto.set_semantics(FormatProto::REFERENCE);
  } else if (FLAGS_semantics == "exact") {
    proto.set_semantics(FormatProto::EXACT);
  } else if (!FLAGS_semantics.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--semantics=", FLAGS_semantics, ", allowed exact, reference"));
  }
  return Format::Create(proto);
}

absl::StatusOr<Tensor> ReadFloats(const std::string& path) {
  MASE_ASSIGN_OR_RETURN(const Tensor tensor, ReadNpy(path));
  int64_t rounded = 0;
  Tensor floats = ToFloat32(tensor, &rounded);
  if (rounded > 0) {
    std::cerr << path << ": " << DTypeName(tensor.dtype()) << ", " << rounded << " of "
              << tensor.elements() << " values rounded to float32\n";
  }
  return floats;
}

absl::Status List() {
  Table table({"Name", "Class", "Definition", "Example"});
  table.SetMaxCellWidth(60);
  for (const Family* family : Families()) {
    std::string name(family->name);
    for (absl::string_view alias : family->aliases) absl::StrAppend(&name, ", ", alias);
    table.AddRow({name, std::string(family->class_suffix), std::string(family->summary),
                  std::string(family->example)});
  }
  std::cout << table.Boxed();
  return absl::OkStatus();
}

absl::Status Describe(const std::string& text) {
  MASE_ASSIGN_OR_RETURN(const auto format, MakeFormat(text));
  const Family& family = *FindFamily(format->family());
  std::cout << family.name << ": " << family.summary << "\n"
            << format->Describe() << "\n"
            << "metadata precision [" << absl::StrJoin(format->Precision(), ", ")
            << "], class suffix " << format->class_suffix() << "\n"
            << "bits per value of a tensor [64, 64]: "
            << absl::StrFormat("%.4g", format->BitsPerValue({64, 64}))
            << "\n\nparameters in configs:\n";
  for (const FamilyParameter& parameter : family.parameters) {
    std::cout << "  " << parameter.name
              << (parameter.need == FamilyParameter::kRequired ? " (required)" : "") << "\n";
  }
  return absl::OkStatus();
}

absl::Status PrintTable(const std::string& text) {
  MASE_ASSIGN_OR_RETURN(const auto format, MakeFormat(text));
  std::cout << format->Describe() << "\n";
  const std::vector<float> values = format->Values();
  if (values.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(format->proto().ShortDebugString(), " has no table: more than 2^16 values"));
  }
  Table table({"Value", "Code"});
  for (float value : values) {
    std::string code = "-";
    // Codes of formats scaled by their data depend on the block.
    if (const auto encoded = format->Encode(Tensor::FromValues<float>({1}, {value}));
        encoded.ok() && encoded->block_codes.empty()) {
      code = absl::StrFormat("0x%02x", encoded->codes[0]);
    }
    table.AddRow({absl::StrFormat("%.9g", value), code});
  }
  std::cout << table.Plain();
  return absl::OkStatus();
}

// Calls fn(in, out) for every pair of --in and --out.
absl::Status ForEachPair(
    const std::function<absl::Status(const std::string&, const std::string&)>& fn) {
  MASE_ASSIGN_OR_RETURN(const std::vector<std::string> in, Paths(FLAGS_in));
  MASE_ASSIGN_OR_RETURN(const std::vector<std::string> out, Paths(FLAGS_out));
  if (in.empty() || in.size() != out.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(in.size(), " --in and ", out.size(), " --out, want as many, at least one"));
  }
  for (size_t i = 0; i < in.size(); ++i) MASE_RETURN_IF_ERROR(fn(in[i], out[i]));
  return absl::OkStatus();
}

absl::Status Quantize() {
  MASE_ASSIGN_OR_RETURN(const auto format, MakeFormat(FLAGS_format));
  return ForEachPair([&](const std::string& in, const std::string& out) -> absl::Status {
    MASE_ASSIGN_OR_RETURN(const Tensor x, ReadFloats(in));
    const absl::StatusOr<Tensor> y = format->Quantize(x, FLAGS_seed);
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

absl::Status Encode() {
  MASE_ASSIGN_OR_RETURN(const auto format, MakeFormat(FLAGS_format));
  return ForEachPair([&](const std::string& in, const std::string& out) -> absl::Status {
    MASE_ASSIGN_OR_RETURN(const Tensor x, ReadFloats(in));
    const absl::StatusOr<EncodedTensor> encoded = format->Encode(x);
    if (!encoded.ok()) return Annotate(encoded.status(), in);
    MASE_RETURN_IF_ERROR(WriteNpy(out, CodesAsTensor(encoded->shape, encoded->codes)));
    if (encoded->block_codes.empty()) return absl::OkStatus();
    const Shape blocks({static_cast<int64_t>(encoded->block_codes.size())});
    return WriteNpy(BlocksPath(out), CodesAsTensor(blocks, encoded->block_codes));
  });
}

absl::Status Decode() {
  MASE_ASSIGN_OR_RETURN(const auto format, MakeFormat(FLAGS_format));
  return ForEachPair([&](const std::string& in, const std::string& out) -> absl::Status {
    EncodedTensor encoded;
    MASE_ASSIGN_OR_RETURN(const Tensor codes, ReadCodes(in));
    encoded.shape = codes.shape();
    encoded.codes.assign(codes.data<int32_t>().begin(), codes.data<int32_t>().end());
    // Only some formats have block codes: where there is no such file, decoding tells.
    if (const auto blocks = ReadCodes(BlocksPath(in)); blocks.ok()) {
      encoded.block_codes.assign(blocks->data<int32_t>().begin(), blocks->data<int32_t>().end());
    }
    const absl::StatusOr<Tensor> y = format->Decode(encoded);
    if (!y.ok()) return Annotate(y.status(), in);
    return WriteNpy(out, *y);
  });
}

std::string Bar(double sqnr_db) {
  const int length = std::isfinite(sqnr_db) ? std::clamp(static_cast<int>(sqnr_db / 2), 0, 40) : 40;
  return std::string(length, '#');
}

absl::Status CompareErrors(const std::vector<std::string>& formats) {
  MASE_ASSIGN_OR_RETURN(const std::vector<std::string> paths, Paths(FLAGS_in));
  if (paths.empty() || formats.empty()) {
    return absl::InvalidArgumentError("error needs --in=x.npy and at least one format");
  }
  std::map<std::string, Curve> curves;
  for (const std::string& path : paths) {
    MASE_ASSIGN_OR_RETURN(const Tensor x, ReadFloats(path));
    Table table({"Format", "Bits", "SQNR dB", "Max error", "Mean error", "SQNR"});
    table.SetAlign(5, Table::Align::kLeft);
    for (const std::string& text : formats) {
      MASE_ASSIGN_OR_RETURN(const auto format, MakeFormat(text));
      const absl::StatusOr<Tensor> y = format->Quantize(x, FLAGS_seed);
      if (!y.ok()) return Annotate(y.status(), path);
      const QuantizationError error = MeasureQuantizationError(x.data<float>(), y->data<float>());
      const double bits = format->BitsPerValue(x.shape());
      table.AddRow({format->proto().ShortDebugString(), absl::StrFormat("%.3g", bits),
                    absl::StrFormat("%.2f", error.sqnr_db), absl::StrFormat("%.4g", error.max),
                    absl::StrFormat("%.4g", error.mean), Bar(error.sqnr_db)});
      Curve& curve = curves[std::string(format->family())];
      curve.name = std::string(format->family());
      curve.points.emplace_back(bits, error.sqnr_db);
    }
    std::cout << path << " " << x.shape().ToString() << "\n" << table.Boxed();
  }
  if (FLAGS_plot.empty()) return absl::OkStatus();
  std::vector<Curve> list;
  for (auto& [name, curve] : curves) {
    std::sort(curve.points.begin(), curve.points.end());
    list.push_back(std::move(curve));
  }
  MASE_ASSIGN_OR_RETURN(const std::string file, UserPath(FLAGS_plot));
  return WriteFileAtomically(file, CurvesAsSvg({.title = "Signal to quantization noise",
                                                .x_label = "bits a value",
                                                .y_label = "SQNR in dB",
                                                .curves = list}));
}

absl::Status Run(const std::vector<std::string>& words) {
  const std::string command = words.empty() ? "" : words[0];
  const std::vector<std::string> rest(words.begin() + (words.empty() ? 0 : 1), words.end());
  if (command == "list") return List();
  if (command == "describe" || command == "table") {
    if (rest.size() != 1) {
      return absl::InvalidArgumentError(
          absl::StrCat(command, " takes one format, not ", rest.size()));
    }
    return command == "table" ? PrintTable(rest[0]) : Describe(rest[0]);
  }
  if (command == "error") return CompareErrors(rest);
  if (!rest.empty() && (command == "quantize" || command == "encode" || command == "decode")) {
    return absl::InvalidArgumentError(absl::StrCat(command, ": '", rest[0], "' is no flag"));
  }
  if (command == "quantize") return Quantize();
  if (command == "encode") return Encode();
  if (command == "decode") return Decode();
  return absl::InvalidArgumentError(absl::StrCat(
      command.empty() ? std::string("no command") : absl::StrCat("unknown command '", command, "'"),
      Suggest(command, {"list", "describe", "table", "quantize", "encode", "decode", "error"}),
      "; see --help"));
}

// The exit code of a command that ended so; says what went wrong.
int End(absl::Status status) {
  if (status.ok()) status = FinishPrinting();
  if (!status.ok()) std::cerr << "formats: " << std::string(status.message()) << "\n";
  return ExitCode(status);
}

int Main(int argc, char** argv) {
  google::InitGoogleLogging(argv[0]);
  std::vector<std::string> arguments = JoinRepeated(argc, argv);
  for (const std::string& argument : arguments) {
    if (argument == "--help" || argument == "-help" || argument == "-h") {
      std::cout << kUsage << "\n";
      return End(absl::OkStatus());
    }
  }
  if (const absl::Status status = CheckFlags(arguments); !status.ok()) return End(status);
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  int count = static_cast<int>(pointers.size());
  pointers.push_back(nullptr);
  char** rest = pointers.data();
  gflags::SetUsageMessage(kUsage);
  gflags::ParseCommandLineFlags(&count, &rest, /*remove_flags=*/true);
  return End(Run(std::vector<std::string>(rest + 1, rest + count)));
}

}  // namespace
}  // namespace mase

int main(int argc, char** argv) { return mase::Main(argc, argv); }
