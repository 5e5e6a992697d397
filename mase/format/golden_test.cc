// All of testdata/formats, bit for bit, on every instruction set of this machine.
#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "mase/base/isa.h"
#include "mase/base/runfiles.h"
#include "mase/format/format.h"
#include "mase/format/grid_ops.h"

namespace mase {
namespace {

struct Case {
  std::string format;
  Shape shape;
  std::vector<float> x, y;
};

std::vector<float> ParseBits(const std::string& line) {
  std::vector<float> values;
  for (absl::string_view word : absl::StrSplit(line, ' ', absl::SkipEmpty())) {
    if (word == "nan") {
      values.push_back(NAN);
      continue;
    }
    values.push_back(FromBits(static_cast<uint32_t>(std::stoul(std::string(word), nullptr, 16))));
  }
  return values;
}

std::vector<Case> ReadCases(const std::string& path) {
  std::vector<Case> cases;
  std::ifstream file(path);
  std::string key, line;
  while (file >> key && std::getline(file, line)) {
    if (key == "format") {
      cases.emplace_back().format = line.substr(1);
    } else if (key == "shape") {
      std::istringstream words(line);
      for (int64_t extent; words >> extent;) cases.back().shape.push_back(extent);
    } else {
      (key == "x" ? cases.back().x : cases.back().y) = ParseBits(line);
    }
  }
  return cases;
}

bool SameBits(float a, float b) { return (std::isnan(a) && std::isnan(b)) || Bits(a) == Bits(b); }

// The first few differences, "" if there are none.
std::string Differences(const Case& c, const std::vector<float>& y) {
  std::string differences;
  int count = 0;
  for (size_t i = 0; i < y.size(); ++i) {
    if (SameBits(y[i], c.y[i])) continue;
    if (++count <= 5) {
      absl::StrAppend(&differences, "  [", i, "] x ", absl::Hex(Bits(c.x[i])), " ", c.x[i],
                      ": got ", y[i], ", want ", c.y[i], "\n");
    }
  }
  return count == 0 ? "" : absl::StrCat(count, " of ", y.size(), " differ\n", differences);
}

class GoldenTest : public testing::TestWithParam<std::string> {};

TEST_P(GoldenTest, EveryValueIsEqualOnEveryInstructionSet) {
  const std::vector<Case> cases = ReadCases(GetParam());
  ASSERT_FALSE(cases.empty());
  const Isa best = CurrentIsa();
  for (Isa isa : {Isa::kBaseline, Isa::kAvx2, Isa::kAvx512}) {
    if (!SetIsaForTest(isa)) continue;
    SCOPED_TRACE(std::string(IsaName(isa)));
    for (const Case& c : cases) {
      ASSERT_EQ(c.x.size(), static_cast<size_t>(c.shape.elements())) << c.format;
      auto format = Format::FromText(c.format);
      ASSERT_TRUE(format.ok()) << format.status();
      std::vector<float> y(c.x.size());
      const absl::Status status = (*format)->Quantize(c.x.data(), y.data(), c.shape);
      ASSERT_TRUE(status.ok()) << c.format << ": " << status;
      EXPECT_EQ(Differences(c, y), "") << c.format << " " << c.shape.ToString();
      std::vector<float> in_place = c.x;
      ASSERT_TRUE((*format)->Quantize(in_place.data(), in_place.data(), c.shape).ok());
      EXPECT_EQ(Differences(c, in_place), "") << "in place: " << c.format;
    }
  }
  SetIsaForTest(best);
}

std::vector<std::string> GoldenFiles() {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(Runfile("testdata/formats"))) {
    if (entry.path().extension() == ".txt") files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

INSTANTIATE_TEST_SUITE_P(All, GoldenTest, testing::ValuesIn(GoldenFiles()), [](const auto& info) {
  return std::filesystem::path(info.param).stem().string();
});

}  // namespace
}  // namespace mase
