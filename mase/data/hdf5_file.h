// One data set in an HDF5 file, as its elements lie there. What hdf5.h is made of.
#ifndef MASE_DATA_HDF5_FILE_H_
#define MASE_DATA_HDF5_FILE_H_

#include <hdf5.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace mase {

// An identifier of the library and how to give it back.
class Hdf5Handle {
 public:
  Hdf5Handle(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
  Hdf5Handle(Hdf5Handle&& other) noexcept
      : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  ~Hdf5Handle() {
    if (id_ >= 0) close_(id_);
  }
  bool ok() const { return id_ >= 0; }
  operator hid_t() const { return id_; }

 private:
  hid_t id_;
  herr_t (*close_)(hid_t);
};

// The element types that can be read.
enum class Hdf5Number {
  kFloat16,
  kFloat32,
  kFloat64,
  kInt8,
  kUInt8,
  kInt16,
  kUInt16,
  kInt32,
  kUInt32,
  kInt64,
  kUInt64
};

// A column: where its number is in a row's bytes, and of which type.
struct Hdf5Member {
  size_t offset = 0;
  Hdf5Number number = Hdf5Number::kFloat32;
  bool swapped = false;   // Its bytes are in big-endian order.
  size_t text_bytes = 0;  // Of a text of fixed length, which it is then instead of a number.

  // The member at offset 0 of an element type; an enum (h5py's bool) is its numbers. Unimplemented:
  // other types than the above.
  static absl::StatusOr<Hdf5Member> Of(hid_t type);

  float Load(const char* row) const;
  double LoadDouble(const char* row) const;
  std::string LoadText(const char* row) const;  // Without the zeros or blanks that pad it.
};

// True if a type is, or has members of, texts of any length: what lies in the file are addresses of
// them.
bool HasVariableText(hid_t type);

// A regular file, open for reading without locks. DataLoss: no HDF5 file, or a damaged one; else as
// InputFile::Open.
absl::StatusOr<Hdf5Handle> OpenHdf5(const std::string& path);

// The texts of an attribute of a group or data set, as h5py writes lists of them. NotFound: no such
// attribute; DataLoss: damaged; Unimplemented: other types; ResourceExhausted: a million texts,
// texts longer than limits::kMaxNameBytes, or limits::kMaxHdf5TextBytes of texts of any length.
//
// Those of any length are read in a child (base/in_child.h): libhdf5 trusts the sizes and places of
// them that stand in the file, and crashes or runs for ever where they are damaged.
absl::StatusOr<std::vector<std::string>> ReadHdf5Texts(const std::string& path,
                                                       const std::string& object,
                                                       const std::string& attribute);

// One open data set: checked sizes, members by name, rows as raw bytes. Its elements are compound
// (a table), or each one number or text.
//
// The library only finds and reads the chunks of compressed tables. It would unpack them too, but
// does not check that a chunk unpacks to the size of a chunk, and it uses one core.
class Hdf5TableFile {
 public:
  // Errors here and below: as ReadHdf5Table.
  static absl::StatusOr<Hdf5TableFile> Open(const std::string& path, const std::string& dataset);

  // The names of the data sets of a file, with their groups: "data/x". Links to other files are
  // none.
  static absl::StatusOr<std::vector<std::string>> List(const std::string& path);

  bool is_table() const { return H5Tget_class(type_) == H5T_COMPOUND && dims_.size() == 1; }
  const std::vector<hsize_t>& dims() const { return dims_; }  // The first are the rows.

  // The columns of a table. Those that Find cannot read are among them.
  std::vector<std::string> MemberNames() const;

  // The number or text that each element is, where it is no table.
  absl::StatusOr<Hdf5Member> Element() const;

  // All elements in C order.
  absl::StatusOr<std::string> ReadAll() const;

  int64_t rows() const { return rows_; }
  size_t row_bytes() const { return row_bytes_; }
  int64_t block_rows() const { return block_rows_; }  // Of every block; the last may have fewer.
  int64_t blocks() const { return (rows_ + block_rows_ - 1) / block_rows_; }

  absl::StatusOr<Hdf5Member> Find(const std::string& name) const;

  // A block as it lies in the file. For one thread.
  struct Block {
    std::string bytes;
    uint32_t skipped_filters = 0;  // Bit i: filter i was not applied.
  };
  absl::StatusOr<Block> Read(int64_t block) const;

  // Its rows. For any thread.
  absl::StatusOr<std::string> Unpack(Block block) const;

 private:
  Hdf5TableFile(std::string path, Hdf5Handle file, Hdf5Handle dataset, Hdf5Handle type)
      : path_(std::move(path)),
        file_(std::move(file)),
        dataset_(std::move(dataset)),
        type_(std::move(type)) {}

  absl::Status CheckType();
  absl::Status CheckExtent();
  absl::Status CheckStorage();
  absl::StatusOr<Block> ReadChunk(const std::vector<hsize_t>& offset) const;
  void CopyChunk(const std::string& chunk, const std::vector<hsize_t>& offset,
                 std::string& all) const;

  std::string path_;  // And the name of the data set, for messages.
  Hdf5Handle file_;
  Hdf5Handle dataset_;
  Hdf5Handle type_;
  int64_t rows_ = 0;
  size_t row_bytes_ = 0;
  int64_t block_rows_ = 0;
  size_t element_bytes_ = 0;
  std::vector<hsize_t> dims_;
  std::vector<hsize_t> chunk_;         // Extents of a chunk. Empty: the elements lie in one piece.
  std::vector<H5Z_filter_t> filters_;  // Deflate, shuffle, Fletcher-32, in the order of writing.
};

}  // namespace mase

#endif  // MASE_DATA_HDF5_FILE_H_
