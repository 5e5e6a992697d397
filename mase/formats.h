// `formats`: what number formats there are, what they do to a tensor, at what cost.
// For programs the same as values.
#ifndef MASE_FORMATS_H_
#define MASE_FORMATS_H_

#include <string>
#include <vector>

#include "mase/base/table.h"
#include "mase/format/format.h"

namespace mase {

// The whole action, words[0] being its name; the exit code (base/status.h).
int RunFormats(std::vector<std::string> words);

// A row a family: family, kind, definition, example, class, also.
Table FamilyTable();

// What there is to say of a format, as a JSON object: format, family, kind, class, definition,
// description, precision, bits (a value, of a tensor [64, 64]), has_reference, parameters.
std::string FormatJson(const Format& format);

}  // namespace mase

#endif  // MASE_FORMATS_H_
