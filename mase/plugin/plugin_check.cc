// plugin_check [--expect=INDEX] PLUGIN.so: opens a plugin as every host would, in a process of its
// own, and prints what it registers (a PluginEntry in text form).
//
// The build makes the index of bundled plugins with it. With --expect it fails
// unless the plugin registers exactly what that file says. Whoever writes a plugin
// learns here why it is refused; the exit code is base/status.h's.
#include <cstdio>
#include <string>

#include "absl/strings/strip.h"
#include "google/protobuf/text_format.h"
#include "google/protobuf/util/message_differencer.h"
#include "mase/base/files.h"
#include "mase/base/limits.h"
#include "mase/base/quote.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/plugin/plugin_loader.h"

namespace mase {
namespace {

absl::Status Check(const std::string& path, const std::string& index) {
  PluginLoader loader(PluginIndex(), "");
  PluginIndex found;
  MASE_ASSIGN_OR_RETURN(*found.add_plugin(), loader.Open(path));
  std::string text;
  google::protobuf::TextFormat::PrintToString(found, &text);
  if (index.empty()) {
    std::fputs(text.c_str(), stdout);
    return absl::OkStatus();
  }
  MASE_ASSIGN_OR_RETURN(const std::string expected, ReadFile(index, limits::kMaxConfigFileBytes));
  if (text == expected) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(path, " registers\n", text, "but ", index, " says\n", expected));
}

}  // namespace
}  // namespace mase

int main(int argc, char** argv) {
  std::string path, index;
  for (int i = 1; i < argc; ++i) {
    absl::string_view argument = argv[i];
    std::string& target = absl::ConsumePrefix(&argument, "--expect=") ? index : path;
    target = std::string(argument);
  }
  if (path.empty()) {
    std::fputs("usage: plugin_check [--expect=INDEX] PLUGIN.so\n", stderr);
    return 2;
  }
  const absl::Status status = mase::Check(path, index);
  if (!status.ok()) std::fprintf(stderr, "%s\n", mase::PrintableMessage(status.message()).c_str());
  return mase::ExitCode(status);
}
