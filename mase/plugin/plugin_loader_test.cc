#include "mase/plugin/plugin_loader.h"

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"
#include "mase/base/runfiles.h"
#include "mase/base/status.h"
#include "mase/pipeline/pipeline.h"
#include "mase/plugin/plugin_info.h"
#include "mase/testing/command.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr absl::StatusCode kRefused = absl::StatusCode::kPermissionDenied;

std::string Fixture(absl::string_view name) {
  return Runfile(absl::StrCat("mase/plugin/testdata/", name, ".so"));
}

PluginIndex IndexOf(absl::string_view text) {
  PluginIndex index;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(std::string(text), &index));
  return index;
}

TEST(PluginLoaderTest, AThirdPartyPluginRunsInAPipeline) {
  PluginLoader loader(PluginIndex(), "");
  const PluginEntry entry = ValueOrDie(loader.Open(Fixture("good")));
  EXPECT_EQ(entry.name(), "good");
  EXPECT_EQ(entry.version(), "1.2.3");
  google::protobuf::RepeatedPtrField<PassConfig> passes;
  passes.Add()->set_name("fixture_pass_analysis_pass");
  Pipeline pipeline = ValueOrDie(BuildPipeline(passes, loader));
  Graph graph = ParseGraph(R"(
x = placeholder() : f32[1]
output = output(x)
)");
  PassHost host;
  RunReport report;
  ASSERT_OK(RunPipeline(pipeline, graph, host, &report));
  EXPECT_EQ(report.passes(0).counts().at("nodes"), 2);
}

TEST(PluginLoaderTest, OpeningTheSameFileAgainIsFine) {
  PluginLoader loader(PluginIndex(), "");
  ASSERT_OK(loader.Open(Fixture("good")));
  const std::string link = NewFolder() + "/link.so";
  std::filesystem::create_symlink(std::filesystem::canonical(Fixture("good")), link);
  EXPECT_OK(loader.Open(link));
  EXPECT_THAT(loader.opened(), SizeIs(1));
}

struct Refusal {
  std::string fixture;
  std::string message;
};

TEST(PluginLoaderTest, EveryMismatchIsRefusedAndShowsBothSides) {
  const std::vector<Refusal> cases = {
      {"no_entry", "it has no function MasePluginGetInfo"},
      {"data_entry", "its MasePluginGetInfo is no function"},
      {"undefined", "undefined symbol: _ZN4mase20MissingFromEveryHostEv"},
      {"other_size", absl::StrCat("its MasePluginInfo has ", sizeof(MasePluginInfo) + 8,
                                  " bytes, this program's ", sizeof(MasePluginInfo))},
      {"other_abi", "its ABI version is 99, this program's 1"},
      {"other_build",
       absl::StrCat("built as gcc7;std201402, this program as ", MASE_BUILD_SIGNATURE)},
      {"other_name", "it calls itself 'somebody_else', its file 'other_name'"},
      {"null_field", "a field of its MasePluginInfo is null"},
      {"throwing", "its register function threw: no licence"},
      {"escaping", "an exception left its register function"},
      {"repeat", "plugins repeat and repeat both have a pass 'fixture_pass"},
  };
  for (const Refusal& refusal : cases) {
    PluginLoader loader(PluginIndex(), "");
    const absl::Status status = loader.Open(Fixture(refusal.fixture)).status();
    EXPECT_THAT(status, StatusIs(kRefused, AllOf(HasSubstr(refusal.fixture + ".so refused: "),
                                                 HasSubstr(refusal.message))));
    EXPECT_EQ(ExitCode(status), 4);
    EXPECT_THAT(loader.List(), IsEmpty()) << "a refused plugin registers nothing";
  }
}

TEST(PluginLoaderTest, ANameThatIsTakenIsRefusedNamingBothPlugins) {
  PluginLoader loader(
      IndexOf("plugin { name: 'owner' pass { name: 'bundled_pass' alias: 'other' } }"), "/nowhere");
  ASSERT_OK(loader.Open(Fixture("good")));
  EXPECT_THAT(loader.Open(Fixture("twin")),
              StatusIs(kRefused, HasSubstr("plugin good has a pass 'fixture_pass")));
  EXPECT_THAT(loader.Open(Fixture("shadow")),
              StatusIs(kRefused, AllOf(HasSubstr("plugin owner has a pass 'bundled_pass'"),
                                       HasSubstr("so has this one, shadow"))))
      << "a bundled plugin owns its names while it is closed";
}

TEST(PluginLoaderTest, WhatIsNoWholeSharedObjectIsRefusedUnopened) {
  PluginLoader loader(PluginIndex(), "");
  EXPECT_THAT(loader.Open("/nowhere/a.so"),
              StatusIs(absl::StatusCode::kNotFound,
                       HasSubstr("plugin /nowhere/a.so: cannot open: No such file")));
  const std::string path = NewFolder() + "/damaged.so";
  const auto open = [&](absl::string_view bytes) {
    EXPECT_OK(WriteFileAtomically(path, bytes));
    return loader.Open(path);
  };
  EXPECT_THAT(open("#!/bin/sh\n"), StatusIs(kRefused, HasSubstr("begins with '#!/bin/s'")));
  const std::string whole = ValueOrDie(ReadFile(Fixture("good"), int64_t{1} << 30));
  for (const size_t size : {size_t{0}, size_t{3}, size_t{20}, size_t{63}, size_t{64}, size_t{200},
                            size_t{1000}, size_t{4096}, whole.size() / 2}) {
    EXPECT_THAT(open(whole.substr(0, size)), StatusIs(kRefused)) << size;
  }
  std::string other_machine = whole;
  other_machine[18] ^= 1;
  EXPECT_THAT(open(other_machine), StatusIs(kRefused, HasSubstr("built for another machine")));
  std::string narrow = whole;
  narrow[4] = 1;  // ELFCLASS32
  EXPECT_THAT(open(narrow),
              StatusIs(kRefused, HasSubstr("a 32-bit ELF file, and this program is")));
  std::string program = whole;
  program[16] = 2;  // ET_EXEC
  EXPECT_THAT(open(program), StatusIs(kRefused, HasSubstr("an ELF file of type 2")));
  std::string no_segments = whole;
  no_segments[56] = no_segments[57] = 0;
  EXPECT_THAT(open(no_segments), StatusIs(kRefused, HasSubstr("program header table")));
}

TEST(PluginLoaderTest, BundledPassesAreListedWithoutOpeningOne) {
  const auto loader = ValueOrDie(PluginLoader::Create());
  EXPECT_GE(loader->List().size(), 10);
  EXPECT_THAT(loader->opened(), IsEmpty());
}

TEST(PluginLoaderTest, LookingUpAPassOpensItsPluginAlone) {
  const auto loader = ValueOrDie(PluginLoader::Create());
  const PassInfo* info = ValueOrDie(loader->LookUp("quantize_transform_pass"));
  EXPECT_EQ(info->name, "quantize");
  EXPECT_EQ(info->options->GetDescriptor()->full_name(), "mase.plugins.quantize.QuantizeOptions");
  ASSERT_THAT(loader->opened(), SizeIs(1));
  EXPECT_EQ(loader->opened()[0].name(), "quantize");
}

TEST(PluginLoaderTest, EveryBundledNameAndAliasLeadsToItsPass) {
  const auto loader = ValueOrDie(PluginLoader::Create());
  for (const PassEntry& pass : loader->List()) {
    EXPECT_EQ(ValueOrDie(loader->LookUp(pass.name()))->name, pass.name());
    for (const std::string& alias : pass.alias()) {
      EXPECT_EQ(ValueOrDie(loader->LookUp(alias))->name, pass.name());
    }
  }
}

TEST(PluginLoaderTest, ABundledPluginMayBeNamedByItsPathToo) {
  const auto loader = ValueOrDie(PluginLoader::Create());
  EXPECT_OK(loader->Open(Runfile("plugins/quantize/quantize.so")));
  EXPECT_OK(loader->LookUp("quantize"));
  EXPECT_THAT(loader->opened(), SizeIs(1));
}

TEST(PluginLoaderTest, AnUnknownPassIsToldTheNearestName) {
  const auto loader = ValueOrDie(PluginLoader::Create());
  EXPECT_THAT(loader->LookUp("quantice"),
              StatusIs(absl::StatusCode::kNotFound,
                       HasSubstr("no pass 'quantice'; did you mean 'quantize'?")));
  EXPECT_THAT(loader->opened(), IsEmpty());
}

TEST(PluginCheckTest, TellsWhoeverWritesAPluginWhatIsWrong) {
  const std::string folder = NewFolder();
  const CommandResult good = RunCommand("mase/plugin/plugin_check", {Fixture("good")}, folder);
  EXPECT_EQ(good.exit_code, 0) << good.err;
  EXPECT_THAT(good.out, HasSubstr("name: \"fixture_pass\""));
  const CommandResult bad = RunCommand("mase/plugin/plugin_check", {Fixture("throwing")}, folder);
  EXPECT_EQ(bad.exit_code, 4);
  EXPECT_THAT(bad.err, HasSubstr("refused: its register function threw: no licence"));
  const CommandResult gone = RunCommand("mase/plugin/plugin_check", {Fixture("exiting")}, folder);
  EXPECT_EQ(gone.exit_code, 4) << "a constructor that calls exit(0) is no success";
  EXPECT_THAT(gone.err, HasSubstr("exiting.so refused: it ended the program while it was opened"));
  EXPECT_EQ(RunCommand("mase/plugin/plugin_check", {}, folder).exit_code, 2);
  const CommandResult other = RunCommand(
      "mase/plugin/plugin_check",
      {absl::StrCat("--expect=", Runfile("plugins/index.textproto")), Fixture("good")}, folder);
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_THAT(other.err, HasSubstr("registers\n"));
}

}  // namespace
}  // namespace mase
