// Expected checksums (zlib's crc32 of the raw bytes) were computed with NumPy and, for CIFAR-10,
// torchvision's ToTensor and Normalize on the same files.
#include "mase/data/images.h"

#include <zlib.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/base/limits.h"
#include "mase/base/runfiles.h"
#include "mase/data/open_dataset.h"

namespace mase {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

uint32_t Crc(const Tensor& tensor) {
  return crc32(0, static_cast<const Bytef*>(tensor.raw_data()), tensor.size_bytes());
}

DatasetConfig Config(const std::string& name, const std::string& path = "") {
  DatasetConfig config;
  config.set_name(name);
  config.set_path(path);
  return config;
}

// A fresh folder for a test's files.
std::string Folder() {
  const std::string folder = absl::StrCat(testing::TempDir(), "/images");
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder;
}

void Write(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

std::string IdxHeader(const std::vector<uint32_t>& dims) {
  std::string header("\0\0\x08", 3);
  header.push_back(static_cast<char>(dims.size()));
  for (const uint32_t dim : dims) {
    for (int shift = 24; shift >= 0; shift -= 8) header.push_back(static_cast<char>(dim >> shift));
  }
  return header;
}

absl::Status IdxError(const std::string& bytes) {
  const std::string path = absl::StrCat(testing::TempDir(), "/idx");
  Write(path, bytes);
  return ReadIdx(path).status();
}

std::string Message(const absl::Status& status) { return std::string(status.message()); }

TEST(MnistTest, IsTheCompleteSetUnscaled) {
  const auto dataset = OpenDataset(Config("mnist"));
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(*dataset->Caption(Split::kTrain), "60,000 real images, train split");
  const SplitData train = *dataset->Get(Split::kTrain);
  EXPECT_EQ(train.features.shape(), Shape({60000, 1, 28, 28}));
  EXPECT_EQ(Crc(train.features), 0xe4c1dbccu);
  EXPECT_EQ(Crc(train.labels), 0x87357e3eu);
  const SplitData test = *dataset->Get(Split::kTest);
  EXPECT_EQ(Crc(test.features), 0x4bec33dfu);
  EXPECT_EQ(Crc(test.labels), 0x091bdadeu);
  for (const Split split : {Split::kValidation, Split::kPred}) {
    EXPECT_TRUE(BitEqual(dataset->Get(split)->features, test.features));
  }
  EXPECT_FALSE(dataset->info().augmentation.has_value());
}

TEST(MnistTest, ReadsAFolderOfPlainFiles) {
  const std::string folder = Folder();
  Write(folder + "/t10k-images-idx3-ubyte", IdxHeader({2, 28, 28}) + std::string(1568, '\x07'));
  Write(folder + "/t10k-labels-idx1-ubyte", IdxHeader({2}) + "\x09\x03");
  const auto dataset = OpenDataset(Config("fashion-mnist", folder));
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->info().class_names[9], "ankle boot");
  const auto test = dataset->Get(Split::kTest);
  ASSERT_TRUE(test.ok()) << test.status();
  EXPECT_THAT(test->labels.data<int64_t>(), ElementsAre(9, 3));
  EXPECT_EQ(test->features.data<float>()[1567], 7);
  // Only asked for, the missing training files are an error.
  EXPECT_EQ(dataset->Get(Split::kTrain).status().code(), absl::StatusCode::kNotFound);
}

TEST(MnistTest, ImagesAndLabelsMustFit) {
  const std::string folder = Folder();
  const auto error = [&] {
    return Message(OpenDataset(Config("mnist", folder))->Get(Split::kTest).status());
  };
  Write(folder + "/t10k-images-idx3-ubyte", IdxHeader({2, 28, 28}) + std::string(1568, '\0'));
  Write(folder + "/t10k-labels-idx1-ubyte", IdxHeader({3}) + "abc");
  EXPECT_THAT(error(), HasSubstr("t10k-labels-idx1-ubyte: shape [3] for 2 images"));
  Write(folder + "/t10k-labels-idx1-ubyte", IdxHeader({2}) + "\x01\x0a");
  EXPECT_THAT(error(), HasSubstr("row 1: class 10 of a set with 10 classes"));
  Write(folder + "/t10k-images-idx3-ubyte", IdxHeader({2, 2, 2}) + std::string(8, '\0'));
  EXPECT_THAT(error(), HasSubstr("shape [2, 2, 2], want [images, 28, 28]"));
  Write(folder + "/t10k-images-idx3-ubyte", IdxHeader({0, 28, 28}));
  Write(folder + "/t10k-labels-idx1-ubyte", IdxHeader({0}));
  EXPECT_THAT(error(), HasSubstr("the split is empty"));
}

TEST(MnistTest, AMissingFolderIsNotFound) {
  const absl::Status status = OpenDataset(Config("mnist", "/nowhere")).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Message(status), "data set mnist: no folder /nowhere");
}

TEST(ReadIdxTest, WhatItDeclaresMustBeThere) {
  EXPECT_TRUE(IdxError(IdxHeader({2, 3}) + "abcdef").ok());
  for (const std::string& bytes :
       {std::string(), std::string("\0\0", 2), std::string("\0\0\x0d\1abcd", 8),
        IdxHeader({2, 3}).substr(0, 9), IdxHeader({}), IdxHeader({2, 3}) + "abcde",
        IdxHeader({2, 3}) + "abcdefg"}) {
    EXPECT_EQ(IdxError(bytes).code(), absl::StatusCode::kDataLoss) << bytes.size();
  }
  // Sizes whose product overflows, and ranks that no tensor has.
  EXPECT_EQ(IdxError(IdxHeader({~0u, ~0u, ~0u})).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(IdxError(IdxHeader(std::vector<uint32_t>(limits::kMaxTensorRank, 1)) + "a"),
            absl::OkStatus());
  EXPECT_EQ(IdxError(IdxHeader(std::vector<uint32_t>(limits::kMaxTensorRank + 1, 1)) + "a").code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(Cifar10Test, TheBundledSubsetIsNormalizedAsTorchvisionDoes) {
  const auto dataset = OpenDataset(Config("cifar10"));
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(*dataset->Caption(Split::kTrain), "4,000 real images, train split");
  EXPECT_EQ(*dataset->Caption(Split::kTest), "1,000 real images, test split");
  const SplitData train = *dataset->Get(Split::kTrain);
  EXPECT_EQ(train.features.shape(), Shape({4000, 3, 32, 32}));
  EXPECT_EQ(Crc(train.features), 0xd2aea9f1u);
  EXPECT_EQ(Crc(train.labels), 0x033a5474u);
  EXPECT_EQ(Crc(dataset->Get(Split::kTest)->features), 0xbaeda883u);
  EXPECT_EQ(Crc(dataset->Get(Split::kTest)->labels), 0x31bc8d42u);
}

TEST(Cifar10Test, TrainingImagesAreAugmentedUnlessToldOtherwise) {
  DatasetConfig config = Config("cifar10");
  const auto augmentation = OpenDataset(config)->info().augmentation;
  ASSERT_TRUE(augmentation.has_value());
  EXPECT_EQ(augmentation->padding, 4);
  EXPECT_TRUE(augmentation->flip);
  EXPECT_THAT(augmentation->black,
              ElementsAre((0 - 0.485f) / 0.229f, (0 - 0.456f) / 0.224f, (0 - 0.406f) / 0.225f));
  config.set_augment(false);
  EXPECT_FALSE(OpenDataset(config)->info().augmentation.has_value());
}

TEST(Cifar10Test, ReadsTheFullSetsFiles) {
  const std::string folder = Folder();
  for (int i = 1; i <= 5; ++i) {
    Write(absl::StrCat(folder, "/data_batch_", i, ".bin"),
          std::string(1, static_cast<char>(i)) + std::string(3072, '\xff'));
  }
  Write(folder + "/test_batch.bin", std::string(2 * 3073, '\0'));
  const auto dataset = OpenDataset(Config("cifar10", folder));
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_THAT(dataset->Get(Split::kTrain)->labels.data<int64_t>(), ElementsAre(1, 2, 3, 4, 5));
  EXPECT_EQ(dataset->Get(Split::kTest)->rows(), 2);

  Write(folder + "/test_batch.bin", std::string(2 * 3073 - 1, '\0'));
  const absl::Status cut = OpenDataset(Config("cifar10", folder))->Get(Split::kTest).status();
  EXPECT_EQ(cut.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(Message(cut), HasSubstr("6145 bytes are not whole records of 3073"));
  std::filesystem::remove(folder + "/data_batch_4.bin");
  EXPECT_THAT(Message(OpenDataset(Config("cifar10", folder))->Get(Split::kTrain).status()),
              HasSubstr("data_batch_4.bin"));
}

// A PNG of 2 x 2 pixels, gray, written by hand: no compression.
std::string TinyPng(uint8_t pixel) {
  const auto chunk = [](const std::string& type, const std::string& data) {
    const auto big = [](uint32_t number) {
      std::string bytes;
      for (int shift = 24; shift >= 0; shift -= 8)
        bytes.push_back(static_cast<char>(number >> shift));
      return bytes;
    };
    const std::string all = type + data;
    return big(static_cast<uint32_t>(data.size())) + all +
           big(crc32(0, reinterpret_cast<const Bytef*>(all.data()), all.size()));
  };
  std::string rows;
  for (int y = 0; y < 2; ++y) rows += std::string(1, 0) + std::string(2, static_cast<char>(pixel));
  uLongf size = 100;
  std::string packed(size, 0);
  compress(reinterpret_cast<Bytef*>(packed.data()), &size,
           reinterpret_cast<const Bytef*>(rows.data()), rows.size());
  packed.resize(size);
  return "\x89PNG\r\n\x1a\n" + chunk("IHDR", std::string("\0\0\0\2\0\0\0\2\x08\0\0\0\0", 13)) +
         chunk("IDAT", packed) + chunk("IEND", "");
}

void WritePicture(const std::string& path, uint8_t pixel) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  Write(path, TinyPng(pixel));
}

TEST(ImageFolderTest, FoldersAreClassesAndPixelsAreShares) {
  const std::string folder = Folder();
  for (int i = 0; i < 5; ++i) {
    WritePicture(absl::StrCat(folder, "/rose/", i, ".PNG"), 255);
    WritePicture(absl::StrCat(folder, "/ash/", i, ".png"), 51);
  }
  Write(folder + "/rose/notes.txt", "x");
  const auto dataset = OpenDataset(Config("image_folder", folder), {});
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_THAT(dataset->info().class_names, ElementsAre("ash", "rose"));
  EXPECT_EQ(dataset->info().sample_shape, Shape({1, 2, 2}));
  const auto train = dataset->Get(Split::kTrain), test = dataset->Get(Split::kTest);
  ASSERT_TRUE(train.ok() && test.ok()) << train.status() << test.status();
  EXPECT_EQ(train->rows(), 8);
  EXPECT_EQ(test->rows(), 2);
  for (int64_t row = 0; row < train->rows(); ++row) {
    const bool rose = train->labels.data<int64_t>()[row] == 1;
    EXPECT_EQ(train->features.data<float>()[row * 4], rose ? 1.0f : 51.0f / 255.0f);
  }
  const auto notes = dataset->notes().Take();
  ASSERT_FALSE(notes.empty());
  EXPECT_THAT(notes[0].text, HasSubstr("1 files that are no pictures"));
}

TEST(ImageFolderTest, SplitsHaveFoldersOfTheirOwn) {
  const std::string folder = Folder();
  WritePicture(folder + "/train/a/1.png", 1);
  WritePicture(folder + "/train/b/1.png", 2);
  WritePicture(folder + "/val/b/1.png", 3);
  WritePicture(folder + "/test/a/1.png", 4);
  const auto dataset = OpenDataset(Config("image_folder", folder), {});
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->Get(Split::kTrain)->rows(), 2);
  EXPECT_EQ(dataset->Get(Split::kValidation)->labels.data<int64_t>()[0], 1);
  EXPECT_EQ(dataset->Get(Split::kTest)->features.data<float>()[0], 4.0f / 255.0f);
}

TEST(ImageFolderTest, WhatDoesNotFitIsNamed) {
  const auto problem = [](const std::string& path) {
    const auto dataset = OpenDataset(Config("image_folder", path), {});
    if (!dataset.ok()) return std::string(dataset.status().message());
    return std::string(dataset->Get(Split::kTrain).status().message());
  };
  std::string folder = Folder();
  EXPECT_THAT(problem(folder), HasSubstr("has no folders, one for each class"));
  EXPECT_THAT(problem(folder + "/none"), HasSubstr("/none"));
  std::filesystem::create_directories(folder + "/a");
  EXPECT_THAT(problem(folder), HasSubstr("no .png, .jpg or .jpeg file"));
  WritePicture(folder + "/a/1.png", 1);
  WritePicture(folder + "/a/2.png", 1);
  EXPECT_EQ(problem(folder), "");
  Write(folder + "/a/0.png", "no picture");
  EXPECT_THAT(problem(folder), HasSubstr("/a/0.png: is neither a PNG nor a JPEG file"));
  folder = Folder();
  WritePicture(folder + "/train/a/1.png", 1);
  WritePicture(folder + "/test/b/1.png", 1);
  EXPECT_THAT(problem(folder), HasSubstr("class 'b' is none of those of the training: a"));
}

}  // namespace
}  // namespace mase
