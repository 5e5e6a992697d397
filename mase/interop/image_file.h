// Pictures: PNG and JPEG files as pixels, by libpng and libjpeg-turbo.
#ifndef MASE_INTEROP_IMAGE_FILE_H_
#define MASE_INTEROP_IMAGE_FILE_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace mase {

// Pixels row by row, a byte for each channel: gray, or red, green, blue.
struct Image {
  int64_t width = 0, height = 0;
  int channels = 1;  // 1 or 3.
  std::vector<uint8_t> pixels;
};

// Whether bytes (the first 8 do) begin as one of these files.
bool IsImage(absl::string_view bytes);

// A PNG of any kind: palettes become colours, fewer bits than 8 a byte, 16 bits the nearest byte;
// transparency is left out, interlacing undone. A JPEG in gray or in colours, baseline or
// progressive. Colours are as they stand in the file: no profile, no gamma.
//
// InvalidArgument: neither; a JPEG in CMYK. DataLoss: damaged, truncated (also where a viewer would
// show what there is). ResourceExhausted: more pixels than the file's size and
// limits::kMaxUnpackRatio allow (a small file may declare a large picture), more than memory has
// room for, or a progressive JPEG of more than 100 scans.
absl::StatusOr<Image> ParseImage(absl::string_view bytes);

}  // namespace mase

#endif  // MASE_INTEROP_IMAGE_FILE_H_
