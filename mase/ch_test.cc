// The one program, as its users run it.
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"
#include "mase/base/runfiles.h"
#include "mase/testing/command.h"
#include "mase/testing/matchers.h"
#include "mase/testing/pseudo_terminal.h"
#include "nlohmann/json.hpp"

namespace mase {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

CommandResult Ch(const std::vector<std::string>& words) {
  return RunCommand("mase/ch", words, NewFolder());
}

std::string Config() {
  return absl::StrCat("--config=", Runfile("testdata/configs/jsc_tiny_integer.toml"));
}

void ExpectFits80Columns(const std::string& text) {
  for (const absl::string_view line : absl::StrSplit(text, '\n'))
    EXPECT_LE(line.size(), 80) << line;
}

TEST(ChTest, HelpListsEveryAction) {
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{}, {"help"}, {"--help"}, {"-h"}}) {
    const CommandResult help = Ch(words);
    EXPECT_EQ(help.exit_code, 0) << help.err;
    for (const char* action :
         {"transform", "train", "test", "explain", "formats", "passes", "models", "datasets",
          "sweep", "report", "compare", "plot", "completion", "version", "help"}) {
      EXPECT_THAT(help.out, ContainsRegex(absl::StrCat("\n  ", action, " +[a-z]")));
    }
    ExpectFits80Columns(help.out);
  }
  EXPECT_THAT(Ch({"help", "test"}).out,
              AllOf(HasSubstr("Usage: ch test [MODEL]"), HasSubstr("--predictions VALUE")));
  EXPECT_THAT(Ch({"help", "transform"}).out,
              AllOf(HasSubstr("--print-after VALUE"), Not(HasSubstr("--predictions"))));
  EXPECT_THAT(Ch({"help", "formats"}).out, HasSubstr("number formats"));
  EXPECT_THAT(Ch({"help", "profile"}).out,
              AllOf(HasSubstr("profile: statistics of weights and activations\n"),
                    HasSubstr("  ch profile --config=testdata/configs/jsc_tiny_integer.toml\n")));
}

TEST(ChTest, ASavedNetGivenAsAModelIsToldHowToLoadIt) {
  const std::string net = Runfile("testdata/checkpoints/jsc-tiny.safetensors");
  const CommandResult info = Ch({"info", net});
  EXPECT_EQ(info.exit_code, 2) << info.out;
  EXPECT_THAT(info.err, AllOf(HasSubstr("is a file; a saved net is read by"),
                              HasSubstr(absl::StrCat("--load=", net))));
}

// In a pipe a line may be no longer than that of the smallest terminal.
TEST(ChTest, NoTableIsWiderThan80Columns) {
  const std::string calibrated =
      absl::StrCat("--config=", Runfile("testdata/configs/jsc_s_calibrated.toml"));
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"models"},
        {"datasets"},
        {"passes"},
        {"formats", "list"},
        {"transform", "--list_passes"},
        {"help", "train"},
        {"help", "test"},
        {"help", "transform"},
        {"help", "sweep"},
        {"help", "info"},
        {"help", "explain"},
        {"help", "diff"},
        {"help", "report"},
        {"help", "plot"},
        {"help", "compare"},
        {"help", "formats"},
        {"formats", "describe", "mxfp"},
        {"explain", Config(), "--set=passes.quantize.linear.config.weight_frac_width=3"},
        {"explain", calibrated, "--set=passes.profile_statistics.num_samples=5"},
        {"transform", Config(), "--verbose", "--timing", "--run_dir=run"},
        {"transform", calibrated, "--calibrate=compare", "--run_dir=run"}}) {
    const CommandResult run = Ch(words);
    ASSERT_EQ(run.exit_code, 0) << run.err;
    std::string tables;  // Without the line that names a folder.
    for (const absl::string_view line : absl::StrSplit(run.out, '\n')) {
      const bool exempt =
          absl::StartsWith(line, "Files written to ") || absl::StrContains(line, ".toml is /");
      if (!exempt) absl::StrAppend(&tables, line, "\n");
    }
    ExpectFits80Columns(tables);
  }
}

// What the program writes to a terminal of that width, with NO_COLOR set so.
std::string OnTerminal(const std::vector<std::string>& words, uint16_t columns,
                       const char* no_color) {
  const std::string program = Runfile("mase/ch"), folder = NewFolder();
  winsize size = {};
  size.ws_row = 50;
  size.ws_col = columns;
  int terminal = -1;
  const pid_t child = forkpty(&terminal, nullptr, nullptr, &size);
  if (child == 0) {
    if (chdir(folder.c_str()) != 0) _exit(1);
    setenv("NO_COLOR", no_color, 1);
    std::vector<char*> arguments = {const_cast<char*>(program.c_str())};
    for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    execv(program.c_str(), arguments.data());
    _exit(1);
  }
  EXPECT_GT(child, 0);
  std::string out;
  char buffer[4096];
  for (ssize_t n; (n = read(terminal, buffer, sizeof(buffer))) > 0;) out.append(buffer, n);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0) << out;
  close(terminal);
  return out;
}

TEST(ChTest, TablesHaveTheWidthOfTheTerminal) {
  if (!PseudoTerminal(80).exists()) GTEST_SKIP() << "this machine has no pseudo-terminals";
  size_t longest = 0;
  const std::string narrow = OnTerminal({"models"}, 60, "1");
  for (const absl::string_view line : absl::StrSplit(narrow, "\r\n")) {
    if (line.empty()) break;  // The table ends.
    EXPECT_LE(line.size(), 60) << line;
  }
  const std::string wide = OnTerminal({"models"}, 150, "1");
  for (const absl::string_view line : absl::StrSplit(wide, "\r\n")) {
    longest = std::max(longest, line.size());
  }
  EXPECT_GT(longest, 80);
}

TEST(ChTest, ColoursAreForTerminalsWithoutNoColor) {
  if (!PseudoTerminal(80).exists()) GTEST_SKIP() << "this machine has no pseudo-terminals";
  const std::vector<std::string> words = {"transform", Config(), "--seed=3", "--run_dir=run"};
  EXPECT_THAT(OnTerminal(words, 80, ""),
              AllOf(HasSubstr("\033[32mINFO"), HasSubstr("\033[38;5;8m")));
  EXPECT_THAT(OnTerminal(words, 80, "1"), Not(HasSubstr("\033[3")));
  EXPECT_THAT(Ch(words).err, Not(HasSubstr("\033")));
}

TEST(ChTest, JsonIsOneDocumentOnStdoutAndAllElseIsOnStderr) {
  const CommandResult run = Ch({"transform", Config(), "--json", "--run_dir=run"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const nlohmann::json document = nlohmann::json::parse(run.out);
  EXPECT_EQ(document["status"], "ok");
  EXPECT_EQ(document["passes"][1]["tables"][0]["rows"][2][2], "quantized");
  EXPECT_THAT(run.err, HasSubstr("| accuracy |"));
  EXPECT_EQ(nlohmann::json::parse(Ch({"models", "--json"}).out)["columns"][0]["name"], "Model");
  EXPECT_EQ(Ch({"passes", "describe", "quantize", "--json"}).exit_code, 2);
  // Of what is no run, too.
  const auto parse = [](const std::vector<std::string>& words) {
    const CommandResult said = Ch(words);
    EXPECT_EQ(said.exit_code, 0) << said.err;
    return nlohmann::json::parse(said.out);
  };
  const nlohmann::json explained = parse({"explain", Config(), "--json", "--seed=3"});
  EXPECT_EQ(explained["action"], "transform");
  EXPECT_EQ(explained["passes"][1]["pass"], "quantize");
  const nlohmann::json node = explained["passes"][1]["nodes"][2];
  EXPECT_EQ(node["node"], "seq_blocks_2");
  EXPECT_EQ(node["settings"][1]["setting"], "passes.quantize.linear.config.bias.width");
  EXPECT_THAT(std::string(node["settings"][1]["from"]), HasSubstr("jsc_tiny_integer.toml:21:"));
  EXPECT_EQ(explained["settings"].back()["setting"], "seed");
  EXPECT_EQ(parse({"test", "a", "b", "--dry_run", "--json"})["settings"][1]["value"], "a");
  EXPECT_EQ(parse({"sweep", "train", "jsc-tiny", "jsc-sim", "--sweep=seed=1,2", "--dry_run",
                   "--json"})["points"][1]["settings"]["seed"],
            2);
  EXPECT_EQ(parse({"transform", "--list_passes", "--json"})["columns"][0]["name"], "Pass");
  EXPECT_EQ(parse({"formats", "list", "--json"})["columns"][0]["name"], "family");
  EXPECT_EQ(parse({"formats", "describe", "integer 8/4", "--json"})["bits"], 8);
  EXPECT_EQ(parse({"formats", "table", "integer 2/0", "--json"})["rows"].size(), 4u);
  // Also of a run that fails.
  const CommandResult failed = Ch({"train", "jsc-tinny", "jsc-sim", "--json"});
  EXPECT_EQ(failed.exit_code, 2);
  EXPECT_EQ(nlohmann::json::parse(failed.out)["status"], "failed");
  EXPECT_THAT(failed.err, HasSubstr("did you mean 'jsc-tiny'?"));
}

TEST(ChTest, QuietPrintsWarningsAlone) {
  const CommandResult run = Ch({"transform", Config(), "--quiet", "--run_dir=run"});
  EXPECT_EQ(run.exit_code, 0);
  EXPECT_EQ(run.out, "");
  EXPECT_THAT(run.err, Not(HasSubstr("INFO")));
}

TEST(ChTest, OnlySettingsOtherThanTheDefaultsAreShown) {
  const std::vector<std::string> words = {"train", "jsc-tiny", "jsc-sim", "--seed=3", "--dry_run"};
  const CommandResult few = Ch(words);
  EXPECT_THAT(few.out, AllOf(HasSubstr("Settings other than the defaults\n"),
                             ContainsRegex("\nseed +0 +3 +3\n"), Not(HasSubstr("weight_decay"))));
  std::vector<std::string> all = words;
  all.push_back("--verbose");
  EXPECT_THAT(Ch(all).out, HasSubstr("\nweight_decay "));
}

TEST(ChTest, WhatAFullDiskSwallowsIsNoSuccess) {
  for (const char* words : {"models", "help", "version", "passes", "formats list"}) {
    const std::string command =
        absl::StrCat(Runfile("mase/ch"), " ", words, " > /dev/full 2> /dev/null");
    EXPECT_EQ(WEXITSTATUS(std::system(command.c_str())), 1) << words;
  }
}

TEST(ChTest, AWordThatIsNoActionIsNamedWithTheNearest) {
  const CommandResult unknown = Ch({"tarnsform"});
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_THAT(unknown.err, HasSubstr("no action 'tarnsform'; did you mean 'transform'?"));
  EXPECT_EQ(Ch({"help", "tarnsform"}).exit_code, 2);
  EXPECT_EQ(Ch({"passes", "explain"}).exit_code, 2);
  EXPECT_EQ(Ch({"models", "jsc"}).exit_code, 2);
}

TEST(ChTest, ATransformIsTheSameByBothNames) {
  const std::string folder = NewFolder();
  const CommandResult one = RunCommand("mase/ch", {"transform", Config(), "--run_dir=one"}, folder);
  const CommandResult other = RunCommand("mase/transform", {Config(), "--run_dir=other"}, folder);
  EXPECT_EQ(one.exit_code, 0) << one.err;
  EXPECT_EQ(other.exit_code, 0) << other.err;
  const auto read = [&](const std::string& name) {
    return ValueOrDie(ReadFile(absl::StrCat(folder, "/", name), 1 << 20));
  };
  EXPECT_EQ(read("one/transformed.safetensors"), read("other/transformed.safetensors"));
  EXPECT_EQ(read("one/quantize/quantize_table.csv"), read("other/quantize/quantize_table.csv"));
}

TEST(ChTest, VersionSaysWhatItIsMadeOf) {
  for (const char* word : {"version", "--version", "-V"}) {
    const CommandResult version = Ch({word});
    EXPECT_EQ(version.exit_code, 0);
    EXPECT_THAT(
        version.out,
        AllOf(ContainsRegex("mase +[0-9]+\\.[0-9]+"), ContainsRegex("revision +[a-z0-9]"),
              ContainsRegex("compiler +gcc "), ContainsRegex("oneDNN +[0-9]+\\.[0-9]+\\.[0-9]+"),
              ContainsRegex("instruction set +[A-Za-z]")));
  }
}

TEST(ChTest, AnInstructionSetCanBeAskedForAndOneThatIsNoneIsRefused) {
  const auto with = [](const std::string& limit, const std::vector<std::string>& words) {
    std::vector<std::string> all = {absl::StrCat("MASE_MAX_CPU_ISA=", limit), Runfile("mase/ch")};
    all.insert(all.end(), words.begin(), words.end());
    return RunCommand("/usr/bin/env", all, NewFolder());
  };
  EXPECT_THAT(with("SSE2", {"version"}).out, ContainsRegex("instruction set +SSE2, on codes SSE2"));
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"version"}, {"transform", Config()}}) {
    const CommandResult refused = with("AVX3", words);
    EXPECT_EQ(refused.exit_code, 2);
    EXPECT_THAT(refused.err, HasSubstr("MASE_MAX_CPU_ISA is 'AVX3', want one of SSE2, AVX2"));
  }
}

TEST(ChTest, PassesAreListedAndDescribedFromTheirComments) {
  const CommandResult list = Ch({"passes"});
  EXPECT_THAT(list.out, ContainsRegex("\nquantize +transform +Gives nodes a number format"));
  ExpectFits80Columns(list.out);
  const CommandResult manual = Ch({"passes", "describe", "calibrate_transform_pass"});
  EXPECT_EQ(manual.exit_code, 0) << manual.err;
  EXPECT_THAT(manual.out,
              AllOf(HasSubstr("[passes.calibrate]\n"),
                    HasSubstr("method: mse | minmax | moving_average | percentile"),
                    HasSubstr("default mse"),
                    HasSubstr("percentile: number; above 0 and at most 100; default 99.99\n"
                              "      For method percentile, (0, 100]: the share of the values")));
  EXPECT_THAT(Ch({"passes", "describe", "quantize"}).out,
              AllOf(HasSubstr("rules: every other table is a QuantizeRule"),
                    HasSubstr("\nQuantizeConfig\n"), HasSubstr("FormatParameters")));
  EXPECT_THAT(Ch({"passes", "describe", "init_metadata"}).out, HasSubstr("It has no options."));
  const CommandResult unknown = Ch({"passes", "describe", "quantice"});
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_THAT(unknown.err, HasSubstr("did you mean 'quantize'?"));
}

TEST(ChTest, ModelsAndDataSetsAreListed) {
  EXPECT_THAT(Ch({"models"}).out, ContainsRegex("\njsc-tiny +jet substructure +BN, ReLU"));
  EXPECT_THAT(Ch({"datasets"}).out, ContainsRegex("\njsc "));
}

TEST(ChTest, CompletionsOfBashComplete) {
  const std::string folder = NewFolder();
  const CommandResult script = Ch({"completion", "bash"});
  ASSERT_EQ(script.exit_code, 0) << script.err;
  ASSERT_OK(WriteFileAtomically(folder + "/ch.bash", script.out));
  const auto complete = [&](const std::string& words, int at) {
    const std::string command =
        absl::StrCat("bash -c 'source ", folder, "/ch.bash; COMP_WORDS=(", words,
                     "); COMP_CWORD=", at, "; _ch; echo ${COMPREPLY[*]} > ", folder, "/out'");
    EXPECT_EQ(std::system(command.c_str()), 0);
    return ValueOrDie(ReadFile(folder + "/out", 1 << 20));
  };
  EXPECT_EQ(complete("ch tr", 1), "transform train\n");
  EXPECT_EQ(complete("ch pro", 1), "profile\n");
  EXPECT_EQ(complete("ch export q", 2), "qdq qoperator qonnx\n");
  EXPECT_EQ(complete("ch train --max-ep", 2), "--max-epochs\n");
  EXPECT_EQ(complete("ch transform --max-p", 2), "--max-passes\n");
  EXPECT_EQ(complete("ch export --dry", 2), "--dry-run\n");
  EXPECT_EQ(complete("ch test --predi", 2), "--predictions\n");
  EXPECT_THAT(complete("ch train jsc-t", 2), HasSubstr("jsc-tiny"));
  EXPECT_EQ(complete("ch passes describe quan", 3), "quantize\n");
  EXPECT_THAT(Ch({"completion", "zsh"}).out,
              AllOf(StartsWith("#compdef ch\n"), Not(HasSubstr("mapfile"))));
  EXPECT_EQ(Ch({"completion", "fish"}).exit_code, 2);
  EXPECT_THAT(Ch({"help", "completion"}).out, HasSubstr("source <(ch completion bash)"));
}

TEST(ChTest, ExplainSaysWhichLineDecidedForWhichNodeAndWritesNothing) {
  const std::string folder = NewFolder();
  const std::vector<std::string> flags = {Config(), "--set",
                                          "passes.quantize.linear.config.weight_width=6"};
  std::vector<std::string> words = {"explain"};
  words.insert(words.end(), flags.begin(), flags.end());
  const CommandResult explained = RunCommand("mase/ch", words, folder);
  EXPECT_EQ(explained.exit_code, 0) << explained.err;
  EXPECT_THAT(
      explained.out,
      AllOf(ContainsRegex("seq_blocks_2 \\(linear\\) quantized: integer data_in 8/4, weight 6/"),
            ContainsRegex("passes.quantize.linear.config.name = integer +.*toml:[0-9]+:[0-9]+\n"),
            ContainsRegex("linear.config.weight.width = 6 +--set\n"),
            ContainsRegex("seq_blocks_1 \\(relu\\) unchanged: ")));
  EXPECT_TRUE(std::filesystem::is_empty(folder));

  words = {"transform", "--dry_run"};
  words.insert(words.end(), flags.begin(), flags.end());
  EXPECT_EQ(RunCommand("mase/ch", words, folder).out, explained.out);
  EXPECT_TRUE(std::filesystem::is_empty(folder));
}

TEST(ChTest, InstrumentsHaveFlags) {
  const std::string folder = NewFolder();
  const CommandResult run =
      RunCommand("mase/ch",
                 {"transform", Config(), "--timing", "--verify_each", "--print_after=quantize",
                  "--max-passes=2", "--run_dir=run"},
                 folder);
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, AllOf(HasSubstr("# After quantize:\ngraph jsc-tiny\nx = placeholder()"),
                             HasSubstr("  quantized integer class Integer\n"),
                             HasSubstr("max_passes: the last pass was quantize"),
                             ContainsRegex("\nquantize +[0-9.]+ ")));
}

}  // namespace
}  // namespace mase
