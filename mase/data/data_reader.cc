#include "mase/data/data_reader.h"

#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "mase/base/open_table.h"
#include "mase/base/status_macros.h"

namespace mase {
namespace {

using Readers = std::vector<const DataReader*>;

OpenTable<Readers>& Table() {
  static auto* const table = new OpenTable<Readers>(Readers());
  return *table;
}

}  // namespace

absl::Status CheckDataReader(const DataReader& reader) {
  const bool is_name = !reader.name.empty() && absl::c_all_of(reader.name, [](char c) {
    return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '_';
  });
  if (!is_name) {
    return absl::InvalidArgumentError(absl::StrCat(
        "data reader '", reader.name, "': want a name of small letters, digits and _"));
  }
  if (reader.recognizes == nullptr || reader.read == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("data reader ", reader.name, ": recognizes or read is missing"));
  }
  for (const DataReader* each : DataReaders()) {
    if (each->name == reader.name) {
      return absl::AlreadyExistsError(
          absl::StrCat("there is a data reader ", reader.name, " already"));
    }
  }
  return absl::OkStatus();
}

absl::Status RegisterDataReader(DataReader reader) {
  MASE_RETURN_IF_ERROR(CheckDataReader(reader));
  Table().Grow([&](Readers& all) { all.push_back(new DataReader(std::move(reader))); });
  return absl::OkStatus();
}

const DataReader* FindDataReader(absl::string_view head) {
  for (const DataReader* each : DataReaders()) {
    if (each->recognizes(head)) return each;
  }
  return nullptr;
}

const std::vector<const DataReader*>& DataReaders() { return Table().get(); }

}  // namespace mase
