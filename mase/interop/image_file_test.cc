// Files are made here by the libraries' own writers, then damaged.
#include "mase/interop/image_file.h"

#include <jpeglib.h>
#include <png.h>
#include <zlib.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "mase/testing/matchers.h"

namespace mase {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

void Append(png_structp png, png_bytep bytes, png_size_t count) {
  static_cast<std::string*>(png_get_io_ptr(png))
      ->append(reinterpret_cast<const char*>(bytes), count);
}

// A PNG of that color type and depth, whose rows are these bytes.
std::string Png(int width, int height, int type, int depth, const std::string& rows,
                bool interlaced = false) {
  std::string file;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(png, &file, Append, nullptr);
  png_set_IHDR(png, info, width, height, depth, type,
               interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  png_color palette[] = {{1, 2, 3}, {250, 251, 252}};
  if (type == PNG_COLOR_TYPE_PALETTE) png_set_PLTE(png, info, palette, 2);
  png_write_info(png, info);
  std::string copy = rows;
  const size_t row = rows.size() / height;
  std::vector<png_bytep> places;
  for (int y = 0; y < height; ++y) places.push_back(reinterpret_cast<png_bytep>(&copy[y * row]));
  png_write_image(png, places.data());
  png_write_end(png, nullptr);
  png_destroy_write_struct(&png, &info);
  return file;
}

std::string Jpeg(int width, int height, J_COLOR_SPACE space, std::vector<uint8_t> pixels) {
  jpeg_compress_struct info = {};
  jpeg_error_mgr errors;
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* bytes = nullptr;
  unsigned long size = 0;  // NOLINT: the library's type.
  jpeg_mem_dest(&info, &bytes, &size);
  info.image_width = width;
  info.image_height = height;
  info.input_components = space == JCS_GRAYSCALE ? 1 : space == JCS_CMYK ? 4 : 3;
  info.in_color_space = space;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, 100, TRUE);
  jpeg_start_compress(&info, TRUE);
  for (int y = 0; y < height; ++y) {
    JSAMPROW row[] = {pixels.data() + static_cast<size_t>(y) * width * info.input_components};
    jpeg_write_scanlines(&info, row, 1);
  }
  jpeg_finish_compress(&info);
  const std::string file(reinterpret_cast<char*>(bytes), size);
  jpeg_destroy_compress(&info);
  std::free(bytes);  // NOLINT: malloc's.
  return file;
}

TEST(ImageFileTest, EveryKindOfPngBecomesBytes) {
  const Image gray = ValueOrDie(ParseImage(Png(3, 1, PNG_COLOR_TYPE_GRAY, 8, "\x01\x80\xff")));
  EXPECT_EQ(gray.channels, 1);
  EXPECT_THAT(gray.pixels, ElementsAre(1, 128, 255));
  const Image bits = ValueOrDie(ParseImage(Png(4, 1, PNG_COLOR_TYPE_GRAY, 2, "\x1b")));
  EXPECT_THAT(bits.pixels, ElementsAre(0, 85, 170, 255));
  const Image wide = ValueOrDie(
      ParseImage(Png(2, 1, PNG_COLOR_TYPE_GRAY, 16, std::string("\x80\x80\xff\xff", 4))));
  EXPECT_THAT(wide.pixels, ElementsAre(128, 255));
  const Image alpha = ValueOrDie(
      ParseImage(Png(1, 2, PNG_COLOR_TYPE_RGB_ALPHA, 8, "\x01\x02\x03\x04\x05\x06\x07\x08")));
  EXPECT_EQ(alpha.channels, 3);
  EXPECT_EQ(alpha.height, 2);
  EXPECT_THAT(alpha.pixels, ElementsAre(1, 2, 3, 5, 6, 7));
  const Image palette =
      ValueOrDie(ParseImage(Png(8, 1, PNG_COLOR_TYPE_PALETTE, 1, std::string("\x80", 1))));
  EXPECT_EQ(palette.channels, 3);
  EXPECT_EQ(palette.pixels[0], 250);
  EXPECT_EQ(palette.pixels[3], 1);
  const Image interlaced =
      ValueOrDie(ParseImage(Png(2, 2, PNG_COLOR_TYPE_GRAY, 8, "\x01\x02\x03\x04", true)));
  EXPECT_THAT(interlaced.pixels, ElementsAre(1, 2, 3, 4));
}

TEST(ImageFileTest, JpegsInGrayAndInColours) {
  const Image gray =
      ValueOrDie(ParseImage(Jpeg(8, 8, JCS_GRAYSCALE, std::vector<uint8_t>(64, 77))));
  EXPECT_EQ(gray.channels, 1);
  EXPECT_EQ(gray.pixels, std::vector<uint8_t>(64, 77));
  std::vector<uint8_t> green;
  for (int i = 0; i < 64; ++i) green.insert(green.end(), {0, 255, 0});
  const Image image = ValueOrDie(ParseImage(Jpeg(8, 8, JCS_RGB, green)));
  EXPECT_EQ(image.channels, 3);
  ASSERT_EQ(image.pixels.size(), 192u);
  for (size_t i = 0; i < green.size(); ++i) EXPECT_NEAR(image.pixels[i], green[i], 2) << i;
  EXPECT_THAT(ParseImage(Jpeg(8, 8, JCS_CMYK, std::vector<uint8_t>(256, 9))),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("CMYK")));
}

TEST(ImageFileTest, EveryPrefixAndDamageIsAnErrorOrAPicture) {
  const std::string files[] = {Png(5, 4, PNG_COLOR_TYPE_RGB, 8, std::string(60, 'x')),
                               Jpeg(16, 16, JCS_RGB, std::vector<uint8_t>(768, 200))};
  for (const std::string& file : files) {
    for (size_t size = 0; size < file.size(); ++size) {
      EXPECT_FALSE(ParseImage(file.substr(0, size)).ok()) << size;
    }
    for (size_t at = 0; at < file.size(); ++at) {
      std::string damaged = file;
      damaged[at] = static_cast<char>(damaged[at] ^ 0x55);
      const auto image = ParseImage(damaged);
      EXPECT_TRUE(image.ok() || !image.status().message().empty());
    }
  }
  EXPECT_THAT(ParseImage("GIF89a"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("neither a PNG nor a JPEG")));
}

TEST(ImageFileTest, ASmallFileMayNotDeclareALargePicture) {
  std::string file = Png(1, 1, PNG_COLOR_TYPE_RGB, 8, "abc");
  // Width and height stand behind the signature, a length and "IHDR"; their checksum behind them.
  file.replace(16, 8, std::string("\x00\x01\x00\x00\x00\x01\x00\x00", 8));
  uint32_t crc = crc32(0, reinterpret_cast<const Bytef*>(&file[12]), 17);
  for (int i = 3; i >= 0; --i, crc >>= 8) file[29 + i] = static_cast<char>(crc);
  EXPECT_THAT(ParseImage(file), StatusIs(absl::StatusCode::kResourceExhausted,
                                         HasSubstr("is a picture of 65536 x 65536 pixels in ")));
}

}  // namespace
}  // namespace mase
