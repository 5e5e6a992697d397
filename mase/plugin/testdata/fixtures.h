// The plugins of tests, as files.
#ifndef MASE_PLUGIN_TESTDATA_FIXTURES_H_
#define MASE_PLUGIN_TESTDATA_FIXTURES_H_

#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "mase/base/runfiles.h"
#include "mase/testing/command.h"

namespace mase {

// A file of tiny.cc.
inline std::string TinyFixture(absl::string_view name) {
  return Runfile(absl::StrCat("mase/plugin/testdata/", name, ".so"));
}

// FOLDER/NAME.so, a copy of the plugin of fixture.cc, which does what that name says there.
inline std::string FixtureIn(const std::string& folder, absl::string_view name) {
  const std::string path = absl::StrCat(folder, "/", name, ".so");
  std::filesystem::copy_file(Runfile("mase/plugin/testdata/fixture.so"), path);
  return path;
}

inline std::string Fixture(absl::string_view name) { return FixtureIn(NewFolder(), name); }

}  // namespace mase

#endif  // MASE_PLUGIN_TESTDATA_FIXTURES_H_
