#include "mase/data/hdf5_library.h"

#include <hdf5.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "mase/base/files.h"
#include "mase/base/in_child.h"
#include "mase/base/limits.h"
#include "mase/base/memory_budget.h"
#include "mase/base/quote.h"
#include "mase/base/status_macros.h"
#include "mase/data/hdf5_child.h"

namespace mase {
namespace {

// ---- In the child ----

// IEEE binary16, for which the library has no name.
bool IsHalf(hid_t type) {
  size_t sign, exponent, exponent_bits, mantissa, mantissa_bits;
  return H5Tget_class(type) == H5T_FLOAT && H5Tget_size(type) == 2 &&
         H5Tget_fields(type, &sign, &exponent, &exponent_bits, &mantissa, &mantissa_bits) >= 0 &&
         sign == 15 && exponent == 10 && exponent_bits == 5 && mantissa == 0 &&
         mantissa_bits == 10 && H5Tget_ebias(type) == 15;
}

// An enum (h5py's bool) is its numbers.
void DescribeType(hid_t type, Hdf5MemberFacts& member) {
  member.set_bytes(H5Tget_size(type));
  if (H5Tget_class(type) == H5T_ENUM) {
    const Hdf5Handle base(H5Tget_super(type), H5Tclose);
    const bool fits = H5Tget_size(base) == member.bytes();  // The library does not check this.
    if (fits && H5Tget_class(base) == H5T_INTEGER) DescribeType(base, member);
    return;
  }
  if (H5Tget_class(type) == H5T_STRING) {
    if (H5Tis_variable_str(type) == 0) member.set_number(HDF5_TEXT);
    return;
  }
  const struct {
    hid_t little, big;
    Hdf5Number number;
  } kKnown[] = {{H5T_IEEE_F32LE, H5T_IEEE_F32BE, HDF5_FLOAT32},
                {H5T_IEEE_F64LE, H5T_IEEE_F64BE, HDF5_FLOAT64},
                {H5T_STD_I8LE, H5T_STD_I8BE, HDF5_INT8},
                {H5T_STD_U8LE, H5T_STD_U8BE, HDF5_UINT8},
                {H5T_STD_I16LE, H5T_STD_I16BE, HDF5_INT16},
                {H5T_STD_U16LE, H5T_STD_U16BE, HDF5_UINT16},
                {H5T_STD_I32LE, H5T_STD_I32BE, HDF5_INT32},
                {H5T_STD_U32LE, H5T_STD_U32BE, HDF5_UINT32},
                {H5T_STD_I64LE, H5T_STD_I64BE, HDF5_INT64},
                {H5T_STD_U64LE, H5T_STD_U64BE, HDF5_UINT64}};
  for (const auto& known : kKnown) {
    const bool little = H5Tequal(type, known.little) > 0;
    if (!little && H5Tequal(type, known.big) <= 0) continue;
    member.set_number(known.number);
    member.set_big_endian(!little);
    return;
  }
  if (IsHalf(type)) {
    member.set_number(HDF5_FLOAT16);
    member.set_big_endian(H5Tget_order(type) == H5T_ORDER_BE);
  }
}

// Whether a type is, or has members of, texts of any length.
bool HasVariableText(hid_t type) {
  if (H5Tget_class(type) == H5T_STRING) return H5Tis_variable_str(type) != 0;
  if (H5Tget_class(type) != H5T_COMPOUND) return H5Tdetect_class(type, H5T_STRING) != 0;
  for (int i = 0; i < H5Tget_nmembers(type); ++i) {
    const Hdf5Handle member(H5Tget_member_type(type, static_cast<unsigned>(i)), H5Tclose);
    const bool text = H5Tget_class(member) == H5T_STRING;
    if (text ? H5Tis_variable_str(member) != 0 : H5Tdetect_class(member, H5T_STRING) != 0) {
      return true;
    }
  }
  return false;
}

absl::Status DescribeElements(hid_t dataset, Hdf5DataSetFacts& facts) {
  const Hdf5Handle type(H5Dget_type(dataset), H5Tclose);
  if (!type.ok()) return absl::DataLossError("the element type");
  facts.set_element_bytes(H5Tget_size(type));
  facts.set_any_length(H5Tdetect_class(type, H5T_VLEN) != 0 ||
                       H5Tdetect_class(type, H5T_REFERENCE) != 0 || HasVariableText(type));
  facts.set_compound(H5Tget_class(type) == H5T_COMPOUND);
  if (!facts.compound()) {
    DescribeType(type, *facts.add_member());
    return absl::OkStatus();
  }
  const int count = H5Tget_nmembers(type);
  if (count > limits::kMaxDataColumns) return absl::DataLossError("the number of columns");
  for (int i = 0; i < count; ++i) {
    const auto index = static_cast<unsigned>(i);
    Hdf5MemberFacts& member = *facts.add_member();
    if (char* const name = H5Tget_member_name(type, index); name != nullptr) {
      member.set_name(name);
      H5free_memory(name);
    }
    member.set_offset(H5Tget_member_offset(type, index));
    DescribeType(Hdf5Handle(H5Tget_member_type(type, index), H5Tclose), member);
  }
  return absl::OkStatus();
}

absl::Status DescribeExtent(hid_t dataset, Hdf5DataSetFacts& facts) {
  const Hdf5Handle space(H5Dget_space(dataset), H5Sclose);
  hsize_t dims[H5S_MAX_RANK] = {};
  const int rank = space.ok() ? H5Sget_simple_extent_dims(space, dims, nullptr) : -1;
  if (rank < 0) return absl::DataLossError("the extent");
  facts.mutable_dim()->Add(dims, dims + rank);
  return absl::OkStatus();
}

absl::Status DescribeStorage(hid_t dataset, Hdf5DataSetFacts& facts) {
  const Hdf5Handle properties(H5Dget_create_plist(dataset), H5Pclose);
  if (!properties.ok()) return absl::DataLossError("the layout");
  facts.set_stored_bytes(H5Dget_storage_size(dataset));
  if (H5Pget_external_count(properties) > 0) return absl::OkStatus();
  switch (H5Pget_layout(properties)) {
    case H5D_COMPACT:
      facts.set_layout(Hdf5DataSetFacts::INSIDE);
      break;
    case H5D_CONTIGUOUS: {
      const haddr_t address = H5Dget_offset(dataset);
      if (address == HADDR_UNDEF) facts.set_stored_bytes(0);  // Nothing was ever written.
      facts.set_layout(Hdf5DataSetFacts::CONTIGUOUS);
      facts.set_address(address);
      break;
    }
    case H5D_CHUNKED: {
      facts.set_layout(Hdf5DataSetFacts::CHUNKED);
      hsize_t dims[H5S_MAX_RANK] = {};
      const int rank = H5Pget_chunk(properties, H5S_MAX_RANK, dims);
      if (rank < 0) return absl::DataLossError("the chunks");
      facts.mutable_chunk_dim()->Add(dims, dims + rank);
      break;
    }
    default:
      break;
  }
  for (int i = 0; i < H5Pget_nfilters(properties); ++i) {
    unsigned flags = 0;
    size_t values = 0;
    char name[32] = "";
    Hdf5DataSetFacts::Filter& filter = *facts.add_filter();
    filter.set_id(H5Pget_filter2(properties, static_cast<unsigned>(i), &flags, &values, nullptr,
                                 sizeof(name) - 1, name, nullptr));
    filter.set_name(name);
  }
  return absl::OkStatus();
}

// Data sets that lie in the headers of the file are small: 64 KB at most.
absl::Status ReadInside(hid_t dataset, Hdf5DataSetFacts& facts) {
  if (facts.layout() != Hdf5DataSetFacts::INSIDE || facts.any_length()) return absl::OkStatus();
  if (facts.stored_bytes() > (1 << 16)) return absl::DataLossError("the elements");
  const Hdf5Handle type(H5Dget_type(dataset), H5Tclose), space(H5Dget_space(dataset), H5Sclose);
  const hssize_t count = H5Sget_simple_extent_npoints(space);
  if (count < 0 || facts.element_bytes() == 0 ||
      static_cast<hsize_t>(count) > facts.stored_bytes() / facts.element_bytes()) {
    return absl::DataLossError("the elements");
  }
  facts.mutable_inside()->resize(static_cast<size_t>(count) * facts.element_bytes());
  if (H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, facts.mutable_inside()->data()) < 0) {
    return absl::DataLossError("the elements");
  }
  return absl::OkStatus();
}

// InvalidArgument, Unimplemented: it cannot be opened; DataLoss: what of it is damaged.
// `listed`: it is in the file, whatever it is.
absl::Status DescribeDataSet(hid_t file, bool listed, Hdf5DataSetFacts& facts) {
  bool leads_out = false;
  const Hdf5Handle access = WithoutLinksOut(H5P_DATASET_ACCESS, leads_out);
  const Hdf5Handle dataset(H5Dopen2(file, facts.name().c_str(), access), H5Dclose);
  if (leads_out) return absl::UnimplementedError("is a link to another file");
  if (!dataset.ok() && listed) {
    return absl::DataLossError("it cannot be opened, or a newer version of HDF5 wrote it");
  }
  if (!dataset.ok()) return absl::InvalidArgumentError("is not there");
  MASE_RETURN_IF_ERROR(DescribeElements(dataset, facts));
  MASE_RETURN_IF_ERROR(DescribeExtent(dataset, facts));
  MASE_RETURN_IF_ERROR(DescribeStorage(dataset, facts));
  return ReadInside(dataset, facts);
}

void Describe(hid_t file, bool listed, Hdf5DataSetFacts& facts) {
  const absl::Status status = DescribeDataSet(file, listed, facts);
  facts.set_error_code(static_cast<int>(status.code()));
  facts.set_error(std::string(status.message()));
}

// Data sets by their names.
absl::StatusOr<Hdf5Facts> List(const std::string& path, hid_t file) {
  Hdf5Facts all;
  const H5O_iterate_t visit = [](hid_t, const char* name, const H5O_info_t* info,
                                 void* data) noexcept -> herr_t {
    auto& list = *static_cast<Hdf5Facts*>(data);
    if (info->type == H5O_TYPE_DATASET) list.add_data_set()->set_name(name);
    return list.data_set_size() <= limits::kMaxHdf5DataSets ? 0 : 1;
  };
  if (H5Ovisit2(file, H5_INDEX_NAME, H5_ITER_INC, visit, &all, H5O_INFO_BASIC) < 0) {
    return DamagedHdf5(path, "its groups");
  }
  return all;
}

// Fills `area` with chunks.
absl::StatusOr<Hdf5ChunkFacts> CopyChunks(const std::string& path, const Hdf5DataSetFacts& facts,
                                          char* area) {
  MASE_ASSIGN_OR_RETURN(const Hdf5Handle file, OpenHdf5(path));
  bool leads_out = false;
  const Hdf5Handle access = WithoutLinksOut(H5P_DATASET_ACCESS, leads_out);
  const Hdf5Handle dataset(H5Dopen2(file, facts.name().c_str(), access), H5Dclose);
  const Hdf5Handle properties(H5Dget_create_plist(dataset), H5Pclose);
  unsigned options = 0;
  H5Pget_chunk_opts(properties, &options);
  const bool edges_unfiltered = (options & H5D_CHUNK_DONT_FILTER_PARTIAL_CHUNKS) != 0;
  const size_t rank = facts.dim_size();
  std::vector<hsize_t> offset(rank);
  size_t filled = 0;
  Hdf5ChunkFacts chunks;
  while (offset[0] < facts.dim(0)) {
    hsize_t bytes = 0;
    uint32_t skipped = 0;
    if (H5Dget_chunk_storage_size(dataset, offset.data(), &bytes) < 0 || bytes == 0 ||
        bytes > facts.stored_bytes() - filled ||
        H5Dread_chunk(dataset, H5P_DEFAULT, offset.data(), &skipped, area + filled) < 0) {
      return DamagedHdf5(path, absl::StrCat("data set ", Quoted(facts.name()),
                                            ": the chunk of rows from ", offset[0]));
    }
    filled += bytes;
    chunks.add_bytes(bytes);
    bool edge = false;  // It reaches beyond the extent.
    for (size_t axis = 0; axis < rank; ++axis) {
      const int at = static_cast<int>(axis);
      edge = edge || facts.dim(at) - offset[axis] < facts.chunk_dim(at);
    }
    chunks.add_skipped_filters(edge && edges_unfiltered ? UINT32_MAX : skipped);
    for (size_t axis = rank; axis-- > 0;) {
      offset[axis] += facts.chunk_dim(static_cast<int>(axis));
      if (offset[axis] < facts.dim(static_cast<int>(axis)) || axis == 0) break;
      offset[axis] = 0;
    }
  }
  return chunks;
}

}  // namespace

absl::StatusOr<Hdf5Facts> ListHdf5(const std::string& path) {
  MASE_ASSIGN_OR_RETURN(const ChildLimits limits, ChildLimitsFor(path, limits::kMaxHdf5FactsBytes));
  return AskHdf5<Hdf5Facts>(limits, path, [&]() -> absl::StatusOr<Hdf5Facts> {
    MASE_ASSIGN_OR_RETURN(const Hdf5Handle file, OpenHdf5(path));
    return List(path, file);
  });
}

absl::StatusOr<Hdf5Facts> DescribeHdf5(const std::string& path) {
  MASE_ASSIGN_OR_RETURN(const ChildLimits limits, ChildLimitsFor(path, limits::kMaxHdf5FactsBytes));
  return AskHdf5<Hdf5Facts>(limits, path, [&]() -> absl::StatusOr<Hdf5Facts> {
    MASE_ASSIGN_OR_RETURN(const Hdf5Handle file, OpenHdf5(path));
    MASE_ASSIGN_OR_RETURN(Hdf5Facts all, List(path, file));
    for (Hdf5DataSetFacts& facts : *all.mutable_data_set()) Describe(file, /*listed=*/true, facts);
    return all;
  });
}

absl::StatusOr<Hdf5DataSetFacts> DescribeHdf5(const std::string& path, const std::string& dataset) {
  MASE_ASSIGN_OR_RETURN(const ChildLimits limits, ChildLimitsFor(path, limits::kMaxHdf5FactsBytes));
  return AskHdf5<Hdf5DataSetFacts>(limits, path, [&]() -> absl::StatusOr<Hdf5DataSetFacts> {
    MASE_ASSIGN_OR_RETURN(const Hdf5Handle file, OpenHdf5(path));
    Hdf5DataSetFacts facts;
    facts.set_name(dataset);
    Describe(file, /*listed=*/false, facts);
    return facts;
  });
}

absl::StatusOr<Hdf5Chunks> ReadHdf5Chunks(const std::string& path, const Hdf5DataSetFacts& facts) {
  MASE_ASSIGN_OR_RETURN(const ChildLimits limits, ChildLimitsFor(path, limits::kMaxHdf5FactsBytes));
  const size_t size = facts.stored_bytes();
  MASE_RETURN_IF_ERROR(CheckMemory(static_cast<int64_t>(size), path));
  // What the child puts there is here, too. Pages that it leaves alone take no memory.
  void* const area = ::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (area == MAP_FAILED) return FileError(path, "take memory for", errno);
  CountMemory(static_cast<int64_t>(size));
  Hdf5Chunks chunks;
  chunks.bytes =
      std::shared_ptr<const char>(static_cast<const char*>(area), [area, size](const char*) {
        ::munmap(area, size);
        CountMemory(-static_cast<int64_t>(size));
      });
  chunks.size = size;
  MASE_ASSIGN_OR_RETURN(chunks.facts, AskHdf5<Hdf5ChunkFacts>(limits, path, [&] {
                          return CopyChunks(path, facts, static_cast<char*>(area));
                        }));
  ::mprotect(area, size, PROT_READ);  // Children to come must not write there.
  return chunks;
}

}  // namespace mase
