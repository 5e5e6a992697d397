// Attributes of a file made by Keras 3 (testdata/keras/make.py), whole and damaged.
#include <hdf5.h>

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/files.h"
#include "mase/base/limits.h"
#include "mase/base/runfiles.h"
#include "mase/data/hdf5_library.h"

// libhdf5 leaks on its way out of damaged files.
extern "C" const char* __lsan_default_suppressions() { return "leak:libhdf5"; }

namespace mase {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::StartsWith;
using Texts = absl::StatusOr<std::vector<std::string>>;

constexpr char kGroup[] = "/model_weights";

std::string Whole() { return ReadFile(Runfile("testdata/keras/mlp.h5"), 1 << 20).value_or(""); }

std::string Written(const std::string& bytes) {
  const std::string path = absl::StrCat(testing::TempDir(), "/net.h5");
  const absl::string_view pieces[] = {bytes};
  EXPECT_TRUE(WriteFileAtomically(path, pieces, Durability::kUnsynced).ok());
  return path;
}

// A file whose root has texts of any length.
std::string FileWith(const std::vector<std::string>& texts) {
  const std::string path = absl::StrCat(testing::TempDir(), "/texts.h5");
  const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  H5Pset_libver_bounds(access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);  // Large attributes.
  const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access);
  const hid_t type = H5Tcopy(H5T_C_S1);
  H5Tset_size(type, H5T_VARIABLE);
  const hsize_t count = texts.size();
  const hid_t space = H5Screate_simple(1, &count, nullptr);
  const hid_t attribute = H5Acreate2(file, "texts", type, space, H5P_DEFAULT, H5P_DEFAULT);
  std::vector<const char*> places;
  for (const std::string& text : texts) places.push_back(text.c_str());
  EXPECT_GE(H5Awrite(attribute, type, places.data()), 0);
  H5Aclose(attribute);
  H5Sclose(space);
  H5Tclose(type);
  H5Fclose(file);
  H5Pclose(access);
  return path;
}

std::string Error(const Texts& texts) { return texts.status().ToString(); }

TEST(ReadHdf5TextsTest, KerasNamesItsLayers) {
  const std::string path = Runfile("testdata/keras/mlp.h5");
  const Texts layers = ReadHdf5Texts(path, kGroup, "layer_names");
  ASSERT_TRUE(layers.ok()) << layers.status();
  EXPECT_THAT(*layers, testing::Not(testing::IsEmpty()));
  EXPECT_THAT(Error(ReadHdf5Texts(path, kGroup, "no_names")),
              HasSubstr("mlp.h5: attribute 'no_names' of '/model_weights' is not there"));
}

TEST(ReadHdf5TextsTest, TextsOfAnyLengthComeBackAsTheyAre) {
  const Texts texts = ReadHdf5Texts(FileWith({"a", "", "kernel:0", "\xc3\xa4"}), "/", "texts");
  ASSERT_TRUE(texts.ok()) << texts.status();
  EXPECT_THAT(*texts, ElementsAre("a", "", "kernel:0", "\xc3\xa4"));
}

TEST(ReadHdf5TextsTest, TextsAreAsLongAsTheLimits) {
  const std::string longest(limits::kMaxNameBytes, 'x');
  EXPECT_TRUE(ReadHdf5Texts(FileWith({longest}), "/", "texts").ok());
  EXPECT_THAT(Error(ReadHdf5Texts(FileWith({longest + "x"}), "/", "texts")),
              HasSubstr("RESOURCE_EXHAUSTED"));
  // With its end a text has 1,024 bytes.
  std::vector<std::string> texts(limits::kMaxHdf5TextBytes / 1024, std::string(1023, 'x'));
  const Texts most = ReadHdf5Texts(FileWith(texts), "/", "texts");
  ASSERT_TRUE(most.ok()) << most.status();
  EXPECT_THAT(*most, SizeIs(texts.size()));
  texts.emplace_back("");
  EXPECT_THAT(Error(ReadHdf5Texts(FileWith(texts), "/", "texts")),
              HasSubstr("texts.h5: attribute 'texts' of '/': more than the limit of "
                        "16777216 bytes of texts"));
}

// What reading each layer's names of weights, as Keras's weights are read, comes to.
absl::Status ReadNames(const std::string& path) {
  const Texts layers = ReadHdf5Texts(path, kGroup, "layer_names");
  if (!layers.ok()) return layers.status();
  for (const std::string& layer : *layers) {
    const Texts weights = ReadHdf5Texts(path, absl::StrCat(kGroup, "/", layer), "weight_names");
    if (!weights.ok()) return weights.status();
  }
  return absl::OkStatus();
}

TEST(ReadHdf5TextsTest, WhatMakesTheLibraryCrashOrSpinIsDamaged) {
  const struct {
    size_t at;
    char byte;
    const char* attribute;
    const char* error;
  } damages[] = {
      {6020, 1, "layer_names", ""},  // A crash, in which a sanitizer ends it with words of its own.
      {8864, 0, "weight_names", "did not end within 5 s of a processor"},
  };
  for (const auto& damage : damages) {
    std::string bytes = Whole();
    ASSERT_GT(bytes.size(), damage.at);
    bytes[damage.at] = damage.byte;
    const absl::Status status = ReadNames(Written(bytes));
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
    const std::string message(status.message());
    EXPECT_THAT(message, HasSubstr(absl::StrCat("net.h5: attribute '", damage.attribute, "' of ")));
    EXPECT_THAT(message, HasSubstr(absl::StrCat("is damaged: reading it ", damage.error)));
  }
}

TEST(ReadHdf5TextsTest, WhatIsNoRegularFileIsNotOpened) {
  EXPECT_THAT(Error(ReadHdf5Texts("/dev/zero", "/", "texts")), StartsWith("INVALID_ARGUMENT"));
}

TEST(ReadHdf5TextsTest, NoChangedByteDoesHarm) {
  const std::string whole = Whole();
  EXPECT_TRUE(ReadNames(Written(whole)).ok());
  int damaged = 0;
  for (size_t at = 0; at < whole.size(); at += 61) {
    std::string bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ (at % 2 == 0 ? 0x55 : 0xff));
    damaged += !ReadNames(Written(bytes)).ok();  // An error or names, and no crash.
  }
  EXPECT_GT(damaged, 0);
}

}  // namespace
}  // namespace mase
