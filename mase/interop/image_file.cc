#include "mase/interop/image_file.h"

#include <jpeglib.h>
#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstdio>  // jpeglib.h wants it first.
#include <cstring>
#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "mase/base/limits.h"
#include "mase/base/memory_budget.h"
#include "mase/base/status_macros.h"

// Both libraries leave by longjmp where a file is damaged. The functions that call setjmp make no
// object with a destructor: all such things are made before, and outlive the jump.
namespace mase {
namespace {

constexpr size_t kPngSignature = 8;
constexpr int kMaxScans = 100;
constexpr size_t kMessage = 200;

absl::Status CheckSize(int64_t width, int64_t height, int64_t channels, size_t file_bytes) {
  const std::string label = absl::StrCat("a picture of ", width, " x ", height, " pixels");
  if (width < 1 || height < 1) return absl::DataLossError(absl::StrCat("is ", label));
  const int64_t allowed =
      std::min(limits::kMaxUnpackedBytes,
               std::max(limits::kUnpackedBytesFree,
                        limits::kMaxUnpackRatio * static_cast<int64_t>(file_bytes)));
  if (width > allowed / height / channels) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "is ", label, " in ", file_bytes, " bytes; the limit is ", allowed, " bytes of pixels"));
  }
  return CheckMemory(width * height * channels, label);
}

absl::Status Damaged(absl::string_view kind, const char* message) {
  return absl::DataLossError(absl::StrCat("is a damaged ", kind, " file: ", message));
}

// ---- PNG

struct PngSource {
  const char* data;
  size_t left;
  char message[kMessage];
};

void ReadPng(png_structp png, png_bytep out, png_size_t count) {
  auto* source = static_cast<PngSource*>(png_get_io_ptr(png));
  if (count > source->left) png_error(png, "truncated");
  std::memcpy(out, source->data, count);
  source->data += count;
  source->left -= count;
}

[[noreturn]] void PngError(png_structp png, png_const_charp message) {
  auto* source = static_cast<PngSource*>(png_get_error_ptr(png));
  std::strncpy(source->message, message, kMessage - 1);
  png_longjmp(png, 1);
}
void PngWarning(png_structp, png_const_charp) {}

struct PngHeader {
  png_uint_32 width, height;
  int channels;
};

// What the file declares, with the conversions asked for. False after an error.
bool ReadPngHeader(png_structp png, png_infop info, PngHeader* header) {
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  png_read_info(png, info);
  const int type = png_get_color_type(png, info);
  png_set_palette_to_rgb(png);
  png_set_expand_gray_1_2_4_to_8(png);
  png_set_scale_16(png);
  png_set_strip_alpha(png);
  header->width = png_get_image_width(png, info);
  header->height = png_get_image_height(png, info);
  header->channels = (type & PNG_COLOR_MASK_COLOR) != 0 ? 3 : 1;
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
  if (png_get_rowbytes(png, info) != static_cast<size_t>(header->width) * header->channels) {
    png_error(png, "rows of another size than its pixels");
  }
  return true;
}

bool ReadPngPixels(png_structp png, png_bytep* rows) {
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  png_read_image(png, rows);
  png_read_end(png, nullptr);
  return true;
}

absl::StatusOr<Image> ParsePng(absl::string_view bytes) {
  PngSource source = {bytes.data(), bytes.size(), ""};
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &source, PngError, PngWarning);
  png_infop info = png == nullptr ? nullptr : png_create_info_struct(png);
  const auto free = [&](void*) { png_destroy_read_struct(&png, &info, nullptr); };
  const std::unique_ptr<void, decltype(free)> freed(&source, free);
  if (info == nullptr) return absl::ResourceExhaustedError("no memory for a PNG file");
  png_set_read_fn(png, &source, ReadPng);
  // Texts and the like, which nobody reads, are not kept.
  constexpr int kChunkBytes = 8 << 20, kChunks = 1;
  png_set_chunk_malloc_max(png, kChunkBytes);
  png_set_chunk_cache_max(png, kChunks);
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, nullptr, 0);
  PngHeader header = {};
  if (!ReadPngHeader(png, info, &header)) return Damaged("PNG", source.message);
  MASE_RETURN_IF_ERROR(CheckSize(header.width, header.height, header.channels, bytes.size()));
  Image image = {header.width, header.height, header.channels, {}};
  const size_t row = static_cast<size_t>(header.width) * header.channels;
  image.pixels.resize(row * header.height);
  std::vector<png_bytep> rows;
  for (size_t y = 0; y < header.height; ++y) rows.push_back(image.pixels.data() + y * row);
  if (!ReadPngPixels(png, rows.data())) return Damaged("PNG", source.message);
  return image;
}

// ---- JPEG

struct JpegErrors {
  jpeg_error_mgr manager;  // First: the library knows this part alone.
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX];
};

[[noreturn]] void JpegError(j_common_ptr info) {
  auto* errors = reinterpret_cast<JpegErrors*>(info->err);
  info->err->format_message(info, errors->message);
  std::longjmp(errors->jump, 1);
}
// Negative levels are damages that the library would paint over.
void JpegMessage(j_common_ptr info, int level) {
  if (level < 0) JpegError(info);
}
void JpegSilent(j_common_ptr) {}
void CountScans(j_common_ptr info) {
  const auto* decoder = reinterpret_cast<j_decompress_ptr>(info);
  if (decoder->input_scan_number <= kMaxScans) return;
  auto* errors = reinterpret_cast<JpegErrors*>(info->err);
  std::strncpy(errors->message, "more than 100 scans", JMSG_LENGTH_MAX - 1);
  std::longjmp(errors->jump, 1);
}

bool CreateJpeg(jpeg_decompress_struct* info, JpegErrors* errors) {
  if (setjmp(errors->jump) != 0) return false;
  jpeg_create_decompress(info);
  return true;
}

bool ReadJpegHeader(jpeg_decompress_struct* info, absl::string_view bytes, JpegErrors* errors) {
  if (setjmp(errors->jump) != 0) return false;
  jpeg_mem_src(info, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  jpeg_read_header(info, TRUE);
  return true;
}

bool ReadJpegPixels(jpeg_decompress_struct* info, uint8_t* pixels, JpegErrors* errors) {
  if (setjmp(errors->jump) != 0) return false;
  jpeg_start_decompress(info);
  const size_t row = static_cast<size_t>(info->output_width) * info->output_components;
  while (info->output_scanline < info->output_height) {
    JSAMPROW rows[] = {pixels + info->output_scanline * row};
    jpeg_read_scanlines(info, rows, 1);
  }
  jpeg_finish_decompress(info);
  return true;
}

absl::StatusOr<Image> ParseJpeg(absl::string_view bytes) {
  JpegErrors errors = {};
  jpeg_decompress_struct info = {};
  info.err = jpeg_std_error(&errors.manager);
  errors.manager.error_exit = JpegError;
  errors.manager.emit_message = JpegMessage;
  errors.manager.output_message = JpegSilent;
  if (!CreateJpeg(&info, &errors)) {
    return absl::ResourceExhaustedError("no memory for a JPEG file");
  }
  const auto free = [&](void*) { jpeg_destroy_decompress(&info); };
  const std::unique_ptr<void, decltype(free)> freed(&info, free);
  jpeg_progress_mgr progress = {};
  progress.progress_monitor = CountScans;
  if (!ReadJpegHeader(&info, bytes, &errors)) return Damaged("JPEG", errors.message);
  info.progress = &progress;
  const bool gray = info.jpeg_color_space == JCS_GRAYSCALE;
  if (info.jpeg_color_space == JCS_CMYK || info.jpeg_color_space == JCS_YCCK) {
    return absl::InvalidArgumentError("is a JPEG file in CMYK; save it in RGB");
  }
  info.out_color_space = gray ? JCS_GRAYSCALE : JCS_RGB;
  info.dct_method = JDCT_ISLOW;
  Image image = {info.image_width, info.image_height, gray ? 1 : 3, {}};
  MASE_RETURN_IF_ERROR(CheckSize(image.width, image.height, image.channels, bytes.size()));
  image.pixels.resize(static_cast<size_t>(image.width * image.height) * image.channels);
  if (ReadJpegPixels(&info, image.pixels.data(), &errors)) return image;
  if (absl::StrContains(errors.message, "scans")) {
    return absl::ResourceExhaustedError(absl::StrCat("is a JPEG file of ", errors.message));
  }
  return Damaged("JPEG", errors.message);
}

constexpr absl::string_view kJpegStart("\xff\xd8\xff", 3);

bool IsPng(absl::string_view bytes) {
  return bytes.size() >= kPngSignature &&
         png_sig_cmp(reinterpret_cast<png_const_bytep>(bytes.data()), 0, kPngSignature) == 0;
}

}  // namespace

bool IsImage(absl::string_view bytes) {
  return IsPng(bytes) || absl::StartsWith(bytes, kJpegStart);
}

absl::StatusOr<Image> ParseImage(absl::string_view bytes) {
  if (IsPng(bytes)) return ParsePng(bytes);
  if (absl::StartsWith(bytes, kJpegStart)) return ParseJpeg(bytes);
  return absl::InvalidArgumentError("is neither a PNG nor a JPEG file");
}

}  // namespace mase
