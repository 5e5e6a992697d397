#include "mase/cli/plugins_action.h"

#include <cstdio>
#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "mase/base/files.h"
#include "mase/base/limits.h"
#include "mase/base/quote.h"
#include "mase/base/runfiles.h"
#include "mase/base/standard_output.h"
#include "mase/base/status_macros.h"
#include "mase/base/suggest.h"
#include "mase/base/table.h"
#include "mase/cli/option_manual.h"
#include "mase/config/arguments.h"
#include "mase/config/own_flags.h"
#include "mase/plugin/conformance.h"
#include "mase/plugin/plugin_file.h"
#include "mase/plugin/plugin_loader.h"
#include "proto/flags.pb.h"

namespace mase {
namespace {

constexpr char kUsage[] =
    "ch plugins list [FILE.so ...]       the bundled plugins, and these\n"
    "ch plugins describe NAME|FILE.so    what one has, with the options of its passes\n"
    "ch plugins check FILE.so ...        whether it keeps the rules; 'N passed, N failed'\n"
    "  --plugin_dirs=FOLDER,...          files must lie there, links followed\n"
    "  --isolation=process               in processes of their own; plugins of passes alone\n";

bool IsFile(absl::string_view word) {
  return absl::StrContains(word, '/') || absl::EndsWith(word, ".so");
}

// Names of one kind; "" if there are none.
std::string Names(const google::protobuf::RepeatedPtrField<NamedEntry>& entries,
                  absl::string_view kind) {
  if (entries.empty()) return "";
  return absl::StrCat(kind, " ",
                      absl::StrJoin(entries, ", ", [](std::string* out, const NamedEntry& entry) {
                        absl::StrAppend(out, entry.name());
                      }));
}

// "passes a, b; format posit"
std::string Contents(const PluginEntry& plugin) {
  std::vector<std::string> parts;
  std::vector<std::string> passes;
  for (const PassEntry& pass : plugin.pass()) passes.push_back(pass.name());
  if (!passes.empty()) parts.push_back(absl::StrCat("pass ", absl::StrJoin(passes, ", ")));
  for (std::string part :
       {Names(plugin.format(), "format"), Names(plugin.op(), "op"),
        Names(plugin.metric(), "metric"), Names(plugin.data_reader(), "data reader"),
        Names(plugin.sampler(), "sampler")}) {
    if (!part.empty()) parts.push_back(std::move(part));
  }
  return absl::StrJoin(parts, "; ");
}

// A plugin, and where it is from.
struct Known {
  PluginEntry entry;
  std::string from;  // "bundled", or its file.
  std::string file;
};

absl::StatusOr<Known> OpenFile(PluginLoader& loader, const std::string& word) {
  MASE_ASSIGN_OR_RETURN(const std::string path, UserPath(word));
  MASE_ASSIGN_OR_RETURN(PluginEntry entry, loader.Open(path));
  return Known{std::move(entry), Printable(path), path};
}

std::vector<Known> Bundled(const PluginLoader& loader) {
  std::vector<Known> plugins;
  for (const PluginEntry& entry : loader.index().plugin()) {
    const std::string& name = entry.name();
    plugins.push_back(
        {entry, "bundled", Runfile(absl::StrCat("plugins/", name, "/", name, ".so"))});
  }
  return plugins;
}

absl::Status List(PluginLoader& loader, const std::vector<std::string>& files) {
  std::vector<Known> plugins = Bundled(loader);
  for (const std::string& file : files) {
    MASE_ASSIGN_OR_RETURN(Known known, OpenFile(loader, file));
    plugins.push_back(std::move(known));
  }
  Table table("plugins", "",
              {{"Plugin"},
               {"Version"},
               {"From"},
               {"What it has"},
               {.name = "Status", .rank = 1},
               {.name = "Owner", .rank = 1}});
  for (const Known& plugin : plugins) {
    table.AddRow({plugin.entry.name(), plugin.entry.version(), plugin.from, Contents(plugin.entry),
                  plugin.entry.status(), plugin.entry.owner()});
  }
  std::printf("%s", table.Text(StandardOutputRoom()).c_str());
  return absl::OkStatus();
}

absl::StatusOr<Known> FindPlugin(PluginLoader& loader, const std::string& word) {
  if (IsFile(word)) return OpenFile(loader, word);
  std::vector<std::string> names;
  for (Known& plugin : Bundled(loader)) {
    if (plugin.entry.name() == word) return std::move(plugin);
    names.push_back(plugin.entry.name());
  }
  return absl::NotFoundError(absl::StrCat("no bundled plugin '", word, "'", Suggest(word, names),
                                          "; of a file of your own give the path"));
}

// Where it is from, by what one can pin it (docs/robustness.md), and who answers for it.
std::string ProvenanceText(const Known& plugin) {
  std::string text = absl::StrCat("  file     ", Printable(plugin.file), "\n");
  const absl::StatusOr<std::string> bytes = ReadFile(plugin.file, limits::kMaxPluginBytes);
  if (bytes.ok()) absl::StrAppend(&text, "  SHA-256  ", Sha256(*bytes), "\n");
  const auto said = [](const std::string& what) {
    return what.empty() ? "not said" : Printable(what);
  };
  return absl::StrCat(text, "  status   ", said(plugin.entry.status()), "\n  owner    ",
                      said(plugin.entry.owner()), "\n\n");
}

// The builds of the SDK put a plugin's descriptors, which have the comments, beside it.
std::vector<std::string> DescriptorsBeside(absl::string_view file) {
  absl::ConsumeSuffix(&file, ".so");
  std::string descriptors = absl::StrCat(file, ".options");
  std::error_code error;
  if (!std::filesystem::exists(descriptors, error)) return {};
  return {std::move(descriptors)};
}

absl::Status Describe(PluginLoader& loader, const std::string& word) {
  MASE_ASSIGN_OR_RETURN(const Known plugin, FindPlugin(loader, word));
  const PluginEntry& entry = plugin.entry;
  std::printf("%s %s\n%s", entry.name().c_str(), entry.version().c_str(),
              ProvenanceText(plugin).c_str());
  Table table({{"Registers"}, {"Name"}, {"What it is"}});
  const auto add = [&](const char* kind, const auto& entries) {
    for (const auto& each : entries) table.AddRow({kind, each.name(), each.summary()});
  };
  add("pass", entry.pass());
  add("format", entry.format());
  add("op", entry.op());
  add("metric", entry.metric());
  add("data reader", entry.data_reader());
  add("sampler", entry.sampler());
  std::printf("%s", table.Text(StandardOutputRoom()).c_str());
  MASE_ASSIGN_OR_RETURN(const OptionManual manual,
                        OptionManual::Create(DescriptorsBeside(plugin.file)));
  for (const PassEntry& pass : entry.pass()) {
    std::printf("\n%s", ManualText({&pass, &entry}, manual.Describe(pass.options_type())).c_str());
  }
  return absl::OkStatus();
}

absl::Status Check(PluginLoader& loader, const std::vector<std::string>& files) {
  int passed = 0, failed = 0;
  Table table({{"What"}, {"Check"}, {"Result"}, {"s", "", 2}, {"MiB"}});
  std::string problems;
  for (const std::string& file : files) {
    MASE_ASSIGN_OR_RETURN(const Known plugin, OpenFile(loader, file));
    for (const ConformanceCheck& check : CheckConformance(plugin.entry, loader)) {
      const bool ok = check.status.ok();
      ++(ok ? passed : failed);
      table.AddRow(
          {check.of, check.what, ok ? "passed" : "FAILED", check.seconds, check.peak_bytes >> 20});
      if (ok) continue;
      absl::StrAppend(&problems, check.of, ", ", check.what, ": ",
                      PrintableMessage(check.status.message()), "\n");
    }
  }
  std::printf("%s%s%d passed, %d failed\n", table.Text(StandardOutputRoom()).c_str(),
              problems.c_str(), passed, failed);
  if (passed + failed == 0) return absl::FailedPreconditionError("there is nothing to check");
  return failed == 0 ? absl::OkStatus()
                     : absl::FailedPreconditionError("the plugin does not keep the rules");
}

absl::StatusOr<PluginPolicy> PolicyOf(const Arguments& arguments) {
  PluginsFlags flags;
  for (const auto& [name, value] : arguments.process) {
    MASE_RETURN_IF_ERROR(SetFlag(name, value, flags));
  }
  PluginPolicy policy;
  for (const std::string& folder : flags.plugin_dirs()) {
    MASE_ASSIGN_OR_RETURN(policy.folders.emplace_back(), UserPath(folder));
  }
  if (flags.isolation() == "process") policy.isolation.emplace();
  return policy;
}

}  // namespace

absl::Status RunPlugins(const std::vector<std::string>& given) {
  if (given == std::vector<std::string>{"--help"}) {
    std::printf("%s", kUsage);
    return absl::OkStatus();
  }
  MASE_ASSIGN_OR_RETURN(
      const Arguments arguments,
      ParseArguments(given, FlagsOf(*PluginsFlags::descriptor()), FlagScope::kOwn));
  const std::vector<std::string>& words = arguments.positionals;
  MASE_ASSIGN_OR_RETURN(const auto loader, PluginLoader::Create());
  MASE_ASSIGN_OR_RETURN(PluginPolicy policy, PolicyOf(arguments));
  loader->set_policy(std::move(policy));
  const std::vector<std::string> rest(words.empty() ? words.end() : words.begin() + 1, words.end());
  const std::string action = words.empty() ? "list" : words[0];
  if (action == "list") return List(*loader, rest);
  if (action == "describe" && rest.size() == 1) return Describe(*loader, rest[0]);
  if (action == "check" && !rest.empty()) return Check(*loader, rest);
  return absl::InvalidArgumentError(absl::StrCat("plugins does not understand '",
                                                 absl::StrJoin(words, " "), "'; it has\n", kUsage));
}

}  // namespace mase
