#include "mase/plugin/plugin_loader.h"

#include <elf.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"
#include "mase/base/limits.h"
#include "mase/base/runfiles.h"
#include "mase/base/status.h"
#include "mase/pipeline/pipeline.h"
#include "mase/plugin/plugin_file.h"
#include "mase/plugin/plugin_info.h"
#include "mase/plugin/testdata/fixtures.h"
#include "mase/testing/command.h"
#include "mase/testing/file_limit.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr absl::StatusCode kRefused = absl::StatusCode::kPermissionDenied;

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
  EXPECT_EQ(entry.owner(), "Ann, ann@example.org");
  EXPECT_EQ(entry.status(), "experimental");
  ASSERT_THAT(loader.List(), SizeIs(1));
  EXPECT_EQ(loader.List()[0].plugin->owner(), entry.owner());
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
  const std::string path = Fixture("good");
  ASSERT_OK(loader.Open(path));
  const std::string link = NewFolder() + "/link.so";
  std::filesystem::create_symlink(path, link);
  EXPECT_OK(loader.Open(link));
  EXPECT_THAT(loader.opened(), SizeIs(1));
}

struct Refusal {
  std::string fixture;
  std::string message;
};

void ExpectRefused(const std::string& path, absl::string_view message) {
  PluginLoader loader(PluginIndex(), "");
  const absl::Status status = loader.Open(path).status();
  EXPECT_THAT(status, StatusIs(kRefused, AllOf(HasSubstr(absl::StrCat(path, " refused: ")),
                                               HasSubstr(message))));
  EXPECT_EQ(ExitCode(status), 4);
  EXPECT_THAT(loader.List(), IsEmpty()) << "a refused plugin registers nothing";
}

TEST(PluginLoaderTest, WhatDoesNotFitIsRefusedBeforeAnyCodeOfItRuns) {
  const std::vector<Refusal> cases = {
      {"no_entry",
       "it has no function MasePluginGetInfo, so it is no MASE plugin: end one of its sources with "
       "MASE_DEFINE_PLUGIN"},
      {"data_entry",
       "its MasePluginGetInfo is no function: end one of its sources with MASE_DEFINE_PLUGIN"},
      {"no_note", "it has no note of MASE's (section .note.mase) that says how it was built"},
      {"undefined",
       "it uses mase::MissingFromEveryHost(int), which this program does not have: "
       "declared in a header that is not for plugins"},
      {"undefined_elsewhere",
       "it uses other_library_function, which this program does not have: "
       "link the library that has it into the plugin"},
      {"brings_protos",
       "it brings the proto file 'proto/options.proto', which this program has "
       "already: name yours after the plugin"},
  };
  for (const Refusal& refusal : cases) ExpectRefused(TinyFixture(refusal.fixture), refusal.message);
}

#ifndef __clang__  // The messages tell how this program was built.
TEST(PluginLoaderTest, WhatWasBuiltInAnotherWayIsRefusedWithEachDifference) {
  const std::vector<Refusal> cases = {
      {"other_build",
       "refused: its compiler is clang 14, this program's gcc 12: compile it with gcc 12; its "
       "C++ standard is 201703L, this program's 202002L: compile it with -std=c++20; its "
       "_GLIBCXX_DEBUG is 1, this program's 0: compile it without -D_GLIBCXX_DEBUG; its "
       "NDEBUG is 0, this program's 1: compile it with -DNDEBUG; its hash of declarations is "
       "0123456789abcdef, this program's "},
      {"other_libraries",
       "its plugin interface is 1, this program's 2: build it against the SDK of this program; "
       "its compiler is gcc 11, this program's gcc 12: compile it with gcc 12; its C++ ABI is "
       "1016, this program's 1017: compile it with gcc 12 and without -fabi-version; its "
       "_GLIBCXX_USE_CXX11_ABI is 0, this program's 1: compile it with "
       "-D_GLIBCXX_USE_CXX11_ABI=1; its sanitizer is memory, this "
       "program's " MASE_SIGNATURE_SANITIZER_
       ": compile it with the sanitizer of this program (" MASE_SIGNATURE_SANITIZER_
       "); its protobuf is 3019004, this program's 3021012: "
       "compile it against protobuf 3021012; its Abseil is 20210324.2, this program's 20220623.1: "
       "compile it against Abseil 20220623.1; its hash of declarations is "},
  };
  for (const Refusal& refusal : cases) ExpectRefused(TinyFixture(refusal.fixture), refusal.message);
}
#endif

TEST(PluginLoaderTest, AMismatchIsRefusedAndShowsBothSides) {
  const std::vector<Refusal> cases = {
      {"other_size", absl::StrCat("its MasePluginInfo has ", sizeof(MasePluginInfo) + 8,
                                  " bytes, this program's ", sizeof(MasePluginInfo),
                                  ": build it against the SDK of this program")},
      {"other_abi",
       "its ABI version is 99, this program's 2: build it against the SDK of this program"},
      {"other_name",
       "it calls itself 'somebody_else', its file 'other_name': call its file somebody_else.so, or "
       "change what MASE_DEFINE_PLUGIN says"},
      {"null_field", "a field of its MasePluginInfo is null: let MASE_DEFINE_PLUGIN write it"},
      {"null_owner", "a field of its MasePluginInfo is null: let MASE_DEFINE_PLUGIN write it"},
      {"odd_status", "its status is 'sta\\nble', want stable or experimental"},
      {"returns_nothing",
       "MasePluginGetInfo returned nothing, want a MasePluginInfo: let MASE_DEFINE_PLUGIN write "
       "it"},
      {"throws_at_once", "MasePluginGetInfo threw something: let MASE_DEFINE_PLUGIN write it"},
      {"throwing", "its register function threw: no licence"},
      {"escaping",
       "its register function threw something; errors are to be returned as absl::Status"},
      {"repeat", "plugins repeat and repeat both have a pass 'fixture_pass"},
      {"nameless", "it calls a pass ''; want a letter, then letters, digits, '_' and '-'"},
      {"odd_name", "it calls a pass 'two words\\n'; want a letter"},
  };
  for (const Refusal& refusal : cases) ExpectRefused(Fixture(refusal.fixture), refusal.message);
}

TEST(PluginLoaderTest, ProtoFilesThatProtocMadeAreFoundToo) {
  const auto loader = ValueOrDie(PluginLoader::Create());
  ASSERT_OK(loader->LookUp("quantize"));
  const std::string copy = NewFolder() + "/quantize.so";
  std::filesystem::copy_file(Runfile("plugins/quantize/quantize.so"), copy);
  ExpectRefused(copy, "it brings the proto file 'plugins/quantize/quantize_options.proto'");
}

TEST(PluginLoaderTest, APluginThatEndsTheProgramIsNamedAndIsNoSuccess) {
  const auto open = [](const char* name) {
    PluginLoader loader(PluginIndex(), "");
    (void)loader.Open(Fixture(name));
    std::exit(0);
  };
  EXPECT_EXIT(open("exiting"), ::testing::ExitedWithCode(4),
              "plugin .*/exiting.so refused: while it was opened it called exit");
  EXPECT_EXIT(open("exits_registering"), ::testing::ExitedWithCode(4), "it called exit");
  EXPECT_EXIT(open("aborting"), ::testing::KilledBySignal(SIGABRT),
              "aborting.so refused: while it was opened it crashed: SIGABRT");
  EXPECT_EXIT(open("good"), ::testing::ExitedWithCode(0), "");
}

TEST(PluginLoaderTest, OpeningLeavesTheFloatingPointStateAsItWas) {
  PluginLoader loader(PluginIndex(), "");
  ASSERT_OK(loader.Open(Fixture("flushing")));
  volatile float least = 1e-40f;  // Subnormal.
  EXPECT_GT(least * 1.0f, 0.0f);
}

TEST(PluginLoaderTest, FilesThatOthersCanWriteAreRefused) {
  const std::string path = std::filesystem::canonical(Fixture("good")).string();
  const std::filesystem::perms before = std::filesystem::status(path).permissions();
  std::filesystem::permissions(path, before | std::filesystem::perms::others_write);
  ExpectRefused(path, absl::StrCat("everybody may write to it; `chmod o-w ", path));
  std::filesystem::permissions(path, before);
  const std::string folder = path.substr(0, path.rfind('/'));
  std::filesystem::permissions(folder, std::filesystem::perms::all);
  ExpectRefused(path, absl::StrCat("everybody may write to its folder; `chmod o-w ", folder));
  std::filesystem::permissions(folder, std::filesystem::perms::owner_all);
  PluginLoader loader(PluginIndex(), "");
  EXPECT_THAT(loader.Open(folder),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("is a directory")));
  // Everybody may write to it, and is to go on doing so.
  EXPECT_THAT(loader.Open("/dev/zero"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("plugin /dev/zero: is a device, no regular file")));
}

TEST(PluginLoaderTest, AFileThatMayNotBeReadIsAnError) {
  const std::string path = std::filesystem::canonical(Fixture("good")).string();
  std::filesystem::permissions(path, std::filesystem::perms::none);
  // To a root with all capabilities nothing is unreadable.
  __user_cap_header_struct self = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct before[_LINUX_CAPABILITY_U32S_3] = {};
  ASSERT_EQ(::syscall(SYS_capget, &self, before), 0);
  __user_cap_data_struct without[] = {before[0], before[1]};
  without[0].effective &= ~(1u << CAP_DAC_OVERRIDE | 1u << CAP_DAC_READ_SEARCH);
  ASSERT_EQ(::syscall(SYS_capset, &self, without), 0);
  PluginLoader loader(PluginIndex(), "");
  const absl::Status status = loader.Open(path).status();
  ASSERT_EQ(::syscall(SYS_capset, &self, before), 0);
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument,
                               HasSubstr(absl::StrCat(
                                   "plugin ", path, ": cannot open: Permission denied; `chmod a+r ",
                                   path, "`, or its folders a+x"))));
}

TEST(PluginLoaderTest, PluginsLieInTheFoldersThatTheSettingsName) {
  const std::string inside = std::filesystem::canonical(NewFolder()).string();
  const std::string outside = std::filesystem::canonical(NewFolder()).string();
  const std::string good = FixtureIn(inside, "good"), twin = FixtureIn(outside, "twin");
  std::filesystem::create_symlink(twin, inside + "/twin.so");
  PluginLoader loader(PluginIndex(), "");
  loader.set_policy({.folders = {"/nowhere", inside}});
  EXPECT_OK(loader.Open(good));
  const std::string wanted = absl::StrCat("and plugins must lie in /nowhere or ", inside,
                                          " (plugin_dirs): copy it there, or name its folder, too");
  EXPECT_THAT(loader.Open(twin), StatusIs(kRefused, HasSubstr(wanted)));
  EXPECT_THAT(loader.Open(inside + "/twin.so"),
              StatusIs(kRefused, AllOf(HasSubstr("it lies at " + twin), HasSubstr(wanted))))
      << "a link that leads out of it";
}

TEST(PluginLoaderTest, AFileIsPinnedByItsSha256) {
  EXPECT_EQ(Sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const std::string path = Fixture("good");
  PluginLoader loader(PluginIndex(), "");
  EXPECT_THAT(loader.Open(path, "abc"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("want 64 hexadecimal")));
  const std::string other(64, 'a');
  EXPECT_THAT(loader.Open(path, other),
              StatusIs(kRefused, AllOf(HasSubstr("its SHA-256 is "),
                                       HasSubstr("and the settings want " + other))));
  ASSERT_OK(loader.Open(path));
  ASSERT_THAT(loader.pins(), SizeIs(1));
  EXPECT_EQ(loader.pins()[0].path(), path);
  EXPECT_OK(loader.Open(path, loader.pins()[0].sha256()));
  EXPECT_THAT(loader.Open(path, other), StatusIs(kRefused)) << "also where it is open already";
}

TEST(PluginLoaderTest, WhatWasCheckedIsWhatIsOpened) {
  const std::string path = Fixture("good");
  PluginLoader loader(PluginIndex(), "");
  ASSERT_OK(loader.Open(path));
  // The file itself is not mapped: whoever writes to it changes nothing that runs.
  std::ifstream file("/proc/self/maps");
  const std::string maps((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  EXPECT_THAT(maps, HasSubstr("/memfd:good.so"));
  EXPECT_THAT(maps, Not(HasSubstr(path)));

  const PluginFile read = ValueOrDie(ReadPluginFile(path, {}));
  const int copy = ValueOrDie(SealedCopy(read));
  EXPECT_EQ(ValueOrDie(ReadFile(DescriptorPath(copy), int64_t{1} << 30)), read.bytes);
  EXPECT_EQ(::write(copy, "x", 1), -1) << "nobody writes to the copy";
  EXPECT_EQ(::ftruncate(copy, 0), -1);
  EXPECT_EQ(ValueOrDie(SealedCopy(read)), copy) << "one copy of the same bytes";
  EXPECT_NE(ValueOrDie(SealedCopy({read.real_path, "other"})), copy);
}

TEST(PluginLoaderTest, FilesAreLimited) {
  ExpectFileLimit(::testing::TempDir() + "/large.so", limits::kMaxPluginBytes,
                  [](const std::string& path) {
                    return ReadPluginFile(std::filesystem::canonical(path), {}).status();
                  });
}

TEST(PluginLoaderTest, NamesOfPassesAreLimited) {
  for (const char* what : {"name", "alias"}) {
    const auto open = [&](int64_t bytes) {
      PluginLoader loader(PluginIndex(), "");
      absl::Status status = loader.Open(Fixture(absl::StrCat(what, "_of_", bytes))).status();
      const std::string name(static_cast<size_t>(bytes), 'p');
      if (status.ok()) status = loader.LookUp(name).status();
      return status;
    };
    EXPECT_OK(open(limits::kMaxPassNameBytes - 1)) << what;
    EXPECT_OK(open(limits::kMaxPassNameBytes)) << what;
    EXPECT_THAT(open(limits::kMaxPassNameBytes + 1),
                StatusIs(kRefused, HasSubstr("ppppp'; want a letter, then letters, digits, '_' and "
                                             "'-', at most 64 in all")))
        << what;
  }
}

// Also one that lies beside it and is asked for by $ORIGIN: what is opened is a copy in memory.
TEST(PluginLoaderTest, ALibraryOfItsOwnIsToBeLinkedIn) {
  const std::string folder = NewFolder();
  for (const char* name : {"needs_library.so", "libmase_nowhere.so"}) {
    std::filesystem::copy_file(Runfile(absl::StrCat("mase/plugin/testdata/", name)),
                               absl::StrCat(folder, "/", name));
  }
  ExpectRefused(folder + "/needs_library.so",
                "libmase_nowhere.so: cannot open shared object file: No such file or directory; "
                "link a library of your own into the plugin (its .a), as nothing is looked for "
                "beside it ($ORIGIN)");
}

TEST(PluginLoaderTest, ANameThatIsTakenIsRefusedNamingBothPlugins) {
  PluginLoader loader(
      IndexOf("plugin { name: 'owner' pass { name: 'bundled_pass' alias: 'other' } }"), "/nowhere");
  ASSERT_OK(loader.Open(Fixture("good")));
  EXPECT_THAT(loader.Open(Fixture("twin")),
              StatusIs(kRefused, HasSubstr("plugin good has a pass 'fixture_pass', and so has this "
                                           "one, twin: give one another name, or open one of the "
                                           "two")));
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
  EXPECT_THAT(
      open("#!/bin/sh\n"),
      StatusIs(kRefused, HasSubstr("not a shared object: begins with '#!/bin/s', want an ELF "
                                   "header: build it with g++ -shared")));
  const std::string whole = ValueOrDie(ReadFile(Fixture("good"), int64_t{1} << 30));
  for (const size_t size : {size_t{0}, size_t{3}, size_t{20}, size_t{63}, size_t{64}, size_t{200},
                            size_t{1000}, size_t{4096}, whole.size() / 2}) {
    EXPECT_THAT(open(whole.substr(0, size)), StatusIs(kRefused)) << size;
  }
  EXPECT_THAT(open(whole.substr(0, whole.size() / 2)),
              StatusIs(kRefused, HasSubstr("a truncated shared object: copy it again, whole")));
  std::string other_machine = whole;
  const bool here_is_arm = whole[18] == static_cast<char>(EM_AARCH64);
  other_machine[18] = static_cast<char>(here_is_arm ? EM_X86_64 : EM_AARCH64);
  const std::string arm = "aarch64 (ELF machine 183)", x86 = "x86-64 (ELF machine 62)";
  EXPECT_THAT(open(other_machine),
              StatusIs(kRefused, HasSubstr(absl::StrCat(
                                     "built for another machine, ", here_is_arm ? x86 : arm,
                                     ", and this program for ", here_is_arm ? arm : x86,
                                     ": build it on this machine"))));
  std::string big = whole;
  big[5] = 2;  // ELFDATA2MSB
  EXPECT_THAT(open(big),
              StatusIs(kRefused, HasSubstr("a big-endian ELF file, and this machine is a "
                                           "little-endian one: build it for ")));
  std::string narrow = whole;
  narrow[4] = 1;  // ELFCLASS32
  EXPECT_THAT(open(narrow), StatusIs(kRefused, HasSubstr("a 32-bit ELF file, and this program is a "
                                                         "64-bit one: build it without -m32")));
  std::string program = whole;
  program[16] = 2;  // ET_EXEC
  EXPECT_THAT(open(program),
              StatusIs(kRefused, HasSubstr("an ELF file of type 2, want a shared object (3): link "
                                           "it with -shared")));
  std::string no_segments = whole;
  no_segments[56] = no_segments[57] = 0;
  EXPECT_THAT(open(no_segments), StatusIs(kRefused, HasSubstr("program header table")));
}

TEST(PluginLoaderTest, BundledPassesAreListedWithoutOpeningOne) {
  const auto loader = ValueOrDie(PluginLoader::Create());
  EXPECT_GE(loader->List().size(), 10);
  for (const auto& [pass, plugin] : loader->List()) {
    EXPECT_EQ(plugin->owner(), "MASE in C++") << pass->name();
    EXPECT_EQ(plugin->status(), "stable") << pass->name();
  }
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
  std::vector<PassEntry> passes;
  for (const KnownPass& known : loader->List()) passes.push_back(*known.pass);
  for (const PassEntry& pass : passes) {
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
  EXPECT_THAT(gone.err, HasSubstr("exiting.so refused: while it was opened it called exit"));
  EXPECT_EQ(RunCommand("mase/plugin/plugin_check", {}, folder).exit_code, 2);
  const CommandResult other = RunCommand(
      "mase/plugin/plugin_check",
      {absl::StrCat("--expect=", Runfile("plugins/index.textproto")), Fixture("good")}, folder);
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_THAT(other.err, HasSubstr("registers\n"));
}

}  // namespace
}  // namespace mase
