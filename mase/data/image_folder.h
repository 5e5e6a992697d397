// Data sets of pictures in folders, as torchvision's ImageFolder reads them: FOLDER/CLASS/NAME.png.
#ifndef MASE_DATA_IMAGE_FOLDER_H_
#define MASE_DATA_IMAGE_FOLDER_H_

#include "absl/status/statusor.h"
#include "mase/data/dataset.h"
#include "mase/data/recipe.h"
#include "proto/dataset.pb.h"

namespace mase {

// Every folder in a split's folder is a class, in order of names (by bytes); a recipe's classes
// come before those. Pictures are the files in them that end in .png, .jpg or .jpeg, in whatever
// case, in order of names; other files are counted in a note. Samples are [channels, height, width]
// with values pixel / 255, as ToTensor gives them: [1, ...] if all pictures of the set's first
// split are gray, else [3, ...], gray ones repeated.
//
// The splits are config.train, validation and test; or folders train, val (or validation, valid)
// and test in config.path; or all pictures of config.path, of which a fifth are for test, as a
// table is split (preprocess.h). Without one for validation the training pictures are that split,
// too.
//
// Errors name the folder or the file. NotFound: no such folder. InvalidArgument: no classes or no
// pictures; a class that the training folder has not; pictures of different sizes, or of another
// size than the recipe says; a file that is none of its kind. Those of ParseImage and ReadFile.
// ResourceExhausted: limits, memory.
absl::StatusOr<Dataset> OpenImageFolder(const DatasetConfig& config, const OpenOptions& options);

}  // namespace mase

#endif  // MASE_DATA_IMAGE_FOLDER_H_
