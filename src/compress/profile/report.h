// What a profile says to a person: where values stand out, what eight-bit codes would make of them,
// and which recipe that suggests.
#pragma once

#include <string>
#include <vector>

#include "compress/profile/profile.h"

namespace sinter {

// A way of rounding inputs, over all inputs that it was tried on.
struct RoundingSummary {
  std::string activations, range;
  double mean = 0, worst = 0;  // of ProfiledRounding::channel_error
  std::string worst_input;     // "layer 3, mlp"
};
// In the order in which they were tried. Of linears' inputs, or of keys and values.
std::vector<RoundingSummary> summaries(const Profile& profile, bool cache);

struct Advice {
  std::string about, finding, advice;
};
// By the rules in docs/profile.md.
std::vector<Advice> advice_of(const Profile& profile);
Json to_json(const Advice& advice);

std::string profile_text(const Profile& profile);

}  // namespace sinter
