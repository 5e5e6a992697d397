#include "mase/data/image_folder.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "mase/base/files.h"
#include "mase/base/limits.h"
#include "mase/base/memory_budget.h"
#include "mase/base/status.h"
#include "mase/base/status_macros.h"
#include "mase/base/suggest.h"
#include "mase/data/foreign_data.h"
#include "mase/data/image_split.h"
#include "mase/data/preprocess.h"
#include "mase/interop/image_file.h"

namespace mase {
namespace {

constexpr double kTestFraction = 0.2;  // As of tables.
constexpr uint32_t kSplitSeed = 42;
constexpr absl::string_view kEndings[] = {".png", ".jpg", ".jpeg"};

bool IsPicture(absl::string_view name) {
  return absl::c_any_of(
      kEndings, [&](absl::string_view ending) { return absl::EndsWithIgnoreCase(name, ending); });
}

// The pictures of a folder, class by class.
struct Pictures {
  std::vector<std::string> files;
  std::vector<int64_t> labels;
  int64_t others = 0;  // Files that are no pictures.
};

// Names in a folder, sorted; those that begin with a dot are not for readers.
absl::StatusOr<std::vector<std::string>> NamesIn(const std::string& folder, bool folders) {
  std::vector<std::string> names;
  std::error_code error;
  std::filesystem::directory_iterator entries(folder, error), end;
  for (; !error && entries != end; entries.increment(error)) {
    const std::string name = entries->path().filename().string();
    std::error_code unused;
    if (absl::StartsWith(name, ".") || entries->is_directory(unused) != folders) continue;
    names.push_back(name);
    if (static_cast<int64_t>(names.size()) > limits::kMaxDataRows / 128) {
      return absl::ResourceExhaustedError(
          absl::StrCat(folder, ": more than ", names.size() - 1, " files"));
    }
  }
  if (error) return FileError(folder, "read", error.value());
  absl::c_sort(names);
  return names;
}

absl::StatusOr<std::vector<std::string>> ClassesIn(const std::string& folder) {
  MASE_ASSIGN_OR_RETURN(std::vector<std::string> classes, NamesIn(folder, true));
  if (classes.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(folder, ": has no folders, one for each class: FOLDER/CLASS/NAME.png"));
  }
  if (static_cast<int64_t>(classes.size()) > limits::kMaxClasses) {
    return absl::ResourceExhaustedError(
        absl::StrCat(folder, ": ", classes.size(), " classes; the limit is ", limits::kMaxClasses));
  }
  for (const std::string& name : classes) MASE_RETURN_IF_ERROR(CheckName(folder, "class", name));
  return classes;
}

absl::StatusOr<Pictures> PicturesIn(const std::string& folder,
                                    const std::vector<std::string>& classes) {
  MASE_ASSIGN_OR_RETURN(const std::vector<std::string> found, ClassesIn(folder));
  Pictures pictures;
  for (const std::string& name : found) {
    const auto known = absl::c_find(classes, name);
    if (known == classes.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat(folder, ": class '", name, "' is none of those of the training: ",
                       absl::StrJoin(classes, ", "), Suggest(name, classes)));
    }
    const std::string inside = absl::StrCat(folder, "/", name);
    MASE_ASSIGN_OR_RETURN(const std::vector<std::string> files, NamesIn(inside, false));
    for (const std::string& file : files) {
      if (!IsPicture(file)) {
        ++pictures.others;
        continue;
      }
      pictures.files.push_back(absl::StrCat(inside, "/", file));
      pictures.labels.push_back(known - classes.begin());
    }
  }
  if (pictures.files.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(folder, ": no .png, .jpg or .jpeg file in its classes' folders"));
  }
  return pictures;
}

absl::StatusOr<Image> ReadImage(const std::string& path) {
  MASE_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path, limits::kMaxDataFileBytes));
  absl::StatusOr<Image> image = ParseImage(bytes);
  if (!image.ok()) {
    return absl::Status(image.status().code(), absl::StrCat(path, ": ", image.status().message()));
  }
  return image;
}

// All pictures as bytes, in the sample's shape.
absl::StatusOr<RawImages> ReadPictures(const Pictures& pictures, const Shape& sample) {
  const auto count = static_cast<int64_t>(pictures.files.size());
  MASE_RETURN_IF_ERROR(CheckMemory(count * sample.elements(), "the pictures of a split"));
  const int64_t channels = sample[0], plane = sample[1] * sample[2];
  RawImages raw;
  MASE_ASSIGN_OR_RETURN(raw.pixels,
                        Tensor::Create(DType::kUInt8, {count, channels, sample[1], sample[2]}));
  MASE_ASSIGN_OR_RETURN(raw.labels, Tensor::Create(DType::kInt64, {count}));
  absl::c_copy(pictures.labels, raw.labels.mutable_data<int64_t>().begin());
  uint8_t* to = raw.pixels.mutable_data<uint8_t>().data();
  for (const std::string& file : pictures.files) {
    MASE_ASSIGN_OR_RETURN(const Image image, ReadImage(file));
    if (image.height != sample[1] || image.width != sample[2]) {
      return absl::InvalidArgumentError(absl::StrCat(
          file, ": is ", image.width, " x ", image.height, " pixels, others are ", sample[2], " x ",
          sample[1], "; bring all to one size first, as by ImageMagick:\n  mogrify -resize ",
          sample[2], "x", sample[1], "! ", "FOLDER/*/*"));
    }
    if (image.channels > channels) {
      return absl::InvalidArgumentError(
          absl::StrCat(file, ": is in colours, the pictures of the training are gray"));
    }
    for (int64_t c = 0; c < channels; ++c, to += plane) {
      const uint8_t* from = image.pixels.data() + (image.channels == 1 ? 0 : c);
      for (int64_t i = 0; i < plane; ++i) to[i] = from[i * image.channels];
    }
  }
  return raw;
}

// The size of the first picture, with colours if any picture has some.
absl::StatusOr<Shape> SampleOf(const Pictures& pictures) {
  MASE_ASSIGN_OR_RETURN(const Image first, ReadImage(pictures.files[0]));
  int channels = first.channels;
  for (size_t i = 1; i < pictures.files.size() && channels == 1; ++i) {
    MASE_ASSIGN_OR_RETURN(const Image image, ReadImage(pictures.files[i]));
    channels = image.channels;
  }
  return Shape({channels, first.height, first.width});
}

// The folder of each split; the training's alone where there is one for all.
absl::StatusOr<std::map<Split, std::string>> FoldersOf(const DatasetConfig& config, bool* divided) {
  std::map<Split, std::string> folders;
  *divided = false;
  if (!config.train().empty()) folders[Split::kTrain] = config.train();
  if (!config.validation().empty()) folders[Split::kValidation] = config.validation();
  if (!config.test().empty()) folders[Split::kTest] = config.test();
  if (folders.empty() == config.path().empty()) {
    return absl::InvalidArgumentError(
        folders.empty() ? "data set image_folder: no folder given (dataset.path, or dataset.train "
                          "and others)"
                        : "data set image_folder: dataset.path and a folder per split exclude each "
                          "other");
  }
  if (folders.empty()) {
    MASE_ASSIGN_OR_RETURN(const std::vector<std::string> inside, NamesIn(config.path(), true));
    const std::pair<const char*, Split> known[] = {{"train", Split::kTrain},
                                                   {"val", Split::kValidation},
                                                   {"valid", Split::kValidation},
                                                   {"validation", Split::kValidation},
                                                   {"test", Split::kTest}};
    for (const auto& [name, split] : known) {
      if (!absl::c_linear_search(inside, name)) continue;
      folders[split] = absl::StrCat(config.path(), "/", name);
    }
    if (folders.count(Split::kTrain) == 0 && folders.count(Split::kTest) == 0) {
      folders = {{Split::kTrain, config.path()}};
      *divided = true;
    }
  }
  return folders;
}

}  // namespace

absl::StatusOr<Dataset> OpenImageFolder(const DatasetConfig& config, const OpenOptions& options) {
  bool divided = false;
  MASE_ASSIGN_OR_RETURN(const auto folders, FoldersOf(config, &divided));
  DatasetInfo info;
  info.name = "image_folder";
  info.kind = "pictures of the given folders";
  const DataRecipe* recipe = options.recipe;
  if (recipe != nullptr) {
    info.class_names.assign(recipe->class_name().begin(), recipe->class_name().end());
  } else {
    MASE_ASSIGN_OR_RETURN(info.class_names, ClassesIn(folders.begin()->second));
  }
  const auto notes = std::make_shared<Notes>();
  std::map<Split, Pictures> splits;
  for (const auto& [split, folder] : folders) {
    MASE_ASSIGN_OR_RETURN(Pictures pictures, PicturesIn(folder, info.class_names));
    if (pictures.others > 0) {
      notes->Add(absl::StrCat(folder, ": ", pictures.others, " files that are no pictures"));
    }
    splits[split] = std::move(pictures);
  }
  MASE_ASSIGN_OR_RETURN(info.sample_shape, SampleOf(splits.begin()->second));
  if (recipe != nullptr) {
    const Shape wanted(
        absl::MakeConstSpan(recipe->sample_shape().data(), recipe->sample_shape().size()));
    // Gray pictures are read by a net of colours.
    if (wanted.rank() == 3 && wanted[0] == 3 && info.sample_shape[0] == 1) {
      info.sample_shape = Shape({3, info.sample_shape[1], info.sample_shape[2]});
    }
    MASE_RETURN_IF_ERROR(CheckFits(*recipe, info));
  }
  if (divided) {
    const Pictures all = splits[Split::kTrain];
    const RowSplit rows =
        SplitRows(static_cast<int64_t>(all.files.size()), kTestFraction, kSplitSeed);
    if (rows.train.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat(config.path(), ": one picture leaves none to train on"));
    }
    const auto take = [&](const std::vector<int64_t>& chosen) {
      Pictures part;
      for (const int64_t row : chosen) {
        part.files.push_back(all.files[row]);
        part.labels.push_back(all.labels[row]);
      }
      return part;
    };
    splits[Split::kTrain] = take(rows.train);
    splits[Split::kTest] = take(rows.test);
  }
  const auto channels = static_cast<size_t>(info.sample_shape[0]);
  const PixelScale scale = {255, std::vector<float>(channels, 0), std::vector<float>(channels, 1)};
  const auto classes = static_cast<int64_t>(info.class_names.size());
  const std::string key = absl::StrCat("image_folder 1 ", info.sample_shape.ToString(), " ",
                                       absl::StrJoin(info.class_names, "/"));
  Dataset dataset(info, notes);
  for (const auto& [split, pictures] : splits) {
    const auto read = [pictures = pictures, sample = info.sample_shape] {
      return ReadPictures(pictures, sample);
    };
    const std::string labels = absl::StrJoin(pictures.labels, ",");
    dataset.Set(split, ImageLoader(pictures.files, absl::StrCat(key, " ", labels), classes, read,
                                   scale, notes));
  }
  if (dataset.Has(Split::kTrain) && !dataset.Has(Split::kValidation)) {
    dataset.SetAlias(Split::kValidation, Split::kTrain, "the training pictures");
  }
  if (dataset.Has(Split::kTest)) {
    dataset.SetAlias(Split::kPred, Split::kTest, "the test pictures");
  }
  return dataset;
}

}  // namespace mase
