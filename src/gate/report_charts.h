// The charts of the HTML report: inline SVG, coloured by the page's classes, each with a text that
// says what it shows.
#pragma once

#include <string>

#include "gate/report.h"

namespace sinter {

// Two bars of a domain's success, before and after, as wide as the column.
std::string chart_success(const Tally& tally);
// Lost to the left, won to the right, of at most `most` either way.
std::string chart_flips(const Tally& tally, int64_t most);
// Every item's NLL of the reference, before against after; empty where there is none.
std::string chart_likelihood(const Report& report);
// How many items changed by what ratio.
std::string chart_ratios(const Report& report);
// The baseline's margins, and where the lost items lay.
std::string chart_margins(const Report& report);
// Positions of the texts by the divergence there.
std::string chart_kl(const Report& report);

}  // namespace sinter
