// Data that took time to read, kept for the next run: tensors in files that are mapped, not read.
//
// The files lie in $XDG_CACHE_HOME/mase, else ~/.cache/mase, and may be deleted at any time. A file
// is found by the content of what it was made from, so an edited source is read anew and a moved
// one is not. To know the content without reading it, a source's size, times and inode are noted
// beside its checksum, as Git does; a source younger than two seconds is always read.
//
// Files are written whole and renamed, so any number of processes may share the folder. A damaged
// file is noticed by its checksums and made anew. Where nothing can be written, runs only take
// longer, and a note says so.
#ifndef MASE_DATA_DATA_CACHE_H_
#define MASE_DATA_DATA_CACHE_H_

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "mase/data/cache_file.h"
#include "mase/data/dataset.h"

namespace mase {

// What `build` gives for these source files, from the cache if an earlier call with sources of the
// same content and the same `recipe` left it there. The recipe names everything else that the
// result depends on, and a number to raise when the code of `build` changes its results. Sources
// that are small together (below 1 MiB) are not worth a file: `build` just runs.
//
// A file of the cache is as hostile as any other: what of it does not `fit` what `build` would give
// (numbers of texts and tensors, types, shapes, ranges) is damaged, and made anew.
//
// Errors are those of `build`. To `notes` come the data's own, and the cache's where it fails.
absl::StatusOr<CachedData> LoadOrBuild(absl::Span<const std::string> sources,
                                       absl::string_view recipe,
                                       const std::function<bool(const CachedData&)>& fits,
                                       const std::function<absl::StatusOr<CachedData>()>& build,
                                       Notes& notes);

}  // namespace mase

#endif  // MASE_DATA_DATA_CACHE_H_
