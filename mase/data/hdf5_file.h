// The data sets of an HDF5 file and the bytes of their elements. What hdf5.h is made of.
//
//   MASE_ASSIGN_OR_RETURN(const Hdf5File file, Hdf5File::Open("jets.h5"));
//   MASE_ASSIGN_OR_RETURN(const Hdf5DataSet jets, file.Find("train/jets"));
//   MASE_ASSIGN_OR_RETURN(const Hdf5Member mass, jets.Column("mass"));
//   MASE_ASSIGN_OR_RETURN(const Hdf5Elements elements, Hdf5Elements::Open(jets));
//   MASE_ASSIGN_OR_RETURN(const std::string rows, elements.Block(0));
//   mass.Load(&rows[3 * jets.row_bytes()]);  // Of row 3.
//
// libhdf5 says what lies where (hdf5_library.h). All of that is checked here, and the elements are
// read and unpacked here, on all cores; the library would use one, and does not check that a chunk
// unpacks to the size of a chunk. Errors of all: as ReadHdf5Table.
#ifndef MASE_DATA_HDF5_FILE_H_
#define MASE_DATA_HDF5_FILE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "mase/base/files.h"
#include "mase/data/hdf5_library.h"
#include "mase/tensor/shape.h"
#include "proto/hdf5.pb.h"

namespace mase {

// Of one number of this type; 0 for HDF5_TEXT, whose size is in the file, and HDF5_OTHER.
size_t Hdf5NumberBytes(Hdf5Number number);

// A column: where its number or text is in a row's bytes, and of which type.
struct Hdf5Member {
  size_t offset = 0;
  Hdf5Number number = HDF5_FLOAT32;
  bool big_endian = false;
  size_t bytes = 0;

  bool is_text() const { return number == HDF5_TEXT; }
  float Load(const char* row) const;
  double LoadDouble(const char* row) const;
  std::string LoadText(const char* row) const;  // Without the zeros or blanks that pad it.
};

// A data set whose facts fit each other and the limits. Its elements are compound (a table), or
// each one number or text.
class Hdf5DataSet {
 public:
  // `file` is that which the facts are of, and `path` leads to.
  static absl::StatusOr<Hdf5DataSet> Of(const std::string& path,
                                        std::shared_ptr<const InputFile> file,
                                        Hdf5DataSetFacts facts);

  bool is_table() const { return facts_.compound() && shape_.rank() == 1; }
  const Shape& shape() const { return shape_; }  // The first axis are the rows.
  int64_t rows() const { return shape_[0]; }
  size_t row_bytes() const { return row_bytes_; }

  // The columns of a table, those that Column cannot read among them.
  std::vector<std::string> ColumnNames() const;

  // By its place among these. Unimplemented: it is of another type than Hdf5Member has.
  absl::StatusOr<Hdf5Member> Column(int index) const;

  // By its name; InvalidArgument: there is none of it. Takes time with the number of columns.
  absl::StatusOr<Hdf5Member> Column(const std::string& name) const;

  // The number or text that each element is, of all of its bytes, where it is no table.
  absl::StatusOr<Hdf5Member> Element() const;

 private:
  friend class Hdf5Elements;
  Hdf5DataSet(const std::string& path, std::shared_ptr<const InputFile> file,
              Hdf5DataSetFacts facts);

  absl::Status CheckType() const;
  absl::Status CheckExtent();
  absl::Status CheckStorage() const;
  absl::StatusOr<Hdf5Member> Checked(const Hdf5MemberFacts& member) const;

  std::string path_;
  std::string label_;  // Path and name, for messages.
  std::shared_ptr<const InputFile> file_;
  Hdf5DataSetFacts facts_;
  Shape shape_;
  size_t row_bytes_ = 0;
};

// The elements of a data set, which has to outlive this. All for any thread.
class Hdf5Elements {
 public:
  static absl::StatusOr<Hdf5Elements> Open(const Hdf5DataSet& set);

  // By chunks that are at hand; `chunks` has none where the data set is not chunked.
  static absl::StatusOr<Hdf5Elements> Of(const Hdf5DataSet& set, Hdf5Chunks chunks);

  // The rows of a data set of one axis, block for block; the last may have fewer.
  int64_t block_rows() const { return block_rows_; }
  int64_t blocks() const { return (set_->rows() + block_rows_ - 1) / block_rows_; }
  absl::StatusOr<std::string> Block(int64_t block) const;

  // All elements in C order.
  absl::StatusOr<std::string> All() const;

 private:
  Hdf5Elements(const Hdf5DataSet& set, Hdf5Chunks chunks)
      : set_(&set), chunks_(std::move(chunks)) {}

  bool chunked() const { return set_->facts_.layout() == Hdf5DataSetFacts::CHUNKED; }
  absl::Status FindChunks();
  absl::StatusOr<std::string> Bytes(size_t from, size_t count) const;
  absl::StatusOr<std::string> Chunk(size_t index) const;
  void Place(const std::string& chunk, const std::vector<uint64_t>& offset, std::string& all) const;

  const Hdf5DataSet* set_;
  Hdf5Chunks chunks_;
  std::vector<size_t> starts_;  // Of chunks in their bytes, and the end of the last.
  size_t chunk_bytes_ = 0;      // Unpacked.
  int64_t block_rows_ = 0;
};

class Hdf5File {
 public:
  static absl::StatusOr<Hdf5File> Open(const std::string& path);

  // Of its data sets, with their groups, "data/x". All of them are described at once, so that no
  // child is made for each of Find. ResourceExhausted: more than limits::kMaxHdf5DataSets.
  absl::StatusOr<std::vector<std::string>> Names();

  // By a name as above, or "/data/x"; it may also be a link within the file.
  absl::StatusOr<Hdf5DataSet> Find(absl::string_view name) const;

  // Unavailable: the file changed, or gave way to another, since it was opened. To be called when
  // all has been read, or where it seems to be damaged.
  absl::Status CheckUnchanged() const;

 private:
  Hdf5File(std::string path, std::shared_ptr<const InputFile> file)
      : path_(std::move(path)), file_(std::move(file)) {}

  std::string path_;
  std::shared_ptr<const InputFile> file_;
  Hdf5Facts described_;
};

}  // namespace mase

#endif  // MASE_DATA_HDF5_FILE_H_
