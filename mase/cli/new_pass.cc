#include "mase/cli/new_pass.h"

#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "mase/base/files.h"
#include "mase/base/limits.h"
#include "mase/base/runfiles.h"
#include "mase/base/status_macros.h"
#include "mase/base/suggest.h"

namespace mase {
namespace {

// What a plugin of a kind is made of.
struct Kind {
  absl::string_view name;
  bool has_options;        // A .proto file.
  absl::string_view next;  // What to try with it.
};
constexpr Kind kKinds[] = {
    {"analysis", true, "transform jsc-tiny jsc --plugins=SO --set=passes.NAME={}"},
    {"transform", true, "transform jsc-tiny jsc --plugins=SO --set=passes.NAME.threshold=0.1"},
    {"format", false, "formats --plugins=SO describe 'NAME 8/4'"},
    {"op", false, "train 'Linear 8, CLASS, Linear classes' jsc-sim --plugins=SO --max_epochs=1"},
    {"metric", false, "train jsc-tiny jsc-sim --plugins=SO --max_epochs=1"},
    {"sampler", false, "search --config=FILE --plugins=SO --sampler=NAME"},
};

// A file of the folder, and the template that it is made of.
struct File {
  std::string name;
  std::string from;
};

struct Words {
  std::string name, kind = "analysis", build = "cmake";
};

constexpr char kUsage[] =
    "ch new_pass NAME [--kind=analysis|transform|format|op|metric|sampler] [--build=cmake|bazel]\n";

absl::StatusOr<Words> ReadWords(const std::vector<std::string>& given) {
  Words words;
  for (absl::string_view word : given) {
    if (absl::ConsumePrefix(&word, "--kind=")) {
      words.kind = std::string(word);
    } else if (absl::ConsumePrefix(&word, "--build=")) {
      words.build = std::string(word);
    } else if (words.name.empty() && !absl::StartsWith(word, "-")) {
      words.name = std::string(word);
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat("new_pass does not understand '", word, "'; it is used so:\n", kUsage));
    }
  }
  const bool is_name = !words.name.empty() && absl::ascii_islower(words.name[0]) &&
                       absl::c_all_of(words.name, [](char c) {
                         return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '_';
                       });
  if (!is_name) {
    return absl::InvalidArgumentError(absl::StrCat(
        "new_pass wants a name of small letters, digits and _, such as prune_channels:\n", kUsage));
  }
  if (words.build != "cmake" && words.build != "bazel") {
    return absl::InvalidArgumentError(
        absl::StrCat("--build=", words.build, ": want cmake or bazel"));
  }
  return words;
}

absl::StatusOr<const Kind*> FindKind(const std::string& name) {
  std::vector<std::string> names;
  for (const Kind& kind : kKinds) {
    if (kind.name == name) return &kind;
    names.emplace_back(kind.name);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--kind=", name, Suggest(name, names), "; want ", absl::StrJoin(names, ", ")));
}

// The SDK that this program is part of.
absl::StatusOr<std::string> OwnSdk() {
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::filesystem::path sdk = program.parent_path().parent_path();
  if (!error && std::filesystem::exists(sdk / "include/mase/plugin/plugin.h", error)) {
    return sdk.string();
  }
  return absl::InvalidArgumentError(
      "this program is part of no SDK, so a plugin would have no headers: unpack mase-sdk-*.tar.gz "
      "(./bazelw build //:sdk makes it) and use its bin/ch");
}

// What Debian's Bazel, which downloads nothing, asks for by name; "" on other systems.
std::string DebianRepositories(absl::string_view sdk) {
  constexpr absl::string_view kFolder = "/usr/share/bazel";
  std::error_code error;
  if (!std::filesystem::exists(absl::StrCat(kFolder, "/rules/java"), error)) return "";
  std::string text = "\n# What Debian's Bazel asks for by name.\n";
  for (const auto& [name, folder] :
       {std::pair("rules_cc", absl::StrCat(sdk, "/bazel/debian/rules_cc")),
        std::pair("rules_java", absl::StrCat(kFolder, "/rules/java")),
        std::pair("rules_proto", absl::StrCat(kFolder, "/rules/proto")),
        std::pair("bazel_skylib", absl::StrCat(kFolder, "/skylib")),
        std::pair("remote_coverage_tools",
                  absl::StrCat(sdk, "/bazel/debian/remote_coverage_tools"))}) {
    absl::StrAppend(&text, "local_repository(name = \"", name, "\", path = \"", folder, "\")\n");
  }
  return text;
}

// drop_small to DropSmall.
std::string ClassName(const std::string& name) {
  std::string text;
  for (const absl::string_view part : absl::StrSplit(name, '_', absl::SkipEmpty())) {
    absl::StrAppend(&text, std::string(1, absl::ascii_toupper(part[0])), part.substr(1));
  }
  return text;
}

}  // namespace

absl::Status NewPass(const std::vector<std::string>& given) {
  if (given == std::vector<std::string>{"--help"}) {
    std::printf("%s", kUsage);
    return absl::OkStatus();
  }
  MASE_ASSIGN_OR_RETURN(const Words words, ReadWords(given));
  MASE_ASSIGN_OR_RETURN(const Kind* kind, FindKind(words.kind));
  MASE_ASSIGN_OR_RETURN(const std::string sdk, OwnSdk());
  const std::string& name = words.name;
  MASE_ASSIGN_OR_RETURN(const std::string folder, UserPath(name));
  std::error_code error;
  if (std::filesystem::exists(folder, error)) {
    return absl::AlreadyExistsError(absl::StrCat(name, " exists"));
  }
  const bool cmake = words.build == "cmake";
  std::vector<File> files = {{absl::StrCat(name, ".cc"), absl::StrCat(kind->name, ".cc")}};
  const std::string proto = absl::StrCat(name, "_options.proto");
  if (kind->has_options) files.push_back({proto, absl::StrCat(kind->name, ".proto")});
  if (cmake) {
    files.push_back({"CMakeLists.txt", "CMakeLists.txt"});
  } else {
    files.push_back({"WORKSPACE", "WORKSPACE.in"});
    files.push_back({"BUILD.bazel", "BUILD.in"});
  }
  const std::string so = absl::StrCat(cmake ? "build/" : "bazel-bin/", name, ".so");
  const std::vector<std::pair<absl::string_view, std::string>> fill = {
      {"@NAME@", name},
      {"@CLASS@", ClassName(name)},
      {"@SDK@", sdk},
      {"@RULES@", DebianRepositories(sdk)},
      {"@PROTOS@", kind->has_options ? absl::StrCat(" PROTOS ", proto) : ""},
      {"@PROTO@", kind->has_options ? absl::StrCat("\n    proto = \"", proto, "\",") : ""}};
  std::filesystem::create_directory(folder, error);
  if (error) return absl::PermissionDeniedError(absl::StrCat(name, ": ", error.message()));
  for (const File& file : files) {
    MASE_ASSIGN_OR_RETURN(
        const std::string text,
        ReadFile(Runfile(absl::StrCat("sdk/templates/", file.from)), limits::kMaxConfigFileBytes));
    MASE_RETURN_IF_ERROR(
        WriteFileAtomically(absl::StrCat(folder, "/", file.name), absl::StrReplaceAll(text, fill)));
  }
  const std::string next =
      absl::StrReplaceAll(kind->next, {{"NAME", name}, {"CLASS", ClassName(name)}, {"SO", so}});
  std::printf("%s is a plugin. Next:\n  cd %s\n%s  %s/bin/ch %s\n", name.c_str(), name.c_str(),
              cmake ? absl::StrCat("  cmake -B build -DCMAKE_PREFIX_PATH=", sdk,
                                   "\n  cmake --build build && ctest --test-dir build\n")
                          .c_str()
                    : "  bazel test :all\n",
              sdk.c_str(), next.c_str());
  return absl::OkStatus();
}

}  // namespace mase
