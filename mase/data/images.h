// Data sets of small images: MNIST, Fashion-MNIST, CIFAR-10.
//
// As in MASE, the validation, test and pred splits are all the test images. Files may be gzipped;
// where both NAME and NAME.gz exist, NAME is read. Opening is InvalidArgument where a recipe has
// other classes than the set.
#ifndef MASE_DATA_IMAGES_H_
#define MASE_DATA_IMAGES_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/data/dataset.h"
#include "mase/data/recipe.h"
#include "mase/tensor/tensor.h"
#include "proto/dataset.pb.h"

namespace mase {

// An idx file of unsigned bytes (the format of MNIST), as uint8 of the shape it declares. DataLoss
// if the file is not what its header says.
absl::StatusOr<Tensor> ReadIdx(absl::string_view path);

// The four idx files of MNIST or of a set in its form, in config.path or else in `folder`. Samples
// are [1, height, width] with values 0 to 255.
absl::StatusOr<Dataset> OpenMnist(const std::string& name, const std::string& folder,
                                  const DatasetConfig& config, const OpenOptions& options);

// CIFAR-10's binary files data_batch_1.bin to data_batch_5.bin and test_batch.bin in config.path;
// without a path the first 4,000 training and 1,000 test images. Samples are [3, 32, 32], as
// (pixel / 255 - mean) / deviation with ImageNet's mean and deviation per channel. Training
// images are augmented unless the config says no.
absl::StatusOr<Dataset> OpenCifar10(const DatasetConfig& config, const OpenOptions& options);

}  // namespace mase

#endif  // MASE_DATA_IMAGES_H_
