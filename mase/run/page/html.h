// Text as HTML.
#ifndef MASE_RUN_PAGE_HTML_H_
#define MASE_RUN_PAGE_HTML_H_

#include <string>

#include "absl/strings/string_view.h"
#include "mase/base/table.h"

namespace mase {

// For text and for attributes in double quotes.
std::string EscapeHtml(absl::string_view text);

// A table that the page's script makes sortable; "" if it has no rows. Cells read as on the
// terminal.
std::string TableHtml(const Table& table);

}  // namespace mase

#endif  // MASE_RUN_PAGE_HTML_H_
