#include "mase/plugin/signature.h"

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "mase/base/quote.h"
#include "mase/plugin/plugin_info.h"

namespace mase {
namespace {

struct Field {
  absl::string_view key;   // In the signature.
  absl::string_view name;  // For people.
  // What to do where the program has "1" or anything else, and where it has "0" of a switch.
  // $host stands for its value, $compiler for that of its compiler.
  absl::string_view mend;
  absl::string_view mend_off = "";
};

constexpr Field kFields[] = {
    {"plugin_abi", "plugin interface", "build it against the SDK of this program"},
    {"compiler", "compiler", "compile it with $host"},
    {"cxx_abi", "C++ ABI", "compile it with $compiler and without -fabi-version"},
    {"standard", "C++ standard", "compile it with -std=c++20"},
    {"cxx11_strings", "_GLIBCXX_USE_CXX11_ABI", "compile it with -D_GLIBCXX_USE_CXX11_ABI=$host"},
    {"glibcxx_debug", "_GLIBCXX_DEBUG", "compile it with -D_GLIBCXX_DEBUG",
     "compile it without -D_GLIBCXX_DEBUG"},
    {"ndebug", "NDEBUG", "compile it with -DNDEBUG", "compile it without -DNDEBUG"},
    {"sanitizer", "sanitizer", "compile it with the sanitizer of this program ($host)"},
    {"protobuf", "protobuf", "compile it against protobuf $host"},
    {"abseil", "Abseil", "compile it against Abseil $host"},
    {"api", "hash of declarations", "build it again against the SDK of this program"},
};

std::map<std::string, std::string> FieldsOf(absl::string_view signature) {
  std::map<std::string, std::string> fields;
  for (const absl::string_view part : absl::StrSplit(signature, ';')) {
    const std::pair<absl::string_view, absl::string_view> field =
        absl::StrSplit(part, absl::MaxSplits('=', 1));
    fields.emplace(field.first, field.second);
  }
  return fields;
}

}  // namespace

absl::string_view HostSignature() { return MASE_BUILD_SIGNATURE; }

absl::Status CheckSignature(absl::string_view signature) {
  const auto theirs = FieldsOf(signature);
  const auto ours = FieldsOf(HostSignature());
  std::vector<std::string> differences;
  for (const Field& field : kFields) {
    const auto found = theirs.find(std::string(field.key));
    const std::string& host = ours.at(std::string(field.key));
    if (found != theirs.end() && found->second == host) continue;
    // Of what was built together with this program, and sees more than the SDK (api_hash.h).
    if (field.key == "api" && found != theirs.end() && found->second == MASE_CORE_HASH) continue;
    const bool off = host == "0" && !field.mend_off.empty();
    differences.push_back(
        absl::StrCat("its ", field.name, " is ",
                     found == theirs.end() ? "not said" : Printable(Shortened(found->second, 100)),
                     ", this program's ", host, ": ",
                     absl::StrReplaceAll(off ? field.mend_off : field.mend,
                                         {{"$host", host}, {"$compiler", ours.at("compiler")}})));
  }
  if (differences.empty()) return absl::OkStatus();
  return absl::PermissionDeniedError(absl::StrJoin(differences, "; "));
}

}  // namespace mase
