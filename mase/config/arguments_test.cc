#include "mase/config/arguments.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace mase {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;

const std::vector<ProcessFlag>& ProcessFlags() {
  static const auto* const flags = new std::vector<ProcessFlag>{
      {"plugins", false, "More plugins."}, {"help", true, "Help."}, {"version", true, "Version."}};
  return *flags;
}

absl::StatusOr<Arguments> Parse(const std::vector<std::string>& args) {
  return ParseArguments(args, ProcessFlags());
}

std::vector<std::string> Settings(const std::vector<std::string>& args) {
  std::vector<std::string> shown;
  const absl::StatusOr<Arguments> parsed = Parse(args);
  if (!parsed.ok()) return {std::string(parsed.status().message())};
  for (const Arguments::Setting& given : parsed->settings) {
    shown.push_back(absl::StrCat(given.flag, " ", given.key, "=", given.text));
  }
  return shown;
}

TEST(ArgumentsTest, PositionalsAndFlagsMixFreely) {
  const Arguments parsed =
      Parse({"jsc-tiny", "--max-epochs", "10", "jsc", "--config=a.toml", "--debug"}).value();
  EXPECT_THAT(parsed.positionals, ElementsAre("jsc-tiny", "jsc"));
  EXPECT_EQ(parsed.config, "a.toml");
  ASSERT_EQ(parsed.settings.size(), 2u);
  EXPECT_EQ(parsed.settings[0].key, "max_epochs");
  EXPECT_EQ(parsed.settings[0].text, "10");
}

TEST(ArgumentsTest, DashesAndUnderscoresAreOne) {
  EXPECT_THAT(Settings({"--batch-size", "8"}), ElementsAre("--batch-size batch_size=8"));
  EXPECT_THAT(Settings({"--batch_size=8"}), ElementsAre("--batch_size batch_size=8"));
}

TEST(ArgumentsTest, TakesMasesFlagNames) {
  EXPECT_THAT(Settings({"--load", "a.ckpt", "--load-type=pl", "--cpu=0", "--num-workers", "2",
                        "--model", "m", "--dataset", "d", "--project-dir", "p", "--gpu=1"}),
              ElementsAre("--load load=a.ckpt", "--load-type load_type=pl", "--cpu cpu=0",
                          "--num-workers num_workers=2", "--model model=m", "--dataset dataset=d",
                          "--project-dir project_dir=p", "--gpu gpu=1"));
}

TEST(ArgumentsTest, FlagsOfPassOptionsStandForTheirPath) {
  EXPECT_THAT(Settings({"--calibrate", "compare"}),
              ElementsAre("--calibrate passes.calibrate.method=compare"));
  EXPECT_THAT(FlagHelp(ProcessFlags()), HasSubstr("--calibrate VALUE"));
}

TEST(ArgumentsTest, SwitchesTakeNoNextArgument) {
  const Arguments parsed = Parse({"--debug", "jsc-tiny", "--shuffle=false"}).value();
  EXPECT_THAT(parsed.positionals, ElementsAre("jsc-tiny"));
  EXPECT_EQ(parsed.settings[0].text, "true");
  EXPECT_EQ(parsed.settings[1].text, "false");
}

// It would be taken for MODEL or DATASET.
TEST(ArgumentsTest, AWordBehindASwitchThatIsAValueOfItIsRefused) {
  EXPECT_THAT(Settings({"jsc-s", "jsc", "--require_int8", "all"}),
              ElementsAre("--require_int8 all: a value stands behind '=' here, as in "
                          "--require_int8=all; a word of its own goes before the flag"));
  EXPECT_THAT(Settings({"--debug", "false"}), ElementsAre(HasSubstr("as in --debug=false")));
  EXPECT_THAT(Settings({"--version", "true"}), ElementsAre(HasSubstr("as in --version=true")));
  EXPECT_THAT(Parse({"all", "--require_int8", "jsc"})->positionals, ElementsAre("all", "jsc"));
  EXPECT_THAT(Parse({"--require_int8=all", "all"})->positionals, ElementsAre("all"));
  EXPECT_THAT(Parse({"--require_int8", "--", "all"})->positionals, ElementsAre("all"));
}

TEST(ArgumentsTest, AValueMayStartWithADash) {
  EXPECT_THAT(Settings({"--max-steps", "-1"}), ElementsAre("--max-steps max_steps=-1"));
}

TEST(ArgumentsTest, GivesProcessFlagsBack) {
  const Arguments parsed =
      Parse({"--plugins=a.so,b.so", "-h", "-V", "--set", "a=1", "--set=b.c=2"}).value();
  EXPECT_THAT(parsed.process, ElementsAre(Pair("plugins", "a.so,b.so"), Pair("help", "true"),
                                          Pair("version", "true")));
  EXPECT_THAT(parsed.sets, ElementsAre("a=1", "b.c=2"));
}

TEST(ArgumentsTest, TwoDashesEndTheFlags) {
  EXPECT_THAT(Parse({"--", "--debug", "-"})->positionals, ElementsAre("--debug", "-"));
}

TEST(ArgumentsTest, FlagsWithoutMeaningHereAreNoted) {
  const Arguments parsed =
      Parse({"--report-to", "wandb", "--pretrained", "jsc-tiny", "--auto-requeue"}).value();
  EXPECT_THAT(parsed.positionals, ElementsAre("jsc-tiny"));
  EXPECT_THAT(parsed.settings, IsEmpty());
  EXPECT_THAT(parsed.notes, ElementsAre(HasSubstr("--report-to has no effect: "),
                                        HasSubstr("--pretrained has no effect: "),
                                        HasSubstr("--auto-requeue has no effect: ")));
}

TEST(ArgumentsTest, AnUnknownFlagIsNamedWithTheNearestOne) {
  EXPECT_THAT(Settings({"--max-epoch", "3"}),
              ElementsAre("unknown flag --max-epoch; did you mean '--max-epochs'?"));
  EXPECT_THAT(Settings({"--batch_sise=3"}),
              ElementsAre("unknown flag --batch_sise; did you mean '--batch_size'?"));
  EXPECT_THAT(Settings({"--plugin=3"}),
              ElementsAre("unknown flag --plugin; did you mean '--plugins'?"));
  EXPECT_THAT(Settings({"--max-ep=3"}),
              ElementsAre("unknown flag --max-ep; did you mean '--max-epochs'?"));
  const std::pair<const char*, const char*> elsewhere[] = {
      {"--lr", "--learning-rate"}, {"--epochs", "--max-epochs"}, {"--bs", "--batch-size"}};
  for (const auto& [theirs, ours] : elsewhere) {
    EXPECT_THAT(Settings({theirs, "1"}), ElementsAre(std::string("unknown flag ") + theirs +
                                                     "; did you mean '" + ours + "'?"));
  }
  EXPECT_THAT(Settings({"--zzzzzzz"}), ElementsAre("unknown flag --zzzzzzz"));
  EXPECT_THAT(Settings({"-seed=1"}), ElementsAre(HasSubstr("unknown flag -seed")));
  EXPECT_THAT(Settings({"--passes=1"}), ElementsAre(HasSubstr("unknown flag --passes")));
  EXPECT_THAT(Settings({"--=1"}), ElementsAre(HasSubstr("unknown flag --")));
}

TEST(ArgumentsTest, AFlagWithoutItsValueIsAnError) {
  EXPECT_THAT(Settings({"--batch-size"}), ElementsAre("--batch-size: needs a value"));
  for (const char* empty : {"--batch-size=", "--junit=", "--config=", "--set="}) {
    EXPECT_THAT(Settings({empty}),
                ElementsAre(HasSubstr(": no value; give some, or leave it out")));
  }
}

TEST(FlagHelpTest, ListsEveryFlagInItsSectionWithDefaultAndChoices) {
  const std::string help = FlagHelp(ProcessFlags());
  EXPECT_THAT(help, HasSubstr("\ngeneral:\n"));
  EXPECT_THAT(help, HasSubstr("\ntrainer:\n"));
  EXPECT_THAT(help, HasSubstr("  --batch-size VALUE"));
  EXPECT_THAT(help, HasSubstr("[default 128]"));
  EXPECT_THAT(help, HasSubstr("[adam|adamw|sgd; default adam]"));
  EXPECT_THAT(help, HasSubstr("  --load-name, --load VALUE"));
  EXPECT_THAT(help, HasSubstr("  --to-debug, --debug "));
  EXPECT_THAT(help, HasSubstr("  --plugins VALUE"));
  EXPECT_THAT(help, Not(HasSubstr("passes VALUE")));
}

}  // namespace
}  // namespace mase
