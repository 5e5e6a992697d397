// Runs as one HTML page that needs nothing else: no network, no other file. With JavaScript tables
// can be sorted and filtered and plots answer to the pointer (d3, from Debian's node-d3); without
// it all is there to read. Light and dark follow the reader's system.
#ifndef MASE_RUN_PAGE_PAGE_H_
#define MASE_RUN_PAGE_PAGE_H_

#include <functional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "mase/base/table.h"
#include "mase/run/finished_run.h"
#include "mase/run/page/plots.h"

namespace mase {

// Of one run: what ran, its figures, goals, classes, curves, graph, nodes, histograms, everything
// that passes found, timings, warnings and settings. Of several: a table of them and their curves
// in one picture, then each. All of it is what the reports hold; the picture of the graph is the
// run's graph.svg, if it has one.
//
// `own`, if given, makes sections of an action's own, which stand in front of the rest of one
// run's.
using PageSections = std::function<std::string(Plots& plots)>;
std::string PageOf(absl::Span<const FinishedRun> runs, const PageSections& own = nullptr);

// A section of a page; "" if it has no body. `id` is its anchor.
std::string PageSection(absl::string_view id, absl::string_view title, absl::string_view body);

// A page of tables under a title.
std::string PageOfTables(absl::string_view title, absl::Span<const Table* const> tables);

}  // namespace mase

#endif  // MASE_RUN_PAGE_PAGE_H_
