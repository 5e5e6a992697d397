// What every consumer sees of data: named splits of samples with class labels.
//
//   MASE_ASSIGN_OR_RETURN(Dataset dataset, OpenDataset(config));   // data/open_dataset.h
//   MASE_ASSIGN_OR_RETURN(SplitData test, dataset.Get(Split::kTest));
//   test.features   float32 [rows, ...sample_shape]
//   test.labels     int64 [rows], each in 0..num_classes-1
//
// A split is read or generated when it is first asked for and kept from then on. A Dataset is a
// handle: copies are cheap and share what is loaded. Get may be called from many threads.
#ifndef MASE_DATA_DATASET_H_
#define MASE_DATA_DATASET_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "mase/data/augmentation.h"
#include "mase/data/preprocess.h"
#include "mase/tensor/shape.h"
#include "mase/tensor/tensor.h"

namespace mase {

// Rows of kPred are there to be predicted: they alone may have no labels.
enum class Split { kTrain, kValidation, kTest, kPred };

// "train", "validation", "test", "pred".
absl::string_view SplitName(Split split);

// The samples of one split.
struct SplitData {
  Tensor features;     // float32 [rows, ...]
  Tensor labels;       // int64 [rows]; [0] where nobody knows them.
  std::string origin;  // How the split was made: "80 % of 986,806 distinct rows, seed 42".

  // What tells each row from others, before anything was done to it: int64 [rows], as RowIds of
  // row_sketch.h. Left empty by a loader whose features are as they were read.
  Tensor row_ids;

  int64_t rows() const { return features.shape()[0]; }
};

struct DatasetInfo {
  std::string name;                      // As in the table of data sets: "jsc".
  std::optional<bool> real;              // Measured or generated; unset: nobody said.
  std::string kind;                      // "real rows", "simulated rows", "real images", ...
  std::vector<std::string> class_names;  // By class index.
  Shape sample_shape;                    // Of one sample: [16], [3, 32, 32].

  // Of tables: the columns that are features, in their order, that which is the class, and those
  // that are neither. Empty for other sets.
  std::vector<std::string> feature_names;
  std::string label;
  std::vector<std::string> left_out;
  std::optional<Standardizer> scaler;  // What the features went through, if anything.

  // What to do to each batch of training images; the features of the splits are without it.
  std::optional<ImageAugmentation> augmentation;
};

// Remarks for a person that a data set makes while it is opened and loaded. For many threads.
class Notes {
 public:
  struct Note {
    std::string text;
    bool warning = false;
  };

  void Add(std::string note) { Add(Note{std::move(note)}); }
  void Warn(std::string warning) { Add(Note{std::move(warning), true}); }
  std::vector<Note> Take();  // Those added since the last call.

 private:
  void Add(Note note);

  absl::Mutex mutex_;
  std::vector<Note> notes_;
};

class Dataset {
 public:
  using Loader = std::function<absl::StatusOr<SplitData>()>;

  explicit Dataset(DatasetInfo info, std::shared_ptr<Notes> notes = std::make_shared<Notes>())
      : info_(std::move(info)), notes_(std::move(notes)) {}

  const DatasetInfo& info() const { return info_; }
  const std::string& name() const { return info_.name; }
  // To be shown after opening and after loading.
  Notes& notes() const { return *notes_; }

  int64_t num_classes() const { return static_cast<int64_t>(info_.class_names.size()); }

  // The splits that exist, in the order of the enum.
  std::vector<Split> splits() const;
  bool Has(Split split) const { return splits_.count(split) > 0; }

  // The samples of a split. NotFound, listing the splits that exist, if it is not one of them;
  // else what loading returns, the first time and every time. Never empty, shapes, labels and ids
  // as promised above.
  absl::StatusOr<SplitData> Get(Split split) const;

  // What must stand beside every figure of a split: "1,000 real rows, test split".
  absl::StatusOr<std::string> Caption(Split split) const;

  // For those who make data sets: `loader` runs at the first Get, once. Replaces.
  void Set(Split split, Loader loader);

  // Makes `split` another name for the samples of `source`, a split that was Set before. `origin`
  // says so to people.
  void SetAlias(Split split, Split source, std::string origin);

 private:
  class Lazy;

  DatasetInfo info_;
  std::shared_ptr<Notes> notes_;
  std::map<Split, std::shared_ptr<Lazy>> splits_;
};

// The classes with their rows, for people: "bar 15, baz 0, foo 15"; of many classes the least and
// the most: "26 classes of 734 ('z') to 813 ('u') rows".
std::string ClassBalance(const SplitData& data, absl::Span<const std::string> class_names);

// 1234567 as "1,234,567".
std::string WithCommas(int64_t number);

}  // namespace mase

#endif  // MASE_DATA_DATASET_H_
