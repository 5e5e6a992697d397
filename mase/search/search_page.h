// What the page of a search (--html) shows beside what every run's page has.
#ifndef MASE_SEARCH_SEARCH_PAGE_H_
#define MASE_SEARCH_SEARCH_PAGE_H_

#include <string>

#include "absl/types/span.h"
#include "mase/base/table.h"
#include "mase/run/page/plots.h"
#include "mase/sampler/trial.h"
#include "mase/search/objective.h"
#include "mase/search/search_space.h"

namespace mase {

// Sections with the best trials, the front and how good the search was over its trials, all trials
// on parallel axes, and what the choices matter to (ImportanceTable). "" without complete trials.
std::string SearchSections(absl::Span<const Trial* const> trials,
                           absl::Span<const Trial* const> front, const SearchSpace& space,
                           const Objective& objective, const Table& importances, Plots& plots);

// Trials on parallel axes, one for each choice and objective, as a figure: the trials of the front
// stand out. Of more than 600 others those at even distances are drawn. A choice that a trial has
// not breaks its line. Choices of one value are left out.
std::string ParallelCoordinates(absl::Span<const Trial* const> trials,
                                absl::Span<const Trial* const> front, const SearchSpace& space,
                                const Objective& objective);

}  // namespace mase

#endif  // MASE_SEARCH_SEARCH_PAGE_H_
