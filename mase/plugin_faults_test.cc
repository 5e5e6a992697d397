// Plugins that go wrong, as users of the program meet them.
#include <filesystem>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"
#include "mase/plugin/testdata/fixtures.h"
#include "mase/testing/command.h"
#include "mase/testing/matchers.h"
#include "nlohmann/json.hpp"

namespace mase {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class PluginFaultsTest : public ::testing::Test {
 protected:
  // A transform by one pass of ./bad.so, into ./run.
  CommandResult Run(const std::string& pass, std::vector<std::string> flags = {}) {
    folder_ = NewFolder();
    FixtureIn(folder_, "bad");
    std::vector<std::string> words = {"transform",
                                      "jsc-tiny",
                                      "jsc-sim",
                                      "--set=dataset.rows=200",
                                      "--plugins=./bad.so",
                                      "--evaluate=false",
                                      "--run_dir=run",
                                      absl::StrCat("--set=passes.", pass, "={}")};
    words.insert(words.end(), flags.begin(), flags.end());
    return RunCommand("mase/ch", words, folder_);
  }

  nlohmann::json Summary() const {
    return nlohmann::json::parse(ValueOrDie(ReadFile(folder_ + "/run/summary.json", 1 << 24)));
  }

  // The run fails as `exit_code`, says `message`, and its summary that it crashed.
  void ExpectCrash(const CommandResult& run, int exit_code, const std::string& message) {
    EXPECT_EQ(run.exit_code, exit_code) << run.err;
    EXPECT_THAT(run.err, HasSubstr(message));
    const nlohmann::json summary = Summary();
    EXPECT_EQ(summary["status"], "crashed");
    EXPECT_THAT(summary["error"].get<std::string>(), HasSubstr(message.substr(0, 30)));
    EXPECT_THAT(run.out, Not(HasSubstr("Files written")));
  }

  std::string folder_;
};

TEST_F(PluginFaultsTest, APassThatEndsTheProgramIsNamedAndNoSuccess) {
  ExpectCrash(Run("exits"), 1, "pass exits of plugin bad called exit");
  ExpectCrash(Run("exits_at_once"), 1, "pass exits_at_once of plugin bad called _exit");
  ExpectCrash(Run("aborts"), 128 + 6,
              "pass aborts of plugin bad crashed: SIGABRT, it called abort or broke a check, last "
              "at node x");
  const CommandResult crashed = Run("crashes");
  ExpectCrash(crashed, 128 + 11, "pass crashes of plugin bad crashed: SIGSEGV, a memory access");
  EXPECT_THAT(crashed.err, HasSubstr("runs this pass again: transform --reproduce="));
#if !defined(__SANITIZE_ADDRESS__)  // Which finds it itself.
  // Abseil's check of an index, which is a trap.
  ExpectCrash(Run("uses_an_erased_node"), 128 + 4,
              "pass uses_an_erased_node of plugin bad crashed: SIGILL, no instruction of this "
              "machine, last at node output");
#endif
  ExpectCrash(Run("overflows"), 128 + 11,
              "pass overflows of plugin bad crashed: SIGSEGV, its stack overflowed");
  ExpectCrash(Run("hangs", {"--pass_timeout=1"}), 1,
              "pass hangs of plugin bad was not done after 1s (--pass_timeout)");
}

// Not a pass, but its plugin, while it is opened.
TEST_F(PluginFaultsTest, APluginThatEndsTheProgramIsRefused) {
  for (const auto& [name, exit_code, what] : std::vector<std::tuple<std::string, int, std::string>>{
           {"exits_registering", 4, "called exit"},
           {"exiting", 4, "called exit"},
           {"aborting", 128 + 6, "crashed: SIGABRT"}}) {
    folder_ = NewFolder();
    FixtureIn(folder_, name);
    const CommandResult run = RunCommand(
        "mase/ch", {"transform", "jsc-tiny", "jsc-sim", "--plugins=./" + name + ".so"}, folder_);
    EXPECT_EQ(run.exit_code, exit_code) << run.err;
    EXPECT_THAT(run.err,
                HasSubstr(absl::StrCat("/", name, ".so refused: while it was opened it ", what)));
    EXPECT_EQ(run.out.find("Files written"), std::string::npos);
  }
}

TEST_F(PluginFaultsTest, InAProcessOfItsOwnItFailsAlone) {
  const auto isolated = [this](const std::string& pass, std::vector<std::string> flags = {}) {
    flags.push_back("--isolation=process");
    return Run(pass, flags);
  };
  ExpectCrash(isolated("exits"), 1, "exits: of plugin bad called exit");
  EXPECT_EQ(Summary()["passes"].size(), 0);
  EXPECT_THAT(Summary()["artifacts"].dump(), HasSubstr("summary.json"));
  ExpectCrash(isolated("crashes"), 1, "crashes: of plugin bad crashed: SIGSEGV");
  ExpectCrash(isolated("hangs", {"--pass_timeout=2"}), 1,
              "hangs: of plugin bad was not done after");
  const CommandResult well = isolated("renames");
  EXPECT_EQ(well.exit_code, 0) << well.err;
}

TEST_F(PluginFaultsTest, TheFloatingPointStateIsKept) {
  const std::vector<std::string> measured = {"--evaluate=true"};
  const CommandResult rounded = Run("rounds_up", measured);
  EXPECT_EQ(rounded.exit_code, 0) << rounded.err;
  const auto metrics = Summary()["metrics"];
  std::vector<double> losses;
  for (const auto& metric : metrics) {
    if (metric["name"] == "loss") losses.push_back(metric["value"]);
  }
  ASSERT_EQ(losses.size(), 2);
  EXPECT_EQ(losses[0], losses[1]) << "measured before and after the pass";
}

TEST_F(PluginFaultsTest, WhatAPassWritesToStdoutIsAWarning) {
  const std::string warning = "shouts: it wrote to stdout: 'stray words\\n'";
  const CommandResult run = Run("shouts", {"--set=passes.report_node_type={}"});
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(Summary()["warnings"].dump(), HasSubstr("shouts: it wrote to stdout: 'stray words"));
  EXPECT_THAT(run.err, HasSubstr(warning));
  EXPECT_THAT(run.out, AllOf(Not(HasSubstr("stray words")), HasSubstr("seq_blocks_2")))
      << "what the program says of passes is where it was";
  const CommandResult json = Run("shouts", {"--json"});
  EXPECT_EQ(json.exit_code, 0) << json.err;
  EXPECT_TRUE(nlohmann::json::accept(json.out)) << json.out;
  // What it said before it ended the program is not lost.
  const CommandResult dying = Run("shouts_and_crashes");
  EXPECT_EQ(dying.exit_code, 128 + 11) << dying.err;
  EXPECT_THAT(dying.err, HasSubstr("stray words\npass shouts_and_crashes of plugin bad crashed"));
}

TEST_F(PluginFaultsTest, MistakesOfPassesSayWhoMadeThem) {
  const CommandResult record = Run("records_no_format");
  EXPECT_EQ(record.exit_code, 1);
  EXPECT_THAT(record.err, HasSubstr("a quantization record without a format"));
  const CommandResult null = Run("created_as_null");
  EXPECT_EQ(null.exit_code, 1);
  EXPECT_THAT(null.err, HasSubstr("pass created_as_null of plugin bad was created as null"));
  const CommandResult number = Run("created_by_throwing");
  EXPECT_EQ(number.exit_code, 1);
  EXPECT_THAT(number.err, HasSubstr("of plugin bad threw something"));
  const CommandResult needs = Run("needs_nobody");
  EXPECT_EQ(needs.exit_code, 2);
  EXPECT_THAT(needs.err, HasSubstr("pass needs_nobody of plugin bad needs 'nobody': no pass"));
}

TEST_F(PluginFaultsTest, WhatAPassDoesWrongIsNoSuccess) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"throws", "throws: of plugin bad threw: no luck"},
      {"throws_number", "throws_number: of plugin bad threw something"},
      {"hides_a_change", "changed the graph, but says that it did not"},
      {"claims_a_change", "says that it changed the graph, but nothing"},
      {"makes_a_circle", "makes_a_circle: left a broken graph: "},
      {"erases_the_output", "erases_the_output: "},
  };
  for (const auto& [pass, message] : cases) {
    const CommandResult run = Run(pass);
    EXPECT_EQ(run.exit_code, 1) << pass;
    EXPECT_THAT(run.err, HasSubstr(message));
    EXPECT_FALSE(std::filesystem::exists(folder_ + "/run/transformed.safetensors")) << pass;
  }
}

// The file of "FILE runs this pass again", relative to the folder.
std::string ReproducerOf(const CommandResult& run) {
  constexpr char kFlag[] = "--reproduce=";
  const size_t begin = run.err.find(kFlag);
  if (begin == std::string::npos) return "";
  const size_t path = begin + sizeof(kFlag) - 1;
  return run.err.substr(path, run.err.find_first_of(" \n", path) - path);
}

TEST_F(PluginFaultsTest, APassThatIsRunAgainIsTheSameOneAndAsConfined) {
  const std::string reproducer = ReproducerOf(Run("throws", {"--isolation=process"}));
  ASSERT_NE(reproducer, "");
  const auto again = [&](std::vector<std::string> flags) {
    std::vector<std::string> words = {"transform", "--reproduce=" + reproducer};
    words.insert(words.end(), flags.begin(), flags.end());
    return RunCommand("mase/ch", words, folder_);
  };
  const CommandResult same = again({"--isolation=none"});
  EXPECT_EQ(same.exit_code, 1) << same.err;
  EXPECT_THAT(same.err, HasSubstr("threw: no luck"));
  const CommandResult outside = again({"--plugin_dirs=/usr/lib"});
  EXPECT_EQ(outside.exit_code, 4) << outside.err;
  EXPECT_THAT(outside.err, HasSubstr("and plugins must lie in /usr/lib (plugin_dirs)"));
}

// Whoever gets it need not have the checkpoint of the run.
TEST_F(PluginFaultsTest, AReproducerHasTheNetInIt) {
  ASSERT_EQ(Run("renames").exit_code, 0);
  const std::string net = "run/transformed.safetensors";
  const CommandResult failed =
      RunCommand("mase/ch",
                 {"transform", "--load=" + net, "--dataset=jsc-sim", "--set=dataset.rows=200",
                  "--plugins=./bad.so", "--evaluate=false", "--set=passes.throws={}"},
                 folder_);
  const std::string reproducer = ReproducerOf(failed);
  ASSERT_NE(reproducer, "") << failed.err;
  std::filesystem::remove(folder_ + "/" + net);
  const CommandResult again =
      RunCommand("mase/ch", {"transform", "--reproduce=" + reproducer}, folder_);
  EXPECT_EQ(again.exit_code, 1) << again.err;
  EXPECT_THAT(again.err, AllOf(HasSubstr("there are no data for the pass: "), HasSubstr(net),
                               HasSubstr("throws: of plugin bad threw: no luck")));
}

TEST_F(PluginFaultsTest, ATrainingGoesOnWithItsPluginsAndAsConfined) {
  folder_ = NewFolder();
  FixtureIn(folder_, "bad");
  const auto train = [this](std::vector<std::string> words) {
    words.insert(words.begin(), "train");
    return RunCommand("mase/ch", words, folder_);
  };
  const CommandResult first = train(
      {"jsc-tiny", "jsc-sim", "--set=dataset.rows=200", "--plugins=./bad.so", "--isolation=process",
       "--pass_timeout=60", "--set=passes.renames={}", "--max_epochs=1", "--run_dir=run"});
  ASSERT_EQ(first.exit_code, 0) << first.err;
  const CommandResult on =
      train({"--resume=run", "--max_epochs=2", "--isolation=none", "--pass_timeout=600"});
  EXPECT_EQ(on.exit_code, 0) << on.err;
  EXPECT_THAT(ValueOrDie(ReadFile(folder_ + "/run/settings.textproto", 1 << 20)),
              AllOf(HasSubstr("/bad.so\""), HasSubstr("isolation: \"process\""),
                    HasSubstr("pass_timeout: 60\n")));
  std::filesystem::remove(folder_ + "/bad.so");
  std::filesystem::copy_file(TinyFixture("no_entry"), folder_ + "/bad.so");
  const CommandResult other = train({"--resume=run", "--max_epochs=3"});
  EXPECT_EQ(other.exit_code, 4);
  EXPECT_THAT(other.err, HasSubstr("bad.so refused: its SHA-256 is "));
}

TEST_F(PluginFaultsTest, ListingsAndChecksOpenWhatRunsWould) {
  folder_ = NewFolder();
  FixtureIn(folder_, "good");
  const std::vector<std::vector<std::string>> commands = {
      {"plugins", "list", "./good.so", "--plugin_dirs=/usr/lib"},
      {"plugins", "check", "./good.so", "--plugin_dirs=/usr/lib"},
      {"formats", "list", "--plugins=./good.so", "--plugin_dirs=/usr/lib"},
      {"transform", "--list_passes", "--plugins=./good.so", "--plugin_dirs=/usr/lib"},
  };
  for (const std::vector<std::string>& words : commands) {
    const CommandResult run = RunCommand("mase/ch", words, folder_);
    EXPECT_EQ(run.exit_code, 4) << words[0] << run.err;
    EXPECT_THAT(run.err, HasSubstr("and plugins must lie in /usr/lib (plugin_dirs)"));
  }
  const CommandResult check =
      RunCommand("mase/ch", {"plugins", "check", "./good.so", "--isolation=process"}, folder_);
  EXPECT_EQ(check.exit_code, 0) << check.out << check.err;
  EXPECT_THAT(check.out, HasSubstr(" passed, 0 failed"));
}

TEST_F(PluginFaultsTest, PluginsArePartOfTheSettings) {
  const CommandResult first = Run("renames");
  ASSERT_EQ(first.exit_code, 0) << first.err;
  const std::string settings = ValueOrDie(ReadFile(folder_ + "/run/settings.textproto", 1 << 20));
  EXPECT_THAT(settings, AllOf(HasSubstr("/bad.so\""), HasSubstr("sha256: \"")));
  const auto again = [this](const std::string& name) {
    return RunCommand(
        "mase/ch", {"transform", "--config=run/settings.textproto", "--run_dir=" + name}, folder_);
  };
  EXPECT_EQ(again("second").exit_code, 0);
  EXPECT_EQ(ValueOrDie(ReadFile(folder_ + "/second/transformed.safetensors", 1 << 20)),
            ValueOrDie(ReadFile(folder_ + "/run/transformed.safetensors", 1 << 20)));

  std::filesystem::remove(folder_ + "/bad.so");
  std::filesystem::copy_file(TinyFixture("no_entry"), folder_ + "/bad.so");
  const CommandResult other = again("third");
  EXPECT_EQ(other.exit_code, 4);
  EXPECT_THAT(other.err, AllOf(HasSubstr("bad.so refused: its SHA-256 is "),
                               HasSubstr("and the settings want ")));
}

TEST_F(PluginFaultsTest, EveryPluginsFlagCounts) {
  const std::string other = FixtureIn(NewFolder(), "good");
  const CommandResult run = Run("fixture_pass", {"--plugins=" + other, "--set=passes.renames={}"});
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(Summary()["passes"].size(), 2);
}

TEST_F(PluginFaultsTest, NothingIsOpenedFromTheWorkingDirectoryByChance) {
  const CommandResult run = Run("renames", {"--plugins=bad.so"});
  EXPECT_EQ(run.exit_code, 4);
  EXPECT_THAT(run.err, HasSubstr("plugin 'bad.so' refused: it is named without its folder; write "
                                 "./bad.so"));
}

TEST_F(PluginFaultsTest, SettingsMayNamePluginsAndTheFlagWhereTheyMayLie) {
  folder_ = NewFolder();
  FixtureIn(folder_, "bad");
  ASSERT_OK(WriteFileAtomically(folder_ + "/my.toml",
                                "model = \"jsc-tiny\"\ndataset = \"jsc-sim\"\n"
                                "plugins = [\"bad.so\"]\nisolation = \"process\"\n"
                                "[evaluation]\nenabled = false\n[passes.renames]\n"));
  const CommandResult run =
      RunCommand("mase/ch", {"transform", "--config=my.toml", "--run_dir=run"}, folder_);
  EXPECT_EQ(run.exit_code, 0) << run.err;
  const CommandResult refused = RunCommand(
      "mase/ch", {"transform", "--config=my.toml", "--run_dir=no", "--plugin_dirs=/usr/lib"},
      folder_);
  EXPECT_EQ(refused.exit_code, 4);
  EXPECT_THAT(refused.err, HasSubstr("and plugins must lie in /usr/lib (plugin_dirs)"));
}

}  // namespace
}  // namespace mase
