// Files that a plugin's reader (data_reader.h) reads, as tables.
#ifndef MASE_DATA_PLUGIN_TABLE_H_
#define MASE_DATA_PLUGIN_TABLE_H_

#include <string>

#include "absl/status/statusor.h"
#include "mase/data/data_reader.h"
#include "mase/data/table.h"

namespace mase {

// Reads a file by `reader`, and takes the wanted columns. All errors name the file: the reader's
// own; Internal if it throws, or if what it gives is not what data_reader.h says; those of
// ChooseColumns.
absl::StatusOr<DataTable> ReadPluginTable(const std::string& path, const DataReader& reader,
                                          const TableColumns& wanted);

}  // namespace mase

#endif  // MASE_DATA_PLUGIN_TABLE_H_
