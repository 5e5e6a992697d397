// The commands of docs/tour.md, docs/labs.md and docs/widths.md do what the pages show.
//
// A command is an indented line that begins with `ch`; a fenced block below it has lines of its
// output, in their order, others left out at "...". A block that begins ```text is compared but for
// its numbers: times, and what is trained on another CPU. A picture after a command,
// ![...](NAME.svg) <!-- FILE -->, is FILE of the command's, but for its numbers. All commands of a
// page run one after another in one folder.
#include <filesystem>
#include <regex>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"
#include "mase/base/runfiles.h"
#include "mase/testing/command.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

std::string Contents(const std::string& path) { return ValueOrDie(ReadFile(path, 1 << 24)); }

struct Block {
  bool masked = false;
  std::vector<std::string> lines;
};

struct Picture {
  std::string shown, made;  // In docs/, and by the command.
};

struct Command {
  std::string text;
  std::vector<Block> blocks;
  std::vector<Picture> pictures;
};

std::vector<Command> ReadCommands(const std::string& page) {
  static const std::regex* const picture =
      new std::regex(R"(^ *!\[[^\]]*\]\(([^)]+\.svg)\) <!-- ([^ ]+) -->$)");
  std::vector<Command> commands;
  bool in_block = false;
  size_t indent = 0;
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(page, '\n'))) {
    const std::string stripped(absl::StripAsciiWhitespace(line));
    if (absl::StartsWith(stripped, "```")) {
      in_block = !in_block;
      indent = line.find('`');
      if (in_block && !commands.empty()) commands.back().blocks.push_back({stripped == "```text"});
      continue;
    }
    if (in_block) {
      if (!commands.empty()) {
        commands.back().blocks.back().lines.push_back(
            line.size() > indent
                ? std::string(absl::StripTrailingAsciiWhitespace(line.substr(indent)))
                : "");
      }
      continue;
    }
    std::smatch found;
    if (absl::StartsWith(line, "    ") && absl::StartsWith(stripped, "ch ")) {
      commands.push_back({stripped});
    } else if (!commands.empty() && std::regex_match(line, found, *picture)) {
      commands.back().pictures.push_back({found[1], found[2]});
    }
  }
  return commands;
}

// Numbers as #, and the blanks that align them as one.
std::string Masked(const std::string& text) {
  static const std::regex* const number = new std::regex(R"([-+]?[0-9][0-9.,:]*(e[-+]?[0-9]+)?)");
  static const std::regex* const blanks = new std::regex("(  +|-{2,})");
  return std::regex_replace(std::regex_replace(text, *number, "#"), *blanks, " ");
}

void ExpectShown(const Block& block, const std::string& out) {
  std::vector<std::string> said;
  for (const absl::string_view line : absl::StrSplit(out, '\n')) {
    const std::string stripped(absl::StripTrailingAsciiWhitespace(line));
    said.push_back(block.masked ? Masked(stripped) : stripped);
  }
  size_t at = 0;
  for (const std::string& line : block.lines) {
    if (line == "...") continue;
    const std::string wanted = block.masked ? Masked(line) : line;
    while (at < said.size() && said[at] != wanted) ++at;
    ASSERT_LT(at, said.size()) << "the page shows\n  " << line
                               << "\nwhich is not, or not there, in\n"
                               << out;
    ++at;
  }
}

class CommandsTest : public ::testing::TestWithParam<const char*> {};

TEST_P(CommandsTest, DoWhatThePageShows) {
  const std::string docs = std::filesystem::path(Runfile("docs/BUILD")).parent_path().string();
  const std::vector<Command> commands = ReadCommands(Contents(absl::StrCat(docs, "/", GetParam())));
  ASSERT_GE(commands.size(), 6u);
  const std::string folder = NewFolder();
  std::filesystem::create_directory_symlink(
      std::filesystem::path(Runfile("testdata/configs")).parent_path(), folder + "/testdata");
  for (const Command& command : commands) {
    SCOPED_TRACE(command.text);
    // As many rows as the labs' real file has take too long here.
    const std::string fast =
        absl::StrReplaceAll(command.text, {{"dataset.rows=986810", "dataset.rows=2000"}});
    const CommandResult run = RunCommand(
        "/bin/sh", {"-c", absl::StrCat("ch() { \"$0\" \"$@\"; }\n", fast), Runfile("mase/ch")},
        folder);
    ASSERT_EQ(run.exit_code, 0) << run.err << run.out;
    for (const Block& block : command.blocks) ExpectShown(block, run.out);
    for (const Picture& picture : command.pictures) {
      EXPECT_EQ(Masked(Contents(absl::StrCat(docs, "/", picture.shown))),
                Masked(Contents(absl::StrCat(folder, "/", picture.made))))
          << picture.shown << " is stale: it is the file " << picture.made << " of this command";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Pages, CommandsTest, ::testing::Values("tour.md", "labs.md", "widths.md"),
                         [](const auto& page) {
                           const std::string name = page.param;
                           return name.substr(0, name.find('.'));
                         });

}  // namespace
}  // namespace mase
