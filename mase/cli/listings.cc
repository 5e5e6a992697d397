#include "mase/cli/listings.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "mase/base/files.h"
#include "mase/base/isa.h"
#include "mase/base/isa_limit.h"
#include "mase/base/runfiles.h"
#include "mase/base/status_macros.h"
#include "mase/base/suggest.h"
#include "mase/base/table.h"
#include "mase/base/version.h"
#include "mase/cli/option_manual.h"
#include "mase/data/open_dataset.h"
#include "mase/kernel/integer/tile.h"
#include "mase/kernel/onednn_version.h"
#include "mase/model/zoo.h"
#include "mase/plugin/plugin_loader.h"

namespace mase {
namespace {

constexpr int64_t kMaxGitFileBytes = 1 << 20;

absl::Status WantNoWords(absl::string_view action, const std::vector<std::string>& words) {
  if (words.empty() || words[0] == "--help") return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(action, " takes no words, not '", absl::StrJoin(words, " "), "'"));
}

Listing AllPasses(const PluginLoader& loader) {
  Table table("passes", "", {{"Pass"}, {"Kind"}, {"What it does"}});
  for (const auto& [pass, plugin] : loader.List()) {
    table.AddRow({pass->name(), pass->kind(), pass->summary()});
  }
  return {std::move(table), "\n`passes describe NAME` prints options and defaults.\n"};
}

absl::StatusOr<std::string> DescribePass(const std::string& name, const PluginLoader& loader) {
  std::vector<std::string> known;
  for (const KnownPass& each : loader.List()) {
    known.push_back(each.pass->name());
    for (const std::string& alias : each.pass->alias()) known.push_back(alias);
    if (std::find(known.begin(), known.end(), name) == known.end()) continue;
    MASE_ASSIGN_OR_RETURN(const OptionManual manual, OptionManual::Create());
    return ManualText(each, manual.Describe(each.pass->options_type()));
  }
  return absl::NotFoundError(absl::StrCat("no pass '", name, "'", Suggest(name, known)));
}

absl::StatusOr<std::string> PassReference(const PluginLoader& loader) {
  MASE_ASSIGN_OR_RETURN(const OptionManual manual, OptionManual::Create());
  std::string text =
      "# The passes and their options\n\n"
      "Written by `./bazelw run //mase:ch -- passes reference` from the comments of each pass's\n"
      "`_options.proto`; a test compares. `ch passes describe NAME` prints one of them.\n";
  for (const KnownPass& each : loader.List()) {
    absl::StrAppend(&text, "\n", ManualMarkdown(each, manual.Describe(each.pass->options_type())));
  }
  return text;
}

// What a file of Git's says, without the line's end; "" where there is none.
std::string GitFile(const std::string& path) {
  const absl::StatusOr<std::string> text = ReadFile(path, kMaxGitFileBytes);
  return text.ok() ? std::string(absl::StripAsciiWhitespace(*text)) : "";
}

// The commit that is checked out in the workspace of `bazel run`, or that an installation was made
// from.
std::string Revision() {
  if (const std::string installed = GitFile(Runfile("revision")); !installed.empty()) {
    return installed;
  }
  const char* workspace = std::getenv("BUILD_WORKSPACE_DIRECTORY");
  if (workspace == nullptr) return "unknown: neither installed nor started by bazel run";
  std::string git = absl::StrCat(workspace, "/.git");
  // In a linked worktree .git is a file, and branches are those of the main one.
  const std::string link = GitFile(git);
  if (!link.empty()) git = std::string(absl::StripPrefix(link, "gitdir: "));
  std::string head = GitFile(absl::StrCat(git, "/HEAD"));
  absl::string_view branch = head;
  if (!absl::ConsumePrefix(&branch, "ref: ")) return head;
  const std::string common = GitFile(absl::StrCat(git, "/commondir"));
  if (!common.empty()) absl::StrAppend(&git, "/", common);
  const std::string commit = GitFile(absl::StrCat(git, "/", branch));
  return commit.empty() ? absl::StrCat("unknown, of ", branch) : commit;
}

}  // namespace

absl::StatusOr<Listing> ListPasses(const std::vector<std::string>& words) {
  MASE_ASSIGN_OR_RETURN(const std::unique_ptr<PluginLoader> loader, PluginLoader::Create());
  if (words.empty() || words[0] == "--help" || words[0] == "list") return AllPasses(*loader);
  if (words[0] == "describe" && words.size() == 2) {
    MASE_ASSIGN_OR_RETURN(std::string manual, DescribePass(words[1], *loader));
    return Listing{std::nullopt, std::move(manual)};
  }
  if (words[0] == "reference" && words.size() == 1) {
    MASE_ASSIGN_OR_RETURN(std::string reference, PassReference(*loader));
    return Listing{std::nullopt, std::move(reference)};
  }
  return absl::InvalidArgumentError(
      absl::StrCat("passes: want nothing, `describe NAME` or `reference`, not '",
                   absl::StrJoin(words, " "), "'"));
}

absl::StatusOr<Listing> ListModels(const std::vector<std::string>& words) {
  MASE_RETURN_IF_ERROR(WantNoWords("models", words));
  Table table("models", "", {{"Model"}, {"Family"}, {"Layers"}});
  for (const ZooEntry& entry : ZooModels()) {
    table.AddRow({std::string(entry.name), std::string(entry.family), std::string(entry.layers)});
  }
  return Listing{std::move(table),
                 "\nA list of layers is a model, too: \"BN, ReLU, Linear 32, Linear 5\".\n"};
}

absl::StatusOr<Listing> ListDatasets(const std::vector<std::string>& words) {
  MASE_RETURN_IF_ERROR(WantNoWords("datasets", words));
  Table table("datasets", "", {{"Data set"}, {"What it is"}});
  for (const KnownDataset& set : KnownDatasets()) table.AddRow({set.name, set.description});
  return Listing{std::move(table),
                 "\nFiles of your own: --set dataset.path=FILE (docs/data.md).\n"};
}

absl::StatusOr<Listing> ListVersions(const std::vector<std::string>& words) {
  MASE_RETURN_IF_ERROR(WantNoWords("version", words));
  MASE_RETURN_IF_ERROR(CheckIsaLimit());
  Table table("version", "", {{""}, {.name = "", .align = Align::kLeft}});
  table.AddRow({"mase", Version()});
  table.AddRow({"revision", Revision()});
  for (const auto& [name, version] : Versions()) {
    if (name != "mase") table.AddRow({name, version});
  }
  table.AddRow({"oneDNN", OneDnnVersion()});
  // Of floats, and of products of codes.
  table.AddRow({"instruction set", absl::StrCat(IsaName(CurrentIsa()), ", on codes ",
                                                IntegerIsaName(CurrentIntegerIsa()))});
  return Listing{std::move(table)};
}

}  // namespace mase
